"""Serve the emulator on two loopback ports until SIGTERM."""

import argparse
import asyncio
import os
import signal
import sys
from pathlib import Path

from hypercorn.asyncio import serve
from hypercorn.config import Config

LOOPBACK = "127.0.0.1"


def main() -> None:
    """Read the arguments, apply the patches, serve both ports."""
    parser = argparse.ArgumentParser(prog="sandbox.cloud.emulator", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="the AWS endpoint")
    parser.add_argument("--front-door-port", type=int, required=True, help="the API behind its own domain")
    parser.add_argument("--domain-name", required=True, help="the custom domain name the front door serves")
    parser.add_argument("--runtime-python", type=Path, required=True, help="the interpreter the functions run on")
    parser.add_argument("--unpacked", type=Path, required=True, help="where functions and layers are unpacked")
    parser.add_argument("--function-log", type=Path, required=True, help="the file for the functions' output")
    parser.add_argument("--stock", action="store_true", help="apply no patch (for the tests of the patches)")
    arguments = parser.parse_args()

    # Both read the environment on import, so import them only after the arguments are validated.
    from ministack.app import app  # noqa: PLC0415 - see above
    from ministack.core import lambda_runtime as ministack_lambda_runtime  # noqa: PLC0415 - see above

    from sandbox.cloud.emulator import lambda_runtime, patches  # noqa: PLC0415 - see above
    from sandbox.cloud.emulator.front_door import FrontDoor  # noqa: PLC0415 - see above
    from sandbox.cloud.emulator.outages import Outages  # noqa: PLC0415 - see above

    if not arguments.stock:
        patches.apply_all()
        lambda_runtime.install(
            lambda_runtime.Settings(
                python=arguments.runtime_python, unpacked=arguments.unpacked, log=arguments.function_log
            )
        )

    config = Config()
    config.bind = [f"{LOOPBACK}:{arguments.port}", f"{LOOPBACK}:{arguments.front_door_port}"]
    config.keep_alive_timeout = 75
    config.graceful_timeout = 0.5  # long polls of queues would otherwise delay the exit
    config.loglevel = "WARNING"
    try:
        # The front door wraps the outages, and leads only to the API.
        application = FrontDoor(Outages(app), arguments.front_door_port, arguments.domain_name)
        asyncio.run(_serve(application, config))
    finally:
        ministack_lambda_runtime.reset()  # stops the functions' processes
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)  # an invocation still running in the thread pool must not delay the exit


async def _serve(application: object, config: Config) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await serve(application, config, shutdown_trigger=stop.wait)


main()
