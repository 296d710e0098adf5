"""Each handler imported as Lambda does it: the function's folder, the layer, the runtime, and nothing around them."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from sandbox import development
from tests.signers import claims, signer

# The first build of a fresh checkout downloads the layer's packages.
pytestmark = pytest.mark.timeout(300)

PROJECT = Path(__file__).parents[2]
RUNTIME = PROJECT / ".venvs/runtime"
FUNCTIONS = [
    "CreateOrderFunction",
    "OutboxFunction",
    "ReconcileFunction",
    "RefundFunction",
    "VerifyFunction",
    "WebhookFunction",
]

# Checks a token with a PEM key, after importing the handler.
CHECK_TOKEN = """
import json, sys
sys.path[:0] = sys.argv[2:]
import app
from payments.adapters.config import verify_settings
from payments.adapters.tokens import Tokens
given = json.loads(sys.argv[1])
print(Tokens(verify_settings(given["settings"]).token_rules).user_id("Bearer " + given["token"]))
"""

# /var/task precedes /opt/python, and both precede the runtime's own packages.
IMPORT_HANDLER = """
import json, sys
sys.path[:0] = sys.argv[1:]
import app
json.dump({
    "handler": callable(app.lambda_handler),
    "standard": sys.base_prefix,
    "files": {name: getattr(module, "__file__", None) for name, module in sys.modules.items()},
}, sys.stdout)
"""


@dataclass(frozen=True)
class Imported:
    """What an interpreter has loaded after importing a handler."""

    has_handler: bool
    standard_library: Path
    files: dict[str, Path]


@pytest.fixture(scope="session")
def imported(artefact: Path, layer: Path) -> dict[str, Imported]:
    return {function: import_handler(artefact / function, layer / "python") for function in FUNCTIONS}


def import_handler(function: Path, layer: Path) -> Imported:
    """What `app` loads."""
    done = run(IMPORT_HANDLER, function, layer)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    files = {name: Path(file) for name, file in report["files"].items() if file}
    return Imported(report["handler"], Path(report["standard"]), files)


def run(program: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Runs it in an interpreter without environment variables, user site-packages or current folder."""
    return subprocess.run(  # noqa: S603 - fixed command
        [RUNTIME / "bin/python", "-I", "-B", "-W", "error", "-c", program, *arguments],
        cwd=PROJECT / ".aws-sam",
        env={},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_handler_is_imported_without_settings_and_without_a_word(
    imported: dict[str, Imported], function: str
) -> None:
    # No variable is set, so nothing on import reads settings or creates a client (which would lack a region).
    assert imported[function].has_handler


@pytest.mark.parametrize("function", FUNCTIONS)
def test_everything_loaded_comes_from_the_artefact_or_the_runtime(
    imported: dict[str, Imported], artefact: Path, layer: Path, function: str
) -> None:
    allowed = [artefact / function, layer / "python", RUNTIME, imported[function].standard_library]
    strangers = {
        name: str(file)
        for name, file in imported[function].files.items()
        if not any(file.is_relative_to(folder) for folder in allowed)
    }
    assert not strangers


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_layer_brings_the_packages_and_the_aws_sdk_although_the_runtime_has_one(
    imported: dict[str, Imported], layer: Path, function: str
) -> None:
    files = imported[function].files
    for package in ("payments", "pydantic", "pydantic_core", "aws_lambda_powertools", "botocore"):
        assert files[package].is_relative_to(layer), package


@pytest.mark.parametrize("package", ["razorpay", "requests"])
@pytest.mark.parametrize("function", ["OutboxFunction", "VerifyFunction", "WebhookFunction"])
def test_only_functions_that_ask_razorpay_load_its_sdk(
    imported: dict[str, Imported], function: str, package: str
) -> None:
    assert package not in imported[function].files


def test_functions_without_callers_of_ours_load_no_token_library(imported: dict[str, Imported]) -> None:
    for function in ("WebhookFunction", "OutboxFunction", "ReconcileFunction"):
        assert "jwt" not in imported[function].files


def test_the_functions_that_take_tokens_load_one_without_cryptography(imported: dict[str, Imported]) -> None:
    for function in ("CreateOrderFunction", "RefundFunction", "VerifyFunction"):
        assert "jwt" in imported[function].files
        assert "cryptography" not in imported[function].files


def test_with_hs256_nothing_is_loaded_that_fetches_keys(imported: dict[str, Imported]) -> None:
    for function in FUNCTIONS:
        assert "payments.adapters.jwks" not in imported[function].files


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
@pytest.mark.parametrize("function", ["CreateOrderFunction", "VerifyFunction"])
def test_with_the_layer_of_cryptography_tokens_of_public_keys_are_checked(
    artefact: Path, layer: Path, cryptography_layer: Path, function: str, algorithm: str
) -> None:
    known = signer(algorithm)
    settings = {
        "STAGE": "local",
        "PAYMENTS_TABLE": "payments",
        "RAZORPAY_KEY_SECRET": development.RAZORPAY_KEY_SECRET,
        "JWT_ALGORITHM": algorithm,
        "JWT_PUBLIC_KEY": known.pem,
    }
    given = json.dumps({"settings": settings, "token": known.token(claims())})
    done = run(CHECK_TOKEN, given, artefact / function, layer / "python", cryptography_layer / "python")
    assert (done.stdout, done.stderr) == ("42\n", "")
    without = run(CHECK_TOKEN, given, artefact / function, layer / "python")
    assert f"JWT_ALGORITHM {algorithm} needs the layer with cryptography" in without.stderr


def test_what_fetches_keys_finds_all_it_needs_in_the_layers(layer: Path, cryptography_layer: Path) -> None:
    done = run(
        "import sys; sys.path[:0] = sys.argv[1:]; import payments.adapters.jwks, urllib3; print(urllib3.__file__)",
        layer / "python",
        cryptography_layer / "python",
    )
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).is_relative_to(layer)
