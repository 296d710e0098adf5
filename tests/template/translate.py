"""Prints the SAM transform of a template as JSON. Run it with the interpreter of `.venvs/sam`.

Usage: python translate.py <template> [<parameter>=<value> ...]
"""

import json
import os
import sys
from unittest.mock import Mock

# These three are in the SAM environment, which mypy does not see.
from samcli.yamlhelper import yaml_parse  # type: ignore[import-not-found]
from samtranslator.translator.managed_policy_translator import ManagedPolicyLoader  # type: ignore[import-not-found]
from samtranslator.translator.transform import transform  # type: ignore[import-not-found]

os.environ["AWS_DEFAULT_REGION"] = "ap-south-1"
path, *overrides = sys.argv[1:]
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
parameters = dict(override.split("=", 1) for override in overrides)
json.dump(transform(template, parameters, policies), sys.stdout)
