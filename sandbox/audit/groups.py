"""The groups of dependencies in pyproject.toml."""

import tomllib
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
DEPLOYED = ("layer", "cryptography")
"""The groups in the template's layers. All others stay on developers' machines."""


def groups() -> list[str]:
    """Return the groups' names, deployed ones first."""
    names = tomllib.loads((PROJECT / "pyproject.toml").read_text())["dependency-groups"]
    return sorted(names, key=lambda name: (name not in DEPLOYED, name))
