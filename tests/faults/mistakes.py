"""The checkers are checked: mistakes seeded into the source, each of which must be found.

Each mistake is one that somebody could make for a reason that sounds good. It is made in a copy of the tree, never in
the tree itself, and the suite runs on the copy: the campaigns under faults, or the tests of the part where it was made.
The copy as it was must pass, and the copy with the mistake must not.
"""

import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Final

from tests.faults.campaigns import Budget, Progress, Report

PROJECT: Final = Path(__file__).parents[2]
_COPIED: Final = ("functions", "shared", "sandbox", "tests", "docs", "events", "template.yaml", "pyproject.toml")
_SECONDS: Final = 240
"""How long a checker may take; a mistake that makes it hang is found as well."""
_SHARES: Final = {"reachability": 0.01, "crashes": 0.002, "interleavings": 0.01, "schedules": 0.01, "outages": 0.1}
"""How much of a campaign is run: what `make test` runs of it, or a little more."""


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
    """A campaign of this folder, or a file of tests."""


MISTAKES: Final = (
    Mistake(
        "publish only when the write won",
        "Who did not write has no news. But a writer whose answer was lost, or who died, wrote and never told.",
        "functions/webhook/app.py",
        "log.note(published=deliver(service.table, service.bus, record) or None)",
        "log.note(published=(deliver(service.table, service.bus, record) if decision.changed else 0) or None)",
        "tests/handlers/test_webhook.py",
    ),
    Mistake(
        "clear before publish",
        "So that nobody publishes it again. Whoever dies in between has lost it.",
        "shared/payments/core/handoff.py",
        "    accepted = bus.publish(",
        "    _clear(table, record, record.pending.keys())\n    accepted = bus.publish(",
        "crashes",
    ),
    Mistake(
        "clear the whole map",
        "One write instead of a list of keys. What the bus refused goes with it.",
        "shared/payments/adapters/table.py",
        '        for key in sorted(event_ids):\n            update.remove(("pending", key))\n        if record',
        '        update.set(("pending",), {})\n        if record',
        "crashes",
    ),
    Mistake(
        "ignore FailedEntryCount",
        "PutEvents answered 200. It does so even when it refuses entries.",
        "shared/payments/adapters/bus.py",
        'if entry.get("EventId") and not entry.get("ErrorCode"):',
        "if entry is not None:",
        "crashes",
    ),
    Mistake(
        "take a failed condition for done",
        "Somebody else stored it already. But what they stored need not be this.",
        "shared/payments/core/handoff.py",
        "        except StorageConflict:\n            continue\n        except TableUnavailable:",
        "        except StorageConflict:\n            return decision\n        except TableUnavailable:",
        "interleavings",
    ),
    Mistake(
        "write without looking at the version",
        "The record was read a moment ago. The slower of two writers takes back what the faster one stored.",
        "shared/payments/core/handoff.py",
        "                table.save(stored, decision.record)",
        "                table.save(table.read(order_id) or stored, decision.record)",
        "interleavings",
    ),
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
        "draw the event id at random",
        "UUIDs are random. Then every publish is another event to whoever deduplicates.",
        "shared/payments/core/events.py",
        "    return str(uuid5(_NAMESPACE, ",
        '    return str(uuid5(UUID(int=__import__("random").getrandbits(128)), ',
        "tests/core/test_events.py",
    ),
    Mistake(
        "read eventually consistent",
        "Half the price. But what is read may be what was before one's own write.",
        "shared/payments/adapters/table.py",
        "ConsistentRead=True",
        "ConsistentRead=False",
        "crashes",
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
        "let a refunded order be paid again",
        "A capture is a capture. Consumers would see an order that was closed come back.",
        "shared/payments/core/transitions.py",
        "if self.order is None or before is Status.REFUNDED:",
        "if self.order is None:",
        "reachability",
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
        "drop the due time with events still pending",
        "The record is closed. What the bus refused would wait for ever.",
        "shared/payments/adapters/table.py",
        "        if record.pending.keys() <= set(event_ids) and not is_open",
        "        if not is_open",
        "crashes",
    ),
    Mistake(
        "ask for the first payment only",
        "An order has one payment. It has as many as the customer made attempts.",
        "shared/payments/adapters/gateway.py",
        "for payment in read_payments(_items(listed), order_id):",
        "for payment in read_payments(_items(listed), order_id)[:1]:",
        "outages",
    ),
    Mistake(
        "stop reconcile at the first failure",
        "Errors should not be swallowed. One record that cannot be read would keep all the others waiting.",
        "functions/reconcile/app.py",
        "            self._fail(order_id, error)\n        else:",
        "            raise\n        else:",
        "tests/handlers/test_reconcile.py",
    ),
    Mistake(
        "acknowledge what could not be stored",
        "Razorpay must not switch the webhook off. But it never sends again what it got a 2xx for.",
        "functions/webhook/app.py",
        "    if delivery.created_at is None or now - delivery.created_at >= _RETRY_FOR_S:",
        "    if delivery.facts:",
        "crashes",
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
        "compare no amounts",
        "Razorpay takes only the order's amount. Not with a fee that the customer bears.",
        "shared/payments/core/transitions.py",
        "    if attempt.amount_minor != order.amount_minor:",
        "    if False:",
        "reachability",
    ),
    Mistake(
        "believe a checkout without its signature",
        "The webhook confirms it anyway. Until then anybody can have paid.",
        "functions/verify/app.py",
        "        if not checkout_signature_is_valid(",
        "        if not body.razorpay_signature and not checkout_signature_is_valid(",
        "tests/handlers/test_verify.py",
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
        "hand out one's own order after a lost race",
        "It was made, so why not use it. Then one proposal can be paid twice.",
        "shared/payments/core/ordering.py",
        "what is there now decides.\n            continue",
        "what is there now decides.\n            return Placed(fresh, created=True)",
        "interleavings",
    ),
    Mistake(
        "drop what is said of an unknown order",
        "It is not ours. It may be ours, if the record was lost or is still to come.",
        "functions/webhook/app.py",
        "keep_unknown=True",
        "keep_unknown=False",
        "crashes",
    ),
)


