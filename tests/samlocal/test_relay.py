"""The relay: how containers reach a local cloud that listens only on 127.0.0.1."""

import asyncio
import socket
from ipaddress import IPv4Interface

import pytest

from sandbox.cloud.ports import free_port
from sandbox.sam_local import relay

# On Linux all of 127.0.0.0/8 is this machine, so the test can simulate a bridge and its containers.
BRIDGE = IPv4Interface("127.1.0.1/16")
CONTAINER, STRANGER = "127.1.0.9", "127.2.0.9"
LARGE = 3_000_000

pytestmark = pytest.mark.skipif("sys.platform != 'linux'", reason="nobody else needs it")


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(await reader.read())
    writer.write_eof()
    writer.close()


async def sent(port: int, text: bytes, *, sender: str = CONTAINER) -> bytes:
    reader, writer = await asyncio.open_connection(str(BRIDGE.ip), port, local_addr=(sender, 0))

    async def send() -> None:
        writer.write(text)
        await writer.drain()
        writer.write_eof()

    try:
        answer, *_ = await asyncio.gather(reader.read(), send(), return_exceptions=True)
        assert isinstance(answer, bytes | ConnectionResetError)
        return answer if isinstance(answer, bytes) else b""
    finally:
        writer.close()


async def relayed(port: int, text: bytes, *, sender: str = CONTAINER) -> bytes:
    async with await asyncio.start_server(echo, "127.0.0.1", port), relay.relaying(BRIDGE, [port]):
        return await sent(port, text, sender=sender)


def test_what_a_container_sends_arrives_whole_and_so_does_the_answer() -> None:
    text = bytes(range(256)) * (LARGE // 256)
    assert asyncio.run(relayed(free_port(), text)) == text


def test_whoever_is_not_in_the_containers_network_is_turned_away() -> None:
    assert asyncio.run(relayed(free_port(), b"hello", sender=STRANGER)) == b""


def test_where_nobody_listens_the_connection_ends() -> None:
    port = free_port()

    async def call() -> bytes:
        async with relay.relaying(BRIDGE, [port]):
            return await sent(port, b"hello")

    assert asyncio.run(call()) == b""


def test_a_port_that_is_taken_is_an_error_that_says_what_to_do() -> None:
    port = free_port()

    async def twice() -> None:
        async with relay.relaying(BRIDGE, [port]), relay.relaying(BRIDGE, [port]):
            pass

    with pytest.raises(relay.CannotListenError, match=rf"127\.1\.0\.1:{port}.*\n?.*use that one"):
        asyncio.run(twice())


def test_a_bridge_that_is_made_with_the_first_container_is_listened_at_before() -> None:
    async def listen() -> None:
        # A documentation address (RFC 5737), which no interface has.
        async with relay.relaying(IPv4Interface("203.0.113.1/24"), [free_port()]):
            pass

    asyncio.run(listen())


def test_the_local_cloud_itself_stays_on_loopback() -> None:
    port = free_port()

    async def listening() -> list[int]:
        async with await asyncio.start_server(echo, "127.0.0.1", port), relay.relaying(BRIDGE, [port]):
            found = []
            for address in ("127.0.0.1", "127.1.0.1", "127.2.0.1"):
                with socket.socket() as probe:
                    found.append(await asyncio.to_thread(probe.connect_ex, (address, port)))
            return found

    mine, bridge, elsewhere = asyncio.run(listening())
    assert (mine, bridge) == (0, 0)
    assert elsewhere != 0
