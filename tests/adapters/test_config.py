"""Settings: one error names everything that is wrong, and shows no value."""

import json
import random
import string
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from payments.adapters import config
from payments.adapters.config import (
    create_order_settings,
    outbox_settings,
    read_previous,
    read_values,
    reconcile_settings,
    verify_settings,
    webhook_settings,
)
from payments.core.errors import ConfigurationError
from sandbox import development

GOOD = {
    "PAYMENTS_TABLE": "payments",
    "EVENT_BUS": "payments-local",
    "STAGE": "local",
    "RAZORPAY_KEY_ID": development.RAZORPAY_KEY_ID,
    "RAZORPAY_KEY_SECRET": development.RAZORPAY_KEY_SECRET,
    "RAZORPAY_WEBHOOK_SECRET": development.RAZORPAY_WEBHOOK_SECRET,
    "JWT_SECRET": development.JWT_SECRET,
}
LOADERS: dict[str, Callable[[Mapping[str, str]], Any]] = {
    "create_order": create_order_settings,
    "verify": verify_settings,
    "webhook": webhook_settings,
    "outbox": outbox_settings,
    "reconcile": reconcile_settings,
}


def no_secret(_: str) -> str:
    raise AssertionError("there is no secret to read")


@pytest.mark.parametrize("function", LOADERS)
def test_good_settings_are_taken_and_their_secrets_never_shown(function: str) -> None:
    settings = LOADERS[function](GOOD)

    assert not [value for name, value in GOOD.items() if name.endswith("SECRET") and value in repr(settings)]


@pytest.mark.parametrize(
    ("function", "needed"),
    [
        ("create_order", {"PAYMENTS_TABLE", "STAGE", "RAZORPAY_KEY_ID", "RAZORPAY_KEY_SECRET", "JWT_SECRET"}),
        ("verify", {"PAYMENTS_TABLE", "STAGE", "RAZORPAY_KEY_SECRET", "JWT_SECRET"}),
        ("webhook", {"PAYMENTS_TABLE", "EVENT_BUS", "STAGE", "RAZORPAY_WEBHOOK_SECRET"}),
        ("outbox", {"PAYMENTS_TABLE", "EVENT_BUS", "STAGE"}),
        ("reconcile", {"PAYMENTS_TABLE", "EVENT_BUS", "STAGE", "RAZORPAY_KEY_ID", "RAZORPAY_KEY_SECRET"}),
    ],
)
@pytest.mark.parametrize("value", [None, "", "   "])
def test_one_message_names_every_missing_setting(function: str, needed: set[str], value: str | None) -> None:
    with pytest.raises(ConfigurationError) as wrong:
        LOADERS[function]({} if value is None else dict.fromkeys(GOOD, value))

    assert {problem.partition(" ")[0] for problem in wrong.value.problems} == needed


@pytest.mark.parametrize(
    ("name", "value", "function"),
    [
        ("JWT_SECRET", "thirty-one-bytes-are-too-few-31", "verify"),
        ("RAZORPAY_KEY_SECRET", "k3y", "create_order"),
        ("RAZORPAY_WEBHOOK_SECRET", "k3y", "webhook"),
        ("RAZORPAY_WEBHOOK_SECRET_PREVIOUS", "k3y", "webhook"),
        ("RAZORPAY_KEY_ID", "not-a-key-id", "create_order"),
        ("CURRENCIES", "INR,XXX", "create_order"),
        ("STAGE", "a-stage-of-over-sixteen", "create_order"),
    ],
)
def test_a_setting_that_cannot_be_right_is_named_and_not_shown(name: str, value: str, function: str) -> None:
    with pytest.raises(ConfigurationError, match=name) as wrong:
        LOADERS[function](GOOD | {name: value})

    assert value not in str(wrong.value)


PRODUCTION = GOOD | {
    "STAGE": "production",
    "RAZORPAY_KEY_ID": "rzp_live_Zq81Lm20Xc53Vb",
    "RAZORPAY_KEY_SECRET": "mX7pQ2rT9vWb4Kc8",
    "RAZORPAY_WEBHOOK_SECRET": "hN3sLd6yRf1ZgJ5u",
    "JWT_SECRET": "0o2C7a9Bk4WqTz6Yx1Vn8Mi3Ue5Rs0Pd",
}


