"""The template and values that `make sam-local` writes, as SAM itself reads them."""

import json
import os
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest

from payments.adapters.config import (
    create_order_settings,
    outbox_settings,
    reconcile_settings,
    verify_settings,
    webhook_settings,
)
from sandbox import development
from sandbox.cloud.build import PROJECT, SAM
from sandbox.cloud.env_file import UnusableKeysError
from sandbox.cloud.gateways import STAND_IN
from sandbox.cloud.packages import read_template
from sandbox.sam_local.settings import DamagedEndpointsError, Surroundings, settings_by_function, write

RESOLVE = Path(__file__).with_name("resolve.py")
RUNNING = Surroundings(
    aws="http://127.0.0.1:4567",
    razorpay="http://127.0.0.1:8091",
    table="payments-local-PaymentsTable-1ABC",
    bus="payments-local-bus",
    gateway=STAND_IN,
    is_running=True,
)
DEVELOPERS_OWN = {
    "AWS_ACCESS_KEY_ID": "AKIADEVELOPERSOWN000",
    "AWS_SECRET_ACCESS_KEY": "a-developers-own-secret-access-key",
    "AWS_SESSION_TOKEN": "a-developers-own-session-token",
    "AWS_DEFAULT_REGION": "eu-north-1",
}
SECRETS = {
    development.RAZORPAY_KEY_SECRET,
    development.RAZORPAY_WEBHOOK_SECRET,
    development.RAZORPAY_WEBHOOK_SECRET_PREVIOUS,
    development.JWT_SECRET,
    development.QUOTE_SECRET,
}


def resolved(folder: Path, *parameters: str) -> dict[str, Any]:
    """What SAM would pass to each function's container, on a machine whose developer has credentials."""
    # SAM also reads the nested templates; `sam build` puts them next to the one that names them.
    for nested in ("monitoring.yaml", "web-acl.yaml"):
        shutil.copy(PROJECT / nested, folder)
    done = subprocess.run(  # noqa: S603 - a program beside this file
        [str(SAM.with_name("python")), str(RESOLVE), "local.yaml", "env.json", *parameters],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "SAM_CLI_TELEMETRY": "0", **DEVELOPERS_OWN},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built")
    write(PROJECT / "template.yaml", folder / "local.yaml", folder / "env.json", RUNNING)
    return folder


@pytest.fixture(scope="module")
def containers(folder: Path) -> dict[str, Any]:
    return resolved(folder, "Architecture=x86_64", "Stage=local", "CorsOrigin=*")


def test_sam_hands_every_value_to_its_function(folder: Path, containers: dict[str, Any]) -> None:
    values = json.loads((folder / "env.json").read_text())
    assert values.keys() == containers.keys()
    for function, settings in values.items():
        handed = containers[function]["variables"]
        assert {name: handed.get(name) for name in settings} == settings


def test_every_function_starts_with_what_it_is_handed(containers: dict[str, Any]) -> None:
    handed = {function: container["variables"] for function, container in containers.items()}
    create_order = create_order_settings(handed["CreateOrderFunction"])
    assert create_order.key_secret == development.RAZORPAY_KEY_SECRET
    assert create_order.stage == "local"
    assert create_order.api_url == "http://host.docker.internal:8091"
    assert verify_settings(handed["VerifyFunction"]).token_rules.key == development.JWT_SECRET
    webhook = webhook_settings(handed["WebhookFunction"])
    assert webhook.webhook_secrets == (
        development.RAZORPAY_WEBHOOK_SECRET,
        development.RAZORPAY_WEBHOOK_SECRET_PREVIOUS,
    )
    assert outbox_settings(handed["OutboxFunction"]).event_bus == RUNNING.bus
    assert reconcile_settings(handed["ReconcileFunction"]).key_id == development.RAZORPAY_KEY_ID
    for variables in handed.values():
        assert variables["PAYMENTS_TABLE"] == RUNNING.table
        assert variables["AWS_ENDPOINT_URL"] == "http://host.docker.internal:4567"


def test_no_function_gets_a_developers_own_credentials_or_region(containers: dict[str, Any]) -> None:
    for container in containers.values():
        assert set(container["variables"].values()).isdisjoint(DEVELOPERS_OWN.values())
        assert container["variables"]["AWS_REGION"] == "ap-south-1"


def test_no_function_gets_a_secret_that_it_does_not_need(containers: dict[str, Any]) -> None:
    held = {function: SECRETS & set(container["variables"].values()) for function, container in containers.items()}
    assert held == {
        "CreateOrderFunction": {
            development.RAZORPAY_KEY_SECRET,
            development.JWT_SECRET,
            development.QUOTE_SECRET,
        },
        "VerifyFunction": {development.RAZORPAY_KEY_SECRET, development.JWT_SECRET},
        "WebhookFunction": {development.RAZORPAY_WEBHOOK_SECRET, development.RAZORPAY_WEBHOOK_SECRET_PREVIOUS},
        "OutboxFunction": set(),
        "ReconcileFunction": {development.RAZORPAY_KEY_SECRET},
        "RefundFunction": {development.RAZORPAY_KEY_SECRET, development.JWT_SECRET},
    }


