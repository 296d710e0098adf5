"""All of the fuzzing, whole: `make fuzz`. Shows the progress and writes docs/evidence/fuzz.md.

What each campaign found is kept in docs/evidence/fuzz/, so that `--only` renews one part of the page. 0: everything
held; 1: something was found, and the output says how to see it again.
"""

import sys
import tempfile
from pathlib import Path
from typing import Final

from sandbox.cloud.service import LocalService
from tests.faults.campaigns import Budget, Progress, Report
from tests.faults.evidence import Evidence
from tests.fuzz import api, handlers

_HEAD: Final = """# Evidence: any input gets a documented answer

Written by `make fuzz`; do not edit. `make test` runs a share of it, with the same seed every time.

What can be sent to the service was made up by two programs that look for trouble: hypothesis for the functions
themselves, schemathesis for the running API. A run that finds something fails, and its section keeps the figures of the
last time that everything held. The numbers I1 to I18 are explained in [invariants.md](../invariants.md).
"""


def _ask_the_api(budget: Budget, progress: Progress) -> Report:
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        with LocalService.start(scratch / "service") as service:
            return api.run(budget, progress, api=service.endpoints["api"], scratch=scratch)


EVIDENCE: Final = Evidence("make fuzz", "fuzz", _HEAD, {"handlers": handlers.run, "api": _ask_the_api})


if __name__ == "__main__":
    sys.exit(EVIDENCE.renew(sys.argv[1:], description=__doc__))
