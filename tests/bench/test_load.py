"""The load generator checks each response, and retries only webhooks."""

import json
from types import SimpleNamespace
from typing import Any

import pytest

from bench.load import LoadFailed, _Shop, _until

CONFIRMED = {"order_id": "order_1", "status": "paid", "confirmed": True}


def shop(*answers: tuple[int, dict[str, Any]]) -> tuple[_Shop, list[str]]:
    """A shop that gets these responses in order, and the paths it requested."""
    asked: list[str] = []
    left = list(answers)

    def request(method: str, url: str, **_: object) -> SimpleNamespace:
        asked.append(f"{method} {url}")
        status, document = left.pop(0)
        return SimpleNamespace(status=status, data=json.dumps(document).encode(), json=lambda: document)

    made = _Shop("")
    made._pool = SimpleNamespace(request=request)  # type: ignore[assignment]  # noqa: SLF001 - no network
    return made, asked


def test_a_payment_is_taken_from_its_order_to_its_confirmation() -> None:
    loading, asked = shop((201, CONFIRMED), (200, {}), (200, {}), (200, CONFIRMED))
    loading.take_payment()
    assert asked == [
        "POST /api/payments/create-order/",
        "POST /api/payments/verify/",
        "POST /api/payments/webhook/",
        "GET /api/payments/order_1/",
    ]
    assert len(loading.waits_s) == 4


def test_a_webhook_that_is_answered_not_now_comes_again_and_is_counted() -> None:
    loading, asked = shop((201, CONFIRMED), (200, {}), (503, {}), (503, {}), (200, {}), (200, CONFIRMED))
    loading.take_payment()
    assert (loading.sent_again, asked.count("POST /api/payments/webhook/")) == (2, 3)


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ([(500, {})], "create-order/ was answered 500"),
        ([(201, CONFIRMED), (503, {})], "verify/ was answered 503"),
        ([(201, CONFIRMED), (200, {}), *[(503, {})] * 5], "webhook/ was answered 503"),
        ([(201, CONFIRMED), (200, {}), (400, {})], "webhook/ was answered 400"),
        (
            [(201, CONFIRMED), (200, {}), (200, {}), (200, CONFIRMED | {"confirmed": False})],
            "order_1 is paid after its capture was acknowledged",
        ),
    ],
)
def test_any_other_answer_fails(answers: list[tuple[int, dict[str, Any]]], said: str) -> None:
    loading, _ = shop(*answers)
    with pytest.raises(LoadFailed, match=said):
        loading.take_payment()


def test_before_anything_is_measured_a_payment_may_be_begun_again() -> None:
    loading, asked = shop((500, {}), (201, CONFIRMED), (200, {}), (200, {}), (200, CONFIRMED))
    loading.take_payment(tries=2)
    assert asked.count("POST /api/payments/create-order/") == 2


def test_what_fails_for_one_of_many_fails_for_all() -> None:
    loading, _ = shop((500, {}), (500, {}))
    with pytest.raises(LoadFailed):
        loading.at_once(2, lambda: _until(0, loading.take_payment))
