"""Serve the stand-in: `python -m sandbox.gateway --port N`. Stops on SIGTERM and SIGINT with exit status 0."""

import argparse
import logging
import signal
import sys
from types import FrameType

import uvicorn

from sandbox.gateway.connections import DroppableProtocol
from sandbox.gateway.control import UnusableRequestError, webhook_url
from sandbox.gateway.server import Settings, application


def main(arguments: list[str]) -> int:
    """Serve until told to stop."""
    defaults = Settings()
    parser = argparse.ArgumentParser(prog="python -m sandbox.gateway", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="on 127.0.0.1")
    parser.add_argument("--webhook-url", default=None, help="where events are delivered; nowhere by default")
    parser.add_argument("--key-id", default=defaults.key_id)
    parser.add_argument("--key-secret", default=defaults.key_secret)
    parser.add_argument("--webhook-secret", default=defaults.webhook_secret)
    parser.add_argument(
        "--ladder-scale",
        type=float,
        default=defaults.ladder_scale,
        help="the waits between deliveries, as a fraction of Razorpay's (default %(default)s)",
    )
    given = parser.parse_args(arguments)
    if given.ladder_scale <= 0:
        parser.error("--ladder-scale must be more than 0")
    try:
        url = webhook_url(given.webhook_url)
    except UnusableRequestError as error:
        parser.error(f"--webhook-{error}")
    settings = Settings(given.key_id, given.key_secret, url, given.webhook_secret, given.ladder_scale)

    logging.basicConfig(stream=sys.stdout, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", level=logging.WARNING)
    logging.getLogger("sandbox.gateway").setLevel(logging.INFO)
    # uvicorn stops on these signals and then raises them again for the previous handler: there is none here.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _already_handled)
    config = uvicorn.Config(
        application(settings),
        http=DroppableProtocol,
        host="127.0.0.1",
        port=given.port,
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=2,
    )
    server = uvicorn.Server(config)
    logging.getLogger("sandbox.gateway").info("Razorpay stand-in on http://127.0.0.1:%d", given.port)
    server.run()
    return 0 if server.started else 1


def _already_handled(_number: int, _frame: FrameType | None) -> None:
    pass


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
