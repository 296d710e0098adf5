import json
from pathlib import Path

import pytest

from sandbox import demo

GONE = "http://127.0.0.1:9"  # the discard port: nothing listens
ENDPOINTS = {
    "api": GONE,
    "razorpay": GONE,
    "aws": GONE,
    "table": "payments",
    "region": "ap-south-1",
    "jwt_secret": "s" * 32,
    "subscribers": {},
}


def test_it_says_how_to_start_the_service_when_nothing_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert demo.main(["--run-dir", str(tmp_path)]) == 1
    assert "start it with `make run`" in capsys.readouterr().out


def test_it_says_so_when_the_service_is_gone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "endpoints.json").write_text(json.dumps(ENDPOINTS))
    assert demo.main(["--run-dir", str(tmp_path)]) == 1
    assert "start the service with `make run`" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("text", ["{", "{}"])
def test_it_says_so_when_the_endpoints_are_damaged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    (tmp_path / "endpoints.json").write_text(text)
    assert demo.main(["--run-dir", str(tmp_path)]) == 1
    assert "stop `make run` and start it again" in " ".join(capsys.readouterr().out.split())


def test_it_never_plays_the_customer_at_the_real_gateway(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "endpoints.json").write_text(json.dumps(ENDPOINTS | {"razorpay": "https://api.razorpay.com"}))
    assert demo.main(["--run-dir", str(tmp_path)]) == 1
    assert "not to the stand-in" in " ".join(capsys.readouterr().out.split())
