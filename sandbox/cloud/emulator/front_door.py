"""The second port: one custom domain name, served on a plain loopback address.

On AWS the API is reached through a custom domain whose base path mapping hides the stage. Here the mapping is real,
created through API Gateway's API; only the name is not needed, because few HTTP clients resolve `*.localhost` and most
cannot set a Host header. So every request on this port is for the domain, whatever its Host. An AWS signature is
checked over the path that the caller sent, before the mapping, as on AWS.
"""

import json
from contextvars import ContextVar

import ministack.app
from ministack.services import apigateway_v1

# Each request is handled in a task of its own.
_path_as_sent = ContextVar("path_as_sent", default=None)


class FrontDoor:
    """ASGI middleware around the emulator: maps the second port to the domain's API, and leaves the first alone."""

    def __init__(self, application, port, domain_name):
        self.application = application
        self.port = port
        self.domain_name = domain_name
        pin = ministack.app.pin_signed_request

        def pin_signed_request(method, raw_path, *others, **named):
            return pin(method, _path_as_sent.get() or raw_path, *others, **named)

        ministack.app.pin_signed_request = pin_signed_request

    async def __call__(self, scope, receive, send):
        """Serve one connection event."""
        if scope["type"] != "http" or scope["server"][1] != self.port:
            await self.application(scope, receive, send)
            return
        mapped = apigateway_v1.resolve_base_path_mapping(self.domain_name, scope["path"])
        if mapped is None:
            await _forbidden(send)
            return
        api_id, stage, path = mapped
        # The path form of an execute-api URL. It also keeps the emulator's own pages (/_ministack/…) off this port.
        prefix = f"/_aws/execute-api/{api_id}/{stage}"
        raw_path = prefix.encode() + scope["raw_path"]
        _path_as_sent.set(scope["raw_path"].decode("latin-1"))
        await self.application({**scope, "path": prefix + path, "raw_path": raw_path}, receive, send)


async def _forbidden(send):
    """API Gateway's response for a domain name without a mapping."""
    body = json.dumps({"message": "Forbidden"}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": body})
