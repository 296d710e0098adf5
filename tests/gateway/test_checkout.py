import pytest

from sandbox.gateway import signatures
from tests.gateway.gateway import Gateway


@pytest.mark.parametrize(
    ("secret", "order_id", "payment_id", "signature"),
    [
        (
            "EnLs21M47BllR3X8PSFtjtbd",
            "order_IEIaMR65cu6nz3",
            "pay_IH4NVgf4Dreq1l",
            "0d4e745a1838664ad6c9c9902212a32d627d68e917290b0ad5f08ff4561bc50f",
        ),
        (
            "key_secret",
            "fake_order_id",
            "fake_payment_id",
            "b2335e3b0801106b84a7faff035df56ecffde06918c9ddd1f0fafbb37a51cc89",
        ),
    ],
)
def test_checkout_signatures_match_the_published_vectors(
    secret: str, order_id: str, payment_id: str, signature: str
) -> None:
    assert signatures.of_checkout(secret, order_id, payment_id) == signature


def test_webhook_signatures_match_a_known_vector() -> None:
    # HMAC-SHA256 of `{}` with an empty secret, which is why no receiver may start with one.
    assert signatures.of_webhook("", b"{}") == "22f8eea909400af98adf3681a9f31923ef6b7fcba4abb553d92823a3e9d5c25e"


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"method": "card", "card": "5267 3181 8797 5449", "otp": "754081"},
        {"method": "upi", "vpa": "success@razorpay"},
        {"method": "netbanking", "bank": "BARB_R"},
    ],
)
def test_a_payment_hands_over_three_fields_that_the_sdk_verifies(gateway: Gateway, how: dict[str, str]) -> None:
    order = gateway.order()
    fields = gateway.pay(order["id"], **how)
    assert list(fields) == ["razorpay_payment_id", "razorpay_order_id", "razorpay_signature"]
    assert fields["razorpay_order_id"] == order["id"]
    assert gateway.sdk.utility.verify_payment_signature(fields) is True


@pytest.mark.parametrize("platform", ["android", "react-native"])
@pytest.mark.parametrize("by", ["press", "switch"])
def test_mobile_sdks_hand_over_more_than_the_three_fields(gateway: Gateway, platform: str, by: str) -> None:
    """react-native-razorpay#332; `custom_branding` and `status_code` from public Android code."""
    if by == "switch":
        gateway.control("PUT", "faults", {"checkout_platform": platform})
    fields = gateway.pay(gateway.order()["id"], **{"platform": platform} if by == "press" else {})
    assert set(fields) == {
        "razorpay_payment_id",
        "razorpay_order_id",
        "razorpay_signature",
        "org_logo",
        "org_name",
        "checkout_logo",
        "custom_branding",
        "status_code",
    }
    assert gateway.sdk.utility.verify_payment_signature(fields) is True


def test_a_press_on_the_web_hands_over_three_fields_whatever_the_switch(gateway: Gateway) -> None:
    gateway.control("PUT", "faults", {"checkout_platform": "android"})
    assert len(gateway.pay(gateway.order()["id"], platform="web")) == 3


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ({"method": "upi", "vpa": "failure@razorpay"}, "payment_failed"),
        ({"method": "card", "otp": "123"}, "incorrect_otp"),
        ({"method": "netbanking", "outcome": "failure"}, "payment_failed"),
    ],
)
def test_a_failed_payment_hands_over_checkouts_error_and_leaves_the_order_payable(
    gateway: Gateway, how: dict[str, str], reason: str
) -> None:
    order_id = gateway.order()["id"]
    answer = gateway.try_to_pay(order_id, **how)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert list(error) == ["code", "description", "source", "step", "reason", "metadata"]
    assert error["reason"] == reason
    assert error["metadata"]["order_id"] == order_id
    failed = gateway.sdk.payment.fetch(error["metadata"]["payment_id"])
    assert (failed["status"], failed["captured"], failed["error_reason"]) == ("failed", False, reason)
    assert gateway.pay(order_id)["razorpay_payment_id"] != failed["id"]


