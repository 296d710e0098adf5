"""Loaded by schemathesis with the description: half of the orders it generates are the caller's own.

A generated `client_id` is almost never the token's user, and for another user's order the only response is 403.
"""

from typing import Any

import schemathesis

from sandbox.events import CLIENT

_CREATE_ORDER = "/api/payments/create-order/"


@schemathesis.hook
def map_body(context: schemathesis.HookContext, body: Any) -> Any:
    """Replaces every second valid id by the caller's."""
    if context.operation is not None and context.operation.path == _CREATE_ORDER and isinstance(body, dict):
        client_id = body.get("client_id")
        if isinstance(client_id, int) and not isinstance(client_id, bool) and client_id > 0 and client_id % 2:
            return {**body, "client_id": CLIENT}
    return body
