"""`make contracts`: what it writes, what it refuses, and how it detects a stale document."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, TypedDict

import pytest
import yaml
from pydantic import Field

from payments.adapters.http import PROBLEMS
from payments.core.model import Model
from tests.handlers.service import FUNCTIONS, ROOT
from tests.handlers.template import resources
from tools.contracts import __main__ as program
from tools.contracts import compatibility, events, openapi, settings
from tools.contracts.schemas import promised, schema_of, with_references, with_short_nulls, with_words, without_null

DESCRIPTION: dict[str, Any] = yaml.safe_load((ROOT / "docs/openapi.yaml").read_text(encoding="utf-8"))
# Responses that do not belong to a described operation.
ELSEWHERE = {"not_found", "method_not_allowed"}


# --- what is committed ----------------------------------------------------------------------------------------------


def test_what_is_committed_is_what_the_code_says() -> None:
    assert program.stale(program.contracts()) == []


@pytest.fixture
def documents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[Path, str]:
    """Two files to write; one exists and is outdated."""
    texts = {tmp_path / "docs/openapi.yaml": "new\n", tmp_path / "docs/settings.md": "as it was\n"}
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/settings.md").write_text("as it was\n", encoding="utf-8")
    (tmp_path / "docs/openapi.yaml").write_text("old\n", encoding="utf-8")
    monkeypatch.setattr(program, "contracts", lambda: texts)
    monkeypatch.setattr(program, "PROJECT", tmp_path)
    # These files are no contracts to compare.
    monkeypatch.setattr(compatibility, "check", lambda _docs: [])
    return texts


def test_a_stale_document_fails_the_check_which_names_it_and_the_command(
    documents: dict[Path, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert program.main(["--check"]) == 1
    said = capsys.readouterr().err
    assert said == "Stale: docs/openapi.yaml. Run `make contracts` and commit the result.\n"
    assert [path.read_text(encoding="utf-8") for path in documents] == ["old\n", "as it was\n"]


def test_a_document_that_is_missing_is_stale(documents: dict[Path, str]) -> None:
    missing, _ = documents
    missing.unlink()
    assert program.stale(documents) == [missing]


def test_what_was_written_is_not_stale_any_more(documents: dict[Path, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main([]) == 0
    assert capsys.readouterr().out == "Written: docs/openapi.yaml\n"
    assert program.main(["--check"]) == 0
    assert [path.read_text(encoding="utf-8") for path in documents] == list(documents.values())


def test_the_schema_of_an_event_that_is_gone_is_stale_and_removed(
    documents: dict[Path, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert program.main([]) == 0
    gone = tmp_path / "docs/events/tolerant/payment.lost.schema.json"
    gone.parent.mkdir(parents=True)
    gone.write_text("{}\n", encoding="utf-8")
    assert gone not in documents
    assert program.main(["--check"]) == 1
    assert "Stale: docs/events/tolerant/payment.lost.schema.json." in capsys.readouterr().err
    assert program.main([]) == 0
    assert not gone.exists()


def test_make_check_compares_the_documents() -> None:
    _, _, recipe = (ROOT / "Makefile").read_text(encoding="utf-8").partition("\ncheck: ")
    assert "-m tools.contracts --check" in recipe.partition("\n\n")[0]


# --- schemas --------------------------------------------------------------------------------------------------------


class Parent(Model):
    """What is
    bought.
    """

    size: Annotated[int, Field(ge=1)]
    """How large
    it is."""


class Child(Parent):
    note: str | None = None
    """Whatever else."""


class Shown(TypedDict):
    """What is shown."""

    child: Child
    said: str


def test_what_is_said_below_a_field_is_its_description_also_where_it_is_inherited() -> None:
    assert schema_of(Child, mode="validation")["properties"] == {
        "size": {"type": "integer", "minimum": 1, "description": "How large it is."},
        "note": {"anyOf": [{"type": "string"}, {"type": "null"}], "description": "Whatever else."},
    }


def test_a_docstring_is_one_line_and_what_the_service_writes_has_no_other_fields() -> None:
    schema = schema_of(Parent)
    assert (schema["description"], schema["additionalProperties"]) == ("What is bought.", False)
    assert "additionalProperties" not in schema_of(Parent, mode="validation")


def test_an_object_within_another_is_written_out() -> None:
    child = schema_of(Shown)["properties"]["child"]
    assert child["properties"].keys() == {"size", "note"}
    assert child["required"] == ["size"]


def test_a_part_that_has_a_name_is_referred_to_and_keeps_what_is_its_own() -> None:
    named = {"#/size": {"type": "integer", "minimum": 1, "description": "A size."}}
    document = {
        "one": {"type": "integer", "minimum": 1, "description": "A size."},
        "two": [{"type": "integer", "minimum": 1, "description": "Another."}],
        "three": {"type": "integer", "minimum": 2},
    }
    assert with_references(document, named, lambda target, beside: {"$ref": target, **beside}) == {
        "one": {"$ref": "#/size"},
        "two": [{"$ref": "#/size", "description": "Another."}],
        "three": {"type": "integer", "minimum": 2},
    }


def test_null_is_written_beside_the_type_where_that_says_the_same() -> None:
    words = {"anyOf": [{"type": "string", "enum": ["a"]}, {"type": "null"}]}
    assert with_short_nulls({"a": {"anyOf": [{"type": "string", "maxLength": 3}, {"type": "null"}]}, "b": words}) == {
        "a": {"type": ["string", "null"], "maxLength": 3},
        "b": words,
    }


def test_an_absent_field_is_not_described_as_null() -> None:
    field = schema_of(Child)["properties"]["note"]
    assert without_null(field) == {"type": "string", "description": "Whatever else."}


@pytest.mark.parametrize(
    "describe", [lambda schema: with_words(schema, {"properties": {"siez": {}}}), lambda s: promised(s, {"siez": int})]
)
def test_words_about_a_field_that_there_is_not_are_refused(describe: Any) -> None:
    with pytest.raises(KeyError, match="siez"):
        describe(schema_of(Parent))


# --- the OpenAPI description ----------------------------------------------------------------------------------------


def answers() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every error response, by status."""
    for operations in DESCRIPTION["paths"].values():
        for operation in operations.values():
            for status, answer in operation["responses"].items():
                name = answer.get("$ref", "").removeprefix("#/components/responses/")
                described = DESCRIPTION["components"]["responses"][name] if name else answer
                if "application/problem+json" in described["content"]:
                    yield status, described


