"""Change something: resolve reviews, publish events again, and have payments compared with Razorpay.

Everything here runs in reconcile, as a command. It asks before it does anything, and says what it did.
"""

import re
import time
from datetime import UTC, datetime
from typing import Any, Final, get_args
from uuid import uuid4

import click

from ops import documents, tables
from ops.cloud import explained
from ops.commands.payments import record_of
from ops.desk import Desk, command, mandated, order_argument, ticket_option
from ops.errors import OpsError
from payments.core.model import ORDER_ID, PAYMENT_ID, Record, RefundReason

_SPAN: Final = re.compile(r"([1-9][0-9]{0,4})([mhd])")
_SECONDS: Final = {"m": 60, "h": 3600, "d": 86_400}
_LISTS: Final = ("orders", "payments", "refunds")


@click.group("resolve")
def resolve() -> None:
    """Resolve a review: accept, release, refund or note."""


@command("accept", into=resolve, changes=True)
@order_argument
@click.option("--payment", "payment_id", help="Razorpay's id of the payment; by default that of the only open review.")
@mandated
def accept(desk: Desk, order_id: str, payment_id: str | None, by: dict[str, str]) -> None:
    """Accept a payment of another amount, or on a superseded order: it stands, and `payment.paid` is published.

    Every other open order of the application is superseded.
    """
    before = record_of(desk, order_id)
    payment = payment_id or _under_review(before)
    _decide(desk, before, "accept", f"Accept {payment} on {_said(before)}: it will stand.", by, payment)


@command("release", into=resolve, changes=True)
@order_argument
@click.option("--payment", "payment_id", help="Release the signature or authorization of this payment.")
@mandated
def release(desk: Desk, order_id: str, payment_id: str | None, by: dict[str, str]) -> None:
    """Stop counting an unpaid order or, with --payment, a payment that was never captured."""
    before = record_of(desk, order_id)
    what = f"Release {payment_id} on {_said(before)}" if payment_id else f"Release {_said(before)}"
    _decide(desk, before, "release", f"{what}: it will no longer count.", by, payment_id)


@command("note", into=resolve, changes=True)
@order_argument
@mandated
def note(desk: Desk, order_id: str, by: dict[str, str]) -> None:
    """Note that a review was dealt with. Reviews that no fact resolves are resolved by it."""
    before = record_of(desk, order_id)
    _decide(desk, before, "note", f"Note {by['ticket']} on {_said(before)}.", by)


def _refunding(name: str, into: click.Group | None) -> click.Command:
    """Make the command `refund`, which is a command of its own and a way to resolve a review."""

    @command(name, into=into, changes=True)
    @order_argument
    @click.option("--payment", "payment_id", help="Razorpay's id of the payment; by default the one that stands.")
    @click.option("--amount", help="In major units, such as 100.00; by default what remains.")
    @click.option("--reason", type=click.Choice(get_args(RefundReason)), required=True, help="Why.")
    @ticket_option
    @click.option("--key", help="The idempotency key of a request that is repeated.")
    def refund(  # noqa: PLR0913, PLR0917 - its options
        desk: Desk, order_id: str, payment_id: str | None, amount: str | None, reason: str, ticket: str, key: str | None
    ) -> None:
        """Refund a payment, or a part of it. Repeated with the same --key, it refunds once."""
        before = record_of(desk, order_id)
        if into is not None and payment_id is None:
            payment_id = _under_review(before)
        what = f"{amount} of " if amount else "what remains of "
        desk.confirm(
            f"Refund {what}{payment_id or 'the payment that stands'} on {_said(before)}."
            f"\nThe record will say: {reason}, {ticket}."
        )
        body = {"razorpay_payment_id": payment_id, "amount": amount, "reason": reason, "ticket": ticket}
        given = {name: value for name, value in body.items() if value is not None}
        key = key or f"ops-{uuid4()}"
        made = desk.cloud.refund(order_id, given, key)
        shown = f"{made['status']}: {made['refund_id'] or 'Razorpay has not said whether it exists'}"
        amount_said = tables.money(made["amount"], made["currency"])
        desk.tell({**made, "key": key}, f"{amount_said} of {made['razorpay_payment_id']}, {shown}. Its key: {key}")

    return refund


refund = _refunding("refund", None)
_refunding("refund", resolve)


@command("republish", changes=True)
@order_argument
@mandated
def republish(desk: Desk, order_id: str, by: dict[str, str]) -> None:
    """Publish every event of a payment again, with the same ids and contents."""
    before = record_of(desk, order_id)
    _decide(desk, before, "republish", f"Publish the events of {_said(before)} again, to every subscriber.", by)


@command("reconcile", changes=True)
@click.argument("order_id", required=False)
@click.option("--from", "begin", help="The first moment of a period, such as 2026-03-01 or 2026-03-01T09:30 (UTC).")
@click.option("--to", "end", help="Its last moment; now, by default.")
@click.option("--last", help="A period up to now, such as 30m, 12h or 7d.")
def reconcile(desk: Desk, order_id: str | None, begin: str | None, end: str | None, last: str | None) -> None:
    """Compare one order, or everything that Razorpay lists as created in a period, with the table now."""
    if order_id is not None and not (begin or end or last):
        if not ORDER_ID.match(order_id):
            raise OpsError(f"{order_id!r} is no order id: one looks like order_DESlLckIVRkHWj.")
        _look(desk, order_id)
        return
    now = int(time.time())
    if order_id is not None or bool(begin) == bool(last) or (last and end):
        raise OpsError("Name an order, or a period: --last 12h, or --from and --to.")
    start = now - _span(last) if last else _moment(begin or "")
    _rebuild(desk, start, _moment(end) if end else now)