def test_a_test_key_does_not_start_in_production() -> None:
    with pytest.raises(ConfigurationError, match="test key"):
        create_order_settings(PRODUCTION | {"RAZORPAY_KEY_ID": "rzp_test_Zq81Lm20Xc53Vb"})
    create_order_settings(PRODUCTION)


def test_keys_are_sent_to_nobody_but_razorpay_in_production() -> None:
    elsewhere = {"RAZORPAY_API_URL": "https://razorpay.example.com"}
    with pytest.raises(ConfigurationError, match="RAZORPAY_API_URL is not Razorpay's"):
        create_order_settings(PRODUCTION | elsewhere)
    assert create_order_settings(GOOD | elsewhere).api_url == elsewhere["RAZORPAY_API_URL"]


LIVE = "rzp_live_Zq81Lm20Xc53Vb"
ASKS_RAZORPAY: dict[str, Callable[[Mapping[str, str]], Any]] = {
    "create_order": create_order_settings,
    "reconcile": reconcile_settings,
}
ANY_STAGE = pytest.mark.parametrize("stage", ["local", "dev", "staging", "production", "live", "Production"])


@ANY_STAGE
@pytest.mark.parametrize("function", ASKS_RAZORPAY)
@pytest.mark.parametrize("key_id", [LIVE, f" {LIVE} "])
def test_a_live_key_is_sent_to_nobody_but_razorpay_whatever_the_stage_is_called(
    stage: str, function: str, key_id: str
) -> None:
    live = PRODUCTION | {"STAGE": stage, "RAZORPAY_KEY_ID": key_id}
    with pytest.raises(ConfigurationError, match="RAZORPAY_API_URL"):
        ASKS_RAZORPAY[function](live | {"RAZORPAY_API_URL": "http://127.0.0.1:5001"})
    assert ASKS_RAZORPAY[function](live).api_url == "https://api.razorpay.com"


@ANY_STAGE
@pytest.mark.parametrize("function", ASKS_RAZORPAY)
def test_a_live_key_starts_nothing_beside_the_documented_secrets_whatever_the_stage_is_called(
    stage: str, function: str
) -> None:
    live = PRODUCTION | {"STAGE": stage, "RAZORPAY_KEY_ID": LIVE}
    names = {"RAZORPAY_KEY_SECRET", *(["JWT_SECRET"] if function == "create_order" else [])}
    with pytest.raises(ConfigurationError) as wrong:
        ASKS_RAZORPAY[function](live | {name: GOOD[name] for name in names})
    assert {problem.partition(" ")[0] for problem in wrong.value.problems} == names
    ASKS_RAZORPAY[function](live)


@pytest.mark.parametrize(("text", "most"), [("500000", "500000"), ("0.01", "0.01"), (" 99.5 ", "99.5"), ("", None)])
def test_the_largest_amount_is_a_setting_in_major_units(text: str, most: str | None) -> None:
    settings = create_order_settings(GOOD | {"MAX_AMOUNT": text})
    assert settings.max_amount == (None if most is None else Decimal(most))
    assert create_order_settings(GOOD).max_amount is None


@pytest.mark.parametrize("text", ["0", "-1", "1e3", "NaN", "Infinity", "5,000", "₹500", "0x10", "1_000", "\u0663"])
def test_a_largest_amount_that_is_none_is_named(text: str) -> None:
    with pytest.raises(ConfigurationError, match="MAX_AMOUNT"):
        create_order_settings(GOOD | {"MAX_AMOUNT": text})


DECIDES: dict[str, Callable[[Mapping[str, str]], Any]] = {
    "create_order": create_order_settings,
    "webhook": webhook_settings,
    "reconcile": reconcile_settings,
}


@pytest.mark.parametrize("function", DECIDES)
@pytest.mark.parametrize(("text", "floor"), [("1", 1), ("75", 75), (" 99 ", 99), ("", None)])
def test_a_floor_for_offers_is_a_share_in_per_cent(function: str, text: str, floor: int | None) -> None:
    settings = DECIDES[function](GOOD | {"ACCEPT_OFFERS": text})
    assert settings.policy.accept_offers_from_percent == floor
    assert DECIDES[function](GOOD).policy.accept_offers_from_percent is None


@pytest.mark.parametrize("function", DECIDES)
@pytest.mark.parametrize("text", ["0", "100", "-5", "75%", "7.5", "true", "all", "\u0667\u0665"])
def test_a_floor_for_offers_that_is_none_is_named(function: str, text: str) -> None:
    with pytest.raises(ConfigurationError, match="ACCEPT_OFFERS"):
        DECIDES[function](GOOD | {"ACCEPT_OFFERS": text})


