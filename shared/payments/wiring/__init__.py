"""The only place that creates clients, sets timeouts and connects the adapters: one module per function."""
