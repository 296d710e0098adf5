"""When a build is needed."""

from pathlib import Path

import pytest

from sandbox.cloud import build as building


@pytest.fixture
def template(tmp_path: Path) -> Path:
    for name in ("functions/one/app.py", "shared/payments/model.py", "shared/requirements.txt", "template.yaml"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("content")
    return tmp_path / "template.yaml"


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The builds that were requested; none runs."""
    made: list[Path] = []

    def sam_build(template: Path, build_dir: Path) -> None:
        made.append(template)
        (build_dir / "out").mkdir(exist_ok=True)
        (build_dir / "out/template.yaml").write_text("built")

    monkeypatch.setattr(building, "_sam_build", sam_build)
    return made


def test_nothing_is_built_twice_while_nothing_changed(template: Path, builds: list[Path], tmp_path: Path) -> None:
    first = building.build(template, tmp_path / "build")
    second = building.build(template, tmp_path / "build")

    assert first == second
    assert len(builds) == 1


@pytest.mark.parametrize(
    "name",
    [
        "functions/one/app.py",
        "shared/payments/model.py",
        "shared/requirements.txt",
        "template.yaml",
        "nested.yaml",
        "shared/new.py",
        "layers/builder/sdk.py",
        "layers/arm64/Makefile",
    ],
)
def test_a_changed_or_new_file_is_built(template: Path, builds: list[Path], tmp_path: Path, name: str) -> None:
    building.build(template, tmp_path / "build")
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text("changed")

    building.build(template, tmp_path / "build")

    assert len(builds) == 2


def test_byte_code_of_a_test_run_is_no_change(template: Path, builds: list[Path], tmp_path: Path) -> None:
    building.build(template, tmp_path / "build")
    cache = tmp_path / "shared/payments/__pycache__"
    cache.mkdir()
    (cache / "model.cpython-313.pyc").write_bytes(b"code")

    building.build(template, tmp_path / "build")

    assert len(builds) == 1


def test_a_build_that_failed_is_tried_again(
    template: Path, builds: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    building.build(template, tmp_path / "build")
    (tmp_path / "template.yaml").write_text("changed")

    def failing(_template: Path, _build_dir: Path) -> None:
        raise building.BuildError("sam build failed")

    with monkeypatch.context() as patch:
        patch.setattr(building, "_sam_build", failing)
        with pytest.raises(building.BuildError):
            building.build(template, tmp_path / "build")
    building.build(template, tmp_path / "build")

    assert len(builds) == 2


def test_what_sam_says_is_shown_when_it_fails(tmp_path: Path) -> None:
    broken = tmp_path / "template.yaml"
    broken.write_text("Resources: {F: {Type: AWS::Serverless::Function, Properties: {CodeUri: nowhere, Runtime: odd}}}")

    with pytest.raises(building.BuildError, match="sam build failed"):
        building.build(broken, tmp_path / "build")
