"""The attacks detect a missing check: with a check switched off, the attacks that it stops succeed."""

import json
from decimal import Decimal
from typing import Any

import jwt.api_jws
import pytest

from payments.adapters import http, tokens
from payments.core import signature, wire
from tests.attacks.family import Family
from tests.attacks.target import Target, accepted
from tests.attacks.test_attacks import FAMILIES


def _family(name: str) -> Family:
    return next(family for family in FAMILIES if family.name == name)


def _checks_nothing(*_: Any, **__: Any) -> None:
    pass


@pytest.mark.parametrize("name", ["webhook body bits", "webhook signature bits", "checkout", "webhook signed with"])
def test_without_the_comparison_of_signatures(fresh_target: Target, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    family = _family(name)
    attack = list(family.attacks.values())[1]
    assert accepted(fresh_target, family, attack) == []
    monkeypatch.setattr(signature, "_equal", lambda *_: True)
    assert accepted(fresh_target, family, attack) != []


@pytest.mark.parametrize("name", ["token key at get", "token RS256", "token ES256", "token RS256 by key set"])
def test_without_the_signature_of_tokens(fresh_target: Target, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    family = _family(name)
    attack = next(attack for case, attack in family.attacks.items() if "attacker, " in case or "'secret'" in case)
    assert accepted(fresh_target, family, attack) == []
    monkeypatch.setattr(jwt.api_jws.PyJWS, "_verify_signature", _checks_nothing)
    assert accepted(fresh_target, family, attack) != []


def test_with_claims_that_may_be_said_twice(fresh_target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    family = _family("token claims at get")
    attack = family.attacks["user_id twice, the client last"]
    assert accepted(fresh_target, family, attack) == []
    monkeypatch.setattr(tokens, "read_json", json.loads)
    assert accepted(fresh_target, family, attack) != []


@pytest.mark.parametrize(
    ("family", "case"),
    [("JSON at verify", "a key twice, ours last"), ("JSON at create-order", "a key twice, ours last")],
)
def test_with_a_reader_that_forgives(
    fresh_target: Target, monkeypatch: pytest.MonkeyPatch, family: str, case: str
) -> None:
    monkeypatch.setattr(wire, "_UNIQUE_KEYS", json.JSONDecoder(parse_float=Decimal))
    attack = _family(family).attacks[case]
    assert accepted(fresh_target, _family(family), attack) != []


def test_with_bodies_of_any_size(fresh_target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    read = http.Request.read_body
    monkeypatch.setattr(http.Request, "read_body", lambda request, _: read(request, 10**9))
    family = _family("size at create-order")
    assert accepted(fresh_target, family, family.attacks["9000 bytes"]) != []
