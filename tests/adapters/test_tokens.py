"""Token checks: the rules themselves. Hostile tokens are in the handlers' tests."""

import json
import time
from typing import Any

import jwt
import pytest

from payments.adapters.tokens import Quotes, Tokens
from payments.core.errors import KeysUnavailable, MayNotRefund, Unauthenticated, UnknownSigner
from payments.core.identity import QuoteRules, TokenRules
from sandbox import development
from tests.signers import ALGORITHMS, KID, Signer, claims, segment, signer

RULES = TokenRules(algorithm="HS256", key=development.JWT_SECRET, user_claim="user_id")


def rules(algorithm: str = "HS256", **changes: Any) -> TokenRules:
    known = signer(algorithm)
    key = known.key if algorithm == "HS256" else known.pem
    return TokenRules(**{"algorithm": algorithm, "key": key, "user_claim": "user_id", **changes})


def caller(token: str, under: TokenRules = RULES) -> int:
    return Tokens(under).user_id(f"Bearer {token}")


def refused(token: str, under: TokenRules = RULES, why: str | None = None) -> None:
    with pytest.raises(Unauthenticated, match=why):
        caller(token, under)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_caller_of_a_valid_token_is_known(algorithm: str) -> None:
    assert caller(signer(algorithm).token(claims()), rules(algorithm)) == 42


def test_the_sandboxs_tokens_are_valid() -> None:
    assert caller(development.token(42)) == 42


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_somebody_elses_signature_is_told_apart_from_everything_else(algorithm: str) -> None:
    # It may belong to a new key, so the key set is worth fetching.
    with pytest.raises(UnknownSigner):
        caller(signer(algorithm, 2).token(claims()), rules(algorithm))
    with pytest.raises(Unauthenticated) as expired:
        caller(signer(algorithm).token(claims(exp=1)), rules(algorithm))
    assert not isinstance(expired.value, UnknownSigner)


# --- the algorithm ---


@pytest.mark.parametrize("configured", ALGORITHMS)
@pytest.mark.parametrize("used", ALGORITHMS)
def test_the_algorithm_is_ours_to_choose(configured: str, used: str) -> None:
    token = signer(used).token(claims())
    if used == configured:
        assert caller(token, rules(configured)) == 42
    else:
        refused(token, rules(configured), "not the algorithm")


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
@pytest.mark.parametrize("said", ["HS256", "the real one"])
def test_a_public_key_is_nobodys_secret(algorithm: str, said: str) -> None:
    # The public key, used as the secret of HS256.
    class Forger(Signer):
        pem = signer(algorithm).pem

        def token(self, body: Any, header: Any = None) -> str:
            signed = f"{segment(json.dumps({'alg': header}).encode())}.{segment(json.dumps(body).encode())}"
            mac = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256).sign(
                signed.encode(), self.pem.encode()
            )
            return f"{signed}.{segment(mac)}"

    token = Forger("HS256", "").token(claims(), algorithm if said == "the real one" else said)
    refused(token, rules(algorithm))


@pytest.mark.parametrize(
    "spelling", ["none", "None", "NONE", "nOnE", "", "hs256", "HS384", "HS512", "PS256", None, 1, []]
)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_no_other_algorithm_is_taken_however_it_is_spelled(algorithm: str, spelling: object) -> None:
    signed = signer(algorithm).token(claims(), {"alg": spelling})
    refused(signed, rules(algorithm), "not the algorithm")
    refused(signed.rpartition(".")[0] + ".", rules(algorithm))


# --- one spelling ---


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_single_bit_of_the_signature_counts(algorithm: str) -> None:
    token = signer(algorithm).token(claims())
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    last = alphabet.index(token[-1])
    for bit in range(6):
        # The lowest bits of the last character are unused: a lenient decoder reads 4 or 16 spellings as the same bytes.
        refused(token[:-1] + alphabet[last ^ (1 << bit)], rules(algorithm))
    assert caller(token, rules(algorithm)) == 42


