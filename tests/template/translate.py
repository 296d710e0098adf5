"""Prints the SAM transforms of templates as JSON, a line each. Run it with the interpreter of `.venvs/sam`.

Each line of its input is a list in JSON: a template, then `<parameter>=<value>` for each parameter.
"""

import json
import os
import sys
from typing import Any
from unittest.mock import Mock

# These three are in the SAM environment, which mypy does not see.
from samcli.yamlhelper import yaml_parse  # type: ignore[import-not-found]
from samtranslator.translator.managed_policy_translator import ManagedPolicyLoader  # type: ignore[import-not-found]
from samtranslator.translator.transform import transform  # type: ignore[import-not-found]

os.environ["AWS_DEFAULT_REGION"] = "ap-south-1"


def translated(path: str, *overrides: str) -> Any:
    """The SAM transform of a template."""
    with open(path, encoding="utf-8") as text:  # noqa: PTH123 - one line, nothing of pathlib needed
        # Through JSON, so that each use of an anchor becomes a separate block, as in the file that `sam build` writes.
        template = json.loads(json.dumps(yaml_parse(text.read())))
    # The transform only accepts uploaded artefacts; their location does not matter here.
    for resource in template["Resources"].values():
        for folder in ("CodeUri", "ContentUri"):
            if folder in resource.get("Properties", {}):
                resource["Properties"][folder] = f"s3://artefacts/code/{resource['Properties'][folder].strip('/')}"
    # The managed policies are named, not looked up in an account.
    policies = ManagedPolicyLoader(Mock())
    policies._policy_map = {  # noqa: SLF001 - there is no public way without an account
        name: f"arn:aws:iam::aws:policy/service-role/{name}"
        for name in ("AWSLambdaBasicExecutionRole", "AWSLambdaSQSQueueExecutionRole")
    }
    return transform(template, dict(override.split("=", 1) for override in overrides), policies)


for line in sys.stdin:
    sys.stdout.write(json.dumps(translated(*json.loads(line))) + "\n")
    sys.stdout.flush()