EXPIRES = {name: DECIDES[name] for name in ("create_order", "reconcile")}


@pytest.mark.parametrize("function", EXPIRES)
@pytest.mark.parametrize(("text", "days"), [("1", 1), (" 45 ", 45), ("170", 170), ("", 30)])
def test_the_age_at_which_an_unpaid_order_expires_is_a_number_of_days(function: str, text: str, days: int) -> None:
    assert EXPIRES[function](GOOD | {"ORDER_EXPIRY_DAYS": text}).order_expiry_s == days * 86_400
    assert EXPIRES[function](GOOD).order_expiry_s == 30 * 86_400


@pytest.mark.parametrize("function", EXPIRES)
@pytest.mark.parametrize("text", ["0", "171", "1000", "-5", "7.5", "30d", "1e2", "never", "\u0663\u0660"])
def test_an_age_that_is_none_is_named(function: str, text: str) -> None:
    with pytest.raises(ConfigurationError, match="ORDER_EXPIRY_DAYS must be a whole number from 1 to 170"):
        EXPIRES[function](GOOD | {"ORDER_EXPIRY_DAYS": text})


def test_outbox_needs_no_key_and_keeps_none() -> None:
    settings = outbox_settings({name: GOOD[name] for name in ("PAYMENTS_TABLE", "EVENT_BUS", "STAGE")})
    assert not [name for name in type(settings).model_fields if "key" in name or "secret" in name]


@pytest.mark.parametrize("stage", ["staging", "production", "local2"])
def test_the_documented_secrets_start_nothing_but_the_local_stage(stage: str) -> None:
    for function, named in {
        "create_order": {"RAZORPAY_KEY_ID", "RAZORPAY_KEY_SECRET", "JWT_SECRET"},
        "verify": {"RAZORPAY_KEY_SECRET", "JWT_SECRET"},
        "webhook": {"RAZORPAY_WEBHOOK_SECRET"},
        "reconcile": {"RAZORPAY_KEY_ID", "RAZORPAY_KEY_SECRET"},
    }.items():
        with pytest.raises(ConfigurationError) as wrong:
            LOADERS[function](GOOD | {"STAGE": stage})
        assert {problem.partition(" ")[0] for problem in wrong.value.problems} == named
        LOADERS[function](GOOD)


def test_every_documented_secret_is_known_as_one() -> None:
    documented = {name: value for name, value in vars(development).items() if name.endswith(("SECRET", "PREVIOUS"))}
    assert len(documented) == 5
    assert all(value.startswith("local-development-") for value in documented.values())
    assert development.RAZORPAY_KEY_ID.startswith("rzp_test_LocalSandbox")


@pytest.mark.parametrize(
    "filling",
    [
        "changeme-changeme",
        "CHANGE_ME_PLEASE_1",
        "replace-me-before-use",
        "<the secret of the webhook>".replace(" ", "-"),
        "${RAZORPAY_SECRET}",
        "{{resolve:secretsmanager}}",
        "your-webhook-secret",
        "your_secret_here",
        "placeholder-value",
        "xxxxxxxxxxxxxxxx",
        "abababababababab",
        "test-secret-for-now",
        "Password-of-ours",
        "123456789012",
    ],
)
def test_a_filling_of_a_template_is_no_secret(filling: str) -> None:
    with pytest.raises(ConfigurationError, match="RAZORPAY_KEY_SECRET is a placeholder") as wrong:
        verify_settings(GOOD | {"RAZORPAY_KEY_SECRET": filling})
    assert filling not in str(wrong.value)


def test_a_secret_drawn_at_random_is_no_filling() -> None:
    drawn = random.Random(7)  # noqa: S311 - to be drawn again, no secret
    alphabets = string.hexdigits[:16], string.ascii_letters + string.digits, string.ascii_letters + "+/=-_"
    for number in range(3000):
        secret = "".join(drawn.choices(alphabets[number % 3], k=12 + number % 40))
        verify_settings(GOOD | {"RAZORPAY_KEY_SECRET": secret})


