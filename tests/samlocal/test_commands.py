"""The commands that `make sam-local` prints on each kind of machine, and the program that prints them."""

import json
import re
import shlex
from collections.abc import Sequence
from ipaddress import IPv4Interface
from pathlib import Path
from typing import Any

import pytest

from sandbox import development, events
from sandbox.cloud.build import PROJECT
from sandbox.sam_local import __main__ as program
from sandbox.sam_local import commands
from sandbox.sam_local.engine import Engine, image_for

BRIDGE = IPv4Interface("172.17.0.1/16")
DOCKER = Engine(has_image=True, bridge=BRIDGE)
DESKTOP = Engine(has_image=True, is_desktop=True, bridge=BRIDGE)
PODMAN = Engine(has_image=True, is_podman=True, bridge=IPv4Interface("10.88.0.1/16"))
ORDER = "order_RfA1b2C3d4E5f6"


def options(**changes: Any) -> commands.Options:
    given: dict[str, Any] = {
        "template": Path(".aws-sam/build/local.yaml"),
        "env_file": Path(".aws-sam/build/local.env.json"),
        "architecture": "x86_64",
        "add_host": "host-gateway",
        "skip_pull_image": False,
    }
    return commands.Options(**given | changes)


def words(command: str) -> list[str]:
    """The commands as a shell splits them."""
    return shlex.split(command.replace("\\\n", ""))


def test_an_invocation_names_everything_that_sam_needs() -> None:
    command = commands.invoke("VerifyFunction", Path("events/verify.json"), options())
    assert words(command) == [
        *(".venvs/sam/bin/sam", "local", "invoke", "VerifyFunction", "-e", "events/verify.json"),
        *("-t", ".aws-sam/build/local.yaml", "--env-vars", ".aws-sam/build/local.env.json"),
        *("--add-host", "host.docker.internal:host-gateway"),
        *("--parameter-overrides", "Architecture=x86_64", "Stage=local", "CorsOrigin=*"),
    ]
    assert "'CorsOrigin=*'" in command  # no shell may expand it as a file pattern


def test_on_arm_the_commands_name_arm_and_nothing_else_changes() -> None:
    arm, other = options(architecture="arm64"), options(architecture="x86_64")
    event = Path("events/schedules/outbox.json")
    pairs = [
        (commands.invoke("OutboxFunction", event, arm), commands.invoke("OutboxFunction", event, other)),
        (commands.start_api(3001, arm), commands.start_api(3001, other)),
    ]
    for on_arm, elsewhere in pairs:
        assert "Architecture=arm64" in words(on_arm)
        assert on_arm.replace("arm64", "x86_64") == elsewhere


def test_the_image_is_that_of_the_processor() -> None:
    assert image_for("arm64") == "public.ecr.aws/lambda/python:3.13-arm64"
    assert image_for("x86_64") == "public.ecr.aws/lambda/python:3.13-x86_64"


def test_the_image_is_not_looked_for_again_where_it_is_there() -> None:
    assert "--skip-pull-image" in words(commands.start_api(3001, options(skip_pull_image=True)))
    assert "--skip-pull-image" not in words(commands.start_api(3001, options()))


def test_the_api_keeps_its_containers_and_leaves_the_shops_port_alone() -> None:
    assert words(commands.start_api(3001, options()))[:7] == [
        *(".venvs/sam/bin/sam", "local", "start-api", "--port", "3001", "--warm-containers", "EAGER"),
    ]


@pytest.mark.parametrize(
    ("engine", "on_linux", "named", "expected"),
    [
        (DOCKER, True, None, "host-gateway"),
        (None, True, None, "host-gateway"),
        (PODMAN, True, None, "10.88.0.1"),
        (DESKTOP, True, None, None),
        (DESKTOP, False, None, None),
        (None, False, None, None),
        (DOCKER, True, IPv4Interface("192.168.1.5/32"), "192.168.1.5"),
    ],
)
def test_a_container_is_told_where_this_machine_is_unless_it_knows(
    engine: Engine | None, *, on_linux: bool, named: IPv4Interface | None, expected: str | None
) -> None:
    assert commands.add_host(engine, on_linux=on_linux, named=named) == expected
    assert ("--add-host" in words(commands.start_api(3001, options(add_host=expected)))) == (expected is not None)


