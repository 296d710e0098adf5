"""The JavaScript client as a package: its own tests, its generated types, and what a frontend installs."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests import npm
from tests.docs.pages import claim

# Node.js compiles and installs here, which takes a minute or more on a busy machine.
pytestmark = pytest.mark.timeout(300)

PROJECT = Path(__file__).parents[2]
CLIENT = PROJECT / "clients/javascript"
TOOLS = CLIENT / "node_modules/.bin"
NAME = "@payment-service/payments-client"
PACKAGE = json.loads((CLIENT / "package.json").read_text(encoding="utf-8"))
COMPILED = json.loads((CLIENT / "tsconfig.json").read_text(encoding="utf-8"))["compilerOptions"]


@pytest.fixture(scope="module", autouse=True)
def _tools() -> None:
    npm.install("clients/javascript")


def run(*command: str | Path, folder: Path = CLIENT) -> str:
    """What a command prints; it must succeed."""
    given = {"cache": str(PROJECT / ".build/npm"), "offline": "true", "audit": "false", "ignore_scripts": "true"}
    environment = {
        **os.environ,
        "PATH": npm.before(os.environ["PATH"]),
        "NO_COLOR": "1",
        **{f"npm_config_{name}": value for name, value in given.items()},
    }
    done = subprocess.run(  # noqa: S603 - our own programs
        [*map(str, command)], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def frontend(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with nothing in it but the package, installed as its README says: the folder, then from a tarball."""
    folder = tmp_path_factory.mktemp("frontend")
    (folder / "payment-service").symlink_to(PROJECT)
    (folder / "package.json").write_text('{"type": "module"}')
    (install,) = claim("clients/javascript/README.md", languages=("sh",))
    run("sh", "-euc", install.text, folder=folder)
    assert not (folder / "node_modules" / NAME).is_symlink()
    return folder


def test_the_tests_of_the_package_pass() -> None:
    told = run("npm", "test", "--silent")
    assert int(re.findall(r"^# pass (\d+)$", told, re.MULTILINE)[0]) > 50


def test_the_types_of_bodies_are_those_of_the_description_of_the_api() -> None:
    run("npm", "run", "--silent", "bodies", "--", "--check")


def test_the_declarations_are_those_of_the_sources(tmp_path: Path) -> None:
    run(TOOLS / "tsc", "--outDir", tmp_path)
    written = {file.name: file.read_text(encoding="utf-8") for file in tmp_path.iterdir()}
    assert set(written) == {f"{source.stem}.d.ts" for source in (CLIENT / "src").iterdir()}
    for name, text in written.items():
        assert (CLIENT / "types" / name).read_text(encoding="utf-8") == text, "Run `make contracts`."


def test_the_tarball_has_the_modules_their_types_and_the_licence_and_nothing_else(frontend: Path) -> None:
    installed = frontend / "node_modules" / NAME
    files = {str(file.relative_to(installed)) for file in installed.rglob("*") if file.is_file()}
    assert files == {
        *("LICENSE", "README.md", "package.json", "src/checkout.js", "src/payments.js"),
        *("types/checkout.d.ts", "types/openapi.d.ts", "types/payments.d.ts"),
    }
    assert (installed / "LICENSE").read_bytes() == (PROJECT / "LICENSE").read_bytes()
    assert "dependencies" not in PACKAGE


def test_a_page_in_typescript_compiles_with_it_and_its_mistakes_do_not(frontend: Path) -> None:
    folder = frontend / "page"
    folder.mkdir()
    for name in ("usage.ts", "mistakes.ts"):
        shutil.copy(CLIENT / "tests" / name, folder)
    (folder / "readme.js").write_text(examples())
    (folder / "tsconfig.json").write_text(json.dumps({"compilerOptions": COMPILED | {"outDir": "compiled"}}))

    run(TOOLS / "tsc", "--project", folder, folder=frontend)


def test_the_examples_of_its_readme_take_a_payment(frontend: Path) -> None:
    (frontend / "readme.js").write_text(examples())
    (frontend / "run.js").write_text(f'import "{CLIENT}/tests/readme.js";\nawait import("./readme.js");\n')

    said = run("node", "run.js", folder=frontend).splitlines()

    assert said == ["Paid.", "Paid with order_DESlLckIVRkHWj.", "paid", "1 0"]


def examples() -> str:
    """The code of the README, as one module."""
    return "\n".join(block.text for block in claim("clients/javascript/README.md", languages=("js",)))
