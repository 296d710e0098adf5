"""Write a bill of materials (CycloneDX 1.5) for each group of dependencies in uv.lock to `.build/sbom/`.

`layer.cdx.json` lists what is deployed with the functions; AWS lists the runtime's own packages. Each file is validated
against CycloneDX's schema.

Usage: python -m sandbox.audit.sbom <path of uv> [<folder>]
"""

import subprocess
import sys
from pathlib import Path

from sandbox.audit.groups import PROJECT, groups

AUDIT_PYTHON = PROJECT / ".venvs/audit/bin/python"
VALIDATE = Path(__file__).with_name("valid_bom.py")


def write_all(uv: str, folder: Path) -> list[Path]:
    """Write and validate all of them.

    Raises:
        subprocess.CalledProcessError: one could not be written or is invalid; uv or the validator has printed why.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for group in groups():
        target = folder / f"{group}.cdx.json"
        export = [uv, "export", "--quiet", "--frozen", "--only-group", group, "--format", "cyclonedx1.5"]
        export += ["--preview-features", "sbom-export", "--output-file", str(target)]
        subprocess.run(export, cwd=PROJECT, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - our own command
        written.append(target)
    subprocess.run([AUDIT_PYTHON, VALIDATE, *written], check=True)  # noqa: S603 - as above
    return written


if __name__ == "__main__":
    uv, *rest = sys.argv[1:]
    try:
        for path in write_all(uv, Path(rest[0]) if rest else PROJECT / ".build/sbom"):
            print(path)
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)
