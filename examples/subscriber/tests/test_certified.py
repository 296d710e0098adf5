"""The certifier: naive consumers fail with a short schedule, the kit passes."""

import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import naive
from certify.__main__ import main
from certify.histories import histories, of_types
from certify.schedules import Case, Delivery, long
from certify.search import Search
from certify.subject import BadSubject, Subject
from subscriber import handler
from subscriber.events import Terms
from world import World

SELLS = frozenset({"payment.paid", "payment.refunded", "payment.dispute_changed"})


def subject(consumer: naive.Consumer) -> Subject:
    return Subject(handler=consumer.handler, agreed=consumer.agreed, outcome=consumer.outcome)


@pytest.mark.parametrize(
    ("consumer", "types", "wrong", "deliveries"),
    [
        (naive.BelievesThePrice, SELLS, "the payment has not the agreed terms", ["payment.paid"]),
        (naive.BelievesTheLastMessage, SELLS, "the money is gone", ["payment.refunded", "payment.paid"]),
        (
            naive.DropsEveryLowerVersion,
            SELLS | {"payment.partially_refunded"},
            "not released, although it is paid",
            ["payment.partially_refunded", "payment.paid"],
        ),
        (naive.TellsEverything, frozenset(), "told 2 times", None),
        (naive.TellsEachOnce, frozenset(), "no longer true", None),
        (naive.KnowsSomeTypes, frozenset(), "raised ValueError", ["payment.review"]),
    ],
)
def test_a_naive_consumer_fails_with_the_shortest_schedule(
    consumer: type[naive.Consumer], types: frozenset[str], wrong: str, deliveries: list[str] | None
) -> None:
    finding = Search(subject(consumer()), types=types, seed=1).run(histories())

    assert finding is not None
    assert wrong in finding.wrong
    assert finding.is_shortest
    delivered = [finding.case.history[place].type for batch in finding.case.schedule for place in batch.events]
    if deliveries is None:
        assert len(delivered) == 2
    else:
        assert delivered == deliveries


def test_the_kits_rules_pass() -> None:
    # All sequences of up to three deliveries, and some thousand whole histories.
    search = Search(subject(naive.Kit()), seed=1, seconds=100, most=28_000)
    assert search.run(histories()) is None
    assert (search.tried, search.complete) == (28_000, 3)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("rule", ["release", "notify"])
def test_the_kit_passes_as_it_is_deployed(world: World, monkeypatch: pytest.MonkeyPatch, rule: str) -> None:
    monkeypatch.setenv("RULE", rule)

    def outcome(order_id: str) -> dict[str, Any]:
        if rule == "release":
            return {"released": world.is_released(order_id)}
        return {"notices": [note["event_id"] for note in world.inbox.scan()["Items"] if note["order_id"] == order_id]}

    deployed = Subject(
        handler=handler.lambda_handler,
        agreed=lambda terms: world.store.agree(Terms(**terms)),
        outcome=outcome,
    )
    search = Search(deployed)
    # moto is slow, so only some: whole histories with copies, replays and batches.
    chance = random.Random(1)  # noqa: S311 - the same ones each time
    for history in chance.sample([history for history in histories() if len(history) == 4], 8):
        case = chance.choice(list(long(history)))
        assert search.failure(case) == "", case


def test_a_long_schedule_shrinks_to_the_two_messages_that_matter() -> None:
    search = Search(subject(naive.BelievesTheLastMessage()), types=SELLS)

    history = next(
        part
        for part in (of_types(history, SELLS) for history in histories())
        if {"payment.paid", "payment.refunded"} <= {event.type for event in part}
    )
    whole = tuple(range(len(history)))
    case = Case(
        history, (Delivery(whole), Delivery(whole[::-1]), *(Delivery((place,), replayed=True) for place in whole[:1]))
    )
    wrong = search.failure(case)
    assert wrong
    finding = search.shortest(case, wrong)
    assert len(finding.case) == 2
    assert not any(delivery.replayed for delivery in finding.case.schedule)


# --- the command ----------------------------------------------------------------------------------------------------

FOLDER = Path(__file__).parent
BEGINNING = "from naive import {name}\nconsumer = {name}()\n"
PARTS = "handler, agreed, outcome = consumer.handler, consumer.agreed, consumer.outcome\n"


def run(tmp_path: Path, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / "mine.py").write_text(BEGINNING.format(name=name) + PARTS)
    paths = [tmp_path, FOLDER, FOLDER.parent / "src", FOLDER.parent / "certifier"]
    return subprocess.run(  # noqa: S603 - a fixed command
        [sys.executable, "-m", "certify", "mine:handler", *arguments],
        env={"PYTHONPATH": ":".join(map(str, paths))},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


def test_the_command_prints_the_shortest_schedule_and_how_to_repeat_it(tmp_path: Path) -> None:
    done = run(tmp_path, "BelievesTheLastMessage", "--types", ",".join(SELLS), "--seed", "7")

    assert done.returncode == 1, done.stderr
    assert "seed 7" in done.stdout
    assert "FAILED: the work is released" in done.stdout
    assert "after 2 messages (the shortest):\n  1. payment.refunded, " in done.stdout
    assert "  2. payment.paid, " in done.stdout
    assert "repeat with --seed 7" in done.stdout


def test_the_command_passes_the_kit_and_shows_its_progress(tmp_path: Path) -> None:
    done = run(tmp_path, "Kit", "--seconds", "3")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "PASSED: " in done.stdout
    assert "schedules tried, now " in done.stderr


@pytest.mark.parametrize("path", ["nowhere:handler", "certify.rules:handler", "certify.rules"])
def test_a_handler_that_cannot_be_run_is_named(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([path]) == 2
    assert f"Cannot certify: {path}" in capsys.readouterr().err


def test_an_outcome_that_says_nothing_cannot_be_certified() -> None:
    silent = Subject(handler=naive.Kit().handler, agreed=lambda _: None, outcome=lambda _: {})
    with pytest.raises(BadSubject, match="must return"):
        silent.seen("order_A")
