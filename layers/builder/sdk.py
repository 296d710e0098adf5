"""botocore without the 400 services that nobody here calls, and the proof that the others are asked as before.

As it comes, a first client parses 1.2 MB of endpoints and walks every service's folder: a fifth of the floor of a cold
start. botocore/data keeps its form, so nothing in the code knows that it was pruned.
"""

import gzip
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

# Read by any client, beside the folder of its service. Small, and left as they are, but for the endpoints.
COMMON = {"_retry.json", "endpoints.json", "partitions.json", "sdk-default-configuration.json"}
# What a client reads of its service. Examples are for the documentation.
_EXAMPLES = "examples-1.json"

ASK = Path(__file__).with_name("ask.py")


class PruningError(RuntimeError):
    """Pruning would change what a client does; the message says how."""


def prune(python: Path, services: list[str]) -> None:
    """Reduces botocore's data to some services, in place.

    Args:
        python: the folder with botocore.
        services: whose clients are made, as botocore calls them.

    Raises:
        PruningError: a service is unknown, or its clients would ask elsewhere than before.
    """
    before = answers(python, services)
    data = python / "botocore/data"
    missing = [service for service in services if not (data / service).is_dir()]
    if missing:
        raise PruningError(f"botocore has no data of {', '.join(missing)}: no such service, or another name of it.")
    for path in sorted(data.iterdir()):
        if path.is_dir() and path.name not in services:
            shutil.rmtree(path)
        elif path.is_file() and path.name not in COMMON:
            raise PruningError(f"botocore/data has {path.name}, which this build does not know; see what reads it.")
    _prune_endpoints(data / "endpoints.json", services)
    for service in services:
        _prune_service(data / service)
    # Models of the resource interface (boto3.resource), which services_of would have found.
    shutil.rmtree(python / "boto3/data", ignore_errors=True)
    shutil.rmtree(python / "boto3/examples", ignore_errors=True)
    after = answers(python, services)
    if before != after:
        changed = [question for question in before if before[question] != after.get(question)]
        raise PruningError(f"{len(changed)} answers of botocore are others without the data, such as {changed[0]}.")


def _prune_endpoints(file: Path, services: list[str]) -> None:
    document = json.loads(file.read_bytes())
    for partition in document["partitions"]:
        partition["services"] = {name: its for name, its in partition["services"].items() if name in services}
    _write(file, document)


def _prune_service(folder: Path) -> None:
    """Without old versions, examples and words; unpacked, since zlib's output differs from version to version."""
    *old, newest = sorted(version for version in folder.iterdir() if version.is_dir())
    for version in old:
        shutil.rmtree(version)
    (newest / _EXAMPLES).unlink(missing_ok=True)
    for packed in sorted(newest.glob("*.json.gz")):
        document = json.loads(gzip.decompress(packed.read_bytes()))
        packed.unlink()
        _write(packed.with_suffix(""), document)
    for file in sorted(newest.glob("*.json")):
        _write(file, _without_words(json.loads(file.read_bytes())))


def _without_words(document: Any) -> Any:  # noqa: ANN401 - any JSON value
    """The model without its documentation, which is most of it. A member of that name is an object, not a text."""
    match document:
        case dict():
            return {
                name: _without_words(value)
                for name, value in document.items()
                if not (name == "documentation" and isinstance(value, str))
            }
        case list():
            return [_without_words(value) for value in document]
        case _:
            return document


def _write(file: Path, document: Any) -> None:  # noqa: ANN401 - any JSON value
    file.write_text(json.dumps(document, ensure_ascii=False, separators=(",", ":")), encoding="utf-8")


def answers(python: Path, services: list[str]) -> dict[str, Any]:
    """What botocore makes of every service, region and variant; see `ask.py`. It runs in a process of its own."""
    command = [sys.executable, "-I", "-B", "-S", str(ASK), str(python), *services]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={})  # noqa: S603 - as it says
    if done.returncode != 0:
        raise PruningError(f"botocore could not be asked for {', '.join(services)}:\n{done.stderr}")
    answered: dict[str, Any] = json.loads(done.stdout)
    return answered
