"""Replay a record's history through the decision: which fact caused which status, events and reviews.

A record keeps its facts and, in its history, the order in which they came. The decision is a pure function, so deciding
again gives the same events, with the same ids and content. Where the history cannot tell everything (it keeps a hundred
entries, and the first five facts of each), the replay says so: what it derives is only used if it ends in the record
as it is stored.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from copy import replace
from dataclasses import dataclass, field
from typing import Any, Final, cast

from payments.core.expiry import expire
from payments.core.instants import epoch
from payments.core.model import (
    Accepted,
    Attempt,
    Authorized,
    Captured,
    Dispute,
    Disputed,
    DisputeState,
    Fact,
    Failed,
    HistoryEntry,
    IntentState,
    NeverCaptured,
    PendingEvent,
    Reason,
    Record,
    Refunded,
    RefundIntent,
    RefundRefusal,
    RefundState,
    RefundTotal,
    Released,
    Resolution,
    Signed,
)
from payments.core.position import Policy, Position
from payments.core.refunding import in_doubt, refused
from payments.core.transitions import (
    NOTED,
    Decision,
    adopt,
    ask_for_review,
    close_review,
    decide,
    note,
    open_record,
    supersede,
    unknown_record,
    with_version,
)

REPUBLISHED: Final = "republished"
"""What the history says when an operator had all events published again."""
_MORE: Final = re.compile(r" and (?P<count>\d+) more\Z")
_FACT: Final = re.compile(r"(?P<word>[a-z_ ]+) (?P<id>(?:pay|rfnd|disp)_[A-Za-z0-9]{14})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One entry of the history, and what the decision makes of it."""

    version: int
    entry: HistoryEntry
    facts: tuple[Fact, ...]
    events: Mapping[str, PendingEvent]
    """The events that were recorded with it, by event id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """A record's whole history."""

    steps: tuple[Step, ...]
    differs: tuple[str, ...]
    """In what the end differs from the record as it is stored. Empty: the steps are what really happened."""

    @property
    def events(self) -> dict[str, PendingEvent]:
        """Every event that was ever recorded, by event id, in order."""
        return {key: event for step in self.steps for key, event in step.events.items()}


def replay(record: Record) -> Replay:
    """Decide again about everything that a record has learned, in the order of its history."""
    return _Replaying(record).run()


