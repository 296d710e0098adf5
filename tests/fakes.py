"""The table, the bus and the gateway in memory. `tests/table` tests the table against the real one's contract."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from copy import replace
from dataclasses import dataclass, field
from itertools import batched
from threading import Lock
from typing import Any, cast

from payments.core.attention import shard
from payments.core.entities import INTENT_NOTE, MARKER, ListedDispute, ListedOrder, ListedPayment, ListedRefund
from payments.core.errors import AmountRefused, FullyRefunded, NotAtGateway, StorageConflict
from payments.core.listing import Look, Origin, read_dispute, read_order, read_payment, read_refund
from payments.core.lookup import Place, Role
from payments.core.model import Application, KnownDispute, KnownRefund, Order, Record
from payments.core.outbox import Message
from payments.core.position import NO_OFFERS, Policy, Position
from payments.core.reconciliation import Reconciler
from payments.core.sweeping import ASIDE_PARTITION, PAGE, Aside, Entry, Listed, Pause, Watermark

INSTALLATION = "1f2e3d4c"
"""The name of the fakes' installation."""
BY = {"role": "Operator", "session": "asha", "cause": "agreed_with_client", "ticket": "OPS-7"}
"""Who decides something in the tests, and why."""

# Event ids per clear, as in the real table.
_MOST_CLEARED = 50
_DUE = ("lane", "attention_at")


