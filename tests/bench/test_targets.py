"""Targets are compared with measurements, and the page says by how much they are missed."""

import pytest

from bench.__main__ import PAGE, SECTIONS, rewritten, written
from bench.targets import Figure


def test_what_is_at_its_bound_is_reached_and_what_is_above_it_says_by_how_much() -> None:
    assert Figure("x", 2.0, 2.0, 1).row() == ["x", "2.0", "2.0", "reached"]
    assert Figure("x", 2.5, 2.0, 1).row() == ["x", "2.0", "2.5", "**missed by 25.0%**"]


def test_what_has_no_bound_is_neither_reached_nor_missed() -> None:
    assert Figure("x", 1234.0).row() == ["x", "", "1,234", ""]


def test_the_page_has_every_section_with_its_day_and_its_revision() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for section in SECTIONS.values():
        _, heading, rest = page.partition(f"## {section.title}\n")
        assert heading
        assert "*Measured 20" in rest.partition("\n## ")[0]


@pytest.mark.parametrize("name", SECTIONS)
def test_a_section_is_renewed_and_the_others_stay(name: str) -> None:
    page = PAGE.read_text(encoding="utf-8")
    text = written(SECTIONS[name], [Figure("x", 1.0)])
    renewed = rewritten(page, SECTIONS[name], text)
    assert text in renewed
    assert "| x |  | 1 |  |" in text
    for other in SECTIONS.values():
        assert renewed.count(f"## {other.title}\n") == 1
    # A second write changes nothing.
    assert rewritten(renewed, SECTIONS[name], text) == renewed


def test_a_page_without_the_heading_is_refused() -> None:
    with pytest.raises(ValueError, match="no heading Size"):
        rewritten("# Evidence\n", SECTIONS["size"], "")
