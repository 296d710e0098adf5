"""docs/events/README.md: its patterns match what it says, its reasons are the code's, its envelope is EventBridge's."""

import json
import re
from typing import Any, cast, get_args

import pytest
from moto.events.models import EventPattern

from payments.core.events import encode
from payments.core.model import MAX_ID, EventType, Order, PendingEvent, Status
from payments.core.model import Reason as ReasonOfTheCode
from payments.core.transitions import open_record
from sandbox.cloud.packages import read_template
from tests.subscribers.page import (
    NONE,
    PAGE,
    PROJECT,
    Pattern,
    Reason,
    envelope,
    event,
    examples,
    patterns,
    reasons,
    rows,
)

SCHEMAS = PROJECT / "docs/events"
RUNBOOK = (PROJECT / "docs/runbook.md").read_text(encoding="utf-8")
PATTERNS = patterns()
REASONS = reasons()


def schema(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((SCHEMAS / f"{name}.schema.json").read_text(encoding="utf-8"))
    return document


def takes(pattern: Pattern, given: dict[str, Any]) -> bool:
    """Whether a rule with this pattern matches an event."""
    return EventPattern.load(pattern.text).matches_event(cast("Any", given))


# --- rule patterns --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda pattern: pattern.purpose)
def test_a_pattern_takes_the_examples_that_the_page_names_and_no_others(pattern: Pattern) -> None:
    assert {name for name in examples() if takes(pattern, event(name))} == pattern.takes


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda pattern: pattern.purpose)
def test_no_pattern_takes_what_another_service_puts_on_the_bus(pattern: Pattern) -> None:
    assert not [name for name in examples() if takes(pattern, event(name, source="another-service"))]


def test_the_patterns_of_reviews_tell_reasons_and_states_apart() -> None:
    def told(purpose: str, reason: str, state: str) -> bool:
        (pattern,) = [one for one in PATTERNS if one.purpose.startswith(purpose)]
        review = event("payment.review")
        review["detail"] = {**review["detail"], "review": {"reason": reason, "state": state}}
        return takes(pattern, review)

    assert told("a person's work list", "never_captured", "open")
    assert not told("a person's work list", "never_captured", "resolved")
    assert not told("a client who paid twice", "duplicate_capture", "resolved")
    for reason in ("amount_mismatch", "currency_mismatch", "superseded_order", "expired_order"):
        assert told("money that is not as agreed", reason, "open")
    assert not told("money that is not as agreed", "duplicate_capture", "open")


def test_what_is_replayed_is_told_by_its_name() -> None:
    (pattern,) = [one for one in PATTERNS if "replay-name" in one.text]
    replayed = event("payment.paid", **{"replay-name": "replay-1772357400"})
    assert not takes(pattern, replayed)


@pytest.mark.parametrize(
    ("service", "purpose"), [("Job", "Job"), ("Application", "Job"), ("Notification", "Notification")]
)
def test_the_example_subscribers_have_the_pages_patterns(service: str, purpose: str) -> None:
    template = read_template(PROJECT / "sandbox/subscribers.yaml")
    (pattern,) = [one for one in PATTERNS if one.purpose.startswith(purpose)]
    assert json.loads(pattern.text) == template["Resources"][f"{service}Rule"]["Properties"]["EventPattern"]


# --- the envelope ---------------------------------------------------------------------------------------------------


def test_the_envelope_shows_a_whole_event() -> None:
    assert envelope()["detail"] == examples()["payment.paid"]


def test_every_field_of_the_envelope_and_of_any_detail_is_described() -> None:
    described = {name for first, _ in rows("The envelope") for name in re.findall(r"`([^`]+)`", first)}
    outer = {*envelope(), "replay-name"} - {"detail"}
    inner = {f"detail.{name}" for kind in get_args(EventType) for name in schema(kind)["properties"]}
    assert described == outer | inner


