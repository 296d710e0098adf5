"""The dependencies: check them for advisories (`make audit`) and list them (`make sbom`)."""
