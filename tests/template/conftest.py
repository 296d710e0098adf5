"""The project's templates, as written and as SAM transforms them."""

from typing import Any

import pytest

from sandbox.cloud.packages import read_template
from tests.template import reference
from tests.template.transform import PROJECT, Resources, transformed


@pytest.fixture(scope="session")
def written() -> dict[str, Any]:
    """template.yaml."""
    return read_template(PROJECT / "template.yaml")


@pytest.fixture(scope="session")
def service() -> Resources:
    """The resources of template.yaml and of its nested applications."""
    return reference.of_the_service()


@pytest.fixture(scope="session")
def subscriber() -> Resources:
    """The resources of the example of a subscriber."""
    return transformed(PROJECT / "examples/subscriber/template.yaml")