@pytest.mark.parametrize("architecture", ["arm64", "x86_64"])
def test_the_processor_is_the_one_that_the_commands_name(folder: Path, architecture: str) -> None:
    containers = resolved(folder, f"Architecture={architecture}", "Stage=local", "CorsOrigin=*")
    assert {tuple(container["architectures"]) for container in containers.values()} == {(architecture,)}


def test_the_built_template_as_it_is_would_lose_the_secrets(tmp_path: Path) -> None:
    """Shows why the second template is needed."""
    write(PROJECT / "template.yaml", tmp_path / "local.yaml", tmp_path / "env.json", RUNNING)
    (tmp_path / "local.yaml").write_text((PROJECT / "template.yaml").read_text())
    handed = resolved(tmp_path, "Architecture=x86_64", "Stage=local", "CorsOrigin=*")
    assert "JWT_SECRET" not in handed["VerifyFunction"]["variables"]
    assert "AWS_ENDPOINT_URL" not in handed["VerifyFunction"]["variables"]


def test_the_secrets_are_in_one_file_that_nobody_else_can_read(tmp_path: Path) -> None:
    env_file = tmp_path / "env.json"
    env_file.write_text("left from before")
    env_file.chmod(0o644)
    write(PROJECT / "template.yaml", tmp_path / "local.yaml", env_file, RUNNING)
    assert stat.S_IMODE(env_file.stat().st_mode) == 0o600
    template = (tmp_path / "local.yaml").read_text()
    assert {secret for secret in SECRETS if secret in template} == set()


def test_the_template_changes_in_nothing_but_the_declared_variables(tmp_path: Path) -> None:
    write(PROJECT / "template.yaml", tmp_path / "local.yaml", tmp_path / "env.json", RUNNING)
    built, local = read_template(PROJECT / "template.yaml"), read_template(tmp_path / "local.yaml")
    for function in settings_by_function(RUNNING):
        before = built["Resources"][function]["Properties"].setdefault("Environment", {}).setdefault("Variables", {})
        after = local["Resources"][function]["Properties"]["Environment"]["Variables"]
        added = after.keys() - before.keys()
        assert "AWS_ENDPOINT_URL" in added
        assert {after.pop(name) for name in added} == {""}
    assert local == built


# --- the environment ---


def test_what_make_run_wrote_is_what_the_functions_find(tmp_path: Path) -> None:
    endpoints = {"aws": RUNNING.aws, "razorpay": RUNNING.razorpay, "table": RUNNING.table, "bus": RUNNING.bus}
    (tmp_path / "endpoints.json").write_text(json.dumps(endpoints))
    found = Surroundings.of(tmp_path / "endpoints.json", tmp_path / ".env")
    assert found == RUNNING
    assert found.local_ports == (4567, 8091)


def test_without_make_run_the_usual_ports_are_named(tmp_path: Path) -> None:
    found = Surroundings.of(tmp_path / "endpoints.json", tmp_path / ".env")
    assert not found.is_running
    assert found.local_ports == (4566, 8090)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"aws": '])
def test_a_damaged_file_of_make_run_is_an_error_that_says_what_to_do(tmp_path: Path, text: str) -> None:
    (tmp_path / "endpoints.json").write_text(text)
    with pytest.raises(DamagedEndpointsError, match="stop `make run`, start it again"):
        Surroundings.of(tmp_path / "endpoints.json", tmp_path / ".env")


def test_with_keys_in_env_the_functions_use_the_real_test_mode(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        "RAZORPAY_KEY_ID=rzp_test_AbCdEf123456\nRAZORPAY_KEY_SECRET=kS9vLq2xWm4z\nRAZORPAY_WEBHOOK_SECRET=wH7tRn5yPb3c\n"
    )
    found = Surroundings.of(tmp_path / "endpoints.json", tmp_path / ".env")
    settings = settings_by_function(found)
    assert settings["CreateOrderFunction"]["RAZORPAY_API_URL"] == "https://api.razorpay.com"
    assert settings["CreateOrderFunction"]["RAZORPAY_KEY_SECRET"] == "kS9vLq2xWm4z"
    assert settings["WebhookFunction"]["RAZORPAY_WEBHOOK_SECRET"] == "wH7tRn5yPb3c"
    assert found.local_ports == (4566,)


def test_live_keys_are_refused(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        "RAZORPAY_KEY_ID=rzp_live_AbCdEf123456\nRAZORPAY_KEY_SECRET=kS9vLq2xWm4z\nRAZORPAY_WEBHOOK_SECRET=wH7tRn5yPb3c\n"
    )
    with pytest.raises(UnusableKeysError, match="live key"):
        Surroundings.of(tmp_path / "endpoints.json", tmp_path / ".env")