class FakeTable:
    """Records, applications and watermarks; conditions as in DynamoDB, one call at a time."""

    def __init__(self) -> None:
        self.records: dict[str, Record] = {}
        self.applications: dict[tuple[int, int], Application] = {}
        self.known_refunds: dict[str, KnownRefund] = {}
        self.refunds_expire: dict[str, int | None] = {}
        self.known_disputes: dict[str, KnownDispute] = {}
        self.disputes_expire: dict[str, int | None] = {}
        self.marks: dict[str, Watermark] = {}
        self.asides: dict[str, Aside] = {}
        self.last_taken = self.imported_up_to = 0
        self._installation: str | None = None
        self._pause: Pause | None = None
        self._lock = Lock()

    # --- records ---

    def read(self, order_id: str) -> Record | None:
        with self._lock:
            return self.records.get(order_id)

    def read_many(
        self,
        order_ids: Iterable[str],
        *,
        consistent: bool = True,  # noqa: ARG002 - never behind
        only_readable: bool | None = None,  # noqa: ARG002 - all of them are
    ) -> dict[str, Record]:
        with self._lock:
            return {order_id: self.records[order_id] for order_id in order_ids if order_id in self.records}

    def insert(self, record: Record) -> None:
        with self._lock:
            self._put(record)

    def save(self, before: Record, after: Record) -> None:
        with self._lock:
            if before == after and after.attention_at is None:
                # Nothing to write, so no condition is checked either.
                return
            self.records[before.order_id] = _changed(self._unchanged(before), before, after)

    def clear(self, record: Record, event_ids: Collection[str]) -> None:
        with self._lock:
            *parts, last = batched(sorted(event_ids), _MOST_CLEARED, strict=False)
            for part in parts:
                self._forget(record.order_id, part)
            stored = self.records.get(record.order_id)
            is_due = record.attention_at is not None and not Position.of(record).unresolved
            is_all = record.pending.keys() <= set(event_ids)
            settled = (
                stored is not None and (stored.version, len(stored.pending)) == (record.version, len(last))
                if is_due and is_all
                else False
            )
            self._forget(record.order_id, last)
            if settled:
                self.records[record.order_id] = replace(self.records[record.order_id], lane=None, attention_at=None)

    # --- applications ---

    def application(self, client_id: int, application_id: int) -> Application | None:
        with self._lock:
            return self.applications.get((client_id, application_id))

    def open_application(self, client_id: int, application_id: int, order_id: str) -> None:
        with self._lock:
            if (client_id, application_id) in self.applications:
                raise StorageConflict
            self.applications[client_id, application_id] = Application(
                client_id=client_id, application_id=application_id, current=order_id, orders=(order_id,)
            )

    def insert_first_orders(self, records: Sequence[Record]) -> None:
        with self._lock:
            keys = [(record.agreed().client_id, record.agreed().application_id) for record in records]
            if any(record.order_id in self.records for record in records) or any(
                key in self.applications for key in keys
            ):
                raise StorageConflict
            for record, (client_id, application_id) in zip(records, keys, strict=True):
                self._put(record)
                self.applications[client_id, application_id] = Application(
                    client_id=client_id,
                    application_id=application_id,
                    current=record.order_id,
                    orders=(record.order_id,),
                )

    def replace_order(self, seen: Application, fresh: Record, old: tuple[Record, Record] | None) -> None:
        with self._lock:
            application = self._as_seen(seen)
            superseded = None if old is None else _changed(self._unchanged(old[0]), *old)
            self._put(fresh)
            self._grow(application, fresh.order_id, current=fresh.order_id)
            if superseded is not None:
                self.records[superseded.order_id] = superseded

    def extend_application(self, seen: Application, order_id: str, *, current: str | None = None) -> None:
        with self._lock:
            self._grow(self._as_seen(seen), order_id, current=current or seen.current)

    # --- payment ids ---

    def take_payment_ids(self, count: int, new_installation: str) -> tuple[range, str]:
        with self._lock:
            self.last_taken += count
            self._installation = self._installation or new_installation
            return range(self.last_taken - count + 1, self.last_taken + 1), self._installation

    def installation(self) -> str | None:
        with self._lock:
            return self._installation

    def raise_payment_ids(self, above: int) -> None:
        with self._lock:
            self.last_taken = max(self.last_taken, above)

    def reserve_payment_ids(self, up_to: int) -> bool:
        with self._lock:
            if self.imported_up_to >= up_to:
                return True
            if self.last_taken not in {0, self.imported_up_to}:
                return False
            self.last_taken = self.imported_up_to = up_to
            return True

    # --- what is due ---

    def due(self, partition: str, now: int) -> Iterator[tuple[str, int]]:
        with self._lock:
            found = [
                (record.attention_at, key)
                for key, record in self.records.items()
                if record.lane is not None and record.attention_at is not None and shard(record.lane, key) == partition
            ]
            if partition == ASIDE_PARTITION:
                found = [(aside.due_at, key) for key, aside in self.asides.items()]
        for at, key in sorted(found):
            if at <= now:
                yield key, at

    # --- who pays whom ---

    def payments_of(self, role: Role, user_id: int, after: Place | None, count: int) -> tuple[list[Place], bool]:
        with self._lock:
            places = [
                Place(record.created_at, key)
                for key, record in self.records.items()
                if record.order is not None and getattr(record.order, f"{role}_id") == user_id
            ]
        newest_first = sorted(places, key=_in_list, reverse=True)
        rest = [place for place in newest_first if after is None or _in_list(place) < _in_list(after)]
        return rest[:count], len(rest) > count

    # --- refunds by their own ids ---

    def refunds(self, refund_ids: Iterable[str]) -> dict[str, KnownRefund]:
        with self._lock:
            return {key: self.known_refunds[key] for key in refund_ids if key in self.known_refunds}

    def keep_refunds(self, refunds: Collection[KnownRefund], *, expires_at: int | None = None) -> None:
        with self._lock:
            for refund in refunds:
                self.known_refunds[refund.refund_id] = refund
                self.refunds_expire[refund.refund_id] = expires_at

    # --- disputes by their own ids ---

    def disputes(self, dispute_ids: Iterable[str]) -> dict[str, KnownDispute]:
        with self._lock:
            return {key: self.known_disputes[key] for key in dispute_ids if key in self.known_disputes}

    def keep_disputes(self, disputes: Collection[KnownDispute], *, expires_at: int | None = None) -> None:
        with self._lock:
            for dispute in disputes:
                self.known_disputes[dispute.dispute_id] = dispute
                self.disputes_expire[dispute.dispute_id] = expires_at

    # --- passes ---

    def watermark(self, name: str) -> Watermark | None:
        with self._lock:
            return self.marks.get(name)

    def watermarks(self, names: Iterable[str]) -> dict[str, Watermark]:
        with self._lock:
            return {name: self.marks[name] for name in names if name in self.marks}

    def move_watermark(self, name: str, seen: Watermark | None, to: Watermark) -> None:
        with self._lock:
            if self.marks.get(name) != seen:
                raise StorageConflict
            self.marks[name] = to

    def set_aside(self, aside: Aside) -> None:
        with self._lock:
            self.asides[aside.razorpay_id] = aside

    def aside(self, razorpay_id: str) -> Aside | None:
        with self._lock:
            return self.asides.get(razorpay_id)

    def end_aside(self, razorpay_id: str) -> None:
        with self._lock:
            self.asides.pop(razorpay_id, None)

    def pause(self) -> Pause | None:
        with self._lock:
            return self._pause

    def set_pause(self, pause: Pause) -> None:
        with self._lock:
            self._pause = pause

    # --- for tests ---

    def copy(self) -> "FakeTable":
        """A separate table with the same content."""
        twin = FakeTable()
        twin.records = dict(self.records)
        twin.applications = dict(self.applications)
        twin.known_refunds = dict(self.known_refunds)
        twin.refunds_expire = dict(self.refunds_expire)
        twin.known_disputes = dict(self.known_disputes)
        twin.disputes_expire = dict(self.disputes_expire)
        twin.marks = dict(self.marks)
        twin.asides = dict(self.asides)
        twin.last_taken, twin.imported_up_to = self.last_taken, self.imported_up_to
        twin._installation, twin._pause = self._installation, self._pause
        return twin

    def _put(self, record: Record) -> None:
        if record.order_id in self.records:
            raise StorageConflict
        self.records[record.order_id] = record

    def _unchanged(self, seen: Record) -> Record:
        stored = self.records.get(seen.order_id)
        if stored is None or stored.version != seen.version:
            raise StorageConflict
        return stored

    def _forget(self, order_id: str, event_ids: Collection[str]) -> None:
        stored = self.records.get(order_id)
        if stored is None:
            raise StorageConflict
        pending = {key: event for key, event in stored.pending.items() if key not in event_ids}
        self.records[order_id] = replace(stored, pending=pending)

    def _as_seen(self, seen: Application) -> Application:
        stored = self.applications.get((seen.client_id, seen.application_id))
        if stored is None or (stored.current, len(stored.orders)) != (seen.current, len(seen.orders)):
            raise StorageConflict
        return stored

    def _grow(self, application: Application, order_id: str, *, current: str) -> None:
        self.applications[application.client_id, application.application_id] = replace(
            application, current=current, orders=(*application.orders, order_id)
        )


