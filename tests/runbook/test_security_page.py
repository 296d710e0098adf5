"""docs/security.md names tests that exist, and a way to report problems that works for every deployment."""

import os
import re
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.docs.pages import claim
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


# --- reporting a vulnerability ---

(COMMAND,) = claim("docs/security.md")
REPORTING = PAGE.split("\n## Reporting a vulnerability\n")[1]


def wrote(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """The output of the page's command."""
    kept = {name: value for name, value in os.environ.items() if name != "SECURITY_CONTACT"}
    return subprocess.run(  # noqa: S603 - the page's own command
        ["/bin/sh", "-c", COMMAND.text],
        cwd=folder,
        env=kept | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


def test_its_command_writes_where_reports_go_for_less_than_a_year(tmp_path: Path) -> None:
    done = wrote(tmp_path, SECURITY_CONTACT="mailto:reports@payments.invalid")
    assert done.returncode == 0, done.stderr
    fields = dict(line.split(": ", 1) for line in (tmp_path / "security.txt").read_text().splitlines())
    assert fields["Contact"] == "mailto:reports@payments.invalid"
    # RFC 9116, 2.5.5: a date and time of RFC 3339, less than a year ahead.
    ahead = datetime.strptime(fields["Expires"], "%Y-%m-%dT%H:%M:%S%z") - datetime.now(UTC)
    assert timedelta(350) < ahead < timedelta(365)


@pytest.mark.parametrize("environment", [{}, {"SECURITY_CONTACT": ""}])
def test_its_command_writes_nothing_until_a_contact_is_chosen(tmp_path: Path, environment: dict[str, str]) -> None:
    done = wrote(tmp_path, **environment)
    assert done.returncode != 0
    assert "SECURITY_CONTACT" in done.stderr
    assert not (tmp_path / "security.txt").exists()


def test_it_sends_no_report_to_an_address_that_nobody_reads() -> None:
    assert not re.findall(r"[\w.+-]+@[\w-]+\.\w+", PAGE)
    assert not re.findall(r"https?://", REPORTING)


def test_its_links_lead_to_sections_of_the_runbook() -> None:
    headings = re.findall(r"^#+ (.*)$", (PROJECT / "docs/runbook.md").read_text(), re.MULTILINE)
    anchors = {heading.lower().replace(" ", "-") for heading in headings}
    links = re.findall(r"\]\(runbook\.md#([^)]+)\)", REPORTING)
    assert links
    assert set(links) <= anchors


def test_it_says_how_long_the_evidence_is_kept() -> None:
    template = (PROJECT / "template.yaml").read_text()
    (logs,) = re.findall(r"^  LogRetentionDays:\n(?:    .*\n)*?    Default: (\d+)$", template, re.MULTILINE)
    (events,) = re.findall(r"^      RetentionDays: (\d+)$", template, re.MULTILINE)
    assert f"after {logs} days, and the events, after {events}" in " ".join(REPORTING.split())
