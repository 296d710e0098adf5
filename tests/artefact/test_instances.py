"""A running instance of a built function: what it has loaded once warm, and what copies of it share."""

import ast
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench import canned
from bench.subjects import BARE, PROGRAMS, RUNTIME, Subject, subjects

# The first build of a fresh checkout downloads the layer's packages.
pytestmark = pytest.mark.timeout(300)

PROJECT = Path(__file__).parents[2]
COPIES = Path(__file__).with_name("copies.py")

SERVE_TWICE = """
import sys
sys.path.append(sys.argv[1])
sys.path[:0] = [sys.argv[2], *sys.argv[3].split(":")]
from function import serving
serve = serving(*sys.argv[4:])
serve()
serve()
sys.stderr.write("loaded: " + " ".join(sys.modules))
"""
CASES = ["create_order", "outbox", "reconcile", "verify", "verify (RS256)", "webhook"]
ASK_RAZORPAY = {"create_order", "reconcile"}
# Each costs more than it is worth: see docs/decisions/0004-dependencies.md.
NOWHERE = (
    "aws_xray_sdk",
    "aws_lambda_powertools.utilities.parser",
    "aws_lambda_powertools.utilities.idempotency",
    "aws_lambda_powertools.utilities.validation",
    "aws_lambda_powertools.event_handler",
)


@pytest.fixture(scope="module")
def by_case(artefact: Path) -> dict[str, Subject]:
    found = {subject.case: subject for subject in subjects(artefact)}
    assert sorted(found) == CASES
    return found


@pytest.fixture(scope="module")
def record(by_case: dict[str, Subject], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The record that create_order writes."""
    folder = tmp_path_factory.mktemp("record")
    (flow,) = canned.flows(by_case["create_order"], None, folder)
    return canned.record_of(flow, folder)


@pytest.fixture(scope="module")
def loaded(
    by_case: dict[str, Subject], record: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], set[str]]:
    """The modules that a function has loaded after serving every kind of request twice, secrets included."""
    known: dict[str, set[str]] = {}

    def modules(case: str) -> set[str]:
        if case not in known:
            subject = by_case[case]
            known[case] = set()
            for flow in canned.flows(subject, record, tmp_path_factory.mktemp("flows")):
                arguments = [str(PROGRAMS), *subject.arguments(), str(flow.canned), str(flow.event)]
                done = subprocess.run(  # noqa: S603 - fixed command
                    [RUNTIME, "-I", "-B", "-c", SERVE_TWICE, *arguments],
                    env=subject.environment(in_secrets=True),
                    capture_output=True,
                    text=True,
                    check=False,
                    timeout=60,
                )
                assert done.returncode == 0, done.stderr
                known[case] |= set(done.stderr.partition("loaded: ")[2].split())
        return known[case]

    return modules


@pytest.mark.parametrize("case", CASES)
def test_only_functions_that_ask_razorpay_ever_load_its_sdk(loaded: Callable[[str], set[str]], case: str) -> None:
    has_sdk = case in ASK_RAZORPAY
    assert ("payments.adapters.gateway" in loaded(case)) is has_sdk
    assert {package for package in ("razorpay", "requests") if package in loaded(case)} == (
        {"razorpay", "requests"} if has_sdk else set()
    )


@pytest.mark.parametrize("case", CASES)
def test_cryptography_is_loaded_for_public_keys_alone(loaded: Callable[[str], set[str]], case: str) -> None:
    assert ("cryptography" in loaded(case)) is (case == "verify (RS256)")


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("module", NOWHERE)
def test_what_nobody_needs_nobody_loads(loaded: Callable[[str], set[str]], module: str, case: str) -> None:
    assert "payments.wiring.boundary" in loaded(case)
    assert module not in loaded(case)


@pytest.fixture(scope="module")
def copied(by_case: dict[str, Subject], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Two copies of a started create_order."""
    tmp_path = tmp_path_factory.mktemp("copies")
    subject = by_case["create_order"]
    (flow,) = canned.flows(subject, None, tmp_path)
    counter = tmp_path / "counter"
    counter.touch()
    environment = subject.environment(in_secrets=False)
    secrets = {name: environment.pop(name) for name in subject.secrets}
    layer = subject.layers[0]
    done = subprocess.run(  # noqa: S603 - fixed command
        [RUNTIME, "-P", "-s", "-B", COPIES, subject.folder, layer, PROGRAMS, flow.canned, flow.event, counter],
        env=environment,
        input=json.dumps(secrets),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stderr)


def test_two_copies_of_a_started_instance_never_hand_out_the_same_payment_id(copied: dict[str, Any]) -> None:
    first, second = (copy["payments"] for copy in copied["taken"])
    assert len(first) == len(second) == 12
    assert len({*first, *second}) == 24


def test_nothing_of_a_request_is_there_to_be_copied(copied: dict[str, Any]) -> None:
    assert copied["started"] == {
        "kept": dict.fromkeys(("environment", "settings", "ids", "gateway"), 0),
        "sockets": 0,
    }


def test_two_copies_draw_other_random_numbers(copied: dict[str, Any]) -> None:
    first, second = copied["taken"]
    # botocore takes its retry delays from these.
    assert first["pause"] != second["pause"]
    # And from these the ids by which AWS recognises a repeated call.
    calls = [*first["invocations"], *second["invocations"]]
    assert len(calls) > 2 * 12
    assert len(set(calls)) == len(calls)
    # Forking reseeds OpenSSL's generator by itself, so the test can only see that each copy also seeded it.
    assert [copy["stirred"] for copy in copied["taken"]] == [[32], [32]]


def test_nothing_of_ours_draws_from_a_state_that_a_snapshot_would_copy() -> None:
    # Python's generator is seeded once per process; a fork reseeds it, resuming a snapshot does not.
    drawn = {"random", "secrets", "uuid"}
    found = {
        (source.relative_to(PROJECT).as_posix(), name)
        for folder in ("shared/payments", "functions")
        for source in (PROJECT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(source.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in imported(node)
        if name.partition(".")[0] in drawn
    }
    assert found == {
        # UUIDs derived from names: the same each time, by design.
        ("shared/payments/core/events.py", "uuid.uuid5"),
        ("shared/payments/core/events.py", "uuid.UUID"),
        ("shared/payments/core/refunding.py", "uuid.uuid5"),
        ("shared/payments/core/refunding.py", "uuid.UUID"),
        # Reseeds it in each copy.
        ("shared/payments/wiring/priming.py", "random"),
        # The kernel's random bytes, for the installation's name; not part of the process state.
        ("shared/payments/wiring/create_order.py", "secrets"),
    }


def imported(node: ast.Import | ast.ImportFrom) -> list[str]:
    """The full names of what a statement imports."""
    prefix = f"{node.module}." if isinstance(node, ast.ImportFrom) and node.level == 0 else ""
    return [f"{prefix}{alias.name}" for alias in node.names]


def test_the_runtime_finds_the_layers_sdk_before_its_own(by_case: dict[str, Subject]) -> None:
    subject = by_case["webhook"]
    program = "import botocore, boto3, sys; print(botocore.__file__, boto3.__file__)"
    # How Lambda and the local cloud pass the layer's path to the runtime.
    environment = dict(BARE) | {"PYTHONPATH": f"{subject.folder}:{subject.layers[0]}"}
    done = subprocess.run(  # noqa: S603 - fixed command
        [RUNTIME, "-s", "-B", "-c", program], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    for file in done.stdout.split():
        assert Path(file).is_relative_to(subject.layers[0])
