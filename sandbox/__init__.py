"""Everything that runs only on a developer's machine. Nothing in this folder is deployed to AWS."""
