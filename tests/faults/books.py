"""Three sets of books about the same payments, compared to the paisa: Razorpay's, the table's, and the subscribers'.

Razorpay's ledger says what happened to the money. From it alone the oracle says what every record must say and which
events there must be. What it does not look at is compared here: the wording of events, what they say of money, the
sums, and what the subscribers have noted.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from payments.core.model import Record, RefundState
from payments.core.position import Position, under_review
from sandbox import development
from tests.oracle.books import HandedOut, Outside, Settings, read_ledger
from tests.oracle.expect import expected_orders
from tests.oracle.judge import Told, judge_order, read_event

SUBSCRIPTIONS: Final[Mapping[str, frozenset[str]]] = {
    "job": frozenset({"payment.paid"}),
    "application": frozenset({"payment.paid"}),
    "notification": frozenset({"payment.paid", "payment.failed", "payment.refunded", "payment.surplus_refunded"}),
}
"""Which events the rule of each subscriber lets through."""
_DROPS_OVERTAKEN: Final = "notification"
"""Hears of several kinds of event, and ignores what a newer one has overtaken (docs/events, "Drop what is older")."""


class Key(NamedTuple):
    """What an event is about."""

    order_id: str
    type: str
    subject: str
    """The Razorpay payment, or the refund."""


@dataclass(frozen=True, slots=True)
class Account:
    """One order in Razorpay's ledger, as its API prints it."""

    order: Mapping[str, Any]
    payments: Sequence[Mapping[str, Any]]
    refunds: Sequence[Mapping[str, Any]]

    @property
    def captured(self) -> list[Mapping[str, Any]]:
        return [payment for payment in self.payments if payment["captured"]]

    @property
    def state(self) -> "State":
        """What the service must say of it in the end."""
        amount: int = self.order["amount"]
        refunded = sum(refund["amount"] for refund in self.refunds if refund["status"] == "processed")
        if self.captured:
            return State("refunded" if refunded == amount else "paid", True, amount, refunded)  # noqa: FBT003 - a field
        return State("failed" if self.payments else "created", False, amount, refunded)  # noqa: FBT003 - as above


class State(NamedTuple):
    """What one set of books says of an order; amounts in minor units."""

    status: str
    confirmed: bool
    amount: int
    refunded: int


@dataclass(frozen=True, slots=True)
class Published:
    """One event as the bus delivered it."""

    type: str
    detail: Mapping[str, Any]

    @property
    def id(self) -> str:
        identity: str = self.detail["event_id"]
        return identity

    @property
    def order_id(self) -> str:
        order_id: str = self.detail["payment"]["order_id"]
        return order_id

    @property
    def version(self) -> int:
        version: int = self.detail["version"]
        return version

    @property
    def key(self) -> Key:
        refund = self.detail.get("refund")
        return Key(
            self.order_id, self.type, refund["id"] if refund else str(self.detail["payment"]["razorpay_payment_id"])
        )


@dataclass(frozen=True, slots=True)
class Books:
    """All of it, when everything has come to rest."""

    accounts: Mapping[str, Account]
    """By order id."""
    records: Mapping[str, Record]
    """By order id."""
    published: Sequence[Published]
    """Everything the bus delivered, repetitions included."""
    inboxes: Mapping[str, Sequence[Mapping[str, Any]]]
    """By subscriber, what it has noted."""
    handed_out: Sequence[HandedOut]
    """What create-order answered, in that order."""


@dataclass(slots=True)
class Findings:
    """How the books differ; empty when they agree."""

    judged: list[str] = field(default_factory=list)
    """What the oracle complains of."""
    differing: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    invented: list[str] = field(default_factory=list)
    overtaken: int = 0
    """Events that Notification rightly dropped, having noted a newer one of the same order."""

    def check(self, first: int = 8) -> None:
        """Raises AssertionError with the first few of every kind."""
        kinds = {
            "the oracle": self.judged,
            "differ": self.differing,
            "lost": self.lost,
            "doubled": self.doubled,
            "invented": self.invented,
        }
        shown = [f"{kind}: {text}" for kind, texts in kinds.items() for text in texts[:first]]
        total = sum(len(texts) for texts in kinds.values())
        assert not total, f"the books disagree in {total} places, such as\n" + "\n".join(shown)


