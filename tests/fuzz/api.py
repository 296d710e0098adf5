"""The running API of the local cloud, asked by schemathesis for whatever docs/openapi.yaml says and forbids.

Every answer must be one that the description has for that operation: its status, its media type, its headers, its body
to the last field; what the schema forbids must be refused, and no answer may be a server error. schemathesis runs as a
program of its own, since its plugin for pytest would be loaded by every test run.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from sandbox.development import token
from sandbox.events import CLIENT
from tests.faults.campaigns import Budget, Progress, Report

PROJECT: Final = Path(__file__).parents[2]
DESCRIPTION = PROJECT / "docs/openapi.yaml"
PROGRAM: Final = Path(sys.executable).with_name("schemathesis")
# Of a whole campaign, for each of the four operations; what schemathesis writes down beforehand comes on top.
_EXAMPLES: Final = 4000
# The API takes 100 a second and answers 429 beyond; half of that leaves room for whatever else the test run asks.
_RATE: Final = "50/s"
# Named, so that a new version's new checks are looked at before they count. Left out, with their reasons:
# * positive_data_acceptance: that a document fits the schema does not make it acceptable. The signature must be
#   Razorpay's, the currency one that is configured, and no schema says that.
# * unsupported_method: it wants 405 for a method without a route, which never reaches a function. API Gateway answers
#   it by the gateway responses, with 404; tests/e2e asks for each of them, and the handlers' tests have 405.
# * use_after_free, ensure_resource_availability, object_level_authorization: they follow links between operations, and
#   the description has none; whose payment it is has tests of its own.
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
_SERVER_ERROR: Final = "not_a_server_error"


def run(budget: Budget, progress: Progress, *, api: str, scratch: Path) -> Report:
    """Asks the API.

    Args:
        budget: how much, and the seed.
        progress: is told at the beginning and at the end; schemathesis tells nothing in between.
        api: the API's address.
        scratch: a folder for what schemathesis writes.

    Raises:
        AssertionError: an answer was not as described; the message has the request to send again.
    """
    examples = max(5, round(_EXAMPLES * budget.share))
    progress(0, 1)
    report = scratch / "schemathesis.json"
    command = [
        str(PROGRAM),
        "run",
        str(DESCRIPTION),
        *("--url", api),
        *("--header", f"Authorization: Bearer {token(CLIENT)}"),
        *("--phases", "examples,coverage,fuzzing"),
        *("--checks", ",".join(CHECKS)),
        *("--max-examples", str(examples)),
        *("--seed", str(budget.seed)),
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
    ]
    environment = {"PATH": os.defpath, "LANG": "C.UTF-8", "PYTHONPATH": f"{PROJECT}:{PROJECT / 'shared'}"}
    environment |= {"SCHEMATHESIS_HOOKS": "tests.fuzz.hooks"}
    done = subprocess.run(command, cwd=scratch, env=environment, capture_output=True, text=True, check=False)  # noqa: S603 - our own program
    progress(1, 1)
    assert report.exists(), f"schemathesis did not run: {done.stdout}{done.stderr}"
    found: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
    assert not found["failures"], f"seed {budget.seed}:\n{done.stdout}"
    assert not found["errors"], f"seed {budget.seed}:\n{done.stdout}"
    assert done.returncode == 0, f"seed {budget.seed}:\n{done.stdout}{done.stderr}"
    assert found["operations"]["tested"] == found["operations"]["total"]
    return Report(
        title="The running API, from its description",
        what=(
            "schemathesis reads docs/openapi.yaml and asks the API of the local cloud: with what the schemas allow, "
            "at their limits, and with what they forbid, with and without a token. Every answer had the status, media "
            "type, headers and body that the description has for it; all that a schema forbids was refused. Not "
            "judged: whether a document that fits the schema is accepted (no schema has the signature), and methods "
            "without a route, which API Gateway answers with 404 before any function hears of them."
        ),
        figures={
            "operations": found["operations"]["tested"],
            "requests made up and judged": found["test_cases"]["generated"],
            "server errors": _failures(found, _SERVER_ERROR),
            "answers that the description does not have": len(found["failures"]),
            "schemathesis": found["schemathesis_version"],
        },
    )


def _failures(found: dict[str, Any], check: str) -> int:
    return sum(failure.get("check") == check for failure in found["failures"])
