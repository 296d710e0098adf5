"""The identity service's published keys: which are accepted, how they are fetched, and how often."""

import json
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from payments.adapters import jwks
from payments.adapters.jwks import KeySet, fetch_key_set, read_key_set
from payments.core.errors import KeysUnavailable, UnknownSigner
from tests.key_server import Answer, KeyServer, answers, in_chunks, never_ends, publishes
from tests.signers import KID, Signer, signer

RSA, EC = signer("RS256"), signer("ES256")


def key_set(*members: Any) -> bytes:
    return json.dumps({"keys": list(members)}).encode()


def numbers(key: Any) -> Any:
    return key.public_numbers()


# --- which keys are accepted ---


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
def test_the_keys_of_the_configured_algorithm_are_taken_by_their_ids(algorithm: str) -> None:
    both = key_set(RSA.jwk("a"), EC.jwk("b"), signer(algorithm, 2).jwk("c"))
    keys = read_key_set(both, algorithm)
    assert set(keys) == {"a" if algorithm == "RS256" else "b", "c"}
    mine = signer(algorithm).key.public_key()
    assert numbers(keys["a" if algorithm == "RS256" else "b"]) == numbers(mine)


@pytest.mark.parametrize("missing", ["use", "alg"])
def test_a_key_need_not_say_what_it_is_for(missing: str) -> None:
    jwk = {name: value for name, value in RSA.jwk().items() if name != missing}
    assert set(read_key_set(key_set(jwk), "RS256")) == {KID}


@pytest.mark.parametrize("operations", [["verify"], ["encrypt", "verify"]])
def test_a_key_may_say_that_it_verifies(operations: list[str]) -> None:
    assert set(read_key_set(key_set(RSA.jwk(key_ops=operations)), "RS256")) == {KID}


def weak() -> Signer:
    return Signer("RS256", rsa.generate_private_key(public_exponent=65537, key_size=1024))  # noqa: S505 - that is what is refused


def huge() -> dict[str, Any]:
    return RSA.jwk(n="_" * (9000 // 6))


def another_curve() -> dict[str, Any]:
    return {**Signer("ES256", ec.generate_private_key(ec.SECP384R1())).jwk()}


@pytest.mark.parametrize(
    ("algorithm", "jwk"),
    [
        ("RS256", RSA.jwk(use="enc")),
        ("RS256", RSA.jwk(use=None)),
        ("RS256", RSA.jwk(use=["sig"])),
        ("RS256", RSA.jwk(alg="RS512")),
        ("RS256", RSA.jwk(alg="HS256")),
        ("RS256", RSA.jwk(alg=None)),
        ("RS256", RSA.jwk(key_ops=["encrypt"])),
        ("RS256", RSA.jwk(key_ops=[])),
        ("RS256", RSA.jwk(key_ops="verify")),
        ("RS256", RSA.jwk(kty="EC")),
        ("RS256", RSA.jwk(kty="oct", k="c2VjcmV0")),
        ("RS256", RSA.jwk(kid="")),
        ("RS256", {**RSA.jwk(), "kid": 7}),
        ("RS256", {name: value for name, value in RSA.jwk().items() if name != "kid"}),
        ("RS256", {name: value for name, value in RSA.jwk().items() if name != "n"}),
        ("RS256", RSA.jwk(n=5)),
        ("RS256", RSA.jwk(n=RSA.jwk()["n"] + "=")),
        ("RS256", RSA.jwk(e="AA")),
        ("RS256", RSA.jwk(e="!")),
        ("RS256", RSA.jwk(d="AQAB")),
        ("RS256", weak().jwk()),
        ("RS256", huge()),
        ("RS256", "a text"),
        ("RS256", None),
        ("ES256", EC.jwk(crv="P-384")),
        ("ES256", EC.jwk(crv="secp256k1")),
        ("ES256", EC.jwk(crv=None)),
        ("ES256", EC.jwk(x=EC.jwk()["y"])),
        ("ES256", EC.jwk(x="AQAB")),
        ("ES256", EC.jwk(d="AQAB")),
        ("ES256", another_curve()),
    ],
)
def test_a_key_for_something_else_or_too_weak_is_left_out(algorithm: str, jwk: object) -> None:
    other = signer(algorithm, 2).jwk("another")
    assert set(read_key_set(key_set(jwk, other), algorithm)) == {"another"}
    with pytest.raises(KeysUnavailable, match="no key"):
        read_key_set(key_set(jwk), algorithm)


def test_an_id_that_two_keys_share_names_neither() -> None:
    twice = key_set(RSA.jwk("a"), signer("RS256", 2).jwk("a"), signer("RS256", 3).jwk("b"))
    assert set(read_key_set(twice, "RS256")) == {"b"}
    # A key of another type is not a duplicate.
    assert set(read_key_set(key_set(RSA.jwk("a"), EC.jwk("a"), RSA.jwk("b", use="enc")), "RS256")) == {"a"}


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"keys": {}}',
        b'{"keys": []}',
        b'{"keys": null}',
        b'{"keys": [], "keys": []}',
        b'{"keys": ' + b"[" * 80 + b"]" * 80 + b"}",
        key_set(*[RSA.jwk(str(number)) for number in range(jwks.MAX_KEYS + 1)]),
    ],
)
def test_what_is_no_key_set_is_as_good_as_none(document: bytes) -> None:
    with pytest.raises(KeysUnavailable):
        read_key_set(document, "RS256")
    assert len(read_key_set(key_set(*[RSA.jwk(str(number)) for number in range(jwks.MAX_KEYS)]), "RS256")) == 100


