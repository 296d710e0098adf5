"""Runs every fault campaign in full: `make faults`. Shows the progress and writes docs/evidence/faults.md.

Each campaign's result is kept in docs/evidence/faults/, so that `--only` renews one part of the page. Exit status 0:
all invariants held; 1: a campaign found something and printed how to reproduce it.
"""

import sys
from importlib import import_module
from typing import Final

from tests.faults.campaigns import Budget, Campaign, Progress, Report
from tests.faults.evidence import Evidence

CAMPAIGNS: Final = (
    "reachability",
    "crashes",
    "interleavings",
    "machine",
    "outages",
    "mistakes",
    "soak",
)
"""In the order of the page: from the decision to the deployed service."""

_HEAD: Final = """# Evidence: nothing is lost, nothing is doubled

Written by `make faults`; do not edit. `make test` runs a share of each campaign, with the same seed every time.

A sceptic's guide: each section says what was tried, and ends with figures. *Lost* is an event or a fact that was
acknowledged or recorded and is missing in the end, *doubled* a fact that changed a record twice or an event under two
ids, *invented* an event that nothing at Razorpay stands behind. A campaign that finds one fails, and its section keeps
the figures of the last time that it held. The numbers I1 to I24 are explained in [invariants.md](../invariants.md).
"""


def campaign(name: str) -> Campaign:
    """A campaign; its module is loaded when it runs."""

    def run(budget: Budget, progress: Progress) -> Report:
        module: Campaign = import_module(f"tests.faults.{name}").run
        return module(budget, progress)

    return run


EVIDENCE: Final = Evidence("make faults", "faults", _HEAD, {name: campaign(name) for name in CAMPAIGNS})


if __name__ == "__main__":
    sys.exit(EVIDENCE.renew(sys.argv[1:], description=__doc__))