def test_every_code_is_shown_by_an_example_under_its_status() -> None:
    shown = set()
    for status, answer in answers():
        for example in answer["content"]["application/problem+json"]["examples"].values():
            problem = example["value"]
            assert str(problem["status"]) == status
            assert f"`{problem['code']}`" in answer["description"]
            shown.add(problem["code"])
    assert shown == set(DESCRIPTION["components"]["schemas"]["Problem"]["properties"]["code"]["enum"]) - ELSEWHERE


def test_an_answer_says_when_to_try_again_exactly_where_the_service_does() -> None:
    # API Gateway itself sends 429; the template has the same body.
    retried = {str(row.status.value) for row in PROBLEMS.values() if "Retry-After" in row.headers} | {"429"}
    assert retried == {"429", "503"}
    for status, answer in answers():
        assert ("Retry-After" in answer.get("headers", {})) is (status in retried)


def changed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, module: Any, old: str, new: str) -> None:
    """A document with changed texts."""
    words = module.WORDS.read_text(encoding="utf-8")
    assert words.count(old) >= 1
    path = tmp_path / module.WORDS.name
    path.write_text(words.replace(old, new, 1), encoding="utf-8")
    monkeypatch.setattr(module, "WORDS", path)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        pytest.param(
            "/api/payments/verify/:", "/api/payments/check/:", "payments/verify", id="an address without a function"
        ),
        pytest.param("        forbidden:", "        forbiden:", "forbiden", id="a code that there is not"),
        pytest.param(
            "shared: [Unauthenticated, ", "shared: [Unavailable, ", "describes 503 twice", id="a status twice"
        ),
        pytest.param('        "409": >-', '        "410": >-', "410", id="words before no answer"),
        pytest.param(
            "changes: { freelancer_id: 42 }", "changes: { freelancer_id: 43 }", "nothing is wrong", id="a sound request"
        ),
        pytest.param("  ProblemOfAnOrder:", "  Problems:", "Problems", id="a schema that there is not"),
        pytest.param("      client_id: {", "      clientid: {", "clientid", id="a field that there is not"),
    ],
)
def test_words_that_do_not_suit_the_code_are_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, old: str, new: str, why: str
) -> None:
    changed(monkeypatch, tmp_path, openapi, old, new)
    with pytest.raises((KeyError, ValueError), match=why):
        openapi.document()