# --- how they are fetched ---


@pytest.fixture
def server() -> Iterator[KeyServer]:
    with KeyServer(publishes(RSA.jwk())) as server:
        yield server


@pytest.mark.parametrize("answer", [publishes(RSA.jwk()), in_chunks(key_set(RSA.jwk()), 7)])
def test_the_document_is_fetched(server: KeyServer, answer: Answer) -> None:
    server.answer = answer
    assert set(read_key_set(fetch_key_set(server.url), "RS256")) == {KID}
    assert server.asked == ["/.well-known/jwks.json"]


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (answers(500, b"{}"), "answered 500"),
        (answers(404, b"{}"), "answered 404"),
        (answers(204, b""), "answered 204"),
        (answers(302, b"", Location="/elsewhere"), "answered 302"),
        (answers(301, b"", Location="https://id.example.com/jwks.json"), "answered 301"),
        (answers(200, b"x" * (jwks.MAX_BYTES + 1)), "too large"),
        (in_chunks(b"x" * (jwks.MAX_BYTES + 1), 5000), "too large"),
        (never_ends(b"x" * 4096, 0), "too large"),
        (answers(200, b"{}", Content_Length="100"), "ProtocolError|IncompleteRead"),
        (lambda request: request.wfile.write(b"not HTTP\r\n\r\n"), "ProtocolError"),
        (lambda _: None, "ProtocolError"),
    ],
)
def test_an_answer_that_is_none_is_told_by_its_kind(server: KeyServer, answer: Answer, why: str) -> None:
    server.answer = answer
    with pytest.raises(KeysUnavailable, match=why):
        fetch_key_set(server.url)
    assert len(server.asked) == 1, "it is not asked a second time, nor is anybody else"


def test_sixty_four_kibibytes_are_taken(server: KeyServer) -> None:
    server.answer = answers(200, b"x" * jwks.MAX_BYTES)
    assert len(fetch_key_set(server.url)) == jwks.MAX_BYTES


