"""Functions on the emulator: isolated, in a clean environment, on AWS's runtime client."""

from typing import Any

import pytest

from tests.cloud.conftest import Deployed

# Packages of the emulator's or the tests' environment that are neither in the function nor in its layer.
FOREIGN = ["ministack", "yaml", "pydantic", "hypercorn", "sandbox"]


def inspection(deployed: Deployed) -> dict[str, Any]:
    kind, document = deployed.invoke("Inspect", {"names": [*FOREIGN, "boto3", "only_in_layer"]})
    assert kind is None, document
    return dict(document)


def test_a_function_can_import_its_layer_and_boto3_and_nothing_else(patched: Deployed) -> None:
    expected = dict.fromkeys(FOREIGN, False) | {"boto3": True, "only_in_layer": True}

    assert inspection(patched)["importable"] == expected


def test_the_stock_emulator_still_lends_functions_its_own_packages(stock: Deployed) -> None:
    assert inspection(stock)["importable"]["ministack"]


def test_a_functions_own_modules_come_before_those_of_its_layer(patched: Deployed) -> None:
    assert inspection(patched)["which"] == "function"


def test_a_function_sees_the_environment_lambda_documents_and_the_templates_only(patched: Deployed) -> None:
    environment = inspection(patched)["environment"]

    assert environment["COLOUR"] == "blue"
    assert environment["AWS_EXECUTION_ENV"] == "AWS_Lambda_python3.13"
    foreign = [name for name in environment if not name.startswith(("AWS_", "_", "LAMBDA_", "LC_"))]
    assert sorted(foreign) == ["COLOUR", "LANG", "PATH", "PYTHONPATH", "TMPDIR", "TZ"]


def test_the_emulator_inherits_nothing_from_whoever_starts_it(stock: Deployed) -> None:
    # The unmodified emulator passes its environment on, so the function shows it.
    environment = inspection(stock)["environment"]

    assert not {"PYTHONDONTWRITEBYTECODE", "VIRTUAL_ENV", "AWS_PROFILE", "PYTEST_CURRENT_TEST"} & environment.keys()


def test_a_function_runs_under_its_own_role(patched: Deployed) -> None:
    assert inspection(patched)["environment"]["AWS_ACCESS_KEY_ID"].startswith("ASIA")


def test_a_module_that_cannot_be_imported_is_reported_by_name(patched: Deployed) -> None:
    kind, document = patched.invoke("Unimportable", {})

    assert kind == "Unhandled"
    assert document["errorType"] == "Runtime.ImportModuleError"
    assert "a_package_nobody_has" in document["errorMessage"]


def test_what_a_function_prints_is_in_the_one_log_file(patched: Deployed) -> None:
    inspection(patched)

    assert f"{patched.outputs['Inspect']} inspected" in patched.cloud.function_log.read_text()


@pytest.mark.parametrize(
    ("fault", "error_type", "message"),
    [
        ("exit", "Runtime.ExitError", "exit status 3"),
        ("sleep", "Sandbox.Timedout", "Task timed out after 1.00 seconds"),
    ],
)
def test_the_end_of_a_functions_process_is_reported_as_lambda_does(
    patched: Deployed, fault: str, error_type: str, message: str
) -> None:
    kind, document = patched.invoke("Faulty", {"body": f'{{"fault": "{fault}"}}'})

    assert kind == "Unhandled"
    assert document["errorType"] == error_type
    assert message in document["errorMessage"]
    assert document["errorMessage"] in patched.cloud.function_log.read_text()
