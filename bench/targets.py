"""What the measurements should be, and whether they are."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

START: Final[Mapping[str, float]] = {
    "webhook": 1.263,
    "verify": 1.225,
    "verify (RS256)": 1.409,
    "create_order": 1.415,
    "outbox": 1.176,
    "reconcile": 1.441,
}
"""Instructions of Init, in times F. These, `FIRST_ANSWER` and the memory are what was reached plus 3 %."""
FIRST_ANSWER: Final[Mapping[str, float]] = {
    "webhook": 0.0392,
    "verify": 0.0394,
    "verify (RS256)": 0.0449,
    "create_order": 0.0475,
    "outbox": 0.0475,
    "reconcile": 0.0885,
}
"""Instructions of the first request after it, in times F: with SnapStart all that a cold start executes."""
RSS_MIB: Final = 53.7
RSS_WITH_CRYPTOGRAPHY_MIB: Final = 57.3
WARM: Final = 6.5
"""Instructions of a warm request, network stubbed, in times the hard floor's; per outside call on both sides."""
LOG_BYTES: Final = 500
LAYER_BYTES: Final = 16_000_000
WRITE_UNITS: Final = 8.2
CALLS: Final[Mapping[str, int]] = {
    "create-order": 4,
    "verify": 2,
    "webhook payment.authorized": 2,
    "webhook payment.captured": 4,
    "webhook order.paid": 1,
    "webhook, a duplicate": 1,
}
"""Calls outside, as designed; every tenth order takes one more, for ids."""
GOOD_CASE: Final = (
    "create-order",
    "verify",
    "webhook payment.authorized",
    "webhook payment.captured",
    "webhook order.paid",
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """One target."""

    target: str
    bound: str
    measured: str
    reached: bool | None
    """None: not measured."""
    missed_by: str = ""

    @property
    def said(self) -> str:
        """In a word."""
        if self.reached is None:
            return "not measured"
        return "reached" if self.reached else f"**missed by {self.missed_by}**"


def verdicts(kept: Mapping[str, Mapping[str, Any] | None]) -> list[Verdict]:
    """Every target, judged by what was kept of the sections."""
    found = {name: document["found"] for name, document in kept.items() if document is not None}
    return [
        *_starts(found.get("start")),
        *_warm(found.get("warm")),
        *_flows(found.get("flows")),
        *_size(found.get("size")),
        *_growth(found.get("growth")),
    ]


def at_most(target: str, bound: float, measured: float | None, *, digits: int = 2, unit: str = "") -> Verdict:
    """A figure that must not be above its bound."""
    shown = f"{bound:,.{digits}f}{unit}"
    if measured is None:
        return Verdict(target, shown, "not measured", None)
    over = f"{measured - bound:,.{digits}f}{unit} ({measured / bound - 1:.0%})"
    return Verdict(target, shown, f"{measured:,.{digits}f}{unit}", measured <= bound, over)


def _starts(found: Mapping[str, Any] | None) -> list[Verdict]:
    rows = {(row["case"], row["depth"]): row for row in (found or {}).get("rows", [])}
    verdicts = [
        at_most(
            f"init of {case}, instructions x F",
            bound,
            rows.get((case, "ready"), {}).get("instructions_of_floor"),
            digits=3,
        )
        for case, bound in START.items()
    ]
    answers = [
        at_most(f"first answer of {case}, instructions x F", bound, _after_init(rows, case), digits=4)
        for case, bound in FIRST_ANSWER.items()
    ]
    memory = {
        case: row["rss_mib"]["middle"] for (case, depth), row in rows.items() if depth == "ready" and case in START
    }
    asymmetric = memory.pop("verify (RS256)", None)
    return [
        *verdicts,
        *answers,
        at_most(
            "RSS when ready, the most of all functions",
            RSS_MIB,
            max(memory.values(), default=None),
            digits=1,
            unit=" MiB",
        ),
        at_most("RSS when ready, verify (RS256)", RSS_WITH_CRYPTOGRAPHY_MIB, asymmetric, digits=1, unit=" MiB"),
    ]


def _after_init(rows: Mapping[tuple[str, str], Mapping[str, Any]], case: str) -> float | None:
    ready, answer = (rows.get((case, depth), {}).get("instructions_of_floor") for depth in ("ready", "answer"))
    return None if ready is None or answer is None else answer - ready


def _warm(found: Mapping[str, Any] | None) -> list[Verdict]:
    rows = (found or {}).get("rows", [])
    if not rows:
        return [at_most("a warm request, instructions x hard floor", WARM, None)]
    return [
        at_most(f"warm {row['flow']}, instructions x hard floor", WARM, row.get("instructions_of_floor"))
        for row in rows
    ]


def _flows(found: Mapping[str, Any] | None) -> list[Verdict]:
    flows: Mapping[str, Any] = (found or {}).get("flows", {})
    if not flows:
        return [at_most("write units of a payment", WRITE_UNITS, None, digits=0)]
    requests = {name: used for name, used in flows.items() if not name.startswith(("outbox", "reconcile"))}
    return [
        *(at_most(f"calls of {name}", bound, flows[name]["calls"], digits=0) for name, bound in CALLS.items()),
        at_most(
            "write units of a payment, the good case",
            WRITE_UNITS,
            sum(flows[name]["write_units"] for name in GOOD_CASE)
            + flows["create-order, every tenth: ids"]["write_units"] / 10,
            digits=1,
        ),
        at_most(
            "PutEvents of a payment, the good case",
            1,
            sum(flows[name]["made"].count("events PutEvents") for name in GOOD_CASE),
            digits=0,
        ),
        at_most(
            "log bytes of a request, the most of all",
            LOG_BYTES,
            max(used["log_bytes"] for used in requests.values()),
            digits=0,
        ),
    ]


def _size(found: Mapping[str, Any] | None) -> list[Verdict]:
    layer = (found or {}).get("folders", {}).get("SharedLayer")
    zipped = None if layer is None else layer["zipped"] / 1_000_000
    return [at_most("the layer without cryptography, zipped", LAYER_BYTES / 1_000_000, zipped, digits=1, unit=" MB")]


def _growth(found: Mapping[str, Any] | None) -> list[Verdict]:
    """As many due records cost the same, whatever the size of the table."""
    target = "calls of reconcile for ten due records: the largest table's, in times the smallest's"
    same = [row for row in (found or {}).get("reconcile", []) if row["due"] == 10]  # noqa: PLR2004 - as `growth.CONSTANT_DUE`
    if not same:
        return [at_most(target, 1.0, None)]
    smallest, largest = (choose(same, key=lambda row: row["size"]) for choose in (min, max))
    return [at_most(target, 1.0, largest["calls"] / smallest["calls"])]
