"""Who is calling. The handlers' tests have the hostile tokens; here are the rules themselves."""

import time
from typing import Any

import jwt
import pytest

from payments.adapters.tokens import Tokens
from payments.core.errors import Unauthenticated
from payments.core.identity import TokenRules
from sandbox import development

RULES = TokenRules(algorithm="HS256", key=development.JWT_SECRET, user_claim="user_id")


def authorization(key: str = development.JWT_SECRET, *, expires_in: float = 60, **claims: Any) -> str:
    claims = {"user_id": 42, "exp": int(time.time() + expires_in), **claims}
    return f"Bearer {jwt.encode(claims, key, algorithm='HS256')}"


def test_the_caller_of_a_valid_token_is_known() -> None:
    assert Tokens(RULES).user_id(authorization()) == 42
    assert Tokens(RULES).user_id(f"Bearer {development.token(42)}") == 42


@pytest.mark.parametrize(("expires_in", "valid"), [(-25, True), (-35, False)])
def test_clocks_may_differ_by_half_a_minute(expires_in: float, *, valid: bool) -> None:
    if valid:
        assert Tokens(RULES).user_id(authorization(expires_in=expires_in)) == 42
    else:
        with pytest.raises(Unauthenticated, match="ExpiredSignatureError"):
            Tokens(RULES).user_id(authorization(expires_in=expires_in))


def test_the_algorithm_is_ours_to_choose() -> None:
    token = jwt.encode({"user_id": 42, "exp": time.time() + 60}, development.JWT_SECRET * 2, algorithm="HS512")
    with pytest.raises(Unauthenticated, match="not the algorithm"):
        Tokens(RULES).user_id(f"Bearer {token}")


@pytest.mark.parametrize(
    "hostile",
    [
        None,
        "Bearer",
        "Bearer not.a.token",
        "bearer \udcff.\udcff.\udcff",
        authorization("another-key-of-more-than-thirty-two-bytes"),
        authorization(user_id="asha@example.com"),
        authorization(exp="soon"),
        authorization(token_type="refresh"),
    ],
)
def test_a_refusal_never_quotes_the_token(hostile: str | None) -> None:
    with pytest.raises(Unauthenticated) as refused:
        Tokens(RULES).user_id(hostile)
    assert refused.value.__cause__ is None, "the library's error may quote it, so it is not carried along"
    said = str(refused.value)
    assert "asha" not in said
    assert len(said) < 40


def test_the_rules_do_not_show_their_key() -> None:
    assert development.JWT_SECRET not in repr(RULES)


@pytest.mark.parametrize("user_id", [1, "1", 2**53 - 1, str(2**53 - 1)])
def test_the_ends_of_the_range_are_users(user_id: object) -> None:
    assert Tokens(RULES).user_id(authorization(user_id=user_id)) == int(str(user_id))
