"""Prepare `sam local` and print the commands to paste. On Linux, relay containers to the local cloud until Ctrl-C."""

import argparse
import asyncio
import re
import sys
from collections.abc import Sequence
from ipaddress import IPv4Interface
from pathlib import Path
from typing import Final

from sandbox import events
from sandbox.cloud.build import PROJECT, SAM, architecture
from sandbox.cloud.env_file import UnusableKeysError
from sandbox.cloud.ports import free_port
from sandbox.sam_local import commands, relay
from sandbox.sam_local.engine import Engine, image_for
from sandbox.sam_local.settings import DamagedEndpointsError, Surroundings, write

BUILT: Final = Path(".aws-sam/build/template.yaml")
TEMPLATE: Final = BUILT.with_name("local.yaml")
ENV_FILE: Final = BUILT.with_name("local.env.json")
EVENTS: Final = Path("events")
OWN_EVENTS: Final = Path(".build/events")
# The shop of `make run` uses SAM's own default port, 3000.
_API_PORT: Final = 3001


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 if prepared (and relayed until told to stop), or 1 if something is missing; the message says what."""
    given = _parser().parse_args(arguments)
    project: Path = given.project.resolve()
    if not (project / BUILT).exists():
        print(f"{BUILT} is not there. `make sam-local`, without ORDER, builds it.", file=sys.stderr)
        return 1
    try:
        surroundings = Surroundings.of(project / given.run_dir / "endpoints.json", project / given.env_file)
    except (DamagedEndpointsError, UnusableKeysError) as error:
        print(error, file=sys.stderr)
        return 1
    write(project / BUILT, project / TEMPLATE, project / ENV_FILE, surroundings)
    engine = Engine.found(SAM.with_name("python"), given.architecture)
    options = commands.Options(
        template=TEMPLATE,
        env_file=ENV_FILE,
        architecture=given.architecture,
        add_host=commands.add_host(engine, on_linux=sys.platform == "linux", named=given.bridge),
        skip_pull_image=engine is not None and engine.has_image,
    )
    if given.order:
        events.write(project / OWN_EVENTS, given.order)
        print(story_of(given.order, options))
        return 0
    print(introduction(surroundings, engine, options), flush=True)
    if engine is None or not surroundings.is_running or not options.add_host:
        return 0
    bridge = given.bridge or (None if engine.is_rootless else engine.bridge)
    if bridge is None:
        print(_BRIDGE_UNKNOWN, file=sys.stderr)
        return 1
    return _relay(bridge, surroundings.local_ports)


def introduction(surroundings: Surroundings, engine: Engine | None, options: commands.Options) -> str:
    """Return what was written, what to paste, and what to know about it."""
    port = free_port(_API_PORT, taken=frozenset(surroundings.local_ports))
    api = f"http://127.0.0.1:{port}"
    lines = [
        f"Wrote {options.template} (the built template, every development setting declared)",
        f"  and {options.env_file} (the values; only you can read it).",
        *_notes(surroundings, engine, options),
        "",
        "One function at a time:",
    ]
    for function, event in commands.INVOCATIONS:
        lines += ["", commands.invoke(function, EVENTS / event, options)]
    lines += [
        "",
        "The gateway names its orders itself, so what follows create-order here is about an order that is not in the",
        "table. To verify, confirm and read the one that create-order answered with:  make sam-local ORDER=order_…",
        "",
        "The whole API, and a request to it:",
        "",
        commands.start_api(port, options),
        "",
        commands.create_order(api),
    ]
    if surroundings.is_running and surroundings.gateway.url is None:
        lines += ["", "Have the stand-in for Razorpay send its webhooks there:", ""]
        lines += [commands.webhooks_to(surroundings.razorpay, api)]
    return "\n".join(lines)


def story_of(order_id: str, options: commands.Options) -> str:
    """Return what to paste for one order."""
    lines = [f"Wrote the events of {order_id} to {OWN_EVENTS}/. In the order of the story:"]
    for function, event in commands.STORY:
        lines += ["", commands.invoke(function, OWN_EVENTS / event, options)]
    return "\n".join(lines)


def _notes(surroundings: Surroundings, engine: Engine | None, options: commands.Options) -> list[str]:
    notes = []
    if not surroundings.is_running:
        notes += [
            "",
            "`make run` is not running: only what needs neither table nor bus will work, such as a forged webhook.",
            "Start it in another terminal, then repeat `make sam-local`; again after each start, since names change.",
        ]
    if engine is None:
        notes += [
            "",
            "No container engine answers (DOCKER_HOST, else Docker's own socket). Start Docker, then repeat",
            "`make sam-local`.",
        ]
    elif not options.skip_pull_image:
        notes += [
            "",
            f"The first command pulls {image_for(options.architecture)}.",
            "Repeat `make sam-local` afterwards: the commands then add --skip-pull-image and start faster.",
        ]
    if options.architecture != architecture():
        notes += [
            "",
            f"Built for {options.architecture}, which this machine ({architecture()}) can only run with QEMU.",
        ]
    return notes


def _relay(bridge: IPv4Interface, ports: Sequence[int]) -> int:
    where = ", ".join(f"{bridge.ip}:{port}" for port in ports)

    def say() -> None:
        print(
            f"\nContainers reach the local cloud through this program, at {where}.\n"
            "Leave it running and paste the commands in another terminal. Ctrl-C stops it.",
            flush=True,
        )

    try:
        asyncio.run(relay.serve(bridge, ports, say))
    except relay.CannotListenError as error:
        print(error, file=sys.stderr)
        return 1
    print("Stopped.")
    return 0


_BRIDGE_UNKNOWN: Final = """
The containers' network is not on this machine (a rootless engine), or has no IPv4 address. Say at which address of this
machine a container reaches it, and from which network it calls, then repeat:
  make sam-local BRIDGE=192.168.1.5/32
docs/sam-local.md, "When a container does not reach the local cloud", has the usual cases."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make sam-local", description=__doc__)
    parser.add_argument("--project", type=Path, default=PROJECT, help=argparse.SUPPRESS)
    parser.add_argument("--run-dir", type=Path, default=Path(".run"), help="of `make run`: holds endpoints.json")
    parser.add_argument("--env-file", type=Path, default=Path(".env"), help="Razorpay test keys (default: .env)")
    parser.add_argument("--architecture", choices=["arm64", "x86_64"], default=architecture(), help="what was built")
    parser.add_argument(
        "--order", type=_order_id, help="write the events of this order, and say how to invoke with them"
    )
    parser.add_argument(
        "--bridge",
        type=_bridge,
        metavar="ADDRESS/BITS",
        help="this machine's address in the containers' network, with its size (Linux; found unless given)",
    )
    return parser


def _order_id(text: str) -> str:
    if not re.fullmatch(r"order_[A-Za-z0-9]{14}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no order id: take order_id of create-order's answer")
    return text


def _bridge(text: str) -> IPv4Interface:
    if "/" not in text:
        raise argparse.ArgumentTypeError(f"{text!r} has no size: write 172.17.0.1/16, or /32 for that address alone")
    try:
        return IPv4Interface(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no IPv4 address with a size, such as 172.17.0.1/16") from error


if __name__ == "__main__":
    sys.exit(main())
