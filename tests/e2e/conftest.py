"""The whole service, once for all tests of this folder: built, deployed, and talking to the gateway's stand-in."""

from collections.abc import Iterator

import pytest

from sandbox.cloud.service import LocalService


@pytest.fixture(scope="session")
def local_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalService]:
    """The running service, on free ports and with a run dir of its own, beside whatever `make run` runs."""
    with LocalService.start(tmp_path_factory.mktemp("service")) as service:
        yield service
