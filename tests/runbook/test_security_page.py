"""docs/security.md names tests that exist."""

import re

from tests.runbook.book import PROJECT

PAGE = (PROJECT / "docs/security.md").read_text()
ROWS = [line for line in PAGE.splitlines() if re.match(r"\| [STRIDE] \|", line)]


def test_every_threat_has_a_control_and_a_test_that_holds_it() -> None:
    assert len(ROWS) > 15
    for row in ROWS:
        _, _, threat, control, held_by, _ = (cell.strip() for cell in row.split("|"))
        assert threat
        assert control
        paths = re.findall(r"`(tests/[^`]+)`", held_by)
        assert paths, threat
        for path in paths:
            assert (PROJECT / path).exists(), path


def test_every_kind_of_threat_is_thought_of() -> None:
    assert {row[2] for row in ROWS} == set("STRIDE")


def test_every_page_that_is_named_exists() -> None:
    for page in set(re.findall(r"`(docs/[^`]+)`", PAGE)):
        assert (PROJECT / page).exists(), page
