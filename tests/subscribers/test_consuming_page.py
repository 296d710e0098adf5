"""docs/consuming.md: its commands install and run the certifier, which prints what the page shows."""

import sys
from pathlib import Path

from tests.docs import shell
from tests.docs.pages import PROJECT, claim

EXAMPLE = PROJECT / "examples/subscriber"
COMMANDS, SHOWN = claim("docs/consuming.md", sections=("Certify your handler",))
# A consumer that believes whatever came last.
HANDLER = """
from naive import BelievesTheLastMessage
consumer = BelievesTheLastMessage()
handler, agreed, outcome = consumer.handler, consumer.agreed, consumer.outcome
"""


def test_a_handler_that_fails_is_told_what_the_page_shows(tmp_path: Path) -> None:
    module = tmp_path / "path/to/module.py"
    module.parent.mkdir(parents=True)
    module.write_text(HANDLER, encoding="utf-8")
    seed = SHOWN.text.splitlines()[-1].rpartition(" ")[2]
    # The status says that it failed.
    programs = {"pip": "", "python": f'{sys.executable} "$@" --seed {seed} || test $? -eq 1'}
    paths = ":".join(str(EXAMPLE / name) for name in ("certifier", "src", "tests"))
    ran = shell.run(COMMANDS.text, tmp_path, programs, PYTHONPATH=f"{tmp_path}:{paths}")
    ((pip, install, folder), _) = ran.calls
    assert (pip, install, (PROJECT / folder / "pyproject.toml").is_file()) == ("pip", "install", True)
    assert ran.output == SHOWN.text