def test_no_event_is_larger_than_the_page_says() -> None:
    # Everything at maximum length: Razorpay's words are stored up to 64 characters.
    order = Order(
        payment_id=MAX_ID,
        job_id=MAX_ID,
        application_id=MAX_ID,
        client_id=MAX_ID,
        freelancer_id=MAX_ID,
        amount_minor=9_999_999_999,
        currency="INR",
        receipt="",
    )
    longest = PendingEvent(
        type="payment.review",
        version=10**6,
        at="2026-03-01T09:31:00Z",
        status=Status.AUTHORIZED,
        refunded_minor=9_999_999_999,
        payment="pay_DESlfW9H8K9uqM",
        method="m" * 64,
        refund="rfnd_FS8TWyPrCsa0OB",
        refund_minor=9_999_999_999,
        code="c" * 64,
        failure_reason="r" * 64,
        review="refund_total_differs",
        review_state="resolved",
    )
    text = encode(open_record("order_DESlLckIVRkHWj", order, 1_772_357_400), "0" * 36, longest)
    assert "Every event is smaller than 2 KB" in " ".join(PAGE.split())
    assert len(json.dumps({**envelope(), "detail": json.loads(text)})) < 2_000


# --- reviews --------------------------------------------------------------------------------------------------------


def test_the_reasons_of_the_page_are_those_of_the_code_and_of_the_schema() -> None:
    named = [reason.name for reason in REASONS]
    in_the_schema = schema("payment.review")["properties"]["review"]["properties"]["reason"]
    assert named == list(get_args(ReasonOfTheCode)) == in_the_schema["enum"]
    assert [name for name in named if name not in in_the_schema["description"]] == []


@pytest.mark.parametrize("reason", REASONS, ids=lambda reason: reason.name)
def test_a_reason_leads_to_the_runbooks_section_about_it(reason: Reason) -> None:
    assert reason.link == f"../runbook.md#{reason.name}"
    assert f"\n### {reason.name}\n" in RUNBOOK
    assert reason.means


def repairs(reason: str) -> list[list[str]]:
    """The runbook's rows about a reason; tests/runbook tests each of them on the service."""
    table = RUNBOOK.split("\n## Repairs of reviews\n")[1].split("\n## ")[0]
    found = [line for line in table.splitlines() if line.startswith(f"| `{reason}` |")]
    assert found, reason
    return [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in found]


@pytest.mark.parametrize("reason", REASONS, ids=lambda reason: reason.name)
def test_who_closes_a_review_is_who_does_in_the_runbooks_repairs(reason: Reason) -> None:
    ends = {row[3] for row in repairs(reason.name)}
    assert (reason.by_itself != NONE) == bool(ends & {"returned", "agreed", "known"})
    assert ("`accept`" in reason.by_an_operator) == ("accepted" in ends)
    assert ("`release`" in reason.by_an_operator) == ("released" in ends)
    if ends == {"open"}:
        assert (reason.by_itself, reason.by_an_operator) == (NONE, NONE)


@pytest.mark.parametrize("reason", REASONS, ids=lambda reason: reason.name)
def test_what_is_under_review_keeps_the_client_from_paying_again(reason: Reason) -> None:
    before = {row[2] for row in repairs(reason.name)}
    refused = "409 payment_under_review" in before
    # The limit of orders per application also blocks it, without holding money.
    assert refused == (reason.under_review == "yes" or "`payment_under_review`" in reason.means)


# --- links ----------------------------------------------------------------------------------------------------------


def test_its_links_lead_somewhere() -> None:
    targets = re.findall(r"\]\(([^)]+)\)", PAGE)
    assert any("subscribers.yaml" in target for target in targets)
    for target in targets:
        path, _, anchor = target.partition("#")
        assert (SCHEMAS / path).exists(), target
        if not path:
            assert f"\n## {anchor.replace('-', ' ').capitalize()}\n" in PAGE, target
