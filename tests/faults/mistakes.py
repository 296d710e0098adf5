"""The checkers are checked: mistakes seeded into the source, each of which must be found.

Each mistake is a plausible one. It is made in a copy of the tree, and the check that should find it, a part of a
campaign or a test, runs on the copy. That check must pass on the unchanged copy and, with the mistake, break an
invariant or fail a test. A copy that does not run at all, or hangs, counts as neither.
"""

import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from queue import SimpleQueue
from typing import Final

from tests.faults.campaigns import Budget, Progress, Report

PROJECT: Final = Path(__file__).parents[2]
_COPIED: Final = (
    *("functions", "shared", "sandbox", "tests", "docs", "events", "pyproject.toml"),
    *("template.yaml", "monitoring.yaml", "web-acl.yaml"),
)
_SECONDS: Final = 600
"""After this a check has hung; the longest takes a few seconds on an idle machine."""
_FOUND: Final = 3
"""The exit status of a campaign that found something; Python's own status for a failed start is 1."""
_WORKERS: Final = 2

# How much of the random campaigns to run. A sixth of this finds nearly every mistake assigned to them.
_STORIES: Final = 60
_REACHED: Final = 0.006
_OUTAGES: Final = 0.1


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake: in `path`, `was` is replaced by `now`."""

    name: str
    why: str
    """Why someone would make it, and what it breaks."""
    path: str
    was: str
    now: str
    found_by: str
    """`campaign: part`, a campaign, or a test; see `find`."""


MISTAKES: Final = (
    # --- expiry
    Mistake(
        "let the expiry override a payment made before it",
        "The order has expired, so what comes afterwards is late. But Razorpay reports payments late, too.",
        "shared/payments/core/position.py",
        "return made_at is None or made_at > self.expired_at",
        "return made_at is None or made_at > 0",
        "crashes: orders expire",
    ),
    Mistake(
        "take a payment on an expired order for any other",
        "Money is money. But the platform was told that nobody paid, and may have given the job away.",
        "shared/payments/core/position.py",
        "        if self.expired_at is None:\n            return False\n        attempt",
        "        if self.expired_at is None or self.order is not None:\n            return False\n        attempt",
        "crashes: orders expire",
    ),
    Mistake(
        "expire an attempted order without asking for its payments",
        "The table would know of a payment. But not if no webhook came.",
        "shared/payments/core/reconciliation.py",
        '        if listed.status != "created":\n            # Somebody tried',
        '        if listed.status == "":\n            # Somebody tried',
        "crashes: orders expire",
    ),
    # --- publishing
    Mistake(
        "publish only when the write won",
        "No write, nothing new. But a writer that died, or whose response was lost, wrote and never published.",
        "shared/payments/core/outbox.py",
        "        published += publish_pending(table, bus, decision.record)\n",
        "        published += publish_pending(table, bus, decision.record) if decision.changed else 0\n",
        "tests/handlers/test_webhook.py::test_a_writer_that_dies_before_publishing_leaves_its_event_to_the_next_delivery",
    ),
    Mistake(
        "publish before the write",
        "A crash in between then loses no event. But a published event need not get stored.",
        "shared/payments/core/outbox.py",
        "        decision = record_facts(table, order_id, batch,",
        "        if (found := table.read(order_id)) is not None:\n"
        "            publish_pending(table, bus, decide(found, batch, now, policy).record)\n"
        "        decision = record_facts(table, order_id, batch,",
        "interleavings: captured, order.paid",
    ),
    Mistake(
        "clear before publish",
        "Prevents a second publish. But a crash in between loses the event.",
        "shared/payments/core/outbox.py",
        "    accepted = bus.publish(",
        "    table.clear(record, record.pending.keys())\n    accepted = bus.publish(",
        "outages",
    ),
    Mistake(
        "clear the whole map",
        "One write instead of a list of keys. But it also clears events that the bus refused.",
        "shared/payments/adapters/table.py",
        '    for key in event_ids:\n        update.remove(("pending", key))\n    return update',
        '    update.set(("pending",), {})\n    return update',
        "tests/handlers/test_webhook.py::test_of_several_events_only_the_refused_one_is_sent_again",
    ),
    Mistake(
        "ignore FailedEntryCount",
        "PutEvents answered 200. It does so even when it refuses entries.",
        "shared/payments/adapters/bus.py",
        'if entry.get("EventId") and not entry.get("ErrorCode"):',
        "if entry is not None:",
        "tests/handlers/test_webhook.py::test_of_several_events_only_the_refused_one_is_sent_again",
    ),
    Mistake(
        "set no due time for pending events",
        "They are published in a moment. But if the publisher dies, nothing finds them.",
        "shared/payments/core/attention.py",
        "    soon = now + OUTBOX_DELAY_S\n    if record.pending:",
        "    soon = now + OUTBOX_DELAY_S\n    if False:",
        "reachability",
    ),
    Mistake(
        "draw the event id at random",
        "UUIDs are random. But consumers cannot deduplicate an event that is recorded again.",
        "shared/payments/core/events.py",
        "    return str(uuid5(_NAMESPACE, ",
        '    return str(uuid5(__import__("uuid").uuid4(), ',
        "tests/core/test_events.py",
    ),
    Mistake(
        "put the time into the event id",
        "Events at two times are two events. But a rebuilt record would publish everything again under new ids.",
        "shared/payments/core/announcements.py",
        "event_id(record.order_id, event_type, subject, *parts)",
        'event_id(record.order_id, event_type, f"{subject} {record.updated_at}", *parts)',
        "tests/core/test_events.py",
    ),
    Mistake(
        "date an event when it is published",
        "It occurs now. But then each publish of one event has different bytes.",
        "shared/payments/core/events.py",
        "occurred_at=event.at,",
        "occurred_at=record.updated_at,",
        "tests/core/test_events.py",
    ),
    Mistake(
        "tell the status of now",
        "Consumers want the latest. But then one event has different bytes after the next webhook.",
        "shared/payments/core/events.py",
        "status=event.status,",
        "status=record.status,",
        "tests/core/test_events.py",
    ),
    Mistake(
        "leave surplus out of what is told",
        "Consumers know one payment. But nobody learns that the second one was refunded.",
        "shared/payments/core/announcements.py",
        "        if refund not in of_standing:",
        "        if False:",
        "reachability",
    ),
    # --- writing
    Mistake(
        "take a failed condition for done",
        "Another writer has stored it already. But that need not be the same change.",
        "shared/payments/core/outbox.py",
        "        except StorageConflict:\n            continue\n        except TableUnavailable:",
        "        except StorageConflict:\n            return decision\n        except TableUnavailable:",
        "tests/handlers/test_verify.py::test_a_webhook_between_the_read_and_the_write_of_verify_is_not_lost",
    ),
    Mistake(
        "write without looking at the version",
        "The record was read a moment ago. But the slower of two writers overwrites the faster one.",
        "shared/payments/adapters/table.py",
        '    return _record_key(before.order_id), update, update.equals("version", before.version)',
        '    return _record_key(before.order_id), update, "attribute_exists(pk)"',
        "tests/handlers/test_verify.py::test_a_webhook_between_the_read_and_the_write_of_verify_is_not_lost",
    ),
    Mistake(
        "read eventually consistent",
        "Half the price. But the read may return the state before one's own write.",
        "shared/payments/adapters/table.py",
        "ConsistentRead=True",
        "ConsistentRead=False",
        "crashes: cold starts",
    ),
    Mistake(
        "acknowledge what could not be stored",
        "Razorpay must not disable the webhook. But it never resends an event after a 2xx.",
        "functions/webhook/app.py",
        "    if delivery.created_at is not None and now - delivery.created_at >= _RETRY_FOR_S:",
        "    if delivery.facts:",
        "tests/handlers/test_webhook.py::test_what_a_later_delivery_can_cure_is_503_and_the_later_delivery_cures_it",
    ),
    Mistake(
        "refuse an old event for ever",
        "It is genuine, so it must be stored. But after a day of refusals Razorpay disables the webhook.",
        "functions/webhook/app.py",
        "now - delivery.created_at >= _RETRY_FOR_S:",
        "now - delivery.created_at >= 3 * _RETRY_FOR_S:",
        "tests/handlers/test_webhook.py::test_an_event_of_twelve_hours_is_given_up_counted_and_alarmed_on",
    ),
    Mistake(
        "drop what is said of an unknown order",
        "It is not ours. But it may be, if the record was lost or is not stored yet.",
        "functions/webhook/app.py",
        "keep_unknown=True",
        "keep_unknown=False",
        "tests/judge/test_ten_classes.py::test_an_order_of_ours_that_was_never_recorded_is_rebuilt",
    ),
    Mistake(
        "leave the timeouts as they come",
        "A minute gives DynamoDB time to respond. But Razorpay waits only five seconds.",
        "shared/payments/wiring/aws.py",
        '_TABLE_TIMEOUTS = {"connect_timeout": 0.5, "read_timeout": 1.0}',
        '_TABLE_TIMEOUTS = {"connect_timeout": 60.0, "read_timeout": 60.0}',
        "crashes: cold starts",
    ),
    Mistake(
        "let blocks of payment ids overlap",
        "The counter gives the start of a block. But it grew by one, so the next block starts inside this one.",
        "shared/payments/adapters/table.py",
        '        update.add("last_taken", count)',
        '        update.add("last_taken", 1)',
        "tests/handlers/test_create_order.py::test_another_instance_takes_another_block",
    ),
    Mistake(
        "clear with all keys in one expression",
        "One write instead of several. But above 4 KB DynamoDB always refuses it.",
        "shared/payments/adapters/table.py",
        "_MOST_CLEARED = 50",
        "_MOST_CLEARED = 5_000",
        "tests/judge/test_repairs.py",
    ),
    # --- deciding
    Mistake(
        "call a lost dispute a refund",
        "The client has the money back. But nobody refunded it, and a person must look before anybody pays again.",
        "shared/payments/core/announcements.py",
        "        known = [] if _deductions(after) != _deductions(before) else sorted(",
        "        known = sorted(",
        "tests/core/test_disputes.py",
    ),
    Mistake(
        "sell again what a dispute has taken",
        "It was returned, so nothing is held. The client has the work and the money, and buys it again.",
        "shared/payments/core/position.py",
        "        return bool(self.losses()) or any(",
        "        return any(",
        "tests/core/test_disputes.py",
    ),
    Mistake(
        "rank failed above authorized",
        "The failure came later. But Razorpay can still capture a failed payment.",
        "shared/payments/core/position.py",
        "        return attempt.authorized and not attempt.captured and not attempt.released",
        "        return attempt.authorized and not attempt.failed and not attempt.captured and not attempt.released",
        "reachability",
    ),
    Mistake(
        "let a refunded order be paid again",
        "A capture is a capture. But consumers would see a closed order reopen.",
        "shared/payments/core/position.py",
        "        if self.refunded or (matches and",
        "        if (matches and",
        "reachability",
    ),
    Mistake(
        "count a refund that was only created",
        "It is on its way. But it may still fail, and `refunded` is final.",
        "shared/payments/core/position.py",
        "        return self._sum(payment, RefundState.PROCESSED)\n",
        "        return self._sum(payment, RefundState.PROCESSED) + self._sum(payment, RefundState.CREATED)\n",
        "reachability",
    ),
    Mistake(
        "believe the last word about a refund",
        "The newest delivery knows best. But the last to arrive may be the oldest.",
        "shared/payments/core/facts.py",
        "        if fact.state.rank > known.state.rank:",
        "        if fact.state is not known.state:",
        "reachability",
    ),
    Mistake(
        "take a capture told again for news",
        "payment.captured and order.paid are two events. But they report one fact, which changes a record once.",
        "shared/payments/core/facts.py",
        "        is_news = known is None or _without_details(grown) != _without_details(known) or",
        "        is_news = known is None or isinstance(fact, Captured) or grown != known or",
        "reachability",
    ),
    Mistake(
        "tell of every capture that the order is paid",
        "Money came. But a second capture must be refunded, and consumers would pay out twice.",
        "shared/payments/core/announcements.py",
        "    if after.standing is not None and record.stood is None:\n"
        '        recorder.record("payment.paid", after.standing, subject=record.order_id)',
        "    for payment in set(after.all_matches()) - set(before.all_matches()):\n"
        '        recorder.record("payment.paid", payment)',
        "reachability",
    ),
    Mistake(
        "compare no amounts",
        "Razorpay accepts only the order's amount. But not with a fee that the customer bears.",
        "shared/payments/core/position.py",
        "        if attempt.amount_minor == order.amount_minor:",
        "        if attempt.amount_minor is not None:",
        "reachability",
    ),
    Mistake(
        "know nothing of the fee that a customer bears",
        "The payment's sum differs from the order's. But it includes Razorpay's fee; the merchant gets the agreed sum.",
        "shared/payments/core/position.py",
        "        if attempt.fee_minor is not None and attempt.amount_minor == order.amount_minor + attempt.fee_minor:",
        "        if False:",
        "tests/judge/test_ten_classes.py::test_a_fee_that_the_customer_bears_is_no_other_sum",
    ),
    Mistake(
        "call a payment returned by its own sum alone",
        "All of it was refunded. But with a customer fee only the agreed sum is refunded.",
        "shared/payments/core/position.py",
        "            amount = min(amount, self.order.amount_minor)\n",
        "            pass\n",
        "reachability",
    ),
    Mistake(
        "keep the status when another sum is captured",
        "It is not what was agreed. But then the client gets another order while we hold the money.",
        "shared/payments/core/position.py",
        "        if any(map(self.holds_money, self.attempts)):\n            return Status.AUTHORIZED\n",
        "",
        "tests/judge/test_ten_classes.py::test_a_capture_of_another_sum_is_under_review_however_it_was_learned",
    ),
    Mistake(
        "let a superseded order be paid like any other",
        "The sum is as agreed. But the client has another order for the same work, and pays twice.",
        "shared/payments/core/position.py",
        "        is_in_time = not self.superseded and not self.is_late(payment)\n",
        "        is_in_time = not self.is_late(payment)\n",
        "reachability",
    ),
    Mistake(
        "let a failed webhook end a signature",
        "It failed. But failed, then authorised, is normal for one payment.",
        "shared/payments/core/position.py",
        "        if attempt.signed_at is None or attempt.listed_failed_at is None:\n"
        "            return False\n"
        "        return attempt.listed_failed_at > attempt.signed_at and not",
        "        if attempt.signed_at is None or not attempt.failed:\n            return False\n        return not",
        "reachability",
    ),
    Mistake(
        "ignore Razorpay's sum of the refunds",
        "The refunds themselves are authoritative. But refunds without a webhook are only in the sum.",
        "shared/payments/core/facts.py",
        "        elif total.amount_minor > known.total_minor and not agrees:",
        "        elif False:",
        "tests/judge/test_repairs.py",
    ),
    # --- ordering
    Mistake(
        "leave the old order payable",
        "Nobody will pay it. But a customer with its Checkout open can.",
        "shared/payments/core/ordering.py",
        "        old = None if current is None else (current, supersede(current, fresh.order_id, self._now))",
        "        old = None",
        "crashes: another amount and back",
    ),
    Mistake(
        "hand out the open order whatever was agreed",
        "There is one already. But it is for the amount agreed earlier.",
        "shared/payments/core/ordering.py",
        "            and current.order.same_fields(self._offer)\n",
        "",
        "tests/judge/test_ten_classes.py::test_a_client_who_paid_a_superseded_order_is_not_sold_a_third",
    ),
    Mistake(
        "decide over the current order alone",
        "It is the one that is returned. But money on an older order is ignored, and the client gets a third.",
        "shared/payments/core/ordering.py",
        "        _refuse_if_sold(records.values(), candidate)\n",
        "        _refuse_if_sold([current] if current is not None else [], candidate)\n",
        "tests/judge/test_ten_classes.py::test_a_client_who_paid_a_superseded_order_is_not_sold_a_third",
    ),
    Mistake(
        "replace an order without asking Razorpay",
        "Webhooks arrive within seconds. But in that time a client who has just paid gets another order.",
        "shared/payments/core/ordering.py",
        "        if self._look_before_replacing(application, records):\n            return None\n",
        "",
        "tests/judge/test_ten_classes.py::test_a_client_who_has_just_paid_is_not_sold_another_order_though_no_webhook_came",
    ),
    Mistake(
        "call a refused amount a mistake of ours",
        "Razorpay refused, so our account needs attention. But it is the client's amount that is too high.",
        "shared/payments/adapters/gateway.py",
        '    elif error.get("field") == "amount":',
        "    elif False:",
        "tests/judge/test_ten_classes.py::test_an_amount_that_razorpay_calls_too_high_is_the_clients_mistake",
    ),
    # --- repairing
    Mistake(
        "count due times from an order's birth",
        "It is as old as its order. But a later payment, refund or return is never checked.",
        "shared/payments/core/attention.py",
        "    newest = epoch(record.updated_at)\n"
        "    watch = next((newest + age for age in WATCH_AGES_S if newest + age > now), now + WEEK_S)",
        "    newest = epoch(record.created_at)\n"
        "    watch = next((newest + age for age in WATCH_AGES_S if newest + age > now), None)",
        "outages",
    ),
    Mistake(
        "look for payments that are new alone",
        "After a day everything is known. But a payment may be captured later, and lists lag.",
        "shared/payments/core/sweeping.py",
        '    *(Pass("refunds", age, every) for age, every in _AGES),\n    Pass("refunds", 15 * _DAY_S, _DAY_S),\n',
        "",
        "tests/judge/test_ten_classes.py::test_a_refund_by_hand_is_found_without_its_webhooks",
    ),
    Mistake(
        "read the first page of a slice",
        "A slice of five minutes fits on a page. But on a busy day it does not.",
        "shared/payments/core/sweeping.py",
        "        if len(page) < PAGE:\n",
        "        if page is not None:\n",
        "tests/core/test_sweeping.py",
    ),
    Mistake(
        "move the watermark before the page is applied",
        "Prevents a second read. But a crash in between skips the page.",
        "shared/payments/core/sweeping.py",
        "        following = _read_slice(mark, end, read, apply, is_over)\n"
        "        try:\n"
        "            marks.move_watermark(name, seen, following)",
        "        try:\n"
        "            pages: list[Sequence[Entry]] = []\n"
        "            following = _read_slice(mark, end, read, pages.append, is_over)\n"
        "            marks.move_watermark(name, seen, following)\n"
        "            for page in pages:\n"
        "                apply(page)",
        "tests/core/test_sweeping.py",
    ),
    Mistake(
        "take wrong keys for no such order",
        "Razorpay returned 400, as for an unknown order. But our own order would be deleted after 30 days.",
        "shared/payments/core/reconciliation.py",
        "        listed = self.gateway.order(record.order_id)\n",
        "        from payments.core.errors import GatewayRefused\n"
        "\n"
        "        try:\n"
        "            listed = self.gateway.order(record.order_id)\n"
        "        except GatewayRefused:\n"
        "            self.table.save(record, foreign(record, now))\n"
        "            return Outcome.FOREIGN\n",
        "tests/judge/test_ten_classes.py::test_an_order_of_ours_is_not_taken_for_foreign_while_the_keys_are_wrong",
    ),
    Mistake(
        "leave a record that fails as it is",
        "It stays due and is retried. But the same few come first in every run, and no other record gets a turn.",
        "shared/payments/core/reconciliation.py",
        "            table.save(record, attention.after_failure(record, now))",
        "            table.save(record, record)",
        "tests/judge/test_repairs.py",
    ),
    Mistake(
        "take another installation's orders for ours",
        "Marker and stage are ours. But two stacks of one stage on an account would adopt each other's orders.",
        "shared/payments/core/listing.py",
        "    if installation is not None and installation != origin.installation:",
        "    if False:",
        "tests/judge/test_ten_classes.py::test_two_stacks_on_one_account_leave_each_others_orders_alone",
    ),
    # --- permissions
    Mistake(
        "let anybody verify anybody's payment",
        "The signature proves it. But a stranger learns that the order exists, and its outcome.",
        "functions/verify/app.py",
        "        if record.order is None or record.order.client_id != user_id:",
        "        if record.order is None:",
        "tests/handlers/test_verify.py::test_somebody_elses_order_and_an_unknown_one_look_the_same_to_the_byte",
    ),
    Mistake(
        "check no signature once Razorpay has spoken",
        "The webhook has proven the payment. But not the one that this caller claims.",
        "functions/verify/app.py",
        "        if not service.is_signed(",
        "        if not record.attempts and not service.is_signed(",
        "tests/handlers/test_verify.py::test_a_bad_signature_does_not_undo_a_good_one",
    ),
    Mistake(
        "refuse what Checkout never sent before",
        "Unknown fields are refused everywhere. But Checkout's object is Razorpay's, and mobile SDKs add fields.",
        "shared/payments/core/wire.py",
        "class VerifyBody(Body):",
        'class VerifyBody(Body, extra="forbid"):',
        "tests/judge/test_ten_classes.py::test_checkouts_object_may_have_more_fields",
    ),
    Mistake(
        "check the signature over JSON written again",
        "The body is parsed anyway. But escaped slashes and non-ASCII text change when re-serialized.",
        "shared/payments/core/signature.py",
        "def webhook_signature_is_valid(",
        "def webhook_signature_is_valid(raw, signature, secrets):  # type: ignore\n"
        "    import json\n"
        "    try:\n"
        "        raw = json.dumps(json.loads(raw), separators=(',', ':')).encode()\n"
        "    except ValueError:\n"
        "        return False\n"
        "    return _webhook_signature_is_valid(raw, signature, secrets)\n\n\n"
        "def _webhook_signature_is_valid(",
        "tests/core/test_signature.py",
    ),
    Mistake(
        "forget the previous secret",
        "There is a new one. But Razorpay signs retries with the old one.",
        "shared/payments/core/signature.py",
        "    return any(matches)",
        "    return matches[0]",
        "tests/core/test_signature.py",
    ),
    Mistake(
        "accept an empty secret",
        "The settings are checked elsewhere. But with an empty key anyone can sign.",
        "shared/payments/core/signature.py",
        "    if not secret:\n",
        "    if False:\n",
        "tests/core/test_signature.py",
    ),
    Mistake(
        "read a body before its signature is checked",
        "An unusable body need not be verified. But then a stranger gets a 200 and can raise an alarm.",
        "functions/webhook/app.py",
        "    if not service.is_signed(",
        "    try:\n        read_delivery(body)\n    except UnusableEvent:\n"
        '        return Response(200, {"status": "ok"})\n    if not service.is_signed(',
        "tests/handlers/test_webhook.py::test_a_body_is_not_even_read_before_its_signature_is_checked",
    ),
    Mistake(
        "log the body that cannot be used",
        "An operator will want to see it. But it contains the customer's e-mail address and number.",
        "functions/webhook/app.py",
        "        log.note(why=unusable.why, **unusable.ids)",
        '        log.note(why=f"{unusable.why}: {body!r}", **unusable.ids)',
        "tests/handlers/test_secrecy.py::test_nothing_of_an_event_that_is_secret_or_personal_leaves_the_service",
    ),
    Mistake(
        "refuse a large body before its signature is checked",
        "It is too large to be genuine. But notes in any script make genuine bodies large.",
        "functions/webhook/app.py",
        "_MAX_BODY_BYTES = 10 * 1024 * 1024",
        "_MAX_BODY_BYTES = 64 * 1024",
        "tests/judge/test_ten_classes.py::test_a_genuine_body_that_is_large_is_acknowledged",
    ),
)


def run(budget: Budget, progress: Progress) -> Report:
    """Makes every mistake, or a sample of them, one at a time; also checks the unchanged copy.

    Raises:
        AssertionError: a mistake was not found, or the unchanged copy does not pass.
    """
    dice = random.Random(budget.seed)  # noqa: S311 - reproducible on purpose
    quick = [mistake for mistake in MISTAKES if not mistake.found_by.startswith("crashes: ")]
    # A full scenario takes minutes, so samples use only the others.
    chosen = dice.sample(quick, max(round(len(MISTAKES) * budget.share), 1)) if budget.share < 1 else MISTAKES
    jobs: list[tuple[str, Mistake | None]] = [(one, None) for one in sorted({one.found_by for one in chosen})]
    jobs += [(mistake.found_by, mistake) for mistake in chosen]
    progress(0, len(jobs))
    with ExitStack() as stack:
        trees: SimpleQueue[Path] = SimpleQueue()
        for _ in range(_WORKERS):
            trees.put(stack.enter_context(copy()))
        pool = stack.enter_context(ThreadPoolExecutor(_WORKERS))
        running = [pool.submit(_judge, trees, checker, mistake, budget.seed) for checker, mistake in jobs]
        stack.callback(lambda: [waiting.cancel() for waiting in running])
        for done, judged in enumerate(as_completed(running), 1):
            judged.result()
            progress(done, len(jobs))
    return Report(
        title="Seeded mistakes",
        what=(
            "Mistakes that somebody could make for a reason that sounds good (`tests/faults/mistakes.py` lists them), "
            "made in a copy of the source one at a time. The campaigns and the tests pass on the untouched copy, and "
            "find each mistake: by an invariant that breaks or a test that fails, never by a copy that does not run. "
            "[invariants.md](../invariants.md) says which campaign finds which."
        ),
        figures={"mistakes": len(chosen), "found": len(chosen)},
    )


def _judge(trees: SimpleQueue[Path], checker: str, mistake: Mistake | None, seed: int) -> None:
    """Seeds a mistake into one of the copies, or none.

    Raises:
        AssertionError: it was not found, or the check failed on a copy without a mistake.
    """
    tree = trees.get()
    try:
        if mistake is None:
            words = check(tree, checker, seed)
            assert words is None, f"{checker} fails on the untouched copy: {words}"
            return
        with made(tree, mistake):
            words = check(tree, checker, seed)
        assert words is not None, f"{checker} did not find the mistake “{mistake.name}” (seed {seed})"
    finally:
        trees.put(tree)


@contextmanager
def copy() -> Iterator[Path]:
    """A copy of what the tests need, without git, environments and builds."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder)
        for name in _COPIED:
            source = PROJECT / name
            if source.is_dir():
                # Bytecode too: it stays valid because the copied sources keep their times.
                shutil.copytree(source, tree / name)
            else:
                shutil.copy(source, tree / name)
        yield tree


