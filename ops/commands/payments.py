"""Look at payments: one of them, those of a client or an application, and what waits for whom. Changes nothing."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import click

from ops import documents, tables
from ops.cloud import explained
from ops.desk import Desk, command, order_argument
from ops.errors import OpsError
from ops.scan import scan
from payments.adapters.table import to_record
from payments.core.attention import SHARDS, partition
from payments.core.instants import iso
from payments.core.lookup import Place, Role
from payments.core.model import PAYMENT_ID, REFUND_ID, Lane, Record
from payments.core.replay import replay
from payments.core.sweeping import ASIDE_PARTITION

# Far in the future, so that a query of the index shows what is due later as well.
_EVER: Final = 2**40
_A_PAGE: Final = 100


def record_of(desk: Desk, order_id: str) -> Record:
    """Return an order's record.

    Raises:
        OpsError: there is none.
    """
    with explained():
        record = desk.cloud.table.read(order_id)
    if record is None:
        raise OpsError(
            f"{desk.cloud.stage} has no record of {order_id}. `reconcile --from` the day of its creation rebuilds it."
        )
    return record


@command("show")
@order_argument
def show(desk: Desk, order_id: str) -> None:
    """Show a payment as a timeline."""
    document = documents.payment(record_of(desk, order_id))
    desk.tell(document, *tables.payment(document))


@command("explain")
@order_argument
def explain(desk: Desk, order_id: str) -> None:
    """Show which fact caused each status and event of a payment.

    Replays the record's facts through the decision that the service makes, and says whether that gives the record as
    it is stored.
    """
    record = record_of(desk, order_id)
    document = documents.explanation(record, replay(record))
    desk.tell(document, *tables.explanation(document))


_ID: Final = click.IntRange(min=1, max=2**53 - 1)


@command("find")
@click.option("--order", "order_id", help="By Razorpay's id of the order.")
@click.option("--application", type=_ID, help="By application. Without --client this reads the whole table.")
@click.option("--client", type=_ID, help="By client, newest first.")
@click.option("--freelancer", type=_ID, help="By freelancer, newest first.")
@click.option("--payment", "payment_id", help="By Razorpay's id of a payment; asks Razorpay, through reconcile.")
@click.option(
    "--refund", "refund_id", help="By Razorpay's id of a refund; asks Razorpay if the table does not know it."
)
@click.option("--limit", type=click.IntRange(1, 1000), default=_A_PAGE, show_default=True, help="At most this many.")
def find(desk: Desk, limit: int, **by: Any) -> None:  # noqa: ANN401 - one option of several types
    """Find payments by one of the options, or by application and client together."""
    given = {name: value for name, value in by.items() if value is not None}
    finder = _FINDERS.get(frozenset(given))
    if finder is None:
        raise OpsError("Name one of the options, or --application with --client: `find --help` lists them.")
    found = finder(desk, limit, **given)
    document = {"payments": [documents.summary(one) for one in found]}
    shown = [tables.summaries(document["payments"])] if found else ["Nothing found."]
    desk.tell(document, *shown)


def _by_order(desk: Desk, _: int, order_id: str) -> list[Record]:
    return [record_of(desk, order_id)]


def _by_both(desk: Desk, limit: int, application: int, client: int) -> list[Record]:
    with explained():
        found = desk.cloud.table.application(client, application)
        records = {} if found is None else desk.cloud.table.read_many(found.orders[-limit:])
    return sorted(records.values(), key=lambda one: one.created_at, reverse=True)


def _by_application(desk: Desk, limit: int, application: int) -> list[Record]:
    found = []
    with _reading(desk) as progress:
        for item in scan(desk.cloud, "application_id = :id", {":id": application}, progress):
            found.append(to_record(item))
            if len(found) == limit:
                break
    return sorted(found, key=lambda one: one.created_at, reverse=True)


def _of_party(role: Role) -> Callable[..., list[Record]]:
    def by_party(desk: Desk, limit: int, **named: int) -> list[Record]:
        found: list[Place] = []
        has_more, after, user = True, None, named[role.value]
        with explained():
            while has_more and len(found) < limit:
                count = min(_A_PAGE, limit - len(found))
                page, has_more = desk.cloud.table.payments_of(role, user, after, count)
                found += page
                after = found[-1] if found else None
            records = desk.cloud.table.read_many(place.order_id for place in found)
        return [records[place.order_id] for place in found if place.order_id in records]

    return by_party


def _by_payment(desk: Desk, _: int, payment_id: str) -> list[Record]:
    if not PAYMENT_ID.match(payment_id):
        raise OpsError("--payment is an id of Razorpay's such as pay_DESlfW9H8K9uqM.")
    return _asked(desk, {"razorpay_payment_id": payment_id})


def _by_refund(desk: Desk, _: int, refund_id: str) -> list[Record]:
    if not REFUND_ID.match(refund_id):
        raise OpsError("--refund is an id of Razorpay's such as rfnd_FS8TWyPrCsa0OB.")
    with explained():
        known = desk.cloud.table.refunds([refund_id]).get(refund_id)
    if known is not None and known.order_id is not None:
        return [record_of(desk, known.order_id)]
    return _asked(desk, {"refund_id": refund_id})


def _asked(desk: Desk, about: dict[str, str]) -> list[Record]:
    order_id = desk.cloud.run({"find": about})["order_id"]
    if order_id is None:
        raise OpsError("Razorpay knows it, without an order: it is not a payment of this service.")
    return [record_of(desk, order_id)]


_FINDERS: Final[dict[frozenset[str], Callable[..., list[Record]]]] = {
    frozenset({"order_id"}): _by_order,
    frozenset({"application", "client"}): _by_both,
    frozenset({"application"}): _by_application,
    frozenset({"client"}): _of_party(Role.CLIENT),
    frozenset({"freelancer"}): _of_party(Role.FREELANCER),
    frozenset({"payment_id"}): _by_payment,
    frozenset({"refund_id"}): _by_refund,
}


@command("reviews")
@click.option("--reason", help="Only reviews for this reason.")
@click.option("--all", "with_closed", is_flag=True, help="Also those that are resolved.")
def reviews(desk: Desk, reason: str | None, *, with_closed: bool) -> None:
    """List what a person has to decide, oldest first. This reads the whole table."""
    found = []
    with _reading(desk) as progress:
        for item in scan(desk.cloud, "attribute_exists(review) AND size(review) > :none", {":none": 0}, progress):
            record = to_record(item)
            found += [
                {**documents.review(one), **documents.summary(record)}
                for one in record.reviews
                if (with_closed or one.is_open) and reason in {None, one.reason}
            ]
    found.sort(key=lambda one: (one["since"], one["order_id"]))
    rows = [
        (
            one["since"],
            one["reason"],
            one["order_id"],
            one["subject"],
            one["state"],
            tables.status(one),
            tables.money(one["amount"], one["currency"]),
        )
        for one in found
    ]
    columns = ("since", "review", "order", "about", "state", "status", "agreed")
    desk.tell({"reviews": found}, tables.table(columns, rows) if found else "No reviews.")


@command("pending")
@click.option("--failing", is_flag=True, help="Only what has failed at least once.")
@click.option("--limit", type=click.IntRange(1, 1000), default=_A_PAGE, show_default=True, help="At most this many.")
def pending(desk: Desk, limit: int, *, failing: bool) -> None:
    """List what the lanes still have to do, longest overdue first, and how often it failed."""
    table, now = desk.cloud.table, int(time.time())
    with explained():
        lanes = {lane: list(_due(desk, lane)) for lane in Lane}
        aside = list(table.due(ASIDE_PARTITION, _EVER))
        pause = table.pause()
        due = sorted((one.at, one.key, lane) for lane, keys in lanes.items() for one in keys)
        # What has failed is not in the index, so all of it must be read to find that.
        records = table.read_many([key for _, key, _ in (due if failing else due[:limit])])
        set_aside = [(each.at, one) for each in aside[:limit] if (one := table.aside(each.key)) is not None]
    found = [
        {
            "order_id": key,
            "status": record.status.value,
            "lane": lane.value,
            "due_at": iso(at),
            "overdue_s": max(0, now - at),
            "failures": record.failures,
            "pending": [event.type for event in record.pending.values()],
        }
        for at, key, lane in due
        if (record := records.get(key)) is not None and (record.failures or not failing)
    ][:limit]
    found += [
        {"order_id": one.razorpay_id, "status": "set aside", "lane": "sweep", "due_at": iso(at)}
        | {"overdue_s": max(0, now - at), "failures": one.failures, "pending": []}
        for at, one in set_aside
    ]
    counts = {**{lane.value: len(keys) for lane, keys in lanes.items()}, "set_aside": len(aside)}
    paused = iso(pause.until) if pause is not None and pause.until > now else None
    rows = [
        (
            one["lane"],
            one["order_id"],
            one["status"],
            one["due_at"],
            str(one["overdue_s"]),
            str(one["failures"]),
            ", ".join(one["pending"]),
        )
        for one in found
    ]
    columns = ("lane", "order or entry", "status", "due", "overdue, s", "failures", "events to publish")
    desk.tell(
        {"counts": counts, "razorpay_paused_until": paused, "due": found},
        "  ".join(f"{name} {count}" for name, count in counts.items())
        + (f"  Razorpay paused until {paused}" if paused else ""),
        *([tables.table(columns, rows)] if rows else []),
    )


def _due(desk: Desk, lane: Lane) -> Iterator[Any]:
    for number in range(SHARDS):
        yield from desk.cloud.table.due(partition(lane, number), _EVER)


@contextmanager
def _reading(desk: Desk) -> Iterator[Callable[[int, int], None]]:
    """Show how far the table has been read."""
    with desk.progress() as bar:
        if bar is None:
            yield lambda _, __: None
            return
        task = bar.add_task("Reading the table")
        yield lambda done, of: bar.update(task, completed=done, total=of)


COMMANDS = (show, explain, find, reviews, pending)
