"""One build, made ready to be measured."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from bench.canned import Flow, flows, record_of
from bench.subjects import Subject, new_signer, subjects


@dataclass(frozen=True, slots=True)
class Artefact:
    """A build with its functions and the requests that they are measured with."""

    folder: Path
    subjects: list[Subject]
    flows: list[Flow]

    @classmethod
    def prepare(cls, folder: Path, scratch: Path) -> Self:
        """Lets every function serve each of its requests once, and keeps what it asked outside.

        Args:
            folder: that `sam build` filled; it must not change any more.
            scratch: where the requests' files go.

        Raises:
            ChildFailed: a function does not serve a request.
        """
        signer = new_signer()
        found = subjects(folder, signer)
        requests = scratch / "requests"
        ordering = flows(found[0], signer, None, requests)
        record = record_of(ordering[0], requests)
        others = [flow for subject in found[1:] for flow in flows(subject, signer, record, requests)]
        return cls(folder, found, [*ordering, *others])
