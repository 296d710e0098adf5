import json
from pathlib import Path

import pytest

from sandbox import demo


def test_it_says_how_to_start_the_service_when_nothing_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert demo.main(["--run-dir", str(tmp_path)]) == 1
    assert "start it with `make run`" in capsys.readouterr().out


def test_it_says_so_when_the_service_is_gone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gone = "http://127.0.0.1:9"  # the discard port: nothing listens
    endpoints = {
        "api": gone,
        "razorpay": gone,
        "aws": gone,
        "table": "t",
        "region": "ap-south-1",
        "jwt_secret": "s" * 32,
    }
    (tmp_path / "endpoints.json").write_text(json.dumps(endpoints))
    assert demo.main(["--run-dir", str(tmp_path)]) == 1
    assert "start it with `make run`" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("text", ["{", "{}"])
def test_it_says_so_when_the_endpoints_are_damaged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    (tmp_path / "endpoints.json").write_text(text)
    assert demo.main(["--run-dir", str(tmp_path)]) == 1
    assert "stop `make run` and start it again" in " ".join(capsys.readouterr().out.split())