def accounts_of(ledger: Mapping[str, Sequence[Mapping[str, Any]]], clients: range) -> dict[str, Account]:
    """The orders of these clients in the stand-in's ledger; every order's notes name its client."""
    payments: defaultdict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for payment in ledger["payments"]:
        payments[payment["order_id"]].append(payment)
    refunds: defaultdict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for refund in ledger["refunds"]:
        refunds[refund["payment_id"]].append(refund)
    return {
        order["id"]: Account(
            order,
            payments[order["id"]],
            [refund for payment in payments[order["id"]] for refund in refunds[payment["id"]]],
        )
        for order in ledger["orders"]
        if order["notes"] and int(order["notes"].get("client_id", 0)) in clients
    }


def state_of(record: Record) -> State:
    """What the table says of an order."""
    refunded = sum(refund.amount_minor for refund in record.refunds.values() if refund.state is RefundState.PROCESSED)
    return State(record.status.value, record.confirmed, record.agreed().amount_minor, refunded)


def is_orphan(account: Account) -> bool:
    """An order whose id never reached the service, such as when Razorpay's answer was lost: nobody can have paid it."""
    return not account.payments and account.order["status"] == "created"


def unsettled(accounts: Mapping[str, Account], records: Mapping[str, Record]) -> dict[str, str]:
    """The orders of which the table does not say what Razorpay's ledger says, or has not told all of it; and why."""
    found = {}
    for order_id, account in accounts.items():
        record = records.get(order_id)
        if record is None:
            if not is_orphan(account):
                found[order_id] = f"{account.state} at Razorpay, and no record"
        elif state_of(record) != account.state:
            found[order_id] = f"{account.state} at Razorpay, {state_of(record)} in the table"
        elif record.pending:
            found[order_id] = f"{len(record.pending)} events are pending"
    return found


def compare(books: Books) -> Findings:
    """Compares everything with everything."""
    findings = Findings()
    findings.differing += [
        f"{order_id}: {why}" for order_id, why in sorted(unsettled(books.accounts, books.records).items())
    ]
    findings.invented += [
        f"{order_id} is in the table and not at Razorpay" for order_id in books.records.keys() - books.accounts.keys()
    ]
    findings.judged += judge(books)
    _check_bus(books, findings)
    for subscriber, notes in books.inboxes.items():
        _check_inbox(subscriber, notes, books.published, findings)
    return findings


def judge(books: Books) -> list[str]:
    """The oracle's word on what was stored of every order and told, from Razorpay's ledger alone: what differs."""
    accounts = books.accounts.values()
    ledger = read_ledger(
        {
            "orders": [account.order for account in accounts],
            "payments": [payment for account in accounts for payment in account.payments],
            "refunds": [refund for account in accounts for refund in account.refunds],
        }
    )
    complaints: list[str] = []
    told: dict[str, dict[str, Told]] = {}
    for event in books.published:
        order_id, one = read_event(event.type, event.detail)
        told.setdefault(order_id, {})[event.id] = one
    marks = {account.order["notes"]["installation"] for account in accounts}
    assert len(marks) == 1, f"orders of {len(marks)} installations"
    expected = expected_orders(
        ledger, Outside(handed_out=books.handed_out), Settings(stage=development.STAGE, installation=marks.pop())
    )
    for order_id, wanted in expected.items():
        if (record := books.records.get(order_id)) is not None:
            status, confirmed, _, refunded = state_of(record)
            shown = {
                "status": status,
                "confirmed": confirmed,
                "amount_refunded": refunded,
                "razorpay_payment_id": Position.of(record).shown_payment(),
                "under_review": under_review(record),
            }
            complaints += judge_order(wanted, shown, list(told.get(order_id, {}).values()))[1]
    return complaints


# --- the bus and the inboxes ----------------------------------------------------------------------------------------


def _check_bus(books: Books, findings: Findings) -> None:
    texts: defaultdict[str, set[str]] = defaultdict(set)
    for event in books.published:
        texts[event.id].add(json.dumps([event.type, event.detail]))
    wordings = {event.id: event.key for event in books.published}
    findings.differing += [
        f"the event {wordings[identity]} was published in two wordings"
        for identity, found in texts.items()
        if len(found) > 1
    ]
    for order_id, event in newest(books.published).items():
        if order_id in books.accounts and told_state(event) != books.accounts[order_id].state:
            findings.differing.append(
                f"{order_id}: {books.accounts[order_id].state} at Razorpay, {told_state(event)} on the bus"
            )
    for event in books.published:
        _check_money(event, books.accounts.get(event.order_id), findings)


