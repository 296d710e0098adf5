"""Razorpay's books against ours. Nothing is lost if no webhook ever comes, whatever an order has been through.

On a schedule, each lane by itself, so that none keeps another from running:

* `{"lane": "watch"}`, every minute: records with something alive and unconfirmed are asked about one by one, and orders
  that are only known from a webhook are found to be ours or somebody else's.
* `{"lane": "sweep"}`, every five minutes: Razorpay's lists of payments and refunds are compared with the table, at
  several ages (`payments.core.sweeping`). `"passes": ["payments-900"]` names some of them.

By hand:

* `{"rebuild": {"from": ..., "to": ...}}`, epoch seconds, goes over everything that Razorpay lists as created then,
  after the table was restored. `next` in the answer, unless it is null, is the input for going on.
* `{"look": {"order_id": ...}}` asks about one order now.
* `{"accept": {"order_id": ..., "razorpay_payment_id": ...}}` lets a payment stand that does not match, or that came on
  a superseded order; `{"release": {"order_id": ...}}` lets an order, or with `razorpay_payment_id` a signature, no
  longer count, after a look at Razorpay. See docs/runbook.md.

An input that means nothing is refused. The answer counts what was done.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from payments.adapters.log import RequestLog
from payments.core.errors import NotConfiguredYet
from payments.wiring.boundary import scheduled_boundary
from payments.wiring.commands import accept, look, release
from payments.wiring.lanes import nothing_yet, refuse
from payments.wiring.reconcile import dependencies, prime
from payments.wiring.sweep import rebuild, sweep
from payments.wiring.watch import watch

_LANES = {"watch": watch, "sweep": sweep}
_BY_HAND = {"rebuild": rebuild, "look": look, "accept": accept, "release": release}


def reconcile(event: object, remaining_ms: Callable[[], int], log: RequestLog) -> dict[str, Any]:
    """Runs the lane or the command that the input names."""
    asked = dict(event) if isinstance(event, Mapping) else {}
    connect = partial(dependencies, log)
    lane = asked.pop("lane", None)
    if isinstance(lane, str) and lane in _LANES:
        try:
            return _LANES[lane](asked, connect, remaining_ms, log)
        except NotConfiguredYet as unfilled:
            return nothing_yet(unfilled, log)
    if lane is None and len(asked) == 1:
        ((name, of),) = asked.items()
        if name in _BY_HAND:
            return _BY_HAND[name](of, connect, remaining_ms, log)
    raise refuse(f'the input is {{"lane": {" or ".join(_LANES)}}}, or one of {", ".join(_BY_HAND)}', log)


prime()
lambda_handler = scheduled_boundary("reconcile", reconcile)