@dataclass(slots=True)
class _Replaying:
    stored: Record
    steps: list[Step] = field(default_factory=list)
    differs: list[str] = field(default_factory=list)
    captures: Counter[str] = field(default_factory=Counter)
    """How often each payment's capture is still to come: Razorpay may report it first without its fee."""

    def run(self) -> Replay:
        stored = self.stored
        if stored.version != len(stored.history):
            return Replay(steps=tuple(self._untold()), differs=("its history does not reach back to its creation",))
        self.captures.update(key for entry in stored.history for word, key in _said(entry) if word == "captured")
        replayed: Record | None = None
        for version, entry in enumerate(stored.history, 1):
            decisions = self._decisions(replayed, entry)
            decision = next((one for one in decisions if one.record.status is entry.status), decisions[0])
            before, replayed = replayed, decision.record
            if replayed.status is not entry.status or replayed.version != version:
                self.differs.append(
                    f"version {version} is {entry.status.value}, and its facts give {replayed.status.value}"
                )
                # Go on from what is stored, so that one gap does not spoil the rest.
                replayed = replace(replayed, status=entry.status, version=version)
            known = () if before is None else before.pending.keys()
            events = {key: event for key, event in replayed.pending.items() if key not in known}
            self.steps.append(Step(version=version, entry=entry, facts=self._facts(entry), events=events))
        told = Counter(key for entry in stored.history for word, key in _said(entry) if word.startswith("dispute "))
        # The record keeps a dispute as it is now, but its events told it as it was then.
        self.differs += [f"what {key} was at first is not kept" for key, count in told.items() if count > 1]
        if replayed is not None:
            self.differs += _differences(replayed, stored)
        return Replay(steps=tuple(self.steps), differs=tuple(self.differs))

    def _untold(self) -> Iterator[Step]:
        first = self.stored.version - len(self.stored.history) + 1
        for version, entry in enumerate(self.stored.history, first):
            yield Step(version=version, entry=entry, facts=self._facts(entry), events={})

    def _decisions(self, record: Record | None, entry: HistoryEntry) -> Sequence[Decision]:
        """Return what the entry makes of the record; the likeliest first if the history does not tell."""
        stored, now = self.stored, epoch(entry.at)
        if record is None and entry.what == "created":
            return [_plain(open_record(stored.order_id, stored.agreed(), now))]
        record = record or unknown_record(stored.order_id, now)
        if (decision := self._without_facts(record, entry, now)) is not None:
            return [decision]
        facts = self._facts(entry, Position.of(record))
        variants = [facts]
        if any(isinstance(fact, Captured) and self._is_reported_again(fact.payment) for fact in facts):
            variants.append(tuple(replace(one, fee_minor=None) if isinstance(one, Captured) else one for one in facts))
        self.captures.subtract(fact.payment for fact in facts if isinstance(fact, Captured))
        return [decide(record, variant, now, self._policy()) for variant in variants]

    def _without_facts(  # noqa: C901 - one case for each kind
        self, record: Record, entry: HistoryEntry, now: int
    ) -> Decision | None:
        """Return what an entry that names no fact makes of the record; None if it names some."""
        decision = None
        match entry.what.split():
            case ["superseded", "by", successor]:
                decision = _plain(supersede(record, successor, now))
            case ["refund", "requested", payment]:
                decision = _plain(
                    replace(with_version(record, entry.what, now), refund_intents=self._intents(record, payment, now))
                )
            case ["refund", "requested", "again", _] | ["refund", "not", "taken", _]:
                decision = _plain(with_version(record, entry.what, now))
            case ["refund", "refused", payment]:
                decision = self._refused(record, payment, now)
            case ["review", "refund_in_doubt"]:
                decision = self._in_doubt(record, entry, now)
            case ["review", reason]:
                decision = ask_for_review(record, cast("Reason", reason), now)
            case ["review", reason, resolution]:
                decision = close_review(record, cast("Reason", reason), cast("Resolution", resolution), now)
            case ["expired"]:
                decision = expire(record, now)
            case ["released"]:
                decision = _plain(replace(with_version(record, "released", now, entry.by), released=True))
            case [word] if word == NOTED and entry.by is not None:
                decision = note(record, entry.by, now)
            case [word] if word == REPUBLISHED:
                decision = _plain(with_version(record, word, now, entry.by))
            case ["found", "to", "be", "ours"]:
                decision = self._adopted(record, now)
        return decision

    def _intents(self, record: Record, payment: str, now: int) -> dict[str, RefundIntent]:
        """Return the intents with those that were requested then, as they were at first."""
        news = {
            key: replace(intent, state=IntentState.OPEN, refund_id=None, refusal=None)
            for key, intent in self.stored.refund_intents.items()
            if (intent.payment_id, intent.requested_at) == (payment, now)
        }
        return {**record.refund_intents, **news}

    def _refused(self, record: Record, payment: str, now: int) -> Decision:
        for key, intent in self.stored.refund_intents.items():
            is_open = key in record.refund_intents and record.refund_intents[key].is_open
            if is_open and intent.payment_id == payment and intent.refusal is not None:
                return refused(record, key, cast("RefundRefusal", intent.refusal), now)
        return _plain(with_version(record, f"refund refused {payment}", now))

    def _in_doubt(self, record: Record, entry: HistoryEntry, now: int) -> Decision:
        about = (one.subject for one in self.stored.reviews if (one.reason, one.at) == ("refund_in_doubt", entry.at))
        return in_doubt(record, next(about, ""), now)

    def _adopted(self, record: Record, now: int) -> Decision:
        stored = self.stored
        told_later = any(entry.what.startswith("superseded by ") for entry in stored.history)
        return adopt(
            record,
            stored.agreed(),
            epoch(stored.created_at),
            now,
            self._policy(),
            superseded_by=None if told_later else stored.superseded_by,
        )

    def _is_reported_again(self, payment: str) -> bool:
        return self.captures[payment] > 1

    def _policy(self) -> Policy:
        """Return the policy under which the captures got their verdicts: which offers it accepted is in them."""
        order = self.stored.order
        if order is None:
            return Policy()
        offers = [
            (attempt.amount_minor or 0) * 100 // order.amount_minor
            for attempt in self.stored.attempts.values()
            if attempt.verdict == "offer"
        ]
        return Policy(accept_offers_from_percent=min(offers) if offers else None)

    def _facts(self, entry: HistoryEntry, position: Position | None = None) -> tuple[Fact, ...]:
        """Return the facts that an entry names, with what the record knows of them."""
        said = list(_said(entry))
        more = _MORE.search(entry.what)
        if more is not None:
            said += self._unnamed(int(more["count"]))
        facts = [self._fact(word, key, entry, position) for word, key in said]
        return tuple(fact for fact in facts if fact is not None)

    def _unnamed(self, count: int) -> list[tuple[str, str]]:
        """Return the facts that no entry names, if they are just those that this one leaves out."""
        stored = self.stored
        named = {pair for entry in stored.history for pair in _said(entry)}
        known = [
            *((word, key) for key, attempt in stored.attempts.items() for word in _words(attempt)),
            *((f"refund {refund.state.value}", key) for key, refund in stored.refunds.items()),
            *((f"dispute {dispute.state.value}", key) for key, dispute in stored.disputes.items()),
        ]
        left = [pair for pair in known if pair not in named]
        return left if len(left) == count else []

    def _fact(  # noqa: C901, PLR0911, PLR0912 - one case for each kind
        self, word: str, key: str, entry: HistoryEntry, position: Position | None
    ) -> Fact | None:
        stored = self.stored
        if word.startswith("refund ") and key in stored.refunds:
            refund = stored.refunds[key]
            state = RefundState(word.removeprefix("refund "))
            return Refunded(
                payment=refund.payment_id,
                refund=key,
                amount_minor=refund.amount_minor,
                state=state,
                intent=refund.intent,
            )
        if word.startswith("dispute ") and key in stored.disputes:
            return _disputed(key, stored.disputes[key], DisputeState(word.removeprefix("dispute ")))
        attempt = stored.attempts.get(key)
        if attempt is None:
            return None
        about: dict[str, Any] = {"payment": key, "created_at": attempt.created_at, "method": attempt.method}
        match word:
            case "signed":
                return Signed(payment=key, at=attempt.signed_at or epoch(entry.at))
            case "authorized":
                return Authorized(**about)
            case "captured":
                amount, currency = attempt.amount_minor or 0, attempt.currency or ""
                return Captured(**about, amount_minor=amount, currency=currency, fee_minor=attempt.fee_minor)
            case "failed":
                about |= {"code": attempt.code, "reason": attempt.reason, "at": attempt.failed_at}
                return Failed(**about, listed_at=attempt.listed_failed_at)
            case "never captured":
                return NeverCaptured(payment=key)
            case "accepted":
                return Accepted(payment=key, by=entry.by)
            case "released":
                return Released(payment=key, by=entry.by)
            case "refunds agree" | "refund total agrees":
                total = 0 if position is None else position.refunded_minor(key)
                return RefundTotal(payment=key, amount_minor=total, complete=True)
            case "refunds differ" | "refund total differs":
                is_complete = word == "refund total differs"
                return RefundTotal(payment=key, amount_minor=attempt.total_minor, complete=is_complete)
            case _:
                return None