@pytest.mark.parametrize(
    "secret", [" hN3sLd6yRf1ZgJ5u", "hN3sLd6yRf1ZgJ5u\n", "hN3sLd6y Rf1ZgJ5u", "hN3sLd6y\u00a0Rf1ZgJ5"]
)
def test_a_secret_has_no_white_space(secret: str) -> None:
    with pytest.raises(ConfigurationError, match="RAZORPAY_WEBHOOK_SECRET contains white space"):
        webhook_settings(GOOD | {"RAZORPAY_WEBHOOK_SECRET": secret})
    webhook_settings(GOOD | {"RAZORPAY_WEBHOOK_SECRET": "".join(secret.split())})


@pytest.mark.parametrize("function", LOADERS)
def test_no_secret_is_used_for_two_things(function: str) -> None:
    same = {"RAZORPAY_KEY_SECRET": GOOD["RAZORPAY_WEBHOOK_SECRET"]}
    with pytest.raises(ConfigurationError, match="RAZORPAY_KEY_SECRET and RAZORPAY_WEBHOOK_SECRET are the same"):
        LOADERS[function](GOOD | same)
    with pytest.raises(ConfigurationError, match="RAZORPAY_KEY_SECRET and JWT_SECRET are the same"):
        LOADERS[function](GOOD | {"RAZORPAY_KEY_SECRET": GOOD["JWT_SECRET"]})


def test_one_message_names_problems_of_every_kind() -> None:
    bad = {
        "PAYMENTS_TABLE": "",
        "STAGE": "production",
        "RAZORPAY_KEY_SECRET": "short",
        "JWT_ALGORITHM": "HS256",
        "JWT_SECRET": "changeme-changeme-changeme-changeme",
        "JWT_JWKS_URL": "https://id.example.com/jwks.json",
        "CURRENCIES": "XXX",
    }
    with pytest.raises(ConfigurationError) as wrong:
        create_order_settings(GOOD | bad)
    assert [problem.partition(" ")[0] for problem in wrong.value.problems] == [
        "PAYMENTS_TABLE",
        "RAZORPAY_KEY_ID",
        "RAZORPAY_KEY_SECRET",
        "CURRENCIES",
        "JWT_JWKS_URL",
        "JWT_SECRET",
    ]


# --- the version of a secret before its rotation ---


def test_the_secret_before_a_rotation_counts_as_well() -> None:
    before = {"RAZORPAY_WEBHOOK_SECRET": "hN3sLd6yRf1ZgJ5u", "RAZORPAY_KEY_SECRET": "mX7pQ2rT9vWb4Kc8"}
    assert webhook_settings(GOOD, before).webhook_secrets == (GOOD["RAZORPAY_WEBHOOK_SECRET"], "hN3sLd6yRf1ZgJ5u")
    assert verify_settings(GOOD, before).key_secrets == (GOOD["RAZORPAY_KEY_SECRET"], "mX7pQ2rT9vWb4Kc8")


@pytest.mark.parametrize("before", ["", "   ", "k3y", "changeme-changeme", "with white space", development.JWT_SECRET])
def test_a_first_filling_never_verifies_anything(before: str) -> None:
    # With an empty secret anybody can sign.
    values = PRODUCTION | {"RAZORPAY_KEY_ID": "rzp_live_Zq81Lm20Xc53Vb"}
    settings = webhook_settings(values, {"RAZORPAY_WEBHOOK_SECRET": before})
    assert settings.webhook_secrets == (PRODUCTION["RAZORPAY_WEBHOOK_SECRET"],)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ('{"RAZORPAY_WEBHOOK_SECRET": "hN3sLd6yRf1ZgJ5u"}', {"RAZORPAY_WEBHOOK_SECRET": "hN3sLd6yRf1ZgJ5u"}),
        ('{"RAZORPAY_WEBHOOK_SECRET": 5, "other": "text"}', {"other": "text"}),
        ("not JSON", {}),
        ("[]", {}),
        ("", {}),
    ],
)
def test_what_a_secret_was_before_stops_nothing_whatever_it_was(text: str, read: dict[str, str]) -> None:
    assert read_previous([text]) == read


# --- the keys of tokens ---

URL = "https://id.example.com/.well-known/jwks.json"


