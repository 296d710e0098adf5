"""Renders the contracts as a static API reference: `make docs`."""