def _in_list(place: Place) -> tuple[str, str]:
    return place.created_at, place.order_id


def _changed(stored: Record, before: Record, after: Record) -> Record:
    """The stored record with the differences between two versions applied; new events key by key."""
    names = [name for name in Record.model_fields if name not in {"pending", *_DUE}]
    changes: dict[str, Any] = {
        name: getattr(after, name) for name in names if getattr(after, name) != getattr(before, name)
    }
    for name in _DUE:
        # Saving a record that is due writes its due time and lane, even if neither changed.
        if getattr(after, name) is not None or getattr(before, name) is not None:
            changes[name] = getattr(after, name)
    added = {key: event for key, event in after.pending.items() if key not in before.pending}
    return replace(stored, pending={**stored.pending, **added}, **changes)


class FakeBus:
    """Accepts every event except those that `refuses` names."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, Message]] = []
        self.refuses: Callable[[str], bool] = lambda _: False

    def publish(self, messages: Mapping[str, Message]) -> frozenset[str]:
        accepted = {key: message for key, message in messages.items() if not self.refuses(key)}
        self.sent += accepted.items()
        return frozenset(accepted)

    def types(self) -> list[str]:
        """The types of the events that were accepted, each event once."""
        return [message.type for message in dict(self.sent).values()]


class FakeIds:
    """Numbers orders from 1."""

    def __init__(self) -> None:
        self.last = 0
        self.skipped: list[int] = []

    def number(self, offer: Order) -> Order:
        self.last += 1
        return offer.numbered(self.last, receipt=f"test-{INSTALLATION}-{self.last}")

    def skip(self, count: int) -> None:
        self.skipped.append(count)
        self.last += count


class FakeGateway:
    """Razorpay's data as its API lists it: every order created, and the payments that tests add."""

    key_id = "rzp_test_00000000000001"

    def __init__(self) -> None:
        self.orders: dict[str, Order] = {}
        """The orders created here."""
        self.listed: dict[str, dict[str, Any]] = {}
        """Every order as listed, including foreign ones."""
        self.payments: dict[str, dict[str, Any]] = {}
        self.refunded: dict[str, dict[str, Any]] = {}
        self.challenged: dict[str, dict[str, Any]] = {}
        self.now = 0
        """The current time, epoch seconds: when checks start and orders are created."""
        self.calls: list[str] = []
        self.bounds: list[float] = []
        """Every time limit that was set on calls, in seconds."""
        self.fails: Callable[[str, str], BaseException | None] = lambda _call, _about: None
        """The error that a call about an id raises; None: no error."""
        self.loses_answers: Callable[[str, str], BaseException | None] = lambda _call, _about: None
        """What a call fails with after it took effect."""
        self.keeps_keys = True
        """Whether the idempotency key of a refund is honoured."""
        self.refund_status = "processed"
        """What a new refund is."""
        self._by_key: dict[str, str] = {}
        self._lock = Lock()

    # --- the API ---

    def within(self, seconds: float) -> AbstractContextManager[None]:
        self.bounds.append(seconds)
        return nullcontext()

    def create_order(self, order: Order) -> str:
        with self._lock:
            self._called("create_order", order.receipt)
            order_id = f"order_{len(self.orders) + 1:014d}"
            self.orders[order_id] = order
            self.put_order(order_id, order)
            return order_id

    def order(self, order_id: str) -> ListedOrder:
        with self._lock:
            self._called("order", order_id)
            return self._order(order_id)

    def look(self, order_id: str, *, also_refunds_of: Collection[str] = ()) -> Look:
        with self._lock:
            self._called("look", order_id)
            order = self._order(order_id)
            payments = [read_payment(item) for item in self.payments.values() if item["order_id"] == order_id]
            facts = [
                fact
                for payment in payments
                for fact in payment.facts(
                    self._refunds_of(payment.id) if payment.has_refunds or payment.id in also_refunds_of else None,
                    looked_at=self.now,
                )
            ]
            in_flight = tuple(payment.created_at or self.now for payment in payments if payment.in_flight)
            return Look(order=order, facts=tuple(facts), in_flight=in_flight, payments=len(payments))

    def payment(self, payment_id: str) -> ListedPayment:
        with self._lock:
            self._called("payment", payment_id)
            return read_payment(_found(self.payments, payment_id))

    def refund(self, refund_id: str) -> ListedRefund:
        with self._lock:
            self._called("refund", refund_id)
            return read_refund(_found(self.refunded, refund_id))

    def dispute(self, dispute_id: str) -> ListedDispute:
        with self._lock:
            self._called("dispute", dispute_id)
            return read_dispute(_found(self.challenged, dispute_id))

    def disputes(self, skip: int) -> Sequence[Entry]:
        with self._lock:
            self._called("disputes", str(skip))
            newest_first = sorted(
                self.challenged.values(), key=lambda entry: (entry["created_at"], entry["id"]), reverse=True
            )
            return newest_first[skip : skip + PAGE]

    def refunds_of(self, payment_id: str) -> Sequence[ListedRefund]:
        with self._lock:
            self._called("refunds_of", payment_id)
            return self._refunds_of(payment_id)

    def create_refund(self, payment_id: str, amount_minor: int, intent_id: str) -> ListedRefund:
        with self._lock:
            self._called("create_refund", payment_id)
            payment = _found(self.payments, payment_id)
            rest = payment["amount"] - payment["amount_refunded"]
            if self.keeps_keys and intent_id in self._by_key:
                return read_refund(self.refunded[self._by_key[intent_id]])
            if not rest:
                raise FullyRefunded(400, "BAD_REQUEST_ERROR", "input_validation_failed")
            if amount_minor > rest:
                raise AmountRefused(400, "BAD_REQUEST_ERROR", "input_validation_failed", "amount")
            refund = f"rfnd_{len(self.refunded) + 1:014d}"
            self.give_back(payment_id, refund, amount_minor, self.refund_status)
            self.refunded[refund]["notes"] = {"service": MARKER, "stage": "test", INTENT_NOTE: intent_id}
            self._by_key[intent_id] = refund
            if (lost := self.loses_answers("create_refund", payment_id)) is not None:
                raise lost
            return read_refund(self.refunded[refund])

    def page(self, listed: Listed, start: int, end: int, skip: int) -> Sequence[Entry]:
        with self._lock:
            self._called("page", listed)
            books = {"orders": self.listed, "payments": self.payments, "refunds": self.refunded}[listed]
            inside = [entry for entry in books.values() if start <= entry["created_at"] <= end]
            newest_first = sorted(inside, key=lambda entry: (entry["created_at"], entry["id"]), reverse=True)
            return newest_first[skip : skip + PAGE]

    # --- what tests let happen ---

    def put_order(self, order_id: str, order: Order, *, stage: str = "test", **changes: object) -> None:
        """Adds an order of this or another service to the list."""
        self.listed[order_id] = {
            "id": order_id,
            "amount": order.amount_minor,
            "currency": order.currency,
            "status": "created",
            "receipt": order.receipt,
            "notes": {
                "service": MARKER,
                "stage": stage,
                "installation": INSTALLATION,
                "payment_id": str(order.payment_id),
                "job_id": str(order.job_id),
                "application_id": str(order.application_id),
                "client_id": str(order.client_id),
                "freelancer_id": str(order.freelancer_id),
            },
            "created_at": self.now,
        } | changes

    def pay(self, order_id: str | None, payment: str, status: str = "captured", **changes: object) -> None:
        """Adds or replaces a payment on an order."""
        known = self.payments.get(payment, {})
        listed = self.listed.get(order_id or "", {})
        self.payments[payment] = (
            {
                "id": payment,
                "order_id": order_id,
                "amount": listed.get("amount", 50_000),
                "currency": "INR",
                "method": "upi",
                "amount_refunded": 0,
                "created_at": self.now,
            }
            | known
            | {"status": status, "captured": status in {"captured", "refunded"}}
            | changes
        )
        if listed:
            listed["status"] = {"captured": "paid", "refunded": "paid"}.get(status, "attempted")

    def give_back(self, payment: str, refund: str, amount_minor: int, status: str = "processed") -> None:
        """Adds or replaces a refund of a payment; Razorpay's sum counts refunds that did not fail."""
        known = self.refunded.get(refund, {})
        self.refunded[refund] = (
            {"id": refund, "payment_id": payment, "amount": amount_minor, "created_at": self.now}
            | known
            | {"status": status}
        )
        sums = [
            each["amount"]
            for each in self.refunded.values()
            if each["payment_id"] == payment and each["status"] != "failed"
        ]
        self.payments[payment]["amount_refunded"] = sum(sums)

    def challenge(self, payment: str, dispute: str, status: str = "open", **changes: object) -> None:
        """A dispute about a payment becomes this."""
        known = self.challenged.get(dispute, {})
        self.challenged[dispute] = (
            {
                "id": dispute,
                "payment_id": payment,
                "amount": self.payments[payment]["amount"],
                "currency": "INR",
                "amount_deducted": 0,
                "phase": "chargeback",
                "reason_code": "chargeback",
                "respond_by": self.now + 6 * 86_400,
                "created_at": self.now,
            }
            | known
            | {"status": status}
            | changes
        )

    # --- inside ---

    def _called(self, call: str, about: str) -> None:
        self.calls.append(f"{call} {about}")
        failure = self.fails(call, about)
        if failure is not None:
            raise failure

    def _order(self, order_id: str) -> ListedOrder:
        return read_order(_found(self.listed, order_id), order_id)

    def _refunds_of(self, payment_id: str) -> list[ListedRefund]:
        return [read_refund(item) for item in self.refunded.values() if item["payment_id"] == payment_id]