def newest(published: Iterable[Published]) -> dict[str, Published]:
    """The last word on each order, by its version; of one change that says two things, either."""
    found: dict[str, Published] = {}
    for event in published:
        if event.order_id not in found or found[event.order_id].version < event.version:
            found[event.order_id] = event
    return found


def told_state(event: Published) -> State:
    """What an event says of its order."""
    payment = event.detail["payment"]
    confirmed = payment["status"] in {"paid", "refunded"}
    return State(payment["status"], confirmed, payment["amount"], payment["amount_refunded"])


def _check_money(event: Published, account: Account | None, findings: Findings) -> None:
    if account is None:
        findings.invented.append(f"{event.key} is about an order that Razorpay does not know")
        return
    payment, refund = event.detail["payment"], event.detail.get("refund")
    if payment["razorpay_payment_id"] not in {None, *(known["id"] for known in account.payments)}:
        findings.invented.append(f"{event.key} names a payment that Razorpay does not know")
    if (payment["amount"], payment["currency"]) != (account.order["amount"], account.order["currency"]):
        findings.differing.append(f"{event.key} says {payment['amount']} {payment['currency']}")
    amounts = {known["id"]: known["amount"] for known in account.refunds}
    if refund is not None and amounts.get(refund["id"]) != refund["amount"]:
        findings.differing.append(f"{event.key} says {refund['amount']} were paid back")


def _check_inbox(
    subscriber: str, notes: Sequence[Mapping[str, Any]], published: Sequence[Published], findings: Findings
) -> None:
    events = {event.id: event for event in published if event.type in SUBSCRIPTIONS[subscriber]}
    noted = Counter(str(note["event_id"]) for note in notes)
    findings.doubled += [f"{subscriber} noted {key} {count} times" for key, count in noted.items() if count > 1]
    findings.invented += [f"{subscriber} noted {key}, which was not published" for key in noted.keys() - events.keys()]
    newest_noted: Counter[str] = Counter()
    for note in notes:
        newest_noted[str(note["order_id"])] = max(newest_noted[str(note["order_id"])], int(note["version"]))
        if (event := events.get(str(note["event_id"]))) is not None and _noted(note) != _to_note(event):
            findings.differing.append(f"{subscriber} noted {_noted(note)}, the bus said {_to_note(event)}")
    for key in sorted(events.keys() - noted.keys()):
        event = events[key]
        if subscriber == _DROPS_OVERTAKEN and event.version < newest_noted[event.order_id]:
            findings.overtaken += 1
        else:
            findings.lost.append(f"{subscriber} never noted {event.key}")


def _noted(note: Mapping[str, Any]) -> tuple[object, ...]:
    names = ("detail_type", "version", "order_id", "payment_id", "razorpay_payment_id", "status")
    return tuple(note[name] for name in names)


def _to_note(event: Published) -> tuple[object, ...]:
    payment = event.detail["payment"]
    return (
        event.type,
        event.version,
        payment["order_id"],
        payment["payment_id"],
        payment["razorpay_payment_id"],
        payment["status"],
    )


# --- sums -----------------------------------------------------------------------------------------------------------


def money_table(books: Books) -> str:
    """Markdown: the sums by status in each set of books, in paise."""
    known = [account for order_id, account in books.accounts.items() if order_id in books.records]
    columns: dict[str, list[State]] = {
        "Razorpay's ledger": [account.state for account in known],
        "payments table": [state_of(record) for record in books.records.values()],
        "bus": [told_state(event) for event in newest(books.published).values()],
    }
    lines = [f"| status | what | {' | '.join(columns)} |", f"| --- | --- |{' ---: |' * len(columns)}"]
    for status in ("created", "failed", "paid", "refunded"):
        rows: dict[str, list[int]] = {"orders": [], "paise": [], "paise paid back": []}
        for states in columns.values():
            mine = [state for state in states if state.status == status]
            rows["orders"].append(len(mine))
            rows["paise"].append(sum(state.amount for state in mine))
            rows["paise paid back"].append(sum(state.refunded for state in mine))
        if status == "created":
            # Of an order that nothing has happened to, nothing is told.
            rows = {what: counts[:-1] for what, counts in rows.items()}
        else:
            assert all(len(set(counts)) == 1 for counts in rows.values()), f"the sums of {status} orders differ: {rows}"
        for what, counts in rows.items():
            cells = [f"{count:,}" for count in counts] + ["-"] * (len(columns) - len(counts))
            lines.append(f"| {status} | {what} | {' | '.join(cells)} |")
    return "\n".join(lines)
