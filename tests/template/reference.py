"""What a deployment creates, stored in reference.json, so that a rearrangement of the templates shows its changes.

`.venv/bin/python -m tests.template.reference` regenerates the file.
"""

import hashlib
import json
import re
from pathlib import Path
from typing import Any, Final

from tests.template.transform import PROJECT, Resources, transformed

REFERENCE: Final = Path(__file__).with_name("reference.json")

type Digests = dict[str, dict[str, str]]

# SAM creates a new API deployment each time, whose name ends in a hash.
_OF_A_DEPLOYMENT: Final = re.compile(r"(PaymentsApiDeployment)[0-9a-f]{10}")


def digests_of(resources: Resources) -> Digests:
    """By logical id: the type, and a short digest of each property and of each other attribute, such as a condition.

    The description of a Lambda version is left out, because it only has to differ if a setting differs.
    """
    text = _OF_A_DEPLOYMENT.sub(r"\1", json.dumps(resources.by_id))
    found: Digests = {}
    for name, item in sorted(json.loads(text).items()):
        rest = {key: value for key, value in item.items() if key not in {"Type", "Properties"}}
        properties = dict(item.get("Properties", {}))
        if item["Type"] == "AWS::Lambda::Version":
            properties.pop("Description", None)
        # Its description names that hash.
        if item["Type"] == "AWS::ApiGateway::Deployment":
            properties.pop("Description", None)
        found[name] = {"Type": item["Type"]} | {
            key: _digest(value) for key, value in sorted((rest | properties).items())
        }
    return found


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:10]


def of_the_service() -> Resources:
    """What a stage's deployment creates."""
    return transformed(PROJECT / "template.yaml", "Stage=staging", "CorsOrigin=https://app.example.com")


def main() -> None:
    """Write the file, one resource per line."""
    lines = [f"{json.dumps(name)}: {json.dumps(item)}" for name, item in digests_of(of_the_service()).items()]
    REFERENCE.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
