"""The arithmetic behind every figure of the bench."""

import pytest

from bench import figures
from bench.children import by_package
from bench.figures import Spread


def test_a_spread_is_the_median_and_the_middle_half() -> None:
    assert Spread.of([1.0, 2.0, 3.0, 4.0, 5.0]) == Spread(3.0, 2.0, 4.0)


def test_few_values_are_told_with_all_of_them_as_their_spread() -> None:
    assert Spread.of([3.0, 1.0, 2.0]) == Spread(2.0, 1.0, 3.0)
    assert Spread.of([7.0]) == Spread(7.0, 7.0, 7.0)


def test_of_nothing_there_is_no_spread() -> None:
    with pytest.raises(ValueError, match="nothing was measured"):
        Spread.of([])


def test_a_spread_survives_being_kept() -> None:
    spread = Spread.of([1.0, 2.0, 4.0])
    assert Spread.of_document(spread.document()) == spread
    assert spread.shown(1) == "2.0 (1.0-4.0)"


def test_ratios_are_taken_round_by_round_so_that_a_slow_round_does_not_matter() -> None:
    # The machine was three times as slow in the second round, for both.
    assert figures.ratios([2.0, 6.0, 2.0], [1.0, 3.0, 1.0]) == Spread(2.0, 2.0, 2.0)


def test_rounds_that_are_not_the_same_are_not_compared() -> None:
    with pytest.raises(ValueError, match="shorter"):
        figures.ratios([1.0, 2.0], [1.0])


@pytest.mark.parametrize(("share", "expected"), [(0.5, 50), (0.99, 99), (1.0, 100), (0.001, 1)])
def test_a_percentile_is_a_value_that_was_measured(share: float, expected: int) -> None:
    assert figures.percentile([float(value) for value in range(100, 0, -1)], share) == expected


def test_imports_are_added_up_by_package_without_counting_anything_twice() -> None:
    said = (
        "import time: self [us] | cumulative | imported package\n"
        "import time:       100 |        100 |   botocore.utils\n"
        "import time:       200 |        300 | botocore\n"
        "import time:       100 |        400 | boto3\n"
    )
    assert by_package(said, 10) == [("botocore", 2, 0.75), ("boto3", 1, 0.25)]
    assert by_package(said, 1) == [("botocore", 2, 0.75)]
