"""A built function, started as SnapStart starts it: its first request loads nothing, and its snapshot holds no secret.

Connections, TLS and Lambda's credentials endpoint are real; only the servers behind them are simulated.
"""

import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from bench import canned
from bench.subjects import FOLDERS, RUNTIME, SECRETS, Subject, subjects
from sandbox import events
from tests.artefact.outside import CREDENTIALS, Outside
from tests.signers import claims, signer

# The first build of a fresh checkout downloads the layer's packages.
pytestmark = pytest.mark.timeout(300)

PROGRAM = Path(__file__).with_name("first_requests.py")
SCHEDULES = events.FOLDER / "schedules"
COMMANDS = ("watch", "sweep", "rebuild", "look", "release-order")
# urllib3 checks once whether the system supports IPv6, by binding a socket and closing it again.
ASKED_OF_THE_SYSTEM = {"socket.__new__", "socket.bind"}


@dataclass(frozen=True)
class Configuration:
    """One function in one stage's configuration."""

    function: str
    tokens: str = "HS256"
    """The algorithm; with ` published`, the key is fetched from a key set; `no` for refund without `RefundScope`."""
    starts: str = "snap-start"

    def __str__(self) -> str:
        """The name that pytest shows."""
        return f"{self.function} {self.tokens} {self.starts}"

    @property
    def algorithm(self) -> str:
        return self.tokens.partition(" ")[0]

    @property
    def is_published(self) -> bool:
        return self.tokens.endswith("published")


TAKES_TOKENS = ("create_order", "verify", "refund")
SCOPE = "payments:refund"
NO_TOKENS = "no"
CONFIGURATIONS = [
    *(Configuration(function) for function in FOLDERS),
    Configuration("refund"),
    Configuration("refund", NO_TOKENS),
    *(Configuration(function, "RS256 published") for function in TAKES_TOKENS),
    *(Configuration("verify", tokens) for tokens in ("RS256", "ES256")),
    # Without SnapStart the credentials are in the environment.
    Configuration("create_order", starts="on-demand"),
]


@dataclass(frozen=True)
class Report:
    """What a function did, and which servers it called."""

    sockets: set[str]
    """Socket operations during Init."""
    open_sockets: int
    """Sockets open after Init."""
    loaded: set[str]
    """Modules loaded after Init."""
    built: set[str]
    """Models that had a validator after Init."""
    collects: bool
    """Garbage collection is on after Init, and skips what Init created."""
    held: list[str]
    """The types of objects that contained a secret or credential after Init."""
    held_later: list[str]
    """The same after the requests."""
    answers: dict[str, dict[str, Any]]
    clients_made: int
    """AWS clients created by the requests."""
    asked: list[str]


@pytest.fixture(scope="module")
def by_name(artefact: Path) -> dict[str, Subject]:
    found = {subject.case: subject for subject in subjects(artefact)}
    shared = found["verify"].layers
    # The other measurements leave it out: it serves one request in fifty payments.
    found["refund"] = Subject(
        "refund", "refund", artefact / "RefundFunction", shared, {"REFUND_SCOPE": SCOPE}, SECRETS["verify"]
    )
    return found


@pytest.fixture(scope="module")
def record(by_name: dict[str, Subject], tmp_path_factory: pytest.TempPathFactory) -> str:
    """The record that create_order writes."""
    folder = tmp_path_factory.mktemp("record")
    (flow,) = canned.flows(by_name["create_order"], None, folder)
    return canned.record_of(flow, folder).read_text()


@pytest.fixture(scope="module")
def report(
    by_name: dict[str, Subject], record: str, cryptography_layer: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[Configuration], Report]:
    """Starts a function once in each configuration and lets it serve each of its routes."""
    known: dict[Configuration, Report] = {}

    def run(configuration: Configuration) -> Report:
        if configuration not in known:
            subject = configured(by_name[configuration.function], configuration, cryptography_layer / "python")
            known[configuration] = started(subject, configuration, record, tmp_path_factory.mktemp("outside"))
        return known[configuration]

    return run


def configured(subject: Subject, configuration: Configuration, cryptography: Path) -> Subject:
    """The function with the layers and secrets that the template sets for this algorithm."""
    if configuration.algorithm == "HS256":
        return subject
    if configuration.tokens == NO_TOKENS:
        return replace(subject, settings={}, secrets=SECRETS["reconcile"])
    secrets = {name: value for name, value in subject.secrets.items() if name != "JWT_SECRET"}
    if not configuration.is_published:
        secrets["JWT_PUBLIC_KEY"] = signer(configuration.algorithm).pem
    return replace(
        subject,
        layers=(*subject.layers, cryptography),
        settings={**subject.settings, "JWT_ALGORITHM": configuration.algorithm},
        secrets=secrets,
    )


