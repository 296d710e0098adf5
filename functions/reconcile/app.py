"""Reconcile our table with Razorpay. Nothing is lost even if no webhook ever arrives.

On a schedule, each lane separately, so that none can block another:

* `{"lane": "watch"}`, every minute: asks Razorpay about each record whose outcome only Razorpay knows, and finds out
  whether an order known only from a webhook is ours or foreign.
* `{"lane": "sweep"}`, every five minutes: compares Razorpay's lists of payments and refunds with the table, at several
  ages, and the list of disputes as a whole (`payments.core.sweeping`). `"passes": ["payments-900"]` selects some.
* `{"lane": "expiry"}`, every hour: expires orders that nobody paid, once a day of them has collected
  (`payments.core.expiry`).

By hand (see docs/runbook.md):

* `{"rebuild": {"from": ..., "to": ...}}`, in epoch seconds, processes everything that Razorpay lists as created in that
  period, for use after a table restore. Unless it is null, `next` in the response is the input that continues the run.
* `{"look": {"order_id": ...}}` asks Razorpay about one order now.
* `{"find": {"razorpay_payment_id": ...}}`, or with `refund_id`, asks Razorpay to which order it belongs.
* `{"settlements": {"day": "YYYY-MM-DD"}}` returns a page of Razorpay's settlement report of a past day in India. Unless
  it is null, `next` in the response is the input for the next page.

Decisions, which name who made them and why in `by` (`role`, `session`, `cause`, `ticket`):

* `{"accept": {"order_id": ..., "razorpay_payment_id": ..., "by": ...}}` accepts a payment that does not match, or that
  came on a superseded order.
* `{"release": {"order_id": ..., "by": ...}}` stops counting an order, or with `razorpay_payment_id` a payment's
  signature or the lost disputes about it, after asking Razorpay about it.
* `{"note": {"order_id": ..., "by": ...}}` resolves the reviews that no fact resolves.
* `{"republish": {"order_id": ..., "by": ...}}` publishes every event of the order again.

Any other input is refused, which fails the run. A command that is not possible answers `refused` and `why`. A lane's
response counts the work done.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from payments.adapters.log import RequestLog
from payments.core.errors import NotConfiguredYet
from payments.wiring.boundary import scheduled_boundary
from payments.wiring.commands import accept, find, look, note, publish_again, release
from payments.wiring.expiry import expire
from payments.wiring.lanes import nothing_yet, refuse
from payments.wiring.reconcile import dependencies, prime
from payments.wiring.settlements import settlements
from payments.wiring.sweep import rebuild, sweep
from payments.wiring.watch import watch

_LANES = {"watch": watch, "sweep": sweep, "expiry": expire}
_BY_HAND = {
    "rebuild": rebuild,
    "look": look,
    "find": find,
    "accept": accept,
    "release": release,
    "note": note,
    "republish": publish_again,
    "settlements": settlements,
}


def reconcile(event: object, remaining_ms: Callable[[], int], log: RequestLog) -> dict[str, Any]:
    """Run the lane or command that the input names."""
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
