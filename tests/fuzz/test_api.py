"""A share of the fuzzing of the running API, from its description; `make fuzz` runs all of it."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
import yaml

from tests.faults.campaigns import Budget
from tests.fuzz import api

if TYPE_CHECKING:
    from sandbox.cloud.service import LocalService

_SHARE: Final = 0.004


def _unseen(done: int, of: int) -> None:
    assert done <= of


def test_the_running_api_answers_as_described(local_service: "LocalService", tmp_path: Path, seed: int) -> None:
    report = api.run(Budget(_SHARE, seed), _unseen, api=local_service.endpoints["api"], scratch=tmp_path)
    assert int(report.figures["requests made up and judged"]) > 100


def test_an_api_that_answers_otherwise_is_found(
    local_service: "LocalService", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    described = yaml.safe_load((api.PROJECT / "docs/openapi.yaml").read_text(encoding="utf-8"))
    del described["paths"]["/api/payments/verify/"]["post"]["responses"]["404"]
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/openapi.yaml").write_text(yaml.safe_dump(described), encoding="utf-8")
    monkeypatch.setattr(api, "DESCRIPTION", tmp_path / "docs/openapi.yaml")
    with pytest.raises(AssertionError, match="verify"):
        api.run(Budget(_SHARE, 7), _unseen, api=local_service.endpoints["api"], scratch=tmp_path)
