"""The only place that creates clients, sets timeouts and puts the adapters together, one module per function."""
