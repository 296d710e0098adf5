"""What schemathesis loads beside the description: half of the orders that it makes up are the caller's own.

A made-up `client_id` is almost never the user of the token, and all that comes of somebody else's order is 403.
"""

from typing import Any

import schemathesis

from sandbox.events import CLIENT

_CREATE_ORDER = "/api/payments/create-order/"


@schemathesis.hook
def map_body(context: schemathesis.HookContext, body: Any) -> Any:
    """Puts the caller's id in place of every other valid one."""
    if context.operation is not None and context.operation.path == _CREATE_ORDER and isinstance(body, dict):
        client_id = body.get("client_id")
        if isinstance(client_id, int) and not isinstance(client_id, bool) and client_id > 0 and client_id % 2:
            return {**body, "client_id": CLIENT}
    return body
