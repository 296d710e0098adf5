"""The function, from a batch of SQS to the tables."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from subscriber import handler
from subscriber.events import Event as Read
from subscriber.store import REMEMBERED_S
from world import EVENTS, TERMS, Event, World

# --- once -----------------------------------------------------------------------------------------------------------


def test_a_payment_as_agreed_releases_what_was_paid_for(world: World, event: Event) -> None:
    assert world.deliver(event("payment.paid")) == []

    assert world.is_released()
    (item,) = world.inbox.scan()["Items"]
    assert int(str(item.pop("expires_at"))) > REMEMBERED_S
    assert item == {
        "event_id": "fa12ff1f-3577-5362-9df4-8b3ebae3d42d",
        "detail_type": "payment.paid",
        "outcome": "released",
        "version": 2,
        "order_id": "order_DESlLckIVRkHWj",
        "payment_id": 17,
        "razorpay_payment_id": "pay_DESlfW9H8K9uqM",
        "status": "paid",
    }


@pytest.mark.parametrize("kind", sorted(path.stem for path in EVENTS.glob("*.json")))
def test_every_event_is_understood(world: World, event: Event, kind: str) -> None:
    assert world.deliver(event(kind)) == []
    assert len(world.outcomes()) == 1


def test_a_copy_does_not_run_again_neither_at_once_nor_later(
    world: World, event: Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[str] = []
    consume = handler.consume

    def counted(event: Read) -> str:
        runs.append(event.event_id)
        return consume(event)

    monkeypatch.setattr(handler, "consume", counted)

    assert world.deliver(event("payment.paid"), event("payment.paid")) == []
    assert world.deliver(event("payment.paid") | {"id": "another", "replay-name": "from the archive"}) == []

    assert len(runs) == 1


def test_an_event_that_was_stored_but_not_noted_by_powertools_changes_nothing_again(world: World, event: Event) -> None:
    world.deliver(event("payment.paid"))
    for item in boto_items(world, "Idempotency"):
        world.records.meta.client.delete_item(TableName="Idempotency", Key={"id": item["id"]})
    before = boto_items(world, "Records")

    assert world.deliver(event("payment.paid")) == []

    assert boto_items(world, "Records") == before


def boto_items(world: World, table: str) -> list[Any]:
    items: list[Any] = world.records.meta.client.scan(TableName=table)["Items"]
    return items


# --- in any order ---------------------------------------------------------------------------------------------------


def test_a_refund_that_comes_before_its_payment_keeps_it_stopped(world: World, event: Event) -> None:
    world.deliver(event("payment.refunded", "refunded", 5))
    world.deliver(event("payment.paid", "paid", 4))

    assert not world.is_released()
    assert world.outcomes() == {"refunded": "noted"}


def test_a_partial_refund_that_comes_first_does_not_hide_the_payment(world: World, event: Event) -> None:
    world.deliver(event("payment.partially_refunded", "part", 5))
    world.deliver(event("payment.paid", "paid", 4))

    assert world.is_released()


def test_a_failure_is_not_told_after_the_success(world: World, event: Event, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RULE", "notify")
    world.deliver(event("payment.paid", "paid", 5))
    world.deliver(event("payment.failed", "failed", 3))
    world.deliver(event("payment.surplus_refunded", "surplus", 4))

    assert world.outcomes() == {"paid": "told", "surplus": "told"}


def dispute(event: Event, state: str, version: int) -> dict[str, Any]:
    envelope = event("payment.dispute_changed", f"{state} {version}", version)
    envelope["detail"]["dispute"]["state"] = state
    return envelope


def test_a_dispute_stops_the_work_until_it_is_won(world: World, event: Event) -> None:
    world.deliver(event("payment.paid", "paid", 2))
    world.deliver(dispute(event, "open", 3))
    assert not world.is_released()
    world.deliver(dispute(event, "won", 5))
    assert world.is_released()
    world.deliver(dispute(event, "under_review", 4))
    assert world.is_released()


def test_one_order_does_not_overtake_another(world: World, event: Event) -> None:
    world.deliver(event("payment.refunded", "other", 9, order_id="order_other"))
    world.deliver(event("payment.paid", "paid", 2))
    assert world.is_released()


# --- the price ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value"),
    [("amount", 100), ("currency", "USD"), ("job_id", 1), ("client_id", 1), ("freelancer_id", 1)],
)
def test_a_payment_with_other_terms_releases_nothing_and_says_so(
    world: World, event: Event, capsys: pytest.CaptureFixture[str], field: str, value: Any
) -> None:
    assert world.deliver(event("payment.paid", "paid", **{field: value})) == []

    assert not world.is_released()
    assert world.outcomes() == {"paid": f"held: {field} not as agreed"}
    measured = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"_aws"' in line]
    assert [(found["Held"], found["service"]) for found in measured] == [([1.0], "job")]


def test_a_payment_of_an_application_that_is_not_ours_is_held(world: World, event: Event) -> None:
    world.deliver(event("payment.paid", "paid", application_id=9))
    assert world.outcomes() == {"paid": "held: there is no application 9"}


# --- failures -------------------------------------------------------------------------------------------------------


def test_what_cannot_be_read_fails_alone(world: World, event: Event) -> None:
    later = event("payment.paid", "later")
    later["detail"]["schema_version"] = "2.0"
    failed = world.deliver(event("payment.paid", "a"), "not JSON", {"detail": {}}, later, event("payment.failed", "b"))

    assert failed == ["1", "2", "3"]
    assert set(world.outcomes()) == {"a", "b"}


def test_fields_and_types_of_a_later_version_are_no_obstacle(world: World, event: Event) -> None:
    later = event("payment.paid", new={"a": [1]})
    later["detail"] |= {"schema_version": "1.9", "more": 1}
    unknown = event("payment.paid", "unknown", 3) | {"detail-type": "payment.invented"}
    assert world.deliver(later | {"envelope": "grown"}, unknown) == []
    assert world.is_released()


def test_an_outage_fails_the_batch_and_the_events_are_handled_afterwards(
    world: World, event: Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = handler._store()  # noqa: SLF001 - the outage
    down = ClientError({"Error": {"Code": "InternalServerError"}}, "TransactWriteItems")

    def fail(*_: Any) -> str:
        raise down

    with monkeypatch.context() as outage:
        outage.setattr(store, "save", fail)
        assert world.deliver(event("payment.paid", "a"), event("payment.failed", "b", 1)) == ["0", "1"]
    assert world.outcomes() == {}
    assert world.deliver(event("payment.paid", "a"), event("payment.failed", "b", 1)) == []
    assert world.is_released()


def test_a_failed_message_waits_longer_each_time(world: World) -> None:
    world.sqs.send_message(QueueUrl=world.queue, MessageBody="not JSON")
    (message,) = world.sqs.receive_message(QueueUrl=world.queue)["Messages"]
    postponed: list[int] = []

    class Watched:
        def change_message_visibility(self, **request: Any) -> None:
            postponed.append(request["VisibilityTimeout"])
            world.sqs.change_message_visibility(**request | {"ReceiptHandle": message["ReceiptHandle"]})

    handler._sqs.cache_clear()  # noqa: SLF001 - replaced
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(handler, "_sqs", Watched)
        for receives in (1, 2, 5, 40):
            assert world.deliver("not JSON", receives=receives) == ["0"]
    for seconds, longest in zip(postponed, (30, 60, 480, 3_600), strict=True):
        assert longest / 2 <= seconds <= longest


def test_the_pauses_outlast_a_real_outage() -> None:
    # maxReceiveCount of the template; the last failure moves the message away.
    shortest = sum(min(3_600, 30 * 2 ** (receives - 1)) / 2 for receives in range(1, 40))
    assert shortest >= 16 * 3_600


def test_a_message_that_cannot_be_postponed_still_fails_alone(world: World, event: Event) -> None:
    world.sqs.delete_queue(QueueUrl=world.queue)
    assert world.deliver("not JSON", event("payment.paid")) == ["0"]


def test_two_events_of_one_order_at_the_same_time_are_both_stored(
    world: World, event: Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = handler._store()  # noqa: SLF001 - the race
    read = store.purchase
    raced: list[bool] = []

    def overtaken_once(order_id: str) -> Any:
        seen = read(order_id)
        if not raced:
            raced.append(True)
            handler.consume(Read.of(dispute(event, "open", 3)))
        return seen

    monkeypatch.setattr(store, "purchase", overtaken_once)
    assert world.deliver(event("payment.paid", "paid", 2)) == []
    assert set(world.outcomes()) == {"paid", "open 3"}
    assert not world.is_released()


def test_no_content_of_a_message_is_logged(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.deliver('{"detail": "canary"')
    world.deliver({"detail": {"schema_version": "1.0", "event_id": "x", "secret": "canary"}})
    told = capsys.readouterr()
    assert "canary" not in told.out + told.err


def test_the_terms_of_the_fixtures_are_those_of_the_events(event: Event) -> None:
    paid = event("payment.paid")["detail"]["payment"]
    assert {name: paid[name] for name in TERMS.__slots__} == {name: getattr(TERMS, name) for name in TERMS.__slots__}
