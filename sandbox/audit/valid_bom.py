"""Validate files against the schema of CycloneDX 1.5. Run with the interpreter of `.venvs/audit`.

Usage: python valid_bom.py <file> ...
"""

import sys
from pathlib import Path

# Installed in the audit environment, which mypy does not see.
from cyclonedx.schema import SchemaVersion  # type: ignore[import-not-found]
from cyclonedx.validation.json import JsonStrictValidator  # type: ignore[import-not-found]

validator = JsonStrictValidator(SchemaVersion.V1_5)
failed = False
for name in sys.argv[1:]:
    if error := validator.validate_str(Path(name).read_text(encoding="utf-8")):
        print(f"{name} is not valid CycloneDX: {error}", file=sys.stderr)
        failed = True
sys.exit(failed)
