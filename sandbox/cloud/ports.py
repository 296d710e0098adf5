"""Ports on the loopback interface."""

import socket

LOOPBACK = "127.0.0.1"


def free_port(preferred: int | None = None, *, taken: frozenset[int] = frozenset()) -> int:
    """The preferred port, or the next free one above it; any free port if none is preferred.

    Args:
        preferred: where to start.
        taken: ports already promised to a process that does not listen yet.
    """
    if preferred is None:
        with socket.socket() as probe:
            probe.bind((LOOPBACK, 0))
            port: int = probe.getsockname()[1]
            return port
    for port in range(preferred, 65536):
        if port not in taken and _is_free(port):
            return port
    raise OSError(f"No free port from {preferred} on")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As servers do: a port with connections in TIME_WAIT counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True
