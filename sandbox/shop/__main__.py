"""Serve the shop and the live view: `python -m sandbox.shop --port N --endpoints FILE`. Stops on SIGTERM and SIGINT."""

import argparse
import json
import logging
import signal
import sys
from pathlib import Path
from types import FrameType

import uvicorn

from sandbox.shop.server import application


def main(arguments: list[str]) -> int:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.shop", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="on 127.0.0.1")
    parser.add_argument("--endpoints", type=Path, required=True, help="where the running service is, as JSON")
    given = parser.parse_args(arguments)

    logging.basicConfig(stream=sys.stdout, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", level=logging.WARNING)
    # uvicorn stops on these signals and then raises them again for the previous handler: there is none here.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _already_handled)
    config = uvicorn.Config(
        application(json.loads(given.endpoints.read_text())),
        host="127.0.0.1",
        port=given.port,
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=1,  # a live view may still be open
    )
    server = uvicorn.Server(config)
    server.run()
    return 0 if server.started else 1


def _already_handled(_number: int, _frame: FrameType | None) -> None:
    pass


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
