"""Write the Postman environment of the service that `make run` serves: `make postman`.

It is `docs/postman/stage.postman_environment.json`, filled with the running service's addresses and with the documented
development secrets, which no deployed stage accepts.
"""

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from sandbox import development, running

PROJECT: Final = Path(__file__).parent.parent
FOLDER: Final = PROJECT / "docs/postman"
COLLECTION: Final = FOLDER / "payments.postman_collection.json"
EMPTY: Final = FOLDER / "stage.postman_environment.json"
NAME: Final = "local.postman_environment.json"
CLIENT_ID: Final = 5
"""Who calls, as in the collection's bodies."""
_NEEDED: Final = (
    *("api", "jwt_secret", "region", "access_key_id", "secret_access_key"),
    *("stand_in", "razorpay", "aws", "outputs"),
)


def main(arguments: list[str] | None = None) -> int:
    """Write the environment and return 0, or 1 if nothing is running."""
    parser = argparse.ArgumentParser(prog="make postman", description=__doc__)
    running.add_run_dir(parser)
    run_dir: Path = parser.parse_args(arguments).run_dir
    try:
        filled = environment(running.endpoints_of(run_dir, *_NEEDED))
    except running.NotRunningError as error:
        print(error, file=sys.stderr)
        return 1
    written = run_dir / NAME
    written.write_text(json.dumps(filled, indent="\t") + "\n")
    print(f"Import these two files into Postman, and choose the environment:\n  {COLLECTION}\n  {written}")
    print(f"Or run all requests:\n  npx newman run {COLLECTION} -e {written}")
    return 0


def environment(endpoints: Mapping[str, Any]) -> dict[str, Any]:
    """Return the Postman environment of a running service.

    Args:
        endpoints: as in `endpoints.json`.
    """
    values = {
        "base_url": endpoints["api"],
        "client_id": str(CLIENT_ID),
        "jwt_secret": endpoints["jwt_secret"],
        "aws_region": endpoints["region"],
        "aws_access_key_id": endpoints["access_key_id"],
        "aws_secret_access_key": endpoints["secret_access_key"],
    }
    if endpoints["stand_in"]:
        # Otherwise Razorpay is real: its secrets are the developer's own, and it has no switches.
        values |= {
            "razorpay_url": endpoints["razorpay"],
            "aws_url": endpoints["aws"],
            "reconcile_function": quote(endpoints["outputs"]["ReconcileAlias"], safe=""),
            "razorpay_key_secret": development.RAZORPAY_KEY_SECRET,
            "razorpay_webhook_secret": development.RAZORPAY_WEBHOOK_SECRET,
        }
    filled: dict[str, Any] = json.loads(EMPTY.read_text())
    filled["name"] += " (local)"
    for variable in filled["values"]:
        variable["value"] = values.pop(variable["key"], "")
    if values:
        raise KeyError(f"{EMPTY} has no variable {', '.join(values)}")
    return filled


if __name__ == "__main__":
    sys.exit(main())
