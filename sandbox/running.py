"""The service that `make run` serves, for the programs that use it: what it left in its run dir."""

import argparse
import json
from pathlib import Path
from typing import Any, Final

RUN_DIR: Final = Path(__file__).parent.parent / ".run"
_FILE: Final = "endpoints.json"


class NotRunningError(Exception):
    """There is no service to use; the message says what to do."""


def add_run_dir(parser: argparse.ArgumentParser) -> None:
    """Give a program the option `--run-dir`, for a service that runs elsewhere than usual."""
    parser.add_argument("--run-dir", type=Path, default=RUN_DIR, help=f"the run dir of `make run`, with {_FILE}")


def endpoints_of(run_dir: Path, *needed: str) -> dict[str, Any]:
    """Return the running service's addresses and names.

    Args:
        run_dir: where it writes them.
        needed: the names that must be there.

    Raises:
        NotRunningError: there is no such file, or it is not what `make run` writes.
    """
    file = run_dir / _FILE
    try:
        endpoints: dict[str, Any] = json.loads(file.read_text())
        if isinstance(endpoints, dict) and all(name in endpoints for name in needed):
            return endpoints
    except FileNotFoundError:
        raise NotRunningError("The service is not running: start it with `make run` in another terminal.") from None
    except ValueError:
        pass
    raise NotRunningError(f"{file} is damaged: stop `make run` and start it again.")