@pytest.mark.parametrize("part", [0, 1, 2])
@pytest.mark.parametrize("junk", ["=", "==", "!", " ", "\n", "+", "/", "%3D", "\u00e9", "\x00"])
def test_nothing_outside_of_the_alphabet_is_skipped(part: int, junk: str) -> None:
    parts = signer("HS256").token(claims()).split(".")
    for place in (0, 3, len(parts[part])):
        changed = parts[part][:place] + junk + parts[part][place:]
        written = ".".join([*parts[:part], changed, *parts[part + 1 :]])
        if written.strip(" ") != ".".join(parts):  # a space around the whole token is not part of it
            refused(written)


@pytest.mark.parametrize(
    "token", ["", ".", "..", "...", "a.b", "a.b.c.d", "e30.e30.", "e30..e30", ".e30.e30", "x.e30.e30"]
)
def test_a_token_has_three_parts(token: str) -> None:
    refused(token)


def test_a_token_of_eight_kibibytes_is_taken_and_one_more_byte_is_not() -> None:
    def of(length: int) -> str:
        token = signer("HS256").token(claims(filling=""))
        filling = (length - len(token)) * 3 // 4
        while len(token := signer("HS256").token(claims(filling="x" * filling))) > length:
            filling -= 1
        return token

    # Base64 texts never have 4n + 1 characters, so some lengths do not exist.
    longest = max((of(length) for length in range(8187, 8193)), key=len)
    shortest_too_long = next(t for n in range(8193, 8200) if len(t := of(n)) > 8192)
    assert 8187 <= len(longest) <= 8192 < len(shortest_too_long) < 8200
    assert caller(longest) == 42
    refused(shortest_too_long, why="too long")


# --- the header ---


@pytest.mark.parametrize(
    "header",
    [
        b'{"alg":"HS256","alg":"HS256"}',
        b'{"alg":"none","alg":"HS256"}',
        b'{"alg":"HS256","kid":"a","kid":"b"}',
        b'["HS256"]',
        b'"HS256"',
        b"null",
        b"{",
        b"",
        b'{"alg":"HS256","deep":' + b"[" * 80 + b"]" * 80 + b"}",
        b'{"alg":"HS256","n":' + b"1" * 5000 + b"}",
        b'{"alg":"HS256","n":NaN}',
        b'\xff{"alg":"HS256"}',
        b'{"alg":"HS256","x":"\\ud800"}',
    ],
)
def test_a_header_that_readers_disagree_about_is_refused(header: bytes) -> None:
    refused(signer("HS256").token(claims(), header))
    assert caller(signer("HS256").token(claims(), b'{"alg":"HS256"}')) == 42


@pytest.mark.parametrize("crit", [["b64"], ["exp"], [], "b64", None])
def test_what_must_be_understood_is_not(crit: object) -> None:
    refused(signer("HS256").token(claims(), {"crit": crit, "b64": True, "exp": 1}), why="critical")


@pytest.mark.parametrize("typ", ["JWT", "jwt", "at+jwt", "AT+JWT", "application/at+jwt"])
def test_an_access_tokens_type_is_taken_in_any_case(typ: str) -> None:
    assert caller(signer("HS256").token(claims(), {"typ": typ})) == 42


@pytest.mark.parametrize("typ", ["logout+jwt", "secevent+jwt", "dpop+jwt", "JOSE", "", None, 1, ["JWT"]])
def test_another_kind_of_token_is_refused(typ: object) -> None:
    refused(signer("HS256").token(claims(), {"typ": typ}), why="another kind of token")


@pytest.mark.parametrize("name", ["jku", "x5u", "jwk", "x5c"])
def test_a_token_brings_no_key_of_its_own(name: str) -> None:
    forger = signer("RS256", 2)
    value: object = forger.jwk() if name == "jwk" else "https://forger.example.com/jwks.json"
    refused(forger.token(claims(), {name: value}), rules("RS256"))