def test_a_server_that_hangs_or_dribbles_is_left_after_a_moment(
    server: KeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A tenth of the real values, to keep the test fast.
    monkeypatch.setattr(jwks, "CONNECT_TIMEOUT_S", 0.1)
    monkeypatch.setattr(jwks, "READ_TIMEOUT_S", 0.2)
    server.answer = lambda _: time.sleep(2)
    with pytest.raises(KeysUnavailable, match="ReadTimeoutError"):
        fetch_key_set(server.url)
    server.answer = never_ends(b"x", 0.05)
    with pytest.raises(KeysUnavailable, match="takes too long"):
        fetch_key_set(server.url)


def test_nobody_at_home_is_told_by_its_kind() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{taken.getsockname()[1]}/jwks.json"
        with pytest.raises(KeysUnavailable, match="NewConnectionError"):
            fetch_key_set(address)


def test_a_certificate_that_nobody_vouches_for_is_refused(server: KeyServer) -> None:
    # The server speaks no TLS, so nothing it says can be trusted.
    with pytest.raises(KeysUnavailable, match=r"SSLError|ProtocolError"):
        fetch_key_set(server.url.replace("http://", "https://"))
    assert server.asked == []


# --- how often ---


class World:
    """A clock, an identity service, and a record of requests and metrics."""

    def __init__(self) -> None:
        self.now = 1_000_000.0
        self.document: bytes | None = key_set(RSA.jwk("old"))
        self.asked_at: list[float] = []
        self.noticed: list[str] = []
        self.keys = KeySet(self._fetch, "RS256", lambda: self.now)

    def _fetch(self) -> bytes:
        self.asked_at.append(self.now)
        if self.document is None:
            raise KeysUnavailable("ReadTimeoutError")
        return self.document

    def key(self, kid: str) -> Any:
        return self.keys.key(kid, self.noticed.append)

    def outcome(self, kid: str) -> str:
        try:
            self.key(kid)
        except (UnknownSigner, KeysUnavailable) as error:
            return type(error).__name__
        return "key"


@pytest.fixture
def world() -> World:
    return World()


def test_keys_are_fetched_once_and_kept(world: World) -> None:
    for _ in range(100):
        world.key("old")
        world.now += 5
    assert len(world.asked_at) == 1
    assert world.noticed == []


def test_after_ten_minutes_a_key_that_was_taken_back_is_gone(world: World) -> None:
    world.key("old")
    world.document = key_set(RSA.jwk("new"))
    world.now += jwks.FRESH_S - 1
    assert world.outcome("old") == "key"
    world.now += 1
    assert world.outcome("old") == "UnknownSigner"
    assert world.outcome("new") == "key"
    assert len(world.asked_at) == 2


def test_a_new_key_is_taken_up_at_once(world: World) -> None:
    world.key("old")
    world.now += jwks.ASK_EVERY_S
    world.document = key_set(RSA.jwk("old"), signer("RS256", 2).jwk("new"))
    assert world.outcome("new") == "key"
    assert world.outcome("old") == "key"


def test_forged_key_ids_cannot_make_us_hammer_the_identity_service(world: World) -> None:
    world.key("old")
    began = world.now
    for number in range(6000):
        assert world.outcome(f"forged-{number}") == "UnknownSigner"
        assert world.outcome("old") == "key"
        world.now += 0.1
    assert len(world.asked_at) <= 1 + 600 / jwks.ASK_EVERY_S
    assert all(
        later - earlier >= jwks.ASK_EVERY_S for earlier, later in zip(world.asked_at, world.asked_at[1:], strict=False)
    )
    assert world.now - began == pytest.approx(600)


def test_while_the_identity_service_is_away_known_keys_stay_good_for_an_hour(world: World) -> None:
    world.key("old")
    world.document = None
    fetched = world.now
    while world.now - fetched < jwks.USABLE_S:
        assert world.outcome("old") == "key"
        world.now += 10
    assert world.outcome("old") == "KeysUnavailable"
    assert world.noticed
    assert set(world.noticed) == {"ReadTimeoutError"}
    # Fetched every half minute from the tenth minute on, whatever tokens came in.
    assert len(world.asked_at) == pytest.approx((jwks.USABLE_S - jwks.FRESH_S) / jwks.ASK_EVERY_S, abs=3)
    world.document = key_set(RSA.jwk("old"))
    world.now += jwks.ASK_EVERY_S
    assert world.outcome("old") == "key"


def test_a_key_that_cannot_be_looked_up_is_not_called_unknown(world: World) -> None:
    world.key("old")
    world.document = None
    world.now += jwks.ASK_EVERY_S
    assert world.outcome("new") == "KeysUnavailable"
    assert world.outcome("old") == "key"
    world.document = key_set(RSA.jwk("old"))
    world.now += jwks.ASK_EVERY_S
    assert world.outcome("new") == "UnknownSigner"


def test_without_any_key_it_is_asked_as_often_as_callers_are_told_to_come_back(world: World) -> None:
    world.document = None
    for _ in range(100):
        assert world.outcome("old") == "KeysUnavailable"
        world.now += 1
    assert len(world.asked_at) == 100 / jwks.ASK_WITHOUT_KEYS_EVERY_S
    world.document = key_set(RSA.jwk("old"))
    world.now += jwks.ASK_WITHOUT_KEYS_EVERY_S
    assert world.outcome("old") == "key"


@pytest.mark.parametrize("document", [b"<html>", b'{"keys": []}', key_set(EC.jwk("old"))])
def test_an_answer_of_no_use_takes_away_nothing_that_is_known(world: World, document: bytes) -> None:
    world.key("old")
    world.document = document
    world.now += jwks.FRESH_S
    assert world.outcome("old") == "key"
    assert len(world.noticed) == 1


def test_a_caller_waits_for_the_identity_service_less_than_its_function_may_take() -> None:
    assert jwks.CONNECT_TIMEOUT_S + 2 * jwks.READ_TIMEOUT_S <= 5