@contextmanager
def made(tree: Path, mistake: Mistake) -> Iterator[None]:
    """Puts the mistake into the copy inside the context."""
    path = tree / mistake.path
    source = path.read_text(encoding="utf-8")
    assert source.count(mistake.was) == 1, f"“{mistake.name}” does not fit {mistake.path} any more"
    path.write_text(source.replace(mistake.was, mistake.now), encoding="utf-8")
    try:
        yield
    finally:
        path.write_text(source, encoding="utf-8")


def check(tree: Path, checker: str, seed: int) -> str | None:
    """Runs a checker on a copy; returns None if it passes, otherwise its message.

    Raises:
        AssertionError: it gave no result.
    """
    if checker.startswith("tests/"):
        command = ["-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "--tb=line", checker]
    else:
        command = ["-m", "tests.faults.mistakes", checker, str(seed)]
    environment = {**os.environ, "PYTHONPATH": "shared:.", "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        # The same interpreter and fixed arguments, in our own folder.
        done = subprocess.run(  # noqa: S603 - as above
            [sys.executable, *command],
            cwd=tree,
            env=environment,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise AssertionError(f"{checker} came to no end within {_SECONDS} s") from None
    said = done.stdout + done.stderr
    if done.returncode == 0:
        return None
    lines = said.splitlines()
    failed = [line.removeprefix("FAILED ") for line in lines if line.startswith("FAILED ")]
    found = failed or (lines[-1:] if done.returncode == _FOUND else [])
    assert found, f"{checker} does not run (exit status {done.returncode}):\n{said}"
    return found[0]


def find(checker: str, seed: int) -> None:
    """Runs a part of a campaign on the tree in which this process was started.

    Args:
        checker: `crashes: …`, every single fault and outage of that scenario; `interleavings: …`, every order of calls
            of that meeting; or the name of a random campaign, of which a part is run.
        seed: of its random choices.

    Raises:
        AssertionError: it found something.
    """
    campaign, _, part = checker.partition(": ")
    match campaign:
        case "crashes":
            _strike_each(part)
        case "interleavings":
            _play_each_order(part)
        case "machine":
            from tests.faults import machine  # noqa: PLC0415 - as below

            machine.play(_STORIES, seed, lambda _: None, shrink=False)
        case "outages" | "reachability":
            share = {"outages": _OUTAGES, "reachability": _REACHED}[campaign]
            import_module(f"tests.faults.{campaign}").run(Budget(share, seed), lambda _done, _of: None)
        case _:
            raise ValueError(f"{checker}: no campaign of this name")


def _strike_each(scenario: str) -> None:
    # Each process loads only what it runs, since loading is half of its time.
    from tests.faults.crashes import Case, outages, play, singles  # noqa: PLC0415 - as above
    from tests.faults.rig import installed  # noqa: PLC0415 - as above

    with installed() as install:
        undisturbed = play(Case(scenario), install)
        for case in (*singles(scenario, undisturbed), *outages(scenario, undisturbed)):
            play(case, install, undisturbed=undisturbed)


def _play_each_order(meeting: str) -> None:
    from tests.faults.interleavings import Explorer  # noqa: PLC0415 - as above
    from tests.faults.rig import installed  # noqa: PLC0415 - as above

    with installed() as install:
        explorer = Explorer(install, meeting)
        explorer.play_serially()
        explorer.play_all(struck=False)


def words_of(cause: AssertionError) -> str:
    """The result in one line: the failed check's message, or its source if it has none."""
    message = next(iter(str(cause).splitlines()), "").strip()
    if message:
        return message
    frame = traceback.extract_tb(cause.__traceback__)[-1]
    return re.sub(r"\s+", " ", frame.line or frame.name)


def main(arguments: Sequence[str]) -> int:
    """Runs one checker on the tree in which it is started; the last line printed is the result."""
    checker, seed = arguments
    try:
        find(checker, int(seed))
    except Exception as error:
        # A failed check, or another error.
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        if isinstance(cause, AssertionError):
            sys.stdout.write(f"{words_of(cause)}\n")
            return _FOUND
        raise
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
