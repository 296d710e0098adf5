"""The groups of dependencies in pyproject.toml."""

import tomllib
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
DEPLOYED = ("layer", "cryptography")
"""What the template's layers hold; everything else stays on developers' machines."""


def groups() -> list[str]:
    """Their names; first those that are deployed."""
    names = tomllib.loads((PROJECT / "pyproject.toml").read_text())["dependency-groups"]
    return sorted(names, key=lambda name: (name not in DEPLOYED, name))