# --- the claims ---


@pytest.mark.parametrize(
    "body",
    [
        b'{"user_id":42,"user_id":42,"exp":%d}',
        b'{"user_id":41,"user_id":42,"exp":%d}',
        b'{"user_id":42,"exp":1,"exp":%d}',
        b'{"user_id":42,"exp":%d,"deep":{"a":1,"a":2}}',
        b'{"user_id":42,"exp":%d,"n":NaN}',
        b'{"user_id":42,"exp":%d,"x":"\\udc00"}',
        b'[{"user_id":42,"exp":%d}]',
        b'{"user_id":42,"exp":%d,"deep":' + b"[" * 80 + b"]" * 80 + b"}",
    ],
)
def test_claims_that_readers_disagree_about_are_refused(body: bytes) -> None:
    exp = int(time.time()) + 60
    refused(signer("HS256").token(body % exp))
    assert caller(signer("HS256").token(b'{"user_id":42,"exp":%d}' % exp)) == 42


@pytest.mark.parametrize("name", ["exp", "nbf", "iat"])
@pytest.mark.parametrize("value", ["1", "", True, False, None, [], {}, "soon"])
def test_a_time_is_a_number(name: str, value: object) -> None:
    body = {**claims(), name: value}
    refused(signer("HS256").token(body))


@pytest.mark.parametrize("name", ["exp", "nbf", "iat"])
def test_a_time_may_have_a_fraction(name: str) -> None:
    moment = time.time() + (60 if name == "exp" else -60)
    assert caller(signer("HS256").token(claims(**{name: moment}))) == 42


@pytest.mark.parametrize("number", ["1e400", "-1e400", "1" * 70])
def test_a_time_beyond_all_bounds_is_refused(number: str) -> None:
    refused(signer("HS256").token(b'{"user_id":42,"exp":%s}' % number.encode()))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize(
    ("name", "seconds", "valid"),
    [
        ("exp", -25, True),
        ("exp", -35, False),
        ("nbf", 25, True),
        ("nbf", 35, False),
        ("iat", 25, True),
        ("iat", 35, False),
    ],
)
def test_clocks_may_differ_by_half_a_minute(algorithm: str, name: str, seconds: int, *, valid: bool) -> None:
    token = signer(algorithm).token(claims(**{name: int(time.time()) + seconds}))
    if valid:
        assert caller(token, rules(algorithm)) == 42
    else:
        refused(token, rules(algorithm), "ExpiredSignatureError|ImmatureSignatureError")


@pytest.mark.parametrize("missing", ["exp", "user_id"])
def test_without_an_end_or_a_user_there_is_no_caller(missing: str) -> None:
    refused(signer("HS256").token(claims(**{missing: None})), why="MissingRequiredClaimError")


@pytest.mark.parametrize(
    "marked", [{"token_type": "refresh"}, {"token_use": "id"}, {"token_use": ["access"]}, {"token_type": 1}]
)
def test_only_access_tokens_open_a_door(marked: dict[str, object]) -> None:
    refused(signer("HS256").token(claims(**marked)), why="not an access token")


@pytest.mark.parametrize("user_id", [1, "1", 2**53 - 1, str(2**53 - 1)])
def test_the_ends_of_the_range_are_users(user_id: object) -> None:
    assert caller(signer("HS256").token(claims(user_id=user_id))) == int(str(user_id))


# --- who issued it, and for whom ---


def test_the_issuer_is_checked_where_one_is_configured() -> None:
    insists = rules(issuer="https://id.example.com/")
    assert caller(signer("HS256").token(claims(iss="https://id.example.com/")), insists) == 42
    for issuer in ("https://id.example.com", "https://ID.example.com/", ["https://id.example.com/"], 1, None):
        refused(signer("HS256").token(claims(iss=issuer)), insists)
    assert caller(signer("HS256").token(claims(iss="whoever"))) == 42


