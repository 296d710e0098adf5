from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments.core.money import EXPONENT_BY_CURRENCY, parse_major, to_minor_units


@pytest.mark.parametrize(
    ("amount", "currency", "minor"),
    [
        (1, "INR", 100),
        ("1", "INR", 100),
        ("1.00", "INR", 100),
        ("499.5", "INR", 49_950),
        (Decimal("499.50"), "INR", 49_950),
        ("99999999.99", "INR", 9_999_999_999),
        ("0001.10", "INR", 110),
        (Decimal("1E+2"), "INR", 10_000),
        (1, "JPY", 1),
        ("99999999", "JPY", 99_999_999),
        ("1.5", "KWD", 1_500),
        ("1.130", "KWD", 1_130),
        ("1", "HUF", 100),
    ],
)
def test_major_units_become_minor_units_of_the_currency(amount: object, currency: str, minor: int) -> None:
    result = to_minor_units(amount, currency)
    assert result == minor
    assert type(result) is int


@pytest.mark.parametrize("amount", ["1.13", "19.99", "1.15", "4.35", "8.41", "1001.29", "69.35"])
def test_no_paisa_is_lost_where_floats_would_lose_it(amount: str) -> None:
    # int(float(amount) * 100) is one short for each of them, or was in a real shop.
    expected = int(amount.replace(".", ""))
    assert to_minor_units(amount, "INR") == expected
    assert to_minor_units(Decimal(amount), "INR") == expected


@pytest.mark.parametrize(
    "amount",
    [
        pytest.param(0, id="zero"),
        pytest.param("0.99", id="just below one"),
        pytest.param(Decimal("0.9999"), id="almost one"),
        pytest.param(-1, id="negative"),
        pytest.param("100000000", id="just above the maximum"),
        pytest.param(Decimal("1E+999999"), id="astronomic"),
        pytest.param(10**60, id="a long integer"),
        pytest.param("1.001", id="three decimals"),
        pytest.param("1.130", id="three decimals, the last one zero"),
        pytest.param(Decimal("1.000"), id="three decimals, all zero"),
        pytest.param("9" * 17, id="too many digits"),
        pytest.param(True, id="true"),
        pytest.param(False, id="false"),
        pytest.param(1.5, id="float"),
        pytest.param(2.0, id="whole float"),
        pytest.param(float("nan"), id="NaN as float"),
        pytest.param(Decimal("NaN"), id="NaN"),
        pytest.param(Decimal("sNaN"), id="signalling NaN"),
        pytest.param(Decimal("Infinity"), id="infinity"),
        pytest.param(Decimal("-Infinity"), id="minus infinity"),
        pytest.param("1e3", id="exponent"),
        pytest.param(" 1", id="leading space"),
        pytest.param("1 ", id="trailing space"),
        pytest.param("1\n", id="trailing newline"),
        pytest.param("+1", id="plus sign"),
        pytest.param("-1", id="minus sign"),
        pytest.param("1_000", id="underscore"),
        pytest.param("1,000", id="thousands separator"),
        pytest.param("1,5", id="decimal comma"),
        pytest.param(".5", id="no integer part"),
        pytest.param("5.", id="no decimals after the point"),
        pytest.param("0x10", id="hex"),
        pytest.param("١٢", id="Arabic digits"),
        pytest.param("１２", id="wide digits"),  # noqa: RUF001 - that is the point
        pytest.param("NaN", id="NaN as text"),
        pytest.param("", id="empty"),
        pytest.param(None, id="null"),
        pytest.param([1], id="list"),
        pytest.param({"amount": 1}, id="object"),
        pytest.param(b"1", id="bytes"),
    ],
)
def test_what_is_not_a_payable_amount_is_refused_in_our_words(amount: object) -> None:
    with pytest.raises(ValueError, match=r"^must (be|have) "):
        to_minor_units(amount, "INR")


@pytest.mark.parametrize(("amount", "currency"), [("1.0", "JPY"), ("1.5", "JPY"), ("1.0001", "KWD")])
def test_decimals_beyond_those_of_the_currency_are_refused(amount: str, currency: str) -> None:
    with pytest.raises(ValueError, match="at most"):
        to_minor_units(amount, currency)


def test_the_third_decimal_must_be_zero() -> None:
    with pytest.raises(ValueError, match="end in 0"):
        to_minor_units("1.131", "KWD")


@given(
    minor=st.integers(min_value=100, max_value=9_999_999_999),
    currency=st.sampled_from(sorted(code for code, exponent in EXPONENT_BY_CURRENCY.items() if exponent == 2)),
)
def test_every_amount_of_two_decimals_comes_back_exactly(minor: int, currency: str) -> None:
    major, rest = divmod(minor, 100)
    written = f"{major}.{rest:02}"
    assert to_minor_units(written, currency) == minor
    assert to_minor_units(Decimal(written), currency) == minor


@given(st.one_of(st.text(), st.floats(), st.decimals(), st.binary(), st.booleans(), st.lists(st.integers())))
def test_any_value_at_all_is_an_amount_or_a_value_error(amount: object) -> None:
    try:
        minor = to_minor_units(amount, "INR")
    except ValueError:
        return
    assert 100 <= minor <= 9_999_999_999
    assert not isinstance(amount, float | bool)


def test_the_decimals_of_a_currency_are_those_that_razorpay_lists() -> None:
    by_exponent = {
        exponent: " ".join(sorted(code for code, own in EXPONENT_BY_CURRENCY.items() if own == exponent))
        for exponent in (0, 3)
    }
    assert by_exponent == {
        0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF",
        3: "BHD IQD JOD KWD OMR TND",
    }
    assert [EXPONENT_BY_CURRENCY[code] for code in ("INR", "HUF", "IDR", "TWD")] == [2, 2, 2, 2]


def test_every_currency_is_a_code_of_three_capitals() -> None:
    assert [code for code in EXPONENT_BY_CURRENCY if len(code) != 3 or not code.isascii() or not code.isupper()] == []


@pytest.mark.parametrize("amount", [1, "1.00", "99999999.99", Decimal("499.5")])
def test_an_amount_whose_currency_is_not_known_yet_is_from_one_to_the_most_that_razorpay_takes(amount: object) -> None:
    assert parse_major(amount) == Decimal(str(amount))


@pytest.mark.parametrize("amount", ["0.99", 0, "-1", "100000000.00", True, None])
def test_an_amount_that_no_currency_has_is_refused_in_words_for_the_caller(amount: object) -> None:
    with pytest.raises(ValueError, match=r"^must be "):
        parse_major(amount)