def _found(books: Mapping[str, dict[str, Any]], identity: str) -> dict[str, Any]:
    if identity not in books:
        raise NotAtGateway(400, "BAD_REQUEST_ERROR", "input_validation_failed")
    return books[identity]


class Crash(BaseException):
    """The process died. Nothing may catch this."""


@dataclass
class Fate:
    """What happens to the calls of every wrapped object, by call number, from 1."""

    strikes: dict[int, BaseException] = field(default_factory=dict)
    after: bool = False
    """Whether a failed call took effect before it failed."""
    calls: list[str] = field(default_factory=list)

    def wrap[T](self, target: T) -> T:
        """The object, wrapped so that its calls meet this fate."""
        return cast("T", _Fated(target, self))


class _Fated:
    def __init__(self, target: object, fate: Fate) -> None:
        self._target = target
        self._fate = fate

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._target, name)

        def call(*args: object, **named: object) -> object:
            self._fate.calls.append(name)
            strike = self._fate.strikes.get(len(self._fate.calls))
            if strike is not None and not self._fate.after:
                raise strike
            answer = method(*args, **named)
            if strike is not None:
                raise strike
            return answer

        return call


def reconciler_of(
    table: Any, bus: Any, gateway: Any, *, policy: Policy = NO_OFFERS, order_expiry_s: int = 30 * 24 * 3600
) -> Reconciler:
    """A reconciler of the fakes' installation. Each of the three is a fake, or one around it."""
    origin = Origin(stage="test", installation=INSTALLATION)
    return Reconciler(
        table=table, bus=bus, gateway=gateway, origin=origin, policy=policy, order_expiry_s=order_expiry_s
    )