@pytest.mark.parametrize("audience", ["payments", ["payments"], ["others", "payments"]])
def test_the_audience_is_checked_where_one_is_configured(audience: object) -> None:
    insists = rules(audience="payments")
    assert caller(signer("HS256").token(claims(aud=audience)), insists) == 42
    refused(signer("HS256").token(claims(aud=audience)), rules(audience="payment"))


@pytest.mark.parametrize(
    "audience", [None, "others", "", [], ["others"], ["payments", 1], {"payments": 1}, 1, "payments2"]
)
def test_a_token_for_others_is_refused(audience: object) -> None:
    refused(signer("HS256").token(claims(aud=audience)), rules(audience="payments"))
    assert caller(signer("HS256").token(claims(aud=audience)), rules()) == 42


def test_a_client_id_stands_for_the_audience_in_cognitos_access_tokens_alone() -> None:
    insists = rules(audience="1h57kf5cpq17m0eml12EXAMPLE")
    cognito = claims(token_type=None, token_use="access", client_id=insists.audience)
    assert caller(signer("HS256").token(cognito), insists) == 42
    hostile: list[dict[str, Any]] = [
        {"client_id": "another"},
        {"token_use": None},
        {"aud": "others"},
        {"aud": []},
        {"token_use": "id"},
    ]
    for changes in hostile:
        changed = {name: value for name, value in {**cognito, **changes}.items() if value is not None}
        refused(signer("HS256").token(changed), insists)


# --- published keys ---


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
def test_where_keys_are_published_the_token_says_which_one_it_is(algorithm: str) -> None:
    asked: list[str] = []

    def published(kid: str) -> Any:
        asked.append(kid)
        return signer(algorithm).key.public_key()

    tokens = Tokens(rules(algorithm, key=None, key_set_url="https://id.example.com/jwks.json"), published)
    assert tokens.user_id(f"Bearer {signer(algorithm).token(claims())}") == 42
    assert asked == [KID]


@pytest.mark.parametrize("kid", [None, "", 1, [], {}, True, "x" * 257])
def test_a_key_id_that_cannot_be_one_is_not_asked_for(kid: object) -> None:
    def published(kid: str) -> Any:
        raise AssertionError(f"{kid} was asked for")

    tokens = Tokens(rules("RS256", key=None), published)
    with pytest.raises(Unauthenticated, match="no key id"):
        tokens.user_id(f"Bearer {signer('RS256').token(claims(), {'kid': kid})}")


def test_keys_that_cannot_be_had_are_not_the_callers_fault() -> None:
    def published(kid: str) -> Any:
        raise KeysUnavailable(f"not even {kid}")

    with pytest.raises(KeysUnavailable):
        Tokens(rules("RS256", key=None), published).user_id(f"Bearer {signer('RS256').token(claims())}")


# --- what is reported about it ---


@pytest.mark.parametrize(
    "hostile",
    [
        None,
        "Bearer",
        "Bearer not.a.token",
        "bearer \udcff.\udcff.\udcff",
        f"Bearer {signer('HS256', 2).token(claims())}",
        f"Bearer {signer('HS256').token(claims(user_id='asha@example.com'))}",
        f"Bearer {signer('HS256').token(claims(exp='asha'))}",
        f"Bearer {signer('HS256').token(claims(token_type='asha'))}",
        f"Bearer {signer('HS256').token(claims(), {'alg': 'asha'})}",
        f"Bearer {signer('HS256').token(claims(), {'typ': 'asha'})}",
        f"Bearer {signer('HS256').token(b'asha')}",
    ],
)
def test_a_refusal_never_quotes_the_token(hostile: str | None) -> None:
    with pytest.raises(Unauthenticated) as caught:
        Tokens(RULES).user_id(hostile)
    assert caught.value.__cause__ is None, "the library's error may quote it, so it is not carried along"
    said = str(caught.value)
    assert "asha" not in said
    assert len(said) < 40