@pytest.fixture(scope="module")
def pems() -> dict[str, str]:
    """Public keys and one private key, in PEM format."""

    def pem(key: Any) -> str:
        text: bytes = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        return text.decode()

    weak, strong = (rsa.generate_private_key(public_exponent=65537, key_size=bits) for bits in (1024, 2048))
    private = strong.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return {
        "RS256": pem(strong.public_key()),
        "RSA of 1024 bits": pem(weak.public_key()),
        "ES256": pem(ec.generate_private_key(ec.SECP256R1()).public_key()),
        "P-384": pem(ec.generate_private_key(ec.SECP384R1()).public_key()),
        "Ed25519": pem(ed25519.Ed25519PrivateKey.generate().public_key()),
        "private": private.decode(),
    }


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
def test_a_public_key_or_an_address_of_keys_is_what_the_other_algorithms_need(
    algorithm: str, pems: dict[str, str]
) -> None:
    chosen = {**GOOD, "JWT_ALGORITHM": algorithm}
    rules = verify_settings(chosen | {"JWT_PUBLIC_KEY": pems[algorithm]}).token_rules
    assert (rules.algorithm, rules.key, rules.key_set_url) == (algorithm, pems[algorithm].strip(), None)
    on_one_line = pems[algorithm].replace("\n", "\\n")
    assert verify_settings(chosen | {"JWT_PUBLIC_KEY": on_one_line}).token_rules == rules
    rules = verify_settings(chosen | {"JWT_JWKS_URL": URL}).token_rules
    assert (rules.algorithm, rules.key, rules.key_set_url) == (algorithm, None, URL)


@pytest.mark.parametrize(
    ("algorithm", "key", "problem"),
    [
        ("RS256", "RSA of 1024 bits", "is not an RSA key of 2048"),
        ("RS256", "ES256", "is not an RSA key of 2048"),
        ("ES256", "RS256", "is not a key on the curve P-256"),
        ("ES256", "P-384", "is not a key on the curve P-256"),
        ("ES256", "Ed25519", "is not a key on the curve P-256"),
        ("RS256", "private", "is a private key"),
    ],
)
def test_a_key_of_another_kind_is_named_and_not_shown(
    algorithm: str, key: str, problem: str, pems: dict[str, str]
) -> None:
    with pytest.raises(ConfigurationError, match=f"JWT_PUBLIC_KEY {problem}") as wrong:
        verify_settings(GOOD | {"JWT_ALGORITHM": algorithm, "JWT_PUBLIC_KEY": pems[key]})
    assert pems[key].splitlines()[1] not in str(wrong.value)


@pytest.mark.parametrize("text", ["not PEM", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"])
def test_what_is_no_key_at_all_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="JWT_PUBLIC_KEY is not a public key in PEM form"):
        verify_settings(GOOD | {"JWT_ALGORITHM": "RS256", "JWT_PUBLIC_KEY": text})


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"JWT_ALGORITHM": "RS256"}, "JWT_PUBLIC_KEY or JWT_JWKS_URL is not set, and RS256 needs one"),
        ({"JWT_ALGORITHM": "ES256"}, "JWT_PUBLIC_KEY or JWT_JWKS_URL is not set, and ES256 needs one"),
        ({"JWT_JWKS_URL": URL}, "JWT_JWKS_URL is for RS256 and ES256, and JWT_ALGORITHM is HS256"),
        ({"JWT_ALGORITHM": "RS256", "JWT_JWKS_URL": URL, "JWT_PUBLIC_KEY": "x"}, "are both set"),
        ({"JWT_ALGORITHM": "none"}, "JWT_ALGORITHM must be one of"),
        ({"JWT_ALGORITHM": "hs256"}, "JWT_ALGORITHM must be one of"),
        ({"JWT_ALGORITHM": "HS512"}, "JWT_ALGORITHM must be one of"),
    ],
)
def test_settings_that_contradict_each_other_start_nothing(changes: dict[str, str], problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        verify_settings(GOOD | changes)


@pytest.mark.parametrize(
    "url",
    [
        "http://id.example.com/jwks.json",
        "http://127.0.0.1.example.com/jwks.json",
        "http://127.0.0.1@id.example.com/jwks.json",
        "https://user:pass@id.example.com/jwks.json",
        "https://",
        "https://id.example.com:port/jwks.json",
        "https://[id.example.com/jwks.json",
        "https://id.example.com/jwks.json#keys",
        "https://id.example.com/jwks json",
        "file:///etc/passwd",
        "ftp://id.example.com/jwks.json",
        "id.example.com/jwks.json",
    ],
)
def test_keys_come_over_https_or_from_this_machine(url: str) -> None:
    chosen = {**GOOD, "JWT_ALGORITHM": "RS256"}
    with pytest.raises(ConfigurationError, match="JWT_JWKS_URL must start with https://"):
        verify_settings(chosen | {"JWT_JWKS_URL": url})
    for safe in (URL, "http://127.0.0.1:8000/jwks.json", "http://localhost/jwks.json", "http://[::1]:8000/jwks.json"):
        verify_settings(chosen | {"JWT_JWKS_URL": safe})


def test_without_the_layer_the_other_algorithms_do_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "find_spec", lambda _: None)
    with pytest.raises(ConfigurationError, match="JWT_ALGORITHM RS256 needs the layer with cryptography"):
        verify_settings(GOOD | {"JWT_ALGORITHM": "RS256", "JWT_JWKS_URL": URL})
    verify_settings(GOOD)


