"""Relay from containers to services that listen only on 127.0.0.1, on the same ports of the bridge's address.

On Linux a container reaches this machine at the bridge's address, where services on 127.0.0.1 do not listen. Only the
containers' own network is accepted: other machines that route packets to the bridge are not.
"""

import asyncio
import contextlib
import signal
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from ipaddress import IPv4Interface, ip_address
from typing import Final

LOOPBACK: Final = "127.0.0.1"
# Linux's IP_FREEBIND, which Python does not define. Podman creates its bridge only with the first container.
_IP_FREEBIND: Final = 15
_CHUNK: Final = 65536


class CannotListenError(OSError):
    """A port on the bridge's address cannot be used; the message says which, and what to do."""


async def serve(bridge: IPv4Interface, ports: Sequence[int], ready: Callable[[], object]) -> None:
    """Relay until SIGINT or SIGTERM.

    Args:
        bridge: this machine's address in the containers' network, with that network.
        ports: the ports on the bridge and on 127.0.0.1.
        ready: called when all of them are listening.

    Raises:
        CannotListenError: another process listens on one of them.
    """
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with relaying(bridge, ports):
        ready()
        await stop.wait()


@contextlib.asynccontextmanager
async def relaying(bridge: IPv4Interface, ports: Sequence[int]) -> AsyncGenerator[None]:
    """Relay while the block runs."""
    async with contextlib.AsyncExitStack() as servers:
        for port in ports:
            server = await asyncio.start_server(_passing_on(bridge, port), sock=_listening(bridge, port))
            servers.callback(server.close_clients)
            servers.callback(server.close)
        yield


def _listening(bridge: IPv4Interface, port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.setsockopt(socket.IPPROTO_IP, _IP_FREEBIND, 1)
        listener.bind((str(bridge.ip), port))
    except OSError as error:
        listener.close()
        raise CannotListenError(
            f"Cannot listen on {bridge.ip}:{port} ({error.strerror}). If `make sam-local` runs already, use that one;\n"
            "otherwise end what listens there, or start `make run` again on other ports."
        ) from error
    return listener


def _passing_on(
    bridge: IPv4Interface, port: int
) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer):
            if ip_address(writer.get_extra_info("peername")[0]) not in bridge.network:
                return
            try:
                there, back = await asyncio.open_connection(LOOPBACK, port)
            except OSError:
                return  # like a connection to a port without a listener
            with contextlib.closing(back):
                await asyncio.gather(_copy(reader, back), _copy(there, writer), return_exceptions=True)

    return connected


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    while chunk := await source.read(_CHUNK):
        target.write(chunk)
        await target.drain()
    with contextlib.suppress(OSError):
        target.write_eof()
