"""The statuses as a diagram and the rules behind them as a table, made from the code, in `docs/data-model.md`.

`python -m tests.core.diagram` (`make states`) writes them between the page's markers; a test compares them with the
code.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from payments.core import transitions
from payments.core.model import (
    Accepted,
    Authorized,
    Captured,
    DisputeState,
    Fact,
    NeverCaptured,
    Record,
    Refunded,
    Released,
    Status,
)
from payments.core.transitions import TRANSITIONS, decide, supersede
from tests.core.story import (
    OPENED,
    OTHER_ORDER_ID,
    PART,
    REFUND_1,
    REFUND_2,
    A,
    B,
    Delivery,
    captured,
    disputed,
    failed,
    opened,
    refunded,
    signed,
    superseded,
)

PAGE: Final = Path(__file__).parents[2] / "docs" / "data-model.md"
BEGIN: Final = "<!-- statuses: written by make states -->\n"
END: Final = "<!-- end of statuses -->\n"

STARTS: Final[Mapping[str, Delivery]] = {
    "nothing": (),
    "failed": (failed(A),),
    "authorized": (Authorized(payment=A),),
    "signed": (signed(A),),
    "another sum": (captured(A, PART),),
    "captured": (captured(A),),
    "refunded": (captured(A), refunded(A, REFUND_1)),
}
"""What is known of payment A in each starting record."""
NEWS: Final[Mapping[str, Delivery]] = {
    "a payment failed": (failed(B),),
    "authorized": (Authorized(payment=A),),
    "signature verified": (signed(A),),
    "captured as agreed": (captured(B),),
    "a wrong amount captured": (captured(B, PART),),
    "refunded in full": (captured(A), refunded(A, REFUND_2)),
    "lost in a dispute": (captured(A), disputed(A, DisputeState.LOST)),
    "a wrong amount refunded in full": (captured(A, PART), refunded(A, REFUND_2, PART)),
    "returned uncaptured": (refunded(A, REFUND_2),),
    "accepted by an operator": (Accepted(payment=A),),
    "released by an operator": (Released(payment=A),),
    "never captured": (NeverCaptured(payment=A),),
    "Razorpay lists the signed payment as failed": (failed(A, listed_at=OPENED + 60),),
}
SUPERSEDED: Final = "replaced by another order"


def records() -> Iterator[Record]:
    """A record for each starting point, on an open and on a superseded order."""
    for start in (opened(), superseded()):
        for facts in STARTS.values():
            yield decide(start, facts, OPENED + 1).record


def edges() -> dict[tuple[Status, Status], list[str]]:
    """Every status change that the facts above cause, with its cause."""
    found: dict[tuple[Status, Status], list[str]] = defaultdict(list)
    for before in records():
        for news, facts in NEWS.items():
            _add(found, before, decide(before, _possible(before, facts), OPENED + 120).record, news)
        if before.superseded_by is None:
            _add(found, before, supersede(before, OTHER_ORDER_ID, OPENED + 120), SUPERSEDED)
    return found


def _possible(before: Record, facts: Delivery) -> tuple[Fact, ...]:
    """The facts, or none if they contradict a captured payment: another sum, or a return without capture."""
    known = before.attempts.get(A)
    if known is None or not known.captured:
        return facts
    is_other_sum = any(
        isinstance(fact, Captured) and fact.payment == A and fact.amount_minor != known.amount_minor for fact in facts
    )
    is_given_back = not any(isinstance(fact, Captured) for fact in facts) and any(
        isinstance(fact, Refunded) for fact in facts
    )
    return () if is_other_sum or is_given_back else facts


def _add(found: dict[tuple[Status, Status], list[str]], before: Record, after: Record, news: str) -> None:
    edge = (before.status, after.status)
    told = f"{news} (superseded order)" if before.superseded_by else news
    if after.status is not before.status and not {news, told} & set(found[edge]):
        found[edge].append(told)


def rules() -> list[tuple[str, str]]:
    """The ordered rules from the docstring of transitions.py: condition and status."""
    text = re.sub(r"\n   ", " ", transitions.__doc__ or "")
    found = re.findall(r"^\d\. (.+?)[;.]$", text, flags=re.MULTILINE)
    return [_rule(line) for line in found]


def _rule(line: str) -> tuple[str, str]:
    when, _, status = line.partition(": ")
    return (when, status) if status else ("otherwise", line.removeprefix("else "))


def section() -> str:
    """The diagram and the rules, as the page shows them."""
    found = edges()
    lines = [
        "",
        "```mermaid",
        "stateDiagram-v2",
        "    [*] --> created: order created",
        "    [*] --> unknown: a webhook arrives first",
    ]
    lines += [
        f"    unknown --> {to.value}: found to be ours"
        for to in sorted(TRANSITIONS[Status.UNKNOWN], key=list(Status).index)
    ]
    for (before, after), news in sorted(found.items(), key=lambda edge: [list(Status).index(end) for end in edge[0]]):
        lines += [f"    {before.value} --> {after.value}: {'<br>'.join(news)}"]
    lines += ["    refunded --> [*]", "```", "", "The first rule that applies decides:", "", "| | when | status |"]
    lines += ["| --- | --- | --- |"]
    lines += [f"| {number} | {when} | {status} |" for number, (when, status) in enumerate(rules(), start=1)]
    return "\n".join([*lines, "", ""])


def page() -> str:
    """The page, with the text between its markers regenerated."""
    before, begin, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{PAGE.name} has no markers to write the statuses between: {BEGIN!r} and {END!r}")
    return f"{before}{begin}{section()}{end}{after}"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