def started(subject: Subject, configuration: Configuration, record: str, folder: Path) -> Report:
    """Runs one process and returns its result."""
    answers = folder / "answers.json"
    stored = paid(record) if subject.name == "refund" else record
    answers.write_text(json.dumps(canned.answers(stored, subject.secrets)))
    keys = [signer(configuration.algorithm).jwk()] if configuration.is_published else []
    outside = Outside(answers, keys, folder)
    environment = subject.environment(in_secrets=True) | {
        "AWS_LAMBDA_INITIALIZATION_TYPE": configuration.starts,
        "AWS_ENDPOINT_URL": outside.https,
        "AWS_CA_BUNDLE": str(outside.authority),
        "RAZORPAY_API_URL": outside.http,
        **({"JWT_JWKS_URL": f"{outside.http}/jwks.json"} if configuration.is_published else {}),
    }
    # With SnapStart, Lambda serves credentials over HTTP and not in the environment ("Using SnapStart with SDKs").
    for variable, name in (("AWS_ACCESS_KEY_ID", "AccessKeyId"), ("AWS_SECRET_ACCESS_KEY", "SecretAccessKey")):
        if configuration.starts == "snap-start":
            del environment[variable]
            environment["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = f"{outside.http}/credentials"
        else:
            environment[variable] = CREDENTIALS[name]
    never = [*CREDENTIALS.values(), *(value for name, value in subject.secrets.items() if name != "RAZORPAY_KEY_ID")]
    given = {"events": requests(subject, configuration), "secrets": [value[::-1] for value in never]}
    layers = ":".join(str(layer) for layer in subject.layers)
    with outside.running():
        done = subprocess.run(  # noqa: S603 - fixed command
            [RUNTIME, "-P", "-s", "-B", PROGRAM, subject.folder, layers],
            env=environment,
            input=json.dumps(given),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stderr)
    return Report(
        sockets=set(told["started"]["sockets"]),
        open_sockets=told["started"]["open"],
        loaded=set(told["started"]["loaded"]),
        built=set(told["started"]["built"]),
        collects=told["started"]["collects"],
        held=told["started"]["holders"],
        held_later=told["holders"],
        answers=told["answers"],
        clients_made=told["clients"],
        asked=outside.asked,
    )


def requests(subject: Subject, configuration: Configuration) -> dict[str, Any]:
    """One request of each route, and for the public routes one that is refused."""
    if subject.name == "reconcile":
        return {name: json.loads((SCHEDULES / f"reconcile-{name}.json").read_text()) for name in COMMANDS}
    if subject.name == "refund":
        return refund_requests(configuration)
    found = canned.requests_of(subject)
    if subject.name == "webhook":
        others = ("payment-failed", "refund-processed-part", "forged")
        return found | {name: json.loads((events.FOLDER / f"webhook-{name}.json").read_text()) for name in others}
    if subject.name in TAKES_TOKENS:
        token = signer(configuration.algorithm).token(claims())
        signed = {name: with_token(event, token) for name, event in found.items()}
        return signed | {"forged": with_token(next(iter(found.values())), f"{token}x")}
    return found


def refund_requests(configuration: Configuration) -> dict[str, Any]:
    """A refund by each route; without a scope, the route for tokens is closed."""
    order_id, key = events.ORDER_ID, "a-key-of-the-callers"
    signed = events.from_service(order_id, {"amount": "100.00"}, key=key)
    if configuration.tokens == NO_TOKENS:
        token = signer("HS256").token(claims(scope=SCOPE))
    else:
        token = signer(configuration.algorithm).token(claims(scope=SCOPE))
    by_token = events.from_service(
        order_id, {"amount": "100.00", "reason": "goodwill"}, key=key, caller=None, token=token
    )
    return {"signed": signed, "by token": by_token, "forged": with_token(by_token, f"{token}x")}


def paid(stored: str) -> str:
    """The record of an order that create_order wrote, once its payment is captured."""
    item = json.loads(stored)["Item"]
    captured: Any = {"captured": {"BOOL": True}, "amount": item["amount"], "currency": item["currency"]}
    captured |= {"verdict": {"S": "exact"}, "matched": {"N": "2"}}
    return json.dumps(
        {"Item": {**item, "payments": {"M": {events.PAYMENT_ID: {"M": captured}}}, "status": {"S": "paid"}}}
    )


def with_token(event: dict[str, Any], token: str) -> dict[str, Any]:
    headers = {name: value for name, value in event["headers"].items() if name.lower() != "authorization"}
    return {**event, "headers": {**headers, "Authorization": f"Bearer {token}"}}


EXPECTED = {
    "create_order": {"create-order": 201, "forged": 401},
    "verify": {"verify": 200, "read": 200, "forged": 401},
    "webhook": {
        "webhook payment.authorized": 200,
        "webhook payment.captured": 200,
        "payment-failed": 200,
        "refund-processed-part": 200,
        "forged": 400,
    },
    "outbox": {"outbox, nothing due": "ran"},
    "reconcile": dict.fromkeys(COMMANDS, "ran"),
    "refund": {"signed": 201, "by token": 201, "forged": 401},
}
CLOSED = {"signed": 201, "by token": 403, "forged": 403}


@pytest.mark.parametrize("configuration", CONFIGURATIONS, ids=str)
def test_the_first_answer_of_every_route_imports_nothing(
    report: Callable[[Configuration], Report], configuration: Configuration
) -> None:
    answers = report(configuration).answers
    expected = CLOSED if configuration.tokens == NO_TOKENS else EXPECTED[configuration.function]
    assert {name: answer["status"] for name, answer in answers.items()} == expected
    assert {name: answer["imported"] for name, answer in answers.items() if answer["imported"]} == {}


@pytest.mark.parametrize("configuration", CONFIGURATIONS, ids=str)
def test_the_first_answers_read_what_is_deployed_to_be_read_anew(
    report: Callable[[Configuration], Report], configuration: Configuration
) -> None:
    # Otherwise the test above would prove nothing: every server was really called.
    asked = report(configuration).asked
    assert ("secretsmanager.GetSecretValue" in asked) is (configuration.function != "outbox")
    assert ("GET /jwks.json" in asked) is configuration.is_published
    assert ("GET /credentials" in asked) is (configuration.starts == "snap-start")
    assert any(call.startswith("DynamoDB") for call in asked)


@pytest.mark.parametrize("configuration", CONFIGURATIONS, ids=str)
def test_what_botocore_reads_for_its_clients_is_read_before_the_first_request(
    report: Callable[[Configuration], Report], configuration: Configuration
) -> None:
    assert report(configuration).clients_made == 0


@pytest.mark.parametrize("configuration", CONFIGURATIONS, ids=str)
def test_the_first_answer_of_every_route_builds_no_model(
    report: Callable[[Configuration], Report], configuration: Configuration
) -> None:
    found = report(configuration)
    assert {name: answer["built"] for name, answer in found.answers.items() if answer["built"]} == {}
    # Else the line above would say nothing: the record is read by every function.
    assert "payments.core.model.Record" in found.built


@pytest.mark.parametrize("configuration", CONFIGURATIONS, ids=str)
def test_garbage_is_collected_from_the_first_request_on(
    report: Callable[[Configuration], Report], configuration: Configuration
) -> None:
    assert report(configuration).collects


@pytest.mark.parametrize("configuration", CONFIGURATIONS, ids=str)
def test_init_connects_to_nobody(report: Callable[[Configuration], Report], configuration: Configuration) -> None:
    found = report(configuration)
    assert found.sockets <= ASKED_OF_THE_SYSTEM
    assert found.open_sockets == 0


@pytest.mark.parametrize("configuration", CONFIGURATIONS, ids=str)
def test_no_object_holds_a_secret_or_a_credential_after_init(
    report: Callable[[Configuration], Report], configuration: Configuration
) -> None:
    found = report(configuration)
    assert found.held == []
    # After it has served a request it does, so the search can find secrets.
    assert found.held_later


@pytest.mark.parametrize("configuration", CONFIGURATIONS, ids=str)
def test_a_function_is_primed_with_what_its_configuration_needs_and_no_more(
    report: Callable[[Configuration], Report], configuration: Configuration
) -> None:
    loaded = report(configuration).loaded
    assert ("payments.adapters.secrets" in loaded) is (configuration.function != "outbox")
    assert ("payments.adapters.jwks" in loaded) is configuration.is_published
    assert ("cryptography" in loaded) is (configuration.algorithm not in {"HS256", NO_TOKENS})
    assert ("razorpay" in loaded) is (configuration.function in {"create_order", "refund", "reconcile"})