def test_the_rules_do_not_show_their_key() -> None:
    assert development.JWT_SECRET not in repr(RULES)


# --- the scope for refunds --------------------------------------------------------------------------------------------


def with_scope(token: str, scope: str = "payments:refund") -> int:
    return Tokens(RULES).user_with_scope(f"Bearer {token}", scope)


@pytest.mark.parametrize("scope", ["payments:refund", "read payments:refund", "payments:refund  read"])
def test_a_token_with_the_scope_is_let_in(scope: str) -> None:
    # RFC 8693, section 4.2: a string of scopes, separated by spaces.
    assert with_scope(signer("HS256").token(claims(scope=scope))) == 42


@pytest.mark.parametrize(
    "scope",
    ["", "payments", "payments:refunds", "PAYMENTS:REFUND", "read,payments:refund", ["payments:refund"], True, None, 1],
)
def test_any_other_scope_is_not_it(scope: object) -> None:
    with pytest.raises(MayNotRefund):
        with_scope(signer("HS256").token(claims(scope=scope)))


def test_a_token_without_the_claim_has_no_scope() -> None:
    with pytest.raises(MayNotRefund):
        with_scope(signer("HS256").token(claims()))


def test_the_scope_of_a_token_that_is_not_valid_counts_for_nothing() -> None:
    for token in (
        signer("HS256", 2).token(claims(scope="payments:refund")),
        signer("HS256").token(claims(scope="payments:refund", exp=1)),
        signer("HS256").token(claims(scope="payments:refund", token_type="refresh")),
    ):
        with pytest.raises(Unauthenticated):
            with_scope(token)


# --- quotes ---


def quote_rules(algorithm: str) -> QuoteRules:
    known = signer(algorithm)
    return QuoteRules(algorithm=algorithm, key=known.key if algorithm == "HS256" else known.pem)


@pytest.mark.parametrize("configured", ALGORITHMS)
@pytest.mark.parametrize("used", ALGORITHMS)
def test_the_algorithm_of_a_quote_is_ours_to_choose(configured: str, used: str) -> None:
    quote = signer(used).token({"aud": "payment-quote", "exp": 1})
    if used == configured:
        # The times are `core.quotes`'s to check.
        assert Quotes(quote_rules(configured)).claims(quote) == {"aud": "payment-quote", "exp": 1}
    else:
        with pytest.raises(Unauthenticated, match="not the algorithm that is configured"):
            Quotes(quote_rules(configured)).claims(quote)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_quote_of_another_key_is_worth_looking_for_a_new_one(algorithm: str) -> None:
    with pytest.raises(UnknownSigner):
        Quotes(quote_rules(algorithm)).claims(signer(algorithm, 2).token({"aud": "payment-quote"}))


@pytest.mark.parametrize("kind", ["at+jwt", "application/at+jwt", "logout+jwt", "", None, 1])
def test_another_kind_of_token_is_no_quote(kind: Any) -> None:
    quote = signer("HS256").token({"aud": "payment-quote"}, {"typ": kind})
    with pytest.raises(Unauthenticated, match="another kind of token"):
        Quotes(quote_rules("HS256")).claims(quote)


@pytest.mark.parametrize("claims_text", [b'{"aud":"a","aud":"payment-quote"}', b"[]", b'"x"', b'{"a":NaN}'])
def test_a_quote_is_one_strict_json_object(claims_text: bytes) -> None:
    with pytest.raises(Unauthenticated):
        Quotes(quote_rules("HS256")).claims(signer("HS256").token(claims_text))


@pytest.mark.parametrize("audience", [None, "payments", "payment-quote"])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_quote_is_no_access_token_even_if_one_key_signs_both(algorithm: str, audience: str | None) -> None:
    under = rules(algorithm, user_claim="sub", audience=audience)
    for aud in ("payment-quote", ["payments", "payment-quote"]):
        refused(signer(algorithm).token(claims(sub="42", aud=aud)), under, "a quote")
