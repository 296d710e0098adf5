"""The test cards for error scenarios, as listed in payments/payments/test-card-details.md since January 2026.

"In success/failure screen, you must select failure to get the right error": a card decides how its payment fails, not
whether it does. The page gives no source and no step; these are the closest values that errors/payment-methods lists
for cards.
"""

from typing import Final

from sandbox.gateway import refusals
from sandbox.gateway.entities import NO_ANSWER, Failure

GATEWAY: Final = "GATEWAY_ERROR"

_SCENARIOS: Final[tuple[tuple[Failure, tuple[str, ...]], ...]] = (
    (NO_ANSWER, ("4100280000090000", "5305620000060000")),
    (
        Failure(
            refusals.BAD_REQUEST,
            "Your payment could not be completed due to insufficient account balance. Try another card or payment "
            "method.",
            "issuer_bank",
            "payment_authorization",
            "insufficient_fund",
        ),
        ("4100280000080001", "5305620000050001"),
    ),
    (
        Failure(
            refusals.BAD_REQUEST,
            "Your payment has been cancelled. Try again or complete the payment later.",
            "customer",
            "payment_authentication",
            "payment_cancelled",
        ),
        ("4100280000070002", "5305620000040002"),
    ),
    (
        Failure(
            refusals.BAD_REQUEST,
            "Your payment did not go through as it was declined by the bank. Try another payment method or contact "
            "your bank.",
            "issuer_bank",
            "payment_authorization",
            "card_declined",
        ),
        (
            *("4100280000060003", "5305620000030003"),
            *("4100280000050004", "5305620000020004"),
            *("4100280000040005", "5305620000010005"),
        ),
    ),
    (
        Failure(
            refusals.BAD_REQUEST,
            "Your card is disabled for online payments. Please reach to your bank or try with another card.",
            "issuer_bank",
            "payment_authorization",
            "card_disabled_for_online_payments",
        ),
        ("4100280000030006", "5305620000000006"),
    ),
    (
        Failure(
            refusals.BAD_REQUEST,
            "You have entered an incorrect card number. Try again.",
            "customer",
            "payment_initiation",
            "card_number_invalid",
        ),
        ("4100280000010008", "5305620000080008"),
    ),
    (
        Failure(
            GATEWAY,
            "Your payment did not go through due to a temporary issue. Any debited amount will be refunded in 4-5 "
            "business days.",
            "gateway",
            "payment_authorization",
            "gateway_technical_error",
        ),
        ("4100280000020007", "5305620000090007"),
    ),
    (
        Failure(
            GATEWAY,
            "Your payment could not be completed due to incorrect OTP or verification details. Try another payment "
            "method or contact your bank for details.",
            "customer",
            "payment_authentication",
            "authentication_failed",
        ),
        ("4100280000000009", "5305620000070009"),
    ),
)

ERROR_CARDS: Final = {number: failure for failure, numbers in _SCENARIOS for number in numbers}
"""How a payment with a card of that number fails, if it fails."""
