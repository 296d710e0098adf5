"""What template.yaml and the applications nested in it make together is what reference.json says, and nothing else."""

import json

from tests.template.reference import REFERENCE, digests_of
from tests.template.transform import Resources


def test_the_templates_together_make_what_the_reference_says(service: Resources) -> None:
    """Moving a block between the templates, or writing it shorter, changes nothing that is deployed.

    A change that is meant is in the difference that `git diff` shows after

        .venv/bin/python -m tests.template.reference

    which is committed with it: one line a resource, and in it the properties that are not as they were.
    """
    expected = json.loads(REFERENCE.read_text())
    found = digests_of(service)
    assert found.keys() == expected.keys()
    differing = {
        name: sorted(
            key for key in found[name].keys() | expected[name].keys() if found[name].get(key) != expected[name].get(key)
        )
        for name in found
        if found[name] != expected[name]
    }
    assert differing == {}
