"""The operators' command line: look at payments, and decide what only a person can (docs/operating.md)."""
