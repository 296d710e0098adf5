import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments.core.signature import (
    checkout_signature,
    checkout_signature_is_valid,
    webhook_signature,
    webhook_signature_is_valid,
)

SECRET = "EnLs21M47BllR3X8PSFtjtbd"
ORDER_ID = "order_IEIaMR65cu6nz3"
PAYMENT_ID = "pay_IH4NVgf4Dreq1l"
SIGNATURE = "0d4e745a1838664ad6c9c9902212a32d627d68e917290b0ad5f08ff4561bc50f"
EMPTY = r"^An empty secret verifies against an empty key, which anyone can forge\.$"
BODY = b'{"event":"payment.captured"}'


def is_valid(signature: object, *, order_id: str = ORDER_ID, payment_id: str = PAYMENT_ID) -> bool:
    return checkout_signature_is_valid(
        order_id=order_id,
        payment_id=payment_id,
        signature=signature,  # type: ignore[arg-type]  # whatever a caller sends
        key_secret=SECRET,
    )


@pytest.mark.parametrize(
    ("secret", "order_id", "payment_id", "signature"),
    [
        pytest.param(SECRET, ORDER_ID, PAYMENT_ID, SIGNATURE, id="published checkout example"),
        pytest.param(
            "key_secret",
            "fake_order_id",
            "fake_payment_id",
            "b2335e3b0801106b84a7faff035df56ecffde06918c9ddd1f0fafbb37a51cc89",
            id="the SDK's own test",
        ),
    ],
)
def test_published_checkout_signatures_are_reproduced(
    secret: str, order_id: str, payment_id: str, signature: str
) -> None:
    assert checkout_signature(order_id, payment_id, secret) == signature
    assert checkout_signature_is_valid(order_id=order_id, payment_id=payment_id, signature=signature, key_secret=secret)


MALFORMED = [
    pytest.param(None, id="none"),
    pytest.param("", id="empty"),
    pytest.param(SIGNATURE.upper(), id="upper-case hex"),
    pytest.param(SIGNATURE + "0", id="too long"),
    pytest.param(SIGNATURE * 10_000, id="very long"),
    pytest.param(SIGNATURE[:-1], id="too short"),
    pytest.param(f" {SIGNATURE}", id="leading space"),
    pytest.param(f"{SIGNATURE}\n", id="trailing newline"),
    pytest.param(SIGNATURE[:-1] + "é", id="non-ASCII"),
    pytest.param("０" * 64, id="wide digits"),  # noqa: RUF001 - that is the point
    pytest.param("\ud800", id="lone surrogate"),
    pytest.param(SIGNATURE.encode(), id="bytes"),
    pytest.param(5, id="int"),
    pytest.param(True, id="bool"),
    pytest.param([SIGNATURE], id="list"),
]


@pytest.mark.parametrize("signature", MALFORMED)
def test_a_malformed_checkout_signature_is_not_valid_and_nothing_worse(signature: object) -> None:
    assert is_valid(signature) is False


@pytest.mark.parametrize("signature", MALFORMED)
def test_a_malformed_webhook_signature_is_not_valid_and_nothing_worse(signature: object) -> None:
    assert webhook_signature_is_valid(BODY, signature, [SECRET]) is False  # type: ignore[arg-type]  # as it arrives


@given(st.one_of(st.text(), st.binary(), st.integers(), st.none()))
def test_no_signature_but_the_right_one_is_valid(signature: object) -> None:
    assert is_valid(signature) is False


@pytest.mark.parametrize("payment_id", ["\ud800", "é", "", "pay_|order_"])
def test_an_odd_payment_id_is_not_valid_and_nothing_worse(payment_id: str) -> None:
    assert is_valid(SIGNATURE, payment_id=payment_id) is False


def test_order_and_payment_swapped_are_not_valid() -> None:
    assert is_valid(SIGNATURE)
    assert not is_valid(SIGNATURE, order_id=PAYMENT_ID, payment_id=ORDER_ID)
    assert not is_valid(checkout_signature(PAYMENT_ID, ORDER_ID, SECRET))


def test_a_signature_of_another_order_is_not_valid() -> None:
    assert not is_valid(SIGNATURE, order_id="order_IEIaMR65cu6nz4")


def test_an_empty_secret_signs_and_verifies_nothing() -> None:
    # HMAC over `{}` with an empty key, which anyone can compute.
    forged = "22f8eea909400af98adf3681a9f31923ef6b7fcba4abb553d92823a3e9d5c25e"
    with pytest.raises(ValueError, match=EMPTY):
        webhook_signature_is_valid(b"{}", forged, [""])
    with pytest.raises(ValueError, match=EMPTY):
        webhook_signature_is_valid(b"{}", forged, [SECRET, ""])
    with pytest.raises(ValueError, match=EMPTY):
        checkout_signature(ORDER_ID, PAYMENT_ID, "")


def test_without_any_secret_nothing_is_valid() -> None:
    assert webhook_signature_is_valid(BODY, webhook_signature(BODY, SECRET), []) is False


@pytest.mark.parametrize("signer", ["current", "previous"])
def test_either_of_two_secrets_may_have_signed(signer: str) -> None:
    signature = webhook_signature(BODY, signer)
    assert webhook_signature_is_valid(BODY, signature, ("current", "previous"))
    assert not webhook_signature_is_valid(BODY, signature, ("other", "next"))


def test_a_body_that_does_not_survive_reading_and_writing_verifies_over_its_bytes_alone() -> None:
    body = b'{"notes":{"text":"caf\\u00e9 \xc3\xa9 https:\\/\\/example.com"},"amount": 1.10}'
    signature = webhook_signature(body, SECRET)
    assert webhook_signature_is_valid(body, signature, [SECRET])
    rewritten = json.dumps(json.loads(body), separators=(",", ":")).encode()
    assert rewritten != body
    assert not webhook_signature_is_valid(rewritten, signature, [SECRET])


def test_a_body_that_is_no_text_at_all_can_be_signed() -> None:
    assert webhook_signature_is_valid(b"\xff\x00", webhook_signature(b"\xff\x00", SECRET), [SECRET])


@given(body=st.binary(min_size=1), at=st.integers(min_value=0), flip=st.integers(min_value=1, max_value=255))
def test_one_changed_byte_is_noticed(body: bytes, at: int, flip: int) -> None:
    place = at % len(body)
    changed = body[:place] + bytes([body[place] ^ flip]) + body[place + 1 :]
    assert not webhook_signature_is_valid(changed, webhook_signature(body, SECRET), [SECRET])
