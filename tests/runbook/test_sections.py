"""docs/runbook.md and the alarms, in step."""

import re
from pathlib import Path
from typing import Any

import pytest

from sandbox.cloud.packages import read_whole
from tests.runbook.book import DEPLOYING, PROJECT, RUNBOOK, Section, anchor, blocks, sections
from tests.template.metrics import text

RESOURCES: dict[str, Any] = read_whole(PROJECT / "template.yaml")["Resources"]
# The alarm of a version ends in its number.
ALARMS = {
    re.sub(r"-\$\{.*\}$", "", text(item["Properties"]["AlarmName"]).removeprefix("payments-${Stage}-"))
    for item in RESOURCES.values()
    if item["Type"] == "AWS::CloudWatch::Alarm"
}


def of_alarms() -> list[Section]:
    """The sections under "Alarms"."""
    all_of_them = sections()
    start = next(number for number, section in enumerate(all_of_them) if section.title == "Alarms")
    found = []
    for section in all_of_them[start + 1 :]:
        if section.level <= 2:
            break
        found.append(section)
    return found


def test_every_alarm_has_a_section_of_its_name_and_no_section_is_without_an_alarm() -> None:
    titles = [section.title for section in of_alarms()]
    assert len(titles) == len(set(titles))
    assert set(titles) == ALARMS


def test_the_table_of_urgency_names_every_alarm_once() -> None:
    table = next(section.text for section in sections() if section.title == "Alarms")
    named = re.findall(r"\[([a-z-]+)\]\(#\1\)", table)
    assert sorted(named) == sorted(ALARMS)


@pytest.mark.parametrize("section", of_alarms(), ids=lambda section: section.title)
def test_a_section_says_what_the_alarm_means_where_to_look_and_what_to_do(section: Section) -> None:
    for part in ("**Means.** ", "**Look.** ", "**Do.** "):
        assert section.text.count(part) == 1, part
    assert section.text.index("**Means.**") < section.text.index("**Look.**") < section.text.index("**Do.**")


@pytest.mark.parametrize("section", of_alarms(), ids=lambda section: section.title)
def test_a_section_has_a_command(section: Section) -> None:
    assert any(block.section == section.title and "aws " in block.text for block in blocks()) or (
        # Another section, which has commands, says what to do.
        "](#" in section.text
    )


@pytest.mark.parametrize("page", [RUNBOOK, DEPLOYING], ids=lambda page: page.stem)
def test_every_link_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([a-z_-]+\.(?:md|json))?(?:#([^)]+))?\)", page.read_text(encoding="utf-8"))
    assert links
    for file, target in links:
        if target:
            other = page.with_name(file) if file else page
            assert target in {anchor(section.title) for section in sections(other)}, (file, target)
        elif file:
            assert page.with_name(file).is_file(), file


@pytest.mark.parametrize("topic", ["Restoring the table", "Replaying events", "A disabled webhook", "Rotating secrets"])
def test_what_must_be_in_it_is_in_it(topic: str) -> None:
    assert topic in {section.title for section in sections()}


def test_the_restore_turns_on_everything_that_the_template_gives_its_own_table() -> None:
    table = RESOURCES["PaymentsTable"]["Properties"]
    script = "".join(block.text for block in blocks() if block.section == "Restoring the table")
    assert table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"]
    assert "PointInTimeRecoveryEnabled=true" in script
    assert f"AttributeName={table['TimeToLiveSpecification']['AttributeName']}" in script
    assert "--deletion-protection-enabled" in script
    # create-order is enabled again with the stack's reserved concurrency, whatever the template's default.
    assert 'reserved="$(parameter CreateOrderConcurrency)"' in script
