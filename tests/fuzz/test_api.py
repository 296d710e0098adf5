"""Tests the local cloud's API with schemathesis: everything that docs/openapi.yaml allows and forbids.

Every response must be one that the description has for that operation: status, media type, headers and every field of
the body. What the schema forbids must be refused, and no response may be a server error. schemathesis runs as a
separate program, because every test run would load its pytest plugin.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

from sandbox.development import token
from sandbox.events import CLIENT

if TYPE_CHECKING:
    from sandbox.cloud.service import LocalService

PROJECT: Final = Path(__file__).parents[2]
DESCRIPTION: Final = PROJECT / "docs/openapi.yaml"
# For each of the five operations, besides schemathesis' fixed cases. `make fuzz` uses more.
_FEW: Final = 16
EXAMPLES: Final = 2 * int(os.environ.get("FUZZ_EXAMPLES") or _FEW // 2)
# The API allows 100 a second and returns 429 above; half of that leaves room for other tests.
_RATE: Final = "50/s"
# Listed, so that a new version's checks are reviewed before they are used. Left out, with reasons:
# * positive_data_acceptance: a document that fits the schema need not be acceptable. The signature must be
#   Razorpay's, the currency one that is configured, and no schema says that.
# * unsupported_method: it expects 405 for a method without a route, which never reaches a function. API Gateway answers
#   it by the gateway responses, with 404; tests/e2e asks for each of them, and the handlers' tests have 405.
# * use_after_free, ensure_resource_availability, object_level_authorization: they follow links between operations, and
# the description has none; ownership of payments has separate tests.
CHECKS: Final = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "missing_required_header",
    "allow_header_conformance",
    "ignored_auth",
)


def asked(
    api: str, description: Path, examples: int, seed: int, scratch: Path, *options: str
) -> tuple[dict[str, Any], str]:
    """Runs schemathesis against the API; returns its report and its output."""
    report = scratch / "schemathesis.json"
    command = [
        str(Path(sys.executable).with_name("schemathesis")),
        "run",
        str(description),
        *("--url", api),
        *("--header", f"Authorization: Bearer {token(CLIENT)}"),
        *("--phases", "examples,coverage,fuzzing"),
        *("--checks", ",".join(CHECKS)),
        *("--max-examples", str(examples)),
        *("--seed", str(seed)),
        *("--rate-limit", _RATE),
        *("--request-timeout", "30"),
        *("--suppress-health-check", "all"),
        *("--generation-database", "none"),
        *("--report", "json"),
        *("--report-json-path", str(report)),
        *("--output-truncate", "false"),
        *("--warnings", "off"),
        "--continue-on-failure",
        "--no-shrink",
        "--no-color",
        *options,
    ]
    environment = {"PATH": os.defpath, "LANG": "C.UTF-8", "PYTHONPATH": f"{PROJECT}:{PROJECT / 'shared'}"}
    environment |= {"SCHEMATHESIS_HOOKS": "tests.fuzz.hooks"}
    done = subprocess.run(command, cwd=scratch, env=environment, capture_output=True, text=True, check=False)  # noqa: S603 - our own program
    said = f"seed {seed}:\n{done.stdout}{done.stderr}"
    assert report.exists(), said
    found: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
    assert done.returncode == (1 if found["failures"] or found["errors"] else 0), said
    return found, said


def is_of_the_closed_route(failure: dict[str, Any]) -> bool:
    """Whether a request without a token got 403 in place of 401 where the setting `RefundScope` is not set.

    That route is closed then and answers everybody 403, whatever the token. schemathesis knows only 401.
    """
    return (failure["code"], failure["operations"]) == ("ST203", ["POST /api/payments/{order_id}/refunds/by-token/"])


def test_the_running_api_answers_as_described(local_service: "LocalService", tmp_path: Path, seed: int) -> None:
    found, said = asked(local_service.endpoints["api"], DESCRIPTION, EXAMPLES, seed, tmp_path)
    assert [failure for failure in found["failures"] if not is_of_the_closed_route(failure)] == [], said
    assert not found["errors"], said
    assert found["operations"]["tested"] == found["operations"]["total"]
    made = found["test_cases"]["generated"]
    assert made > 100
    sys.stdout.write(f"requests made up and judged: {made:,}\n")


def test_an_api_that_answers_otherwise_is_found(local_service: "LocalService", tmp_path: Path) -> None:
    described = yaml.safe_load(DESCRIPTION.read_text(encoding="utf-8"))
    path = "/api/payments/verify/"
    del described["paths"][path]["post"]["responses"]["404"]
    otherwise = tmp_path / "openapi.yaml"
    otherwise.write_text(yaml.safe_dump(described), encoding="utf-8")
    found, said = asked(local_service.endpoints["api"], otherwise, _FEW, 7, tmp_path, "--include-path", path)
    assert found["failures"], said
    assert "verify" in said
