"""Whether an advisory is published against a locked dependency, of the functions' layer and of every environment.

`uv audit` asks OSV. Where OSV cannot be reached nothing was checked: that is said in these words, and the run goes on,
since it says nothing about the dependencies. Any other trouble ends it.

Usage: python -m sandbox.audit.advisories <path of uv>
"""

import subprocess
import sys
from collections.abc import Sequence

from sandbox.audit.groups import PROJECT, groups

VULNERABLE = 1
UNREACHABLE = ("error sending request", "dns error", "timed out", "Connection refused")
NOT_CHECKED = "not checked: no advisory source is reachable from here"


def audit(command: Sequence[str], group: str) -> tuple[str, bool]:
    """What to say about one group of dependencies, and whether the run may end well."""
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
    """Look at each group in turn; the exit code."""
    fine = True
    for group in groups():
        said, group_is_fine = audit(command, group)
        print(f"advisories, {group}: {said}")
        fine = fine and group_is_fine
        if said == NOT_CHECKED:
            print("advisories: the others are not checked either")
            break
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
