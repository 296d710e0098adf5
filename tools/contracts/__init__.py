"""The published contracts, written from the code: `make contracts`.

The models say which fields there are, what each may hold and, in the docstring below a field, what it means. What only
a document says (explanations, examples) is in the YAML files beside this module.
"""
