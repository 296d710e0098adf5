"""The settings for callers' tokens."""

from payments.core.identity import TokenRules


def test_what_is_not_configured_is_none_so_that_nothing_empty_is_compared() -> None:
    rules = TokenRules(algorithm="HS256", user_claim="user_id")
    assert (rules.key, rules.key_set_url, rules.issuer, rules.audience) == (None, None, None, None)


def test_the_key_is_not_shown() -> None:
    assert "of more than" not in repr(
        TokenRules(algorithm="HS256", key="a key of more than 32 bytes", user_claim="user_id")
    )
