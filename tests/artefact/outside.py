"""The servers that a started function calls, on 127.0.0.1: credentials, AWS over TLS, Razorpay and the key set."""

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from bench.programs.stub import AMZ_JSON, JSON, Canned

CREDENTIALS = {
    "AccessKeyId": "ASIAEXAMPLEOFLAMBDA1",
    "SecretAccessKey": "a-secret-access-key-of-the-functions-role",
    "Token": "a-session-token-of-the-functions-role",
}
"""What Lambda returns at `AWS_CONTAINER_CREDENTIALS_FULL_URI` with SnapStart."""


class Outside:
    """Two servers with the same responses, one of them with a certificate."""

    def __init__(self, canned: Path, keys: list[dict[str, Any]], scratch: Path) -> None:
        self.asked: list[str] = []
        self._canned = Canned(str(canned))
        self._keys = keys
        self.authority = scratch / "authority.pem"
        self._plain = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._tls = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(_certificate(self.authority))
        self._tls.socket = context.wrap_socket(self._tls.socket, server_side=True)

    @property
    def http(self) -> str:
        """The URL for credentials, Razorpay and the key set."""
        return f"http://127.0.0.1:{self._plain.server_port}"

    @property
    def https(self) -> str:
        """The URL for AWS, with the certificate in `authority`."""
        return f"https://127.0.0.1:{self._tls.server_port}"

    @contextmanager
    def running(self) -> Iterator[None]:
        """Serves."""
        servers = (self._plain, self._tls)
        threads = [
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
            for server in servers
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            for server, thread in zip(servers, threads, strict=True):
                server.shutdown()
                thread.join()
                server.server_close()

    def _answer(self, method: str, path: str, target: str | None, body: bytes) -> tuple[int, bytes]:
        self.asked.append(target or f"{method} {path.partition('?')[0]}")
        if target is not None:
            return self._canned.aws(target, body)
        if path == "/credentials":
            expires = (datetime.now(UTC) + timedelta(hours=6)).strftime("%Y-%m-%dT%H:%M:%SZ")
            return 200, json.dumps({**CREDENTIALS, "Expiration": expires}).encode()
        if path == "/jwks.json":
            return 200, json.dumps({"keys": self._keys}).encode()
        is_one_order = "/orders/order_" in path and not path.endswith("/payments")
        return self._canned.razorpay("POST" if is_one_order else method, path, body)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        outside = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._serve()

            def do_POST(self) -> None:
                self._serve()

            def _serve(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                target = self.headers.get("X-Amz-Target")
                status, content = outside._answer(self.command, self.path, target, body)
                self.send_response(status)
                self.send_header("Content-Type", JSON if target is None else AMZ_JSON)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        return Handler


def _certificate(file: Path) -> Path:
    """A key and a self-signed certificate for 127.0.0.1, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return file