def test_every_function_of_the_template_has_an_invocation_whose_event_is_there() -> None:
    template = (PROJECT / "template.yaml").read_text()
    functions = set(re.findall(r"^  (\w+):\n    Type: AWS::Serverless::Function$", template, re.MULTILINE))
    assert functions == {function for function, _ in commands.INVOCATIONS}
    assert [event for _, event in commands.INVOCATIONS if not (PROJECT / "events" / event).is_file()] == []


# --- the engine ---


def engine(**changes: Any) -> Engine:
    answer: dict[str, Any] = {
        "system": "Debian GNU/Linux 12 (bookworm)",
        "components": ["Engine", "containerd", "runc", "docker-init"],
        "security": ["name=seccomp,profile=builtin", "name=cgroupns"],
        "has_image": True,
        "bridge": {"subnet": "172.17.0.0/16", "gateway": "172.17.0.1"},
    }
    return Engine.told(answer | changes)


def test_docker_on_linux_is_reached_at_its_bridge() -> None:
    assert engine() == DOCKER


def test_docker_that_leaves_its_gateway_out_has_the_networks_first_address() -> None:
    assert engine(bridge={"subnet": "172.18.0.0/16", "gateway": ""}).bridge == IPv4Interface("172.18.0.1/16")


def test_desktop_podman_and_rootless_engines_are_told_apart() -> None:
    assert engine(system="Docker Desktop").is_desktop
    assert engine(components=["Podman Engine", "Conmon"]).is_podman
    assert engine(security=["name=seccomp,profile=builtin", "name=rootless"]).is_rootless
    assert engine(bridge=None).bridge is None


def test_an_engine_that_does_not_answer_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nobody.sock")
    assert Engine.found(PROJECT / ".venvs/sam/bin/python", "x86_64") is None
    assert Engine.found(tmp_path / "no-python", "x86_64") is None