def _look(desk: Desk, order_id: str) -> None:
    with explained():
        before = desk.cloud.table.read(order_id)
    desk.confirm(f"Ask Razorpay about {order_id}, and record what it says.")
    desk.cloud.run({"look": {"order_id": order_id}})
    _tell(desk, before, order_id, {})


def _rebuild(desk: Desk, start: int, end: int) -> None:
    if start > end:
        raise OpsError("The period ends before it begins.")
    said = (
        f"{datetime.fromtimestamp(start, UTC):%Y-%m-%d %H:%M} to {datetime.fromtimestamp(end, UTC):%Y-%m-%d %H:%M} UTC"
    )
    desk.confirm(f"Compare everything that Razorpay lists as created from {said} with the table.")
    asked: dict[str, Any] | None = {"rebuild": {"from": start, "to": end}}
    counts = {"looked_at": 0, "failed": 0, "runs": 0}
    outcomes: dict[str, int] = {}
    with desk.progress() as bar:
        task = None if bar is None else bar.add_task("Reading Razorpay's lists", total=len(_LISTS) * (end - start + 1))
        while asked is not None:
            report = desk.cloud.run(asked)
            counts["runs"] += 1
            for name in ("looked_at", "failed"):
                counts[name] += report[name]
            for name, count in report["outcomes"].items():
                outcomes[name] = outcomes.get(name, 0) + count
            if report["next"] == asked:
                raise OpsError("No way forward: Razorpay paused us, or does not accept the keys. Continue later.")
            asked = report["next"]
            if bar is not None and task is not None and asked is not None:
                place = asked["rebuild"]
                bar.update(task, completed=_LISTS.index(place["list"]) * (end - start + 1) + place["at"] - start)
    document = {"from": start, "to": end, **counts, "outcomes": outcomes}
    found = ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in outcomes.items()) or "nothing"
    failed = f" [red]{counts['failed']} failed: they are set aside and retried; `pending` lists them.[/]"
    desk.tell(document, f"{counts['looked_at']} entries: {found}." + (failed if counts["failed"] else ""))


def _decide(  # noqa: PLR0913, PLR0917 - what to ask, what to decide, and why
    desk: Desk, before: Record, name: str, what: str, by: dict[str, str], payment: str | None = None
) -> None:
    """Ask, have reconcile decide, and say what it did."""
    if payment is not None and not PAYMENT_ID.match(payment):
        raise OpsError(f"{payment!r} is no payment id: one looks like pay_DESlfW9H8K9uqM.")
    operator = desk.cloud.operator
    desk.confirm(f"{what}\nThe record will say: {by['cause']}, {by['ticket']}.")
    named = {"order_id": before.order_id} | ({} if payment is None else {"razorpay_payment_id": payment})
    report = desk.cloud.run({name: {**named, "by": {"role": operator.role, "session": operator.session, **by}}})
    _tell(desk, before, before.order_id, report)


def _tell(desk: Desk, before: Record | None, order_id: str, report: dict[str, Any]) -> None:
    """Say what has changed since, and what was published."""
    after = record_of(desk, order_id)
    count = after.version - (0 if before is None else before.version)
    changes = [documents.entry(one) for one in after.history[-count:]] if count else []
    open_before = set() if before is None else {(one.reason, one.subject) for one in before.reviews if one.is_open}
    reviews = [
        documents.review(one) for one in after.reviews if one.is_open != ((one.reason, one.subject) in open_before)
    ]
    document = {
        **documents.summary(after),
        "status_before": None if before is None else before.status.value,
        "changes": changes,
        "reviews": reviews,
        "published": report.get("published", []),
    }
    shown: list[Any] = [f"[bold]{order_id}[/]  {tables.status(document)}"]
    shown.append(tables.timeline(changes, "Changed") if changes else "Nothing has changed.")
    if reviews:
        shown.append(tables.reviews(reviews))
    if document["published"]:
        shown.append(f"Published again: {', '.join(document['published'])}")
    desk.tell(document, *shown)


def _under_review(record: Record) -> str:
    subjects = {one.subject for one in record.reviews if one.is_open and one.subject in record.attempts}
    if len(subjects) != 1:
        raise OpsError(f"{len(subjects)} payments of {record.order_id} have an open review: name one with --payment.")
    return subjects.pop()


def _said(record: Record) -> str:
    order = record.order
    amount = "" if order is None else f", {tables.money(order.amount_minor, order.currency)}"
    return f"{record.order_id} ({record.status.value}{amount})"


def _span(text: str) -> int:
    found = _SPAN.fullmatch(text)
    if found is None:
        raise OpsError("--last is a number of minutes, hours or days, such as 30m, 12h or 7d.")
    return int(found[1]) * _SECONDS[found[2]]


def _moment(text: str) -> int:
    if re.fullmatch(r"[0-9]{9,11}", text):
        return int(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise OpsError(f"{text!r} is no moment: one looks like 2026-03-01 or 2026-03-01T09:30 (UTC).") from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


COMMANDS = (resolve, refund, republish, reconcile)
