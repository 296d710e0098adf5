"""Prints how SAM itself resolves a template and its values: runs on SAM's interpreter, without a container engine.

`python resolve.py TEMPLATE ENV_VARS NAME=VALUE…` prints, for each function, the processor and its container's
variables.
"""

import json
import sys
from pathlib import Path

from samcli.commands.local.lib.local_lambda import LocalLambdaRunner  # type: ignore[import-not-found]
from samcli.lib.providers.sam_function_provider import SamFunctionProvider  # type: ignore[import-not-found]
from samcli.lib.providers.sam_stack_provider import SamLocalStackProvider  # type: ignore[import-not-found]


def main(template: str, env_vars: str, *parameters: str) -> None:
    """Print it as JSON."""
    overrides = dict(parameter.split("=", 1) for parameter in parameters)
    stacks, _ = SamLocalStackProvider.get_stacks(template, parameter_overrides=overrides)
    provider = SamFunctionProvider(stacks)
    values = json.loads(Path(env_vars).read_text())
    runner = LocalLambdaRunner(None, provider, ".", ".", env_vars_values=values)
    told = {
        function.name: {
            "architectures": function.architectures,
            "variables": runner._make_env_vars(function).resolve(),  # noqa: SLF001 - what it starts a container with
        }
        for function in provider.get_all()
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])
