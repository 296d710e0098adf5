"""Ports on the loopback interface."""

import socket

LOOPBACK = "127.0.0.1"


def free_port(preferred: int | None = None, *, taken: frozenset[int] = frozenset()) -> int:
    """The preferred port, or the next one above it that nobody listens on; any free port when none is preferred.

    Args:
        preferred: where to begin.
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
        # As servers do: a port whose last connections are in TIME_WAIT is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True
