"""What is in the service that others wrote: is something known against it (`make audit`), and a list (`make sbom`)."""
