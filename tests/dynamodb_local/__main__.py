"""Runs the suites that use DynamoDB on Amazon's own engine: `make test-dynamodb-local`.

Arguments are pytest's; without any, every suite that talks to DynamoDB runs.
"""

import os
import subprocess
import sys
from typing import Final

from tests.dynamodb_local import engine
from tests.dynamodb_local.plugin import PORT

_SUITES: Final = ("tests/table", "tests/handlers", "examples/subscriber/tests", "tests/live/test_sides.py")


def main(arguments: list[str]) -> int:
    """Runs pytest, and returns its exit status."""
    try:
        engine.find_or_install()
        with engine.running() as port:
            return subprocess.run(  # noqa: S603 - pytest, no shell
                [sys.executable, "-m", "pytest", "-p", "tests.dynamodb_local.plugin", *(arguments or _SUITES)],
                cwd=engine.ROOT,
                env={**os.environ, PORT: str(port)},
                check=False,
            ).returncode
    except engine.Missing as missing:
        print(missing, file=sys.stderr)  # noqa: T201 - to a person
        return 1
    except subprocess.CalledProcessError as failed:
        print(f"`{' '.join(failed.cmd)}` failed; it says why above.", file=sys.stderr)  # noqa: T201 - to a person
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
