"""Generates the published contracts from the code: `make contracts`.

The models define the fields, their values and, in the docstring below a field, its meaning. Texts that only a document
needs (explanations, examples) are in the YAML files next to this module.
"""
