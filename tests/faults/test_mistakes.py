"""A sample of the seeded mistakes; and that a mistake nobody finds would be told."""

import pytest

from tests.faults import mistakes
from tests.faults.campaigns import Budget
from tests.faults.mistakes import MISTAKES, PROJECT, Mistake

NO_MISTAKE = Mistake(
    "nothing",
    "A comment more is no mistake.",
    "shared/payments/core/instants.py",
    '    """Epoch seconds for',
    '    # A comment.\n    """Epoch seconds for',
    "tests/core/test_events.py",
)


def test_a_sample_of_the_mistakes_is_found(seed: int) -> None:
    told: list[tuple[int, int]] = []
    report = mistakes.run(Budget(share=1 / len(MISTAKES), seed=seed), lambda done, of: told.append((done, of)))
    assert report.figures["found"] == report.figures["mistakes"] == 1
    assert told[-1] == (2, 2)


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
def test_every_mistake_fits_the_source(mistake: Mistake) -> None:
    source = (PROJECT / mistake.path).read_text(encoding="utf-8")
    assert source.count(mistake.was) == 1
    compile(source.replace(mistake.was, mistake.now), mistake.path, "exec")


def test_a_mistake_that_nobody_finds_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mistakes, "MISTAKES", (NO_MISTAKE,))
    with pytest.raises(AssertionError, match="did not find the mistake “nothing”"):
        mistakes.run(Budget(share=1, seed=1), lambda _done, _of: None)
