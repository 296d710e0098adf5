"""A sample of the seeded mistakes; and that neither an undetected mistake nor a broken copy passes."""

import pytest

from tests.faults import mistakes
from tests.faults.campaigns import Budget
from tests.faults.mistakes import MISTAKES, PROJECT, Mistake, check, copy, find, made

SAMPLE = 2


IMPORT = "from datetime import UTC, datetime\n"


def instead_of_an_import(now: str, found_by: str) -> Mistake:
    return Mistake("nothing", "A test seeds it.", "shared/payments/core/instants.py", IMPORT, now, found_by)


def test_a_sample_of_the_mistakes_is_found(seed: int) -> None:
    told: list[tuple[int, int]] = []
    report = mistakes.run(Budget(share=SAMPLE / len(MISTAKES), seed=seed), lambda done, of: told.append((done, of)))
    assert report.figures["found"] == report.figures["mistakes"] == SAMPLE
    assert told[-1][0] == told[-1][1] > SAMPLE


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
def test_every_mistake_fits_the_source(mistake: Mistake) -> None:
    source = (PROJECT / mistake.path).read_text(encoding="utf-8")
    assert source.count(mistake.was) == 1
    compile(source.replace(mistake.was, mistake.now), mistake.path, "exec")
    campaign = f"tests/faults/{mistake.found_by.partition(': ')[0]}.py"
    assert any((PROJECT / file).exists() for file in (campaign, mistake.found_by.partition("::")[0]))


def test_no_two_mistakes_are_the_same() -> None:
    assert len({mistake.name for mistake in MISTAKES}) == len(MISTAKES)
    assert len({(mistake.path, mistake.was, mistake.now) for mistake in MISTAKES}) == len(MISTAKES)


def test_a_mistake_that_nobody_finds_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        mistakes, "MISTAKES", (instead_of_an_import(f"# A comment.\n{IMPORT}", "tests/core/test_events.py"),)
    )
    with pytest.raises(AssertionError, match="did not find the mistake “nothing”"):
        mistakes.run(Budget(share=1, seed=1), lambda _done, _of: None)


@pytest.mark.parametrize("checker", ["tests/core/test_events.py", "reachability"])
def test_a_copy_that_does_not_run_is_no_mistake_found(checker: str) -> None:
    fatal = instead_of_an_import("raise RuntimeError\n", checker)
    with copy() as tree, made(tree, fatal), pytest.raises(AssertionError, match=r"(?s)not run.*RuntimeError"):
        check(tree, checker, 1)


def test_a_checker_of_no_campaign_is_told() -> None:
    with pytest.raises(ValueError, match="no campaign of this name"):
        find("guesses", 1)
