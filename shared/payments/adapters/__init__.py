"""Thin translations to and from the outside world. Adapters never import each other."""
