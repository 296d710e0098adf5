"""The payment service's layer: `core` decides, `adapters` talk to the outside, `wiring` puts them together.

Nothing is re-exported here, so that a function loads only the modules it names.
"""