# payments/payments/test-card-details.md, "Error Scenarios"
ERROR_CARDS = {
    "payment_timed_out": ("4100 2800 0009 0000", "5305 6200 0006 0000"),
    "insufficient_fund": ("4100 2800 0008 0001", "5305 6200 0005 0001"),
    "payment_cancelled": ("4100 2800 0007 0002", "5305 6200 0004 0002"),
    "card_declined": (
        *("4100 2800 0006 0003", "5305 6200 0003 0003", "4100 2800 0005 0004"),
        *("5305 6200 0002 0004", "4100 2800 0004 0005", "5305 6200 0001 0005"),
    ),
    "card_disabled_for_online_payments": ("4100 2800 0003 0006", "5305 6200 0000 0006"),
    "card_number_invalid": ("4100 2800 0001 0008", "5305 6200 0008 0008"),
    "gateway_technical_error": ("4100 2800 0002 0007", "5305 6200 0009 0007"),
    "authentication_failed": ("4100 2800 0000 0009", "5305 6200 0007 0009"),
}
GATEWAY_ERRORS = {"gateway_technical_error", "authentication_failed"}


@pytest.mark.parametrize(
    ("reason", "card"), [(reason, card) for reason, cards in ERROR_CARDS.items() for card in cards]
)
def test_a_card_for_an_error_scenario_fails_in_its_own_way_and_only_if_made_to_fail(
    gateway: Gateway, reason: str, card: str
) -> None:
    order_id = gateway.order()["id"]
    error = gateway.try_to_pay(order_id, card=card, outcome="failure").json()["error"]
    code = "GATEWAY_ERROR" if reason in GATEWAY_ERRORS else "BAD_REQUEST_ERROR"
    assert (error["code"], error["reason"]) == (code, reason)
    assert error["description"]
    assert gateway.pay(order_id, card=card)["razorpay_order_id"] == order_id


def test_a_upi_payment_through_an_app_has_no_id_until_the_app_answers(gateway: Gateway) -> None:
    order_id = gateway.order()["id"]
    payment_id = gateway.try_to_pay(order_id, method="upi", flow="intent", outcome="open").json()["payment_id"]
    payment = gateway.sdk.payment.fetch(payment_id)
    assert (payment["vpa"], "upi" in payment) == (None, False)
    gateway.control("POST", f"payments/{payment_id}/finish", {"outcome": "success"})
    payment = gateway.sdk.payment.fetch(payment_id)
    assert (payment["upi"]["flow"], payment["vpa"]) == ("intent", payment["upi"]["vpa"])


def test_a_paid_order_takes_no_other_payment(gateway: Gateway) -> None:
    order_id = gateway.order()["id"]
    gateway.pay(order_id)
    answer = gateway.try_to_pay(order_id)
    assert answer.status_code == 400
    assert answer.json()["error"]["reason"] == "order_already_paid"
    assert gateway.sdk.order.payments(order_id)["count"] == 1


def test_an_order_with_an_authorised_payment_takes_no_other_payment(gateway: Gateway) -> None:
    order_id = gateway.order(payment={"capture": "manual"})["id"]
    gateway.pay(order_id)
    assert gateway.try_to_pay(order_id).status_code == 400
    assert gateway.sdk.order.payments(order_id)["count"] == 1


@pytest.mark.parametrize(
    ("how", "complaint"),
    [
        ({"method": "cash"}, "method can be"),
        ({"card": "4111"}, "card must be"),
        ({"method": "upi", "vpa": "nobody"}, "vpa must look like"),
        ({"method": "upi", "flow": "qr"}, "flow can be: collect, intent"),
        ({"outcome": "maybe"}, "outcome can be"),
        ({"bank": 5}, "must be strings: bank"),
        ({"tip": 1}, "unknown fields: tip"),
        ({"amount": 0}, "amount must be"),
        ({"amount": True}, "amount must be"),
        ({"currency": "inr"}, "currency must be"),
        ({"force": 1}, "force can be"),
        ({"capture": "never"}, "capture can be"),
        ({"capture": "later", "outcome": "failure"}, "this one fails"),
        ({"platform": "ios"}, "platform can be: web, android, react-native"),
        ({"offer": "5000"}, "offer must be a whole number of minor units"),
    ],
)
def test_an_impossible_way_to_pay_is_told_apart_from_a_failed_payment(
    gateway: Gateway, how: dict[str, object], complaint: str
) -> None:
    order_id = gateway.order()["id"]
    answer = gateway.try_to_pay(order_id, **how)
    assert answer.status_code == 422
    assert complaint in answer.json()["detail"]
    assert gateway.sdk.order.fetch(order_id)["status"] == "created"
