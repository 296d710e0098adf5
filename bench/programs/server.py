"""The canned answers over HTTP on the loopback interface, with connections kept alive.

    server.py CANNED

Prints its port, and serves until standard input ends.
"""

import socketserver
import sys
import threading
from pathlib import Path

sys.path.append(str(Path(__file__).parent))

from stub import AMZ_JSON, JSON, Canned

canned = Canned(sys.argv[1])


class Connection(socketserver.StreamRequestHandler):
    """One connection, request after request."""

    disable_nagle_algorithm = True

    def handle(self) -> None:
        """Answers until the other side hangs up."""
        while line := self.rfile.readline():
            method, path, _ = line.decode().split(" ", 2)
            headers = {}
            while (line := self.rfile.readline()).strip():
                name, _, value = line.decode().partition(":")
                headers[name.lower()] = value.strip()
            body = self.rfile.read(int(headers.get("content-length", "0")))
            target = headers.get("x-amz-target")
            if target is None:
                status, content = canned.razorpay(method, path, body)
            else:
                status, content = canned.aws(target, body)
            head = (
                f"HTTP/1.1 {status} OK\r\nContent-Type: {JSON if target is None else AMZ_JSON}\r\n"
                f"Content-Length: {len(content)}\r\nx-amzn-RequestId: {'0' * 52}\r\n\r\n"
            )
            # In one piece: two would wait for each other's acknowledgement.
            self.wfile.write(head.encode() + content)


class Server(socketserver.ThreadingTCPServer):
    """One thread a connection."""

    daemon_threads = True
    allow_reuse_address = True


with Server(("127.0.0.1", 0), Connection) as server:
    sys.stdout.write(f"{server.server_address[1]}\n")
    sys.stdout.flush()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()
    server.shutdown()