@pytest.mark.parametrize("form", ["PEM", "DER in base64", "JWK", "SSH"])
@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
def test_a_public_key_is_no_secret(form: str, algorithm: str, pems: dict[str, str]) -> None:
    # It is public, so anybody could sign tokens with it.
    key: Any = serialization.load_pem_public_key(pems[algorithm].encode())
    texts = {
        "PEM": pems[algorithm],
        "DER in base64": "".join(pems[algorithm].splitlines()[1:-1]),
        "JWK": jwt.algorithms.get_default_algorithms()[algorithm].to_jwk(key),
        "SSH": key.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH).decode(),
    }
    with pytest.raises(ConfigurationError, match="JWT_SECRET is a key for RS256 or ES256"):
        verify_settings(GOOD | {"JWT_SECRET": texts[form]})


def test_a_secrets_settings_go_over_plain_variables() -> None:
    values = read_values(
        {"SECRET_IDS": " first , second ", "JWT_SECRET": "plain"},
        {"first": json.dumps({"JWT_SECRET": "kept"}), "second": "{}"}.__getitem__,
    )

    assert values["JWT_SECRET"] == "kept"


@pytest.mark.parametrize("content", ["", "plain-text-secret", "[]", '"text"', '{"JWT_SECRET": 5}', "null"])
def test_a_secret_of_another_form_is_named_and_not_shown(content: str) -> None:
    arn = "arn:aws:secretsmanager:ap-south-1:123456789012:secret:payments-jwt-AbCdEf"

    with pytest.raises(ConfigurationError, match="payments-jwt-AbCdEf") as wrong:
        read_values({"SECRET_IDS": arn}, lambda _: content)

    assert "123456789012" not in str(wrong.value)
    assert "plain-text-secret" not in str(wrong.value)


def test_without_secret_ids_no_secret_is_read() -> None:
    assert read_values({"SECRET_IDS": ""}, no_secret) == {"SECRET_IDS": ""}


# --- quotes ---

QUOTE_SECRET = "gX2pWn7vKd9sTz4bQm6rYc1hLf8jUe3a"


@pytest.mark.parametrize("absent", [{}, {"QUOTE_REQUIRED": "false"}, {"QUOTE_SECRET": " "}, {"QUOTE_ALGORITHM": ""}])
def test_without_a_key_quotes_are_neither_taken_nor_required(absent: dict[str, str]) -> None:
    rules = create_order_settings(GOOD | absent).quote_rules
    assert (rules.key, rules.required) == (None, False)


