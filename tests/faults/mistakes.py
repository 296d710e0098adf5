"""The checkers are checked: mistakes seeded into the source, each of which must be found.

Each mistake is one that somebody could make for a reason that sounds good. It is made in a copy of the tree, never in
the tree itself, and the part of the suite that is to find it runs on the copy: a part of a campaign, or a test. On the
copy as it was that part must be content, and with the mistake it must break an invariant or fail a test. A copy that
does not even run, or runs for ever, counts as neither.
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
_COPIED: Final = ("functions", "shared", "sandbox", "tests", "docs", "events", "template.yaml", "pyproject.toml")
_SECONDS: Final = 300
"""When a part has hung; the longest takes a few seconds on a machine that is not busy."""
_FOUND: Final = 3
"""The exit status of a campaign that found something; Python's own, when it cannot even begin, is 1."""
_WORKERS: Final = 2
_LONGEST_CELL: Final = 110

# How much of the campaigns that draw at random. A sixth of it finds nearly every mistake that is left to them.
_SCHEDULES: Final = 2_000
_STORIES: Final = 60
_REACHED: Final = 0.003
_OUTAGES: Final = 0.1


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake: in `path`, `was` is replaced by `now`."""

    name: str
    why: str
    """Why somebody would, and what it breaks."""
    path: str
    was: str
    now: str
    found_by: str
    """`campaign: part`, a campaign, or a test; see `find`."""


MISTAKES: Final = (
    # --- telling others
    Mistake(
        "publish only when the write won",
        "Who did not write has no news. But a writer whose answer was lost, or who died, wrote and never told.",
        "functions/webhook/app.py",
        "log.note(published=deliver(service.table, service.bus, record) or None)",
        "log.note(published=(deliver(service.table, service.bus, record) if decision.changed else 0) or None)",
        "tests/handlers/test_webhook.py::"
        "test_a_writer_that_dies_before_publishing_leaves_its_event_to_the_next_delivery",
    ),
    Mistake(
        "publish before the write",
        "Then nobody can die in between and not tell. But what was told need not come to be stored.",
        "functions/webhook/app.py",
        "    decision = record_facts(service.table, ",
        "    from payments.core.transitions import decide\n"
        "    if (found := service.table.read(delivery.order_id)) is not None:\n"
        "        deliver(service.table, service.bus, decide(found, delivery.facts, now).record)\n"
        "    decision = record_facts(service.table, ",
        "crashes: the good case",
    ),
    Mistake(
        "clear before publish",
        "So that nobody publishes it again. Whoever dies in between has lost it.",
        "shared/payments/core/handoff.py",
        "    accepted = bus.publish(",
        "    _clear(table, record, record.pending.keys())\n    accepted = bus.publish(",
        "crashes: cold starts",
    ),
    Mistake(
        "clear the whole map",
        "One write instead of a list of keys. What the bus refused goes with it.",
        "shared/payments/adapters/table.py",
        '        for key in sorted(event_ids):\n            update.remove(("pending", key))\n        if record',
        '        update.set(("pending",), {})\n        if record',
        "crashes: no webhook comes",
    ),
    Mistake(
        "ignore FailedEntryCount",
        "PutEvents answered 200. It does so even when it refuses entries.",
        "shared/payments/adapters/bus.py",
        'if entry.get("EventId") and not entry.get("ErrorCode"):',
        "if entry is not None:",
        "crashes: cold starts",
    ),
    Mistake(
        "clear whatever the version",
        "The events that were published stay published. But another may have come, and its due time goes with theirs.",
        "shared/payments/adapters/table.py",
        "        self._update(_record_key(record.order_id), update, record.version)",
        '        update.names["#pk"] = "pk"\n'
        '        update.values[":pk"] = _record_key(record.order_id)\n'
        '        self._execute(_record_key(record.order_id), update, "#pk = :pk")',
        "interleavings: captured, refunded in full",
    ),
    Mistake(
        "drop the due time with events still pending",
        "The record is closed. What the bus refused would wait for ever.",
        "shared/payments/adapters/table.py",
        "        if record.pending.keys() <= set(event_ids) and not is_open",
        "        if not is_open",
        "crashes: no webhook comes",
    ),
    Mistake(
        "write the due time only when it changed",
        "What has not changed need not be written. But a clear may have removed it since it was read.",
        "shared/payments/adapters/table.py",
        " if added else set()",
        " if False else set()",
        "interleavings: captured, refunded in full",
    ),
    Mistake(
        "set no due time for pending events",
        "They are published in a moment. If the publisher dies, nobody looks for them.",
        "shared/payments/core/attention.py",
        "    if pending or status is Status.UNKNOWN:",
        "    if status is Status.UNKNOWN:",
        "schedules",
    ),
    Mistake(
        "draw the event id at random",
        "UUIDs are random. Then an event that is recorded again is another one to whoever deduplicates.",
        "shared/payments/core/events.py",
        "    return str(uuid5(_NAMESPACE, ",
        '    return str(uuid5(UUID(int=__import__("random").getrandbits(128)), ',
        "tests/core/test_events.py",
    ),
    Mistake(
        "put the time into the event id",
        "Events at two times are two events. A record that is rebuilt would tell everything again under new ids.",
        "shared/payments/core/transitions.py",
        "self.events[event_id(record.order_id, event_type, subject, reason)]",
        'self.events[event_id(record.order_id, event_type, f"{subject} {record.updated_at}", reason)]',
        "tests/core/test_events.py",
    ),
    Mistake(
        "date an event when it is published",
        "It occurs now. Then one event has other bytes each time.",
        "shared/payments/core/events.py",
        '"occurred_at": event.at,',
        '"occurred_at": record.updated_at,',
        "schedules",
    ),
    Mistake(
        "tell the status of now",
        "Consumers want the latest. Then one event has other bytes after the next webhook.",
        "shared/payments/core/events.py",
        '"status": event.status.value,',
        '"status": record.status.value,',
        "schedules",
    ),
    # --- writing
    Mistake(
        "take a failed condition for done",
        "Somebody else stored it already. But what they stored need not be this.",
        "shared/payments/core/handoff.py",
        "        except StorageConflict:\n            continue\n        except TableUnavailable:",
        "        except StorageConflict:\n            return decision\n        except TableUnavailable:",
        "interleavings: verify, authorized",
    ),
    Mistake(
        "write without looking at the version",
        "The record was read a moment ago. The slower of two writers takes back what the faster one stored.",
        "shared/payments/core/handoff.py",
        "                table.save(stored, decision.record)",
        "                table.save(table.read(order_id) or stored, decision.record)",
        "interleavings: verify, authorized",
    ),
    Mistake(
        "read eventually consistent",
        "Half the price. But what is read may be what was before one's own write.",
        "shared/payments/adapters/table.py",
        "ConsistentRead=True",
        "ConsistentRead=False",
        "crashes: cold starts",
    ),
    Mistake(
        "acknowledge what could not be stored",
        "Razorpay must not switch the webhook off. But it never sends again what it got a 2xx for.",
        "functions/webhook/app.py",
        "    if delivery.created_at is None or now - delivery.created_at >= _RETRY_FOR_S:",
        "    if delivery.facts:",
        "crashes: the good case",
    ),
    Mistake(
        "refuse an old event for ever",
        "It is genuine, so it must come in. After a day of refusals Razorpay switches the webhook off.",
        "functions/webhook/app.py",
        "now - delivery.created_at >= _RETRY_FOR_S:",
        "now - delivery.created_at >= 3 * _RETRY_FOR_S:",
        "outages",
    ),
    Mistake(
        "drop what is said of an unknown order",
        "It is not ours. It may be ours, if the record was lost or is still to come.",
        "functions/webhook/app.py",
        "keep_unknown=True",
        "keep_unknown=False",
        "crashes: an unknown order",
    ),
    Mistake(
        "leave the timeouts as they come",
        "A minute gives DynamoDB time to answer. Razorpay waits for five seconds.",
        "shared/payments/wiring/aws.py",
        '_TABLE_TIMEOUTS = {"connect_timeout": 0.5, "read_timeout": 1.0}',
        '_TABLE_TIMEOUTS = {"connect_timeout": 60.0, "read_timeout": 60.0}',
        "crashes: cold starts",
    ),
    Mistake(
        "let blocks of payment ids overlap",
        "The counter says where a block begins. It grew by one, so the next instance begins inside this block.",
        "shared/payments/wiring/create_order.py",
        "iter(self._table.take_payment_ids(_ID_BLOCK))",
        "iter(range(first := self._table.take_payment_ids(1)[0], first + _ID_BLOCK))",
        "machine",
    ),
    # --- deciding
    Mistake(
        "rank failed above authorized",
        "The failure came later. But Razorpay can still capture what it called failed.",
        "shared/payments/core/transitions.py",
        "        if any(attempt.authorized for attempt in alive):\n            return Status.AUTHORIZED\n",
        "        if any(attempt.authorized and not attempt.failed for attempt in alive):\n"
        "            return Status.AUTHORIZED\n",
        "reachability",
    ),
    Mistake(
        "let a refunded order be paid again",
        "A capture is a capture. Consumers would see an order that was closed come back.",
        "shared/payments/core/transitions.py",
        "if self.order is None or before is Status.REFUNDED:",
        "if self.order is None:",
        "schedules",
    ),
    Mistake(
        "count a refund that was only created",
        "It is on its way. It may still fail, and refunded is final.",
        "shared/payments/core/transitions.py",
        "            if refund.payment_id == payment and refund.state is RefundState.PROCESSED\n        )",
        "            if refund.payment_id == payment and refund.state is not RefundState.FAILED\n        )",
        "reachability",
    ),
    Mistake(
        "believe the last word about a refund",
        "The newest delivery knows best. But the newest to arrive may be the oldest.",
        "shared/payments/core/transitions.py",
        "fact.state.rank <= known.state.rank",
        "fact.state is known.state",
        "reachability",
    ),
    Mistake(
        "take a capture told again for news",
        "payment.captured and order.paid are two events. They tell one fact, and each changes a record once.",
        "shared/payments/core/transitions.py",
        "        is_news = attempts[fact.payment] != known\n",
        "        is_news = attempts[fact.payment] != known or isinstance(fact, Captured)\n",
        "machine",
    ),
    Mistake(
        "tell of every capture that the order is paid",
        "Money came. A second capture is money to give back, and consumers would pay twice for it.",
        "shared/payments/core/transitions.py",
        '        if known:\n            recorder.review("duplicate_capture", payment)\n        elif record.superseded',
        "        if record.superseded",
        "reachability",
    ),
    Mistake(
        "compare no amounts",
        "Razorpay takes only the order's amount. Not with a fee that the customer bears.",
        "shared/payments/core/transitions.py",
        "    if attempt.amount_minor != order.amount_minor:",
        "    if False:",
        "reachability",
    ),
    Mistake(
        "believe what a payload says of its status",
        "It says captured. Razorpay's own samples of a failed payment say so too.",
        "shared/payments/core/webhooks.py",
        "            return Authorized(payment=payment.id, method=payment.method)",
        "            return _captured(payment) if payment.captured else "
        "Authorized(payment=payment.id, method=payment.method)",
        "tests/core/test_webhooks.py",
    ),
    # --- ordering
    Mistake(
        "hand out one's own order after a lost race",
        "It was made, so why not use it. Then one proposal can be paid twice.",
        "shared/payments/core/ordering.py",
        "what is there now decides.\n            continue",
        "what is there now decides.\n            return Placed(fresh, created=True)",
        "interleavings: create-order, create-order",
    ),
    Mistake(
        "point whatever the pointer says by now",
        "The last one wins. The others have been handed out all the same.",
        "shared/payments/adapters/table.py",
        '            condition = "#order_id = :seen"',
        '            update.names["#pk"] = "pk"\n'
        '            update.values[":seen"] = _pointer_key(client_id, application_id)\n'
        '            condition = "#pk = :seen"',
        "interleavings: create-order, of another amount, after failed",
    ),
    Mistake(
        "leave the old order payable",
        "Nobody will pay it. Whoever has its Checkout open will.",
        "shared/payments/core/ordering.py",
        "current.status is not Status.REFUNDED and current.superseded_by is None:",
        "current.status is Status.AUTHORIZED:",
        "schedules",
    ),
    Mistake(
        "hand out the open order whatever was agreed",
        "There is one already. It is for the amount that was agreed before.",
        "shared/payments/core/ordering.py",
        "    if current.superseded_by is None and current.order.same_fields(offer):",
        "    if current.superseded_by is None:",
        "crashes: another amount",
    ),
    # --- repairing
    Mistake(
        "ask for the first payment only",
        "An order has one payment. It has as many as the customer made attempts.",
        "shared/payments/adapters/gateway.py",
        "for payment in read_payments(_items(listed), order_id):",
        "for payment in read_payments(_items(listed), order_id)[:1]:",
        "outages",
    ),
    Mistake(
        "look at an open order once",
        "Who pays does so within minutes. Banks may take hours, and Razorpay captures late.",
        "shared/payments/core/attention.py",
        "    return next((born + age for age in DUE_AGES_S if born + age > now), None)",
        "    return next((born + age for age in DUE_AGES_S[:1] if born + age > now), None)",
        "outages",
    ),
    Mistake(
        "stop reconcile at the first failure",
        "Errors should not be swallowed. One record that cannot be read would keep all the others waiting.",
        "functions/reconcile/app.py",
        "            self._fail(order_id, error, failure)\n        else:",
        "            raise\n        else:",
        "tests/handlers/test_reconcile.py::test_one_records_failure_does_not_stop_the_others_and_leaves_it_due",
    ),
    Mistake(
        "take every order on the account for ours",
        "It is our account. Other applications, and our other stages, use it too.",
        "shared/payments/core/listing.py",
        "    if notes.service != MARKER or notes.stage != stage:",
        "    if False:",
        "tests/core/test_listing.py",
    ),
    # --- who may
    Mistake(
        "let anybody verify anybody's payment",
        "The signature proves it. But it tells a stranger that the order exists, and what becomes of it.",
        "functions/verify/app.py",
        "        if record.order is None or record.order.client_id != user_id:",
        "        if record.order is None:",
        "tests/handlers/test_verify.py::test_somebody_elses_order_and_an_unknown_one_look_the_same_to_the_byte",
    ),
    Mistake(
        "check no signature once Razorpay has spoken",
        "The webhook has proven the payment. Not the one that this caller claims.",
        "functions/verify/app.py",
        "        if not service.is_signed(",
        "        if not record.attempts and not service.is_signed(",
        "tests/handlers/test_verify.py::test_a_bad_signature_does_not_undo_a_good_one",
    ),
    Mistake(
        "check the signature over JSON written again",
        "The body is parsed anyway. Escaped slashes and non-ASCII text do not survive it.",
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
        "There is a new one. Razorpay signs what it sends again with the old one.",
        "shared/payments/core/signature.py",
        "    return any(matches)",
        "    return matches[0]",
        "tests/core/test_signature.py",
    ),
    Mistake(
        "accept an empty secret",
        "The settings are checked elsewhere. Against an empty key anyone can sign.",
        "shared/payments/core/signature.py",
        "    if not secret:\n",
        "    if False:\n",
        "tests/core/test_signature.py",
    ),
    Mistake(
        "read a body before its signature is checked",
        "What cannot be used need not be verified. Then a stranger gets a 200, and an alarm.",
        "functions/webhook/app.py",
        "    if not service.is_signed(",
        "    try:\n        read_delivery(body)\n    except UnusableEvent:\n"
        '        return Response(200, {"status": "ok"})\n    if not service.is_signed(',
        "tests/handlers/test_webhook.py::test_a_body_is_not_even_read_before_its_signature_is_checked",
    ),
    Mistake(
        "log the body that cannot be used",
        "A person will want to see it. It holds the customer's e-mail address and number.",
        "functions/webhook/app.py",
        "        log.note(why=unusable.why, **unusable.ids)",
        '        log.note(why=f"{unusable.why}: {body!r}", **unusable.ids)',
        "tests/handlers/test_secrecy.py::test_nothing_of_an_event_that_is_secret_or_personal_leaves_the_service",
    ),
)


def run(budget: Budget, progress: Progress) -> Report:
    """Makes every mistake, or a sample of them, each alone; the untouched copy is checked as well.

    Raises:
        AssertionError: a mistake was not found, or the untouched copy does not pass.
    """
    dice = random.Random(budget.seed)  # noqa: S311 - reproducible on purpose
    chosen = dice.sample(MISTAKES, max(round(len(MISTAKES) * budget.share), 1)) if budget.share < 1 else MISTAKES
    checkers = sorted({mistake.found_by for mistake in chosen})
    jobs: list[tuple[str, Mistake | None]] = [(checker, None) for checker in checkers]
    jobs += [(mistake.found_by, mistake) for mistake in chosen]
    said: dict[str, str] = {}
    progress(0, len(jobs))
    with ExitStack() as stack:
        trees: SimpleQueue[Path] = SimpleQueue()
        for _ in range(_WORKERS):
            trees.put(stack.enter_context(copy()))
        pool = stack.enter_context(ThreadPoolExecutor(_WORKERS))
        running = [pool.submit(_judge, trees, checker, mistake, budget.seed) for checker, mistake in jobs]
        stack.callback(lambda: [waiting.cancel() for waiting in running])
        for done, judged in enumerate(as_completed(running), 1):
            said |= judged.result()
            progress(done, len(jobs))
    rows = ["| the mistake | why somebody would, and what it breaks | found by |", "| --- | --- | --- |"]
    rows += [
        f"| {mistake.name} | {mistake.why} | {_cell(mistake.found_by, said[mistake.name])} |" for mistake in chosen
    ]
    return Report(
        title="Seeded mistakes",
        what=(
            "Mistakes that somebody could make for a reason that sounds good, made in a copy of the source one at a "
            "time. The campaigns and the tests pass on the untouched copy, and find each mistake: by an invariant that "
            "breaks or a test that fails, never by a copy that does not run."
        ),
        figures={"mistakes": len(chosen), "found": len(chosen)},
        tables=("\n".join(rows),),
    )


def _judge(trees: SimpleQueue[Path], checker: str, mistake: Mistake | None, seed: int) -> dict[str, str]:
    """Seeds a mistake into one of the copies, or none; returns what was said of it, by its name.

    Raises:
        AssertionError: it was not found, or there was something to say of a copy without one.
    """
    tree = trees.get()
    try:
        if mistake is None:
            words = check(tree, checker, seed)
            assert words is None, f"{checker} fails on the untouched copy: {words}"
            return {}
        with made(tree, mistake):
            words = check(tree, checker, seed)
        assert words is not None, f"{checker} did not find the mistake “{mistake.name}” (seed {seed})"
        return {mistake.name: words}
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
                # What is compiled too, which belongs to the copies of the sources as they have the same times.
                shutil.copytree(source, tree / name)
            else:
                shutil.copy(source, tree / name)
        yield tree


@contextmanager
def made(tree: Path, mistake: Mistake) -> Iterator[None]:
    """The mistake is in the copy, for as long as this lasts."""
    path = tree / mistake.path
    source = path.read_text(encoding="utf-8")
    assert source.count(mistake.was) == 1, f"“{mistake.name}” does not fit {mistake.path} any more"
    path.write_text(source.replace(mistake.was, mistake.now), encoding="utf-8")
    try:
        yield
    finally:
        path.write_text(source, encoding="utf-8")


def check(tree: Path, checker: str, seed: int) -> str | None:
    """Runs a checker on a copy; None when it is content, else what it said.

    Raises:
        AssertionError: it did not come to a judgment.
    """
    if checker.startswith("tests/"):
        command = ["-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "--tb=line", checker]
    else:
        command = ["-m", "tests.faults.mistakes", checker, str(seed)]
    environment = {**os.environ, "PYTHONPATH": "shared:.", "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        # The same interpreter and fixed arguments, in a folder of our own.
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
    """Runs a part of a campaign on the tree that this process was started in.

    Args:
        checker: `crashes: …`, every single fault and outage of that scenario; `interleavings: …`, every order of calls
            of that meeting; or the name of a campaign that draws at random, of which a part is run.
        seed: what it draws from.

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
        case "schedules":
            from tests.faults import schedules  # noqa: PLC0415 - as below

            schedules.play(seed, range(_SCHEDULES))
        case "outages" | "reachability":
            share = {"outages": _OUTAGES, "reachability": _REACHED}[campaign]
            import_module(f"tests.faults.{campaign}").run(Budget(share, seed), lambda _done, _of: None)
        case _:
            raise ValueError(f"{checker}: no campaign of this name")


def _strike_each(scenario: str) -> None:
    # Each process loads only what it runs: that is half of its time.
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
    """What was found, in a line: the message of the check that failed, or the check itself if it has none."""
    message = next(iter(str(cause).splitlines()), "").strip()
    if message:
        return message
    frame = traceback.extract_tb(cause.__traceback__)[-1]
    return re.sub(r"\s+", " ", frame.line or frame.name)


def _cell(checker: str, words: str) -> str:
    """By what it was found, as a cell of a table."""
    said = words.replace(checker, "").lstrip(":- ").replace("|", "\\|")
    said = said if len(said) <= _LONGEST_CELL else f"{said[:_LONGEST_CELL]}…"
    return f"`{checker}`" + (f": {said}" if said else "")


def main(arguments: Sequence[str]) -> int:
    """Runs one checker on the tree it is started in; what it found is the last line that it prints."""
    checker, seed = arguments
    try:
        find(checker, int(seed))
    except Exception as error:
        # A check that failed, or something else that went wrong.
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