# --- the program ---


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project that was built, with nothing running."""
    built = tmp_path / program.BUILT
    built.parent.mkdir(parents=True)
    built.write_text((PROJECT / "template.yaml").read_text())
    return tmp_path


@pytest.fixture
def prepare(project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    def run(*arguments: str, found: Engine | None = DOCKER, platform: str = "linux") -> tuple[int, str, str]:
        monkeypatch.setattr(Engine, "found", lambda *_: found)
        monkeypatch.setattr("sys.platform", platform)
        status = program.main(["--project", str(project), *arguments])
        said = capsys.readouterr()
        return status, said.out, said.err

    return run


@pytest.fixture
def relayed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[IPv4Interface, Sequence[int]]]:
    """Records what would be relayed until Ctrl-C."""
    seen: list[tuple[IPv4Interface, Sequence[int]]] = []

    def relay(bridge: IPv4Interface, ports: Sequence[int]) -> int:
        seen.append((bridge, ports))
        return 0

    monkeypatch.setattr(program, "_relay", relay)
    return seen


@pytest.fixture
def beside_local_cloud(project: Path, prepare: Any) -> Any:
    """The program, while `make run` runs."""
    endpoints = {"aws": "http://127.0.0.1:4566", "razorpay": "http://127.0.0.1:8090", "table": "t", "bus": "b"}
    (project / ".run").mkdir()
    (project / ".run/endpoints.json").write_text(json.dumps(endpoints))
    return prepare


def test_both_files_are_written_and_every_command_names_them(project: Path, prepare: Any) -> None:
    status, said, _ = prepare("--architecture", "arm64")
    assert status == 0
    assert {"local.yaml", "local.env.json"} <= {path.name for path in (project / ".aws-sam/build").iterdir()}
    printed = [words(block) for block in said.split("\n\n") if block.startswith(commands.SAM)]
    assert len(printed) == len(commands.INVOCATIONS) + 1
    for command in printed:
        assert command[command.index("-t") + 1] == ".aws-sam/build/local.yaml"
        assert command[command.index("--env-vars") + 1] == ".aws-sam/build/local.env.json"
        assert "Architecture=arm64" in command


def test_no_secret_is_printed(beside_local_cloud: Any) -> None:
    _, said, errors = beside_local_cloud(found=DESKTOP)
    for secret in (
        development.RAZORPAY_KEY_SECRET,
        development.RAZORPAY_WEBHOOK_SECRET,
        development.JWT_SECRET,
        development.QUOTE_SECRET,
    ):
        assert secret not in said + errors


def test_without_make_run_or_an_engine_it_says_what_to_start(prepare: Any) -> None:
    status, said, _ = prepare(found=None)
    assert status == 0
    assert "`make run` is not running" in said
    assert "Start Docker, then repeat" in said


def test_an_image_that_is_not_there_is_pulled_by_the_first_command(prepare: Any) -> None:
    _, said, _ = prepare("--architecture", "x86_64", found=Engine(has_image=False, bridge=BRIDGE))
    assert "The first command pulls public.ecr.aws/lambda/python:3.13-x86_64." in said
    assert "--skip-pull-image" not in said.split("One function at a time:")[1]


def test_the_stand_ins_webhooks_can_be_sent_to_the_api(beside_local_cloud: Any) -> None:
    _, said, _ = beside_local_cloud(found=DESKTOP)
    port = re.findall(r"start-api --port (\d+)", said)[0]
    (redirect,) = [words(block) for block in said.split("\n\n") if block.startswith("curl -X PUT")]
    assert redirect[3] == "http://127.0.0.1:8090/_control/webhook"
    assert json.loads(redirect[-1]) == {"url": f"http://127.0.0.1:{port}/api/payments/webhook/"}


@pytest.mark.parametrize(
    ("engine", "platform", "bridges"),
    [(DOCKER, "linux", [BRIDGE]), (PODMAN, "linux", [PODMAN.bridge]), (DESKTOP, "linux", []), (DESKTOP, "darwin", [])],
)
def test_only_on_linux_the_local_cloud_is_relayed_to_the_bridge(
    beside_local_cloud: Any, relayed: list[Any], engine: Engine, platform: str, bridges: list[IPv4Interface]
) -> None:
    assert beside_local_cloud(found=engine, platform=platform)[0] == 0
    assert relayed == [(bridge, (4566, 8090)) for bridge in bridges]


def test_a_rootless_engine_asks_for_the_address_and_takes_it(beside_local_cloud: Any, relayed: list[Any]) -> None:
    rootless = Engine(has_image=True, is_rootless=True, bridge=BRIDGE)
    status, _, errors = beside_local_cloud(found=rootless)
    assert (status, relayed) == (1, [])
    assert "make sam-local BRIDGE=" in errors
    status, said, _ = beside_local_cloud("--bridge", "192.168.1.5/32", found=rootless)
    assert (status, relayed) == (0, [(IPv4Interface("192.168.1.5/32"), (4566, 8090))])
    assert "--add-host host.docker.internal:192.168.1.5" in said


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--order", "order_1"], "take order_id of create-order's answer"),
        (["--order", "../../x"], "take order_id of create-order's answer"),
        (["--bridge", "172.17.0.1"], "has no size"),
        (["--bridge", "docker0/16"], "is no IPv4 address"),
    ],
)
def test_unusable_options_are_refused_with_what_is_wanted(
    prepare: Any, capsys: pytest.CaptureFixture[str], arguments: list[str], complaint: str
) -> None:
    with pytest.raises(SystemExit):
        prepare(*arguments)
    assert complaint in capsys.readouterr().err


def test_before_a_build_it_says_how_to_build(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main(["--project", str(tmp_path)]) == 1
    assert "`make sam-local`, without ORDER, builds it" in capsys.readouterr().err


# --- the story of one order ---


def test_the_events_of_an_order_are_about_that_order_alone(project: Path, prepare: Any) -> None:
    status, said, _ = prepare("--order", ORDER)
    assert status == 0
    named = [command[command.index("-e") + 1] for command in map(words, said.split("\n\n")[1:])]
    assert named == [f".build/events/{event}" for _, event in commands.STORY]
    told = {path.stem: path.read_text() for path in (project / program.OWN_EVENTS).glob("*.json")}
    assert told.keys() == events.events().keys()
    committed = [events.ORDER_ID, events.PAYMENT_ID, events.FAILED_PAYMENT_ID]
    committed += [events.FIRST_REFUND_ID, events.LAST_REFUND_ID]
    for name, text in told.items():
        assert [other for other in committed if other in text] == [], name
    assert ORDER in told["verify"]
    assert ORDER in told["get"]
    assert ORDER in told["webhook-payment-captured"]