def run(budget: Budget, progress: Progress) -> Report:
    """Makes every mistake, or a sample of them, one after the other; the untouched copy comes first.

    Raises:
        AssertionError: a mistake was not found, or the untouched copy does not pass.
    """
    dice = random.Random(budget.seed)  # noqa: S311 - reproducible on purpose
    chosen = dice.sample(MISTAKES, max(round(len(MISTAKES) * budget.share), 1))
    checkers = sorted({mistake.found_by for mistake in chosen})
    total = len(checkers) + len(chosen)
    rows = ["| the mistake | why somebody would, and what it breaks | found by |", "| --- | --- | --- |"]
    with copy() as tree:
        for done, checker in enumerate(checkers):
            progress(done, total)
            words = check(tree, checker, budget.seed)
            assert words is None, f"{checker} fails on the untouched copy: {words}"
        for done, mistake in enumerate(chosen, len(checkers)):
            progress(done, total)
            with made(tree, mistake):
                words = check(tree, mistake.found_by, budget.seed)
            assert words is not None, f"{mistake.found_by} did not find the mistake “{mistake.name}”"
            rows.append(f"| {mistake.name} | {mistake.why} | `{mistake.found_by}`: {_cell(words)} |")
    progress(total, total)
    return Report(
        title="Seeded mistakes",
        what=(
            "Mistakes that somebody could make for a reason that sounds good, made in a copy of the source one at a "
            "time. The campaigns and the tests pass on the untouched copy, and find each mistake."
        ),
        figures={"mistakes": len(chosen), "found": len(chosen)},
        tables=("\n".join(rows),),
    )


@contextmanager
def copy() -> Iterator[Path]:
    """A copy of what the tests need, without git, environments and builds."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder)
        for name in _COPIED:
            source = PROJECT / name
            if source.is_dir():
                shutil.copytree(source, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
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
    """Runs a checker on a copy; None when it is content, else what it said."""
    if checker in _SHARES:
        command = ["-m", "tests.faults.mistakes", checker, str(seed)]
    else:
        command = ["-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "--tb=line", checker]
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
        return f"no end after {_SECONDS} s"
    if done.returncode == 0:
        return None
    lines = (done.stdout + done.stderr).splitlines()
    said = [line for line in lines if line.startswith("FAILED")] or [line for line in lines if "Error" in line]
    return said[0].strip() if said else f"exit status {done.returncode}"


def _cell(words: str) -> str:
    """What a checker said, as a cell of a table."""
    said = words.removeprefix("FAILED ").removeprefix("AssertionError: ").replace("|", "\\|")
    return said if len(said) <= 110 else f"{said[:110]}…"


def main(arguments: Sequence[str]) -> None:
    """Runs one campaign's share on the tree it is started in."""
    campaign, seed = arguments
    import_module(f"tests.faults.{campaign}").run(Budget(_SHARES[campaign], int(seed)), lambda _done, _of: None)


if __name__ == "__main__":
    main(sys.argv[1:])
