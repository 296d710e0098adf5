"""Targets are judged by what was measured, and say by how much they are missed."""

import json
from typing import Any

from bench import page
from bench.targets import FIRST_ANSWER, RSS_MIB, START, at_most, verdicts


def start(case: str, ratio: float | None, depth: str = "ready", rss: float = 40.0) -> dict[str, Any]:
    spread = {"middle": rss, "low": rss, "high": rss}
    return {"case": case, "depth": depth, "instructions_of_floor": ratio, "rss_mib": spread}


def test_what_is_at_its_bound_is_reached_and_what_is_above_it_says_by_how_much() -> None:
    assert at_most("x", 2.0, 2.0).said == "reached"
    assert at_most("x", 2.0, 2.5).said == "**missed by 0.50 (25%)**"


def test_what_was_not_measured_is_neither_reached_nor_missed() -> None:
    assert {one.said for one in verdicts({})} == {"not measured"}
    kept = {"start": {"found": {"rows": [start("webhook", None)]}}}
    assert verdicts(kept)[0].said == "not measured"


def test_a_start_is_judged_when_ready_and_its_first_answer_by_what_that_adds() -> None:
    ready, answer = 2 * START["webhook"], 2 * START["webhook"] + 1.5 * FIRST_ANSWER["webhook"]
    rows = [start("webhook", ready, rss=2 * RSS_MIB), start("webhook", answer, "answer", rss=9 * RSS_MIB)]
    said = {one.target: one.said for one in verdicts({"start": {"found": {"rows": rows}}})}
    assert said["init of webhook, instructions x F"] == f"**missed by {START['webhook']:.3f} (100%)**"
    assert said["first answer of webhook, instructions x F"] == f"**missed by {FIRST_ANSWER['webhook'] / 2:.4f} (50%)**"
    assert said["RSS when ready, the most of all functions"] == f"**missed by {RSS_MIB:.1f} MiB (100%)**"
    assert said["init of verify, instructions x F"] == "not measured"
    assert said["first answer of verify, instructions x F"] == "not measured"


def test_the_page_is_what_was_kept() -> None:
    # As `make bench` writes it, and nobody edited since.
    assert page.PAGE.read_text(encoding="utf-8") == page.page()


def test_the_kept_figures_name_their_machine_their_day_and_their_revision() -> None:
    for name in page.SECTIONS:
        about = json.loads((page.KEPT / f"{name}.json").read_text(encoding="utf-8"))["about"]
        assert {"measured", "revision", "processor", "Python", "valgrind"} <= about.keys(), name
