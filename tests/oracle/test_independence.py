"""The judge shares no code with the service."""

import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[2]
_LOAD = """
import sys
import tests.oracle.books, tests.oracle.expect, tests.oracle.judge, tests.oracle.rules
print(sorted(name for name in sys.modules if name.split(".")[0] in {"payments", "sandbox", "functions"}))
"""


def test_nothing_of_the_service_is_loaded_with_the_judge() -> None:
    """Also checks indirect imports, since import-linter does not see what other test folders import."""
    loaded = subprocess.run(  # noqa: S603 - this Python
        [sys.executable, "-c", _LOAD],
        cwd=PROJECT,
        env={"PYTHONPATH": f"{PROJECT / 'shared'}:{PROJECT}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert loaded.stdout == "[]\n"