def test_a_shared_key_of_quotes_is_used_with_hs256_unless_another_algorithm_is_named() -> None:
    for changes in ({}, {"QUOTE_ALGORITHM": "HS256"}):
        settings = create_order_settings(GOOD | {"QUOTE_SECRET": QUOTE_SECRET} | changes)
        assert (settings.quote_rules.algorithm, settings.quote_rules.key) == ("HS256", QUOTE_SECRET)
        assert settings.quote_rules.required is False
        assert QUOTE_SECRET not in repr(settings)
    assert create_order_settings(GOOD | {"QUOTE_SECRET": QUOTE_SECRET, "QUOTE_REQUIRED": "true"}).quote_rules.required


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
def test_a_public_key_of_quotes_is_checked_like_that_of_tokens(algorithm: str, pems: dict[str, str]) -> None:
    chosen = {**GOOD, "QUOTE_ALGORITHM": algorithm}
    rules = create_order_settings(chosen | {"QUOTE_PUBLIC_KEY": pems[algorithm].replace("\n", "\\n")}).quote_rules
    assert (rules.algorithm, rules.key) == (algorithm, pems[algorithm].strip())
    other = "ES256" if algorithm == "RS256" else "RS256"
    for key, problem in (
        (pems[other], f"QUOTE_PUBLIC_KEY is not a.* key .*, and QUOTE_ALGORITHM is {algorithm}"),
        (pems["private"], "QUOTE_PUBLIC_KEY is a private key"),
        ("not PEM", "QUOTE_PUBLIC_KEY is not a public key in PEM form"),
        ("", f"QUOTE_PUBLIC_KEY is not set, and QUOTE_ALGORITHM is {algorithm}"),
    ):
        with pytest.raises(ConfigurationError, match=problem):
            create_order_settings(chosen | {"QUOTE_PUBLIC_KEY": key})


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"QUOTE_REQUIRED": "true"}, "QUOTE_SECRET is not set"),
        ({"QUOTE_REQUIRED": "yes"}, "QUOTE_REQUIRED must be true or false"),
        ({"QUOTE_REQUIRED": "True"}, "QUOTE_REQUIRED must be true or false"),
        ({"QUOTE_ALGORITHM": "HS256"}, "QUOTE_SECRET is not set"),
        ({"QUOTE_ALGORITHM": "none", "QUOTE_SECRET": QUOTE_SECRET}, "QUOTE_ALGORITHM must be one of"),
        ({"QUOTE_PUBLIC_KEY": "x"}, "QUOTE_SECRET is not set"),
        ({"QUOTE_ALGORITHM": "RS256", "QUOTE_SECRET": QUOTE_SECRET}, "QUOTE_PUBLIC_KEY is not set"),
        ({"QUOTE_SECRET": "too-short-to-sign"}, "QUOTE_SECRET is too short"),
        ({"QUOTE_SECRET": f"{QUOTE_SECRET} "}, "QUOTE_SECRET contains white space"),
        ({"QUOTE_SECRET": "changeme-changeme-changeme-changeme"}, "QUOTE_SECRET is a placeholder"),
        (
            {"QUOTE_SECRET": development.QUOTE_SECRET, "STAGE": "staging"},
            "QUOTE_SECRET is the sandbox's documented one",
        ),
        ({"QUOTE_SECRET": development.JWT_SECRET}, "JWT_SECRET and QUOTE_SECRET are the same"),
        (
            {"QUOTE_SECRET": QUOTE_SECRET, "RAZORPAY_KEY_SECRET": QUOTE_SECRET},
            "RAZORPAY_KEY_SECRET and QUOTE_SECRET are the same",
        ),
        (
            {"QUOTE_SECRET": QUOTE_SECRET, "RAZORPAY_WEBHOOK_SECRET": QUOTE_SECRET},
            "RAZORPAY_WEBHOOK_SECRET and QUOTE_SECRET are the same",
        ),
    ],
)
def test_a_key_of_quotes_that_protects_nothing_starts_nothing(changes: dict[str, str], problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem) as wrong:
        create_order_settings(GOOD | changes)
    assert changes.get("QUOTE_SECRET", "-") not in str(wrong.value)


@pytest.mark.parametrize("kind", ["RS256", "ES256"])
def test_a_public_key_is_no_secret_to_sign_quotes_with(kind: str, pems: dict[str, str]) -> None:
    # Everyone knows it, so everyone could sign a quote with it.
    with pytest.raises(
        ConfigurationError, match="QUOTE_SECRET is a key for RS256 or ES256, and QUOTE_ALGORITHM is HS256"
    ):
        create_order_settings(GOOD | {"QUOTE_SECRET": pems[kind]})


def test_public_keys_of_quotes_need_the_layer_with_cryptography(
    monkeypatch: pytest.MonkeyPatch, pems: dict[str, str]
) -> None:
    monkeypatch.setattr(config, "find_spec", lambda _: None)
    with pytest.raises(ConfigurationError, match="QUOTE_ALGORITHM RS256 needs the layer with cryptography"):
        create_order_settings(GOOD | {"QUOTE_ALGORITHM": "RS256", "QUOTE_PUBLIC_KEY": pems["RS256"]})


@pytest.mark.parametrize("function", ["verify", "webhook", "outbox", "reconcile"])
def test_no_other_function_reads_how_quotes_are_checked(function: str) -> None:
    assert LOADERS[function](GOOD | {"QUOTE_REQUIRED": "perhaps", "QUOTE_ALGORITHM": "none"})
