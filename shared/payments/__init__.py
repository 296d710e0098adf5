"""The payment service's layer: `core` decides, `adapters` talk to the outside world, `wiring` connects them.

Nothing is re-exported here, so that a function loads only the modules it names.
"""