# --- the events -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param("  payment.paid:", "  payment.payed:", id="an event that there is not"),
        pytest.param("too_many_orders: the", "too_few_orders: the", id="a reason that there is not"),
        pytest.param("statuses: [failed]", "statuses: [lost]", id="a status that there is not"),
    ],
)
def test_words_about_events_that_do_not_suit_the_code_are_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, old: str, new: str
) -> None:
    changed(monkeypatch, tmp_path, events, old, new)
    with pytest.raises(ValueError, match=r"must describe|not a valid Status"):
        events.documents()


def test_an_event_is_described_as_consumers_were_promised() -> None:
    # From docs/events/README.md: identity, version and amounts.
    defined = json.loads(events.documents()["definitions.schema.json"])["$defs"]
    assert defined["schema_version"]["const"] == "1.1"
    assert defined["event_id"]["pattern"].startswith("^[0-9a-f]{8}-")
    assert defined["version"]["minimum"] == 2
    assert defined["payment"]["properties"]["amount"] | {"description": ""} == {
        "description": "",
        "type": "integer",
        "minimum": 1,
    }
    assert "unknown" not in defined["payment"]["properties"]["status"]["enum"]


# --- the settings ---------------------------------------------------------------------------------------------------

ALL = [*FUNCTIONS, "outbox", "reconcile"]


def rows() -> dict[str, tuple[str, list[str]]]:
    """Each setting's default and functions on the page."""
    found = {}
    for line in settings.PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("| `"):
            name, default, functions, _ = (cell.strip() for cell in line.strip("|").split(" | ", 3))
            found[name.strip("`")] = (default.strip("`"), ALL if functions == "all" else functions.split(", "))
    return found


@pytest.mark.parametrize(
    ("name", "default", "functions"),
    [
        ("PAYMENTS_TABLE", "required", ALL),
        ("EVENT_BUS", "required", ["webhook", "outbox", "reconcile"]),
        ("RAZORPAY_KEY_ID", "required", ["create_order", "refund", "reconcile"]),
        ("RAZORPAY_KEY_SECRET", "required", ["create_order", "verify", "refund", "reconcile"]),
        ("RAZORPAY_WEBHOOK_SECRET", "required", ["webhook"]),
        ("RAZORPAY_WEBHOOK_SECRET_PREVIOUS", "none", ["webhook"]),
        ("JWT_ALGORITHM", "HS256", ["create_order", "verify", "refund"]),
        ("JWT_PUBLIC_KEY", "none", ["create_order", "verify", "refund"]),
        ("REFUND_SCOPE", "none", ["refund"]),
        ("CURRENCIES", "INR", ["create_order"]),
        ("MAX_AMOUNT", "none", ["create_order"]),
        ("ACCEPT_OFFERS", "none", ["create_order", "webhook", "reconcile"]),
        ("ORDER_EXPIRY_DAYS", "30", ["create_order", "reconcile"]),
    ],
)
def test_a_setting_has_the_default_and_the_functions_that_it_has(name: str, default: str, functions: list[str]) -> None:
    assert rows()[name] == (default, functions)


def test_every_setting_of_the_example_environment_is_in_the_table_and_no_other() -> None:
    example = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    names = {
        line.removeprefix("#").partition("=")[0] for line in example if line[:2].strip("#").isupper() and "=" in line
    }
    assert rows().keys() == names


def test_the_template_gives_a_setting_to_the_functions_that_it_counts_for() -> None:
    given: dict[str, list[str]] = {}
    for function in ALL:
        name = "".join(word.capitalize() for word in function.split("_"))
        environment = resources()[f"{name}Function"]["Properties"]["Environment"]["Variables"]
        for setting in environment:
            given.setdefault(setting, []).append(function)
    assert {"SECRET_IDS", "CORS_ORIGIN", "EVENT_BUS", "MAX_AMOUNT"} <= given.keys()
    assert given == {name: functions for name, (_, functions) in rows().items() if name in given}


def test_a_setting_that_there_is_not_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    changed(monkeypatch, tmp_path, settings, "MAX_AMOUNT:", "MOST_AMOUNT:")
    with pytest.raises(ValueError, match="MAX_AMOUNT, MOST_AMOUNT"):
        list(settings.table())


def test_only_what_is_between_the_marks_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "settings.md"
    monkeypatch.setattr(settings, "PAGE", page)
    page.write_text(f"before\n{settings.BEGIN}\nold\n{settings.END}\nafter\n", encoding="utf-8")
    text = settings.page()
    assert text.startswith(f"before\n{settings.BEGIN}\n\n| variable |")
    assert text.endswith(f"\n\n{settings.END}\nafter\n")
    assert "\nold\n" not in text
    page.write_text("nothing\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"settings\.md lacks one of the lines"):
        settings.page()
