"""Everything that runs only on a developer's machine: nothing below this folder is deployed to AWS."""