def _said(entry: HistoryEntry) -> Iterator[tuple[str, str]]:
    """Return the facts that an entry names: a word, and the payment or refund."""
    for part in _MORE.sub("", entry.what).split(", "):
        if (found := _FACT.fullmatch(part)) is not None:
            yield found["word"], found["id"]


def _disputed(key: str, dispute: Dispute, state: DisputeState) -> Disputed:
    return Disputed(
        payment=dispute.payment_id,
        dispute=key,
        amount_minor=dispute.amount_minor,
        currency=dispute.currency,
        state=state,
        deducted_minor=dispute.deducted_minor,
        phase=dispute.phase,
        reason_code=dispute.reason_code,
        respond_by=dispute.respond_by,
        created_at=dispute.created_at,
        at=dispute.at,
    )


def _words(attempt: Attempt) -> Iterator[str]:
    facts = {
        "signed": attempt.signed_at is not None,
        "authorized": attempt.authorized,
        "captured": attempt.captured,
        "failed": attempt.failed,
        "never captured": attempt.lapsed,
        "accepted": attempt.accepted,
        "released": attempt.released,
    }
    return (word for word, is_known in facts.items() if is_known)


def _plain(record: Record) -> Decision:
    return Decision(record=record, changed=True)


def _differences(replayed: Record, stored: Record) -> Iterator[str]:
    for name in ("confirmed", "stood", "superseded_by", "expired_at", "released", "reviews"):
        if getattr(replayed, name) != getattr(stored, name):
            yield f"its {name} differ"
    # What is still pending is stored with its whole content, which the replay must give exactly.
    for key, event in stored.pending.items():
        if replayed.pending.get(key) != event:
            yield f"the event {event.type} differs"
