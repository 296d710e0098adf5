"""Check the locked dependencies of the layers and of every environment for published advisories.

`uv audit` asks OSV. If OSV cannot be reached, nothing was checked: the output says so, and the run continues, because
that says nothing about the dependencies. Any other problem fails the run.

Usage: python -m sandbox.audit.advisories <path of uv>
"""

import subprocess
import sys
from collections.abc import Sequence

from sandbox.audit.groups import PROJECT, groups

VULNERABLE = 1
UNREACHABLE = ("error sending request", "dns error", "timed out", "Connection refused")
NOT_CHECKED = "not checked: the advisory source is unreachable"


def audit(command: Sequence[str], group: str) -> tuple[str, bool]:
    """Return what to print about one group of dependencies, and whether the run may succeed."""
    done = subprocess.run(  # noqa: S603 - our own command
        [*command, "audit", "--frozen", "--preview-features", "audit-command", "--only-group", group],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    if done.returncode == 0:
        return "no known vulnerability", True
    if done.returncode != VULNERABLE and any(words in done.stderr for words in UNREACHABLE):
        return NOT_CHECKED, True
    return f"FAILED\n{done.stdout}{done.stderr}", False


def main(command: Sequence[str]) -> int:
    """Check each group in turn and return the exit status."""
    fine = True
    for group in groups():
        said, group_is_fine = audit(command, group)
        print(f"advisories, {group}: {said}")
        fine = fine and group_is_fine
        if said == NOT_CHECKED:
            print("advisories: skipped the remaining groups")
            break
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
