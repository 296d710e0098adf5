"""Runs mutmut's own runner, which mutates functions. `tests.mutation.run` starts this program in mutmut's folder."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mutmut import __main__ as mutmut
from mutmut.runners.harness import BadTestExecutionCommandsException
from mutmut.state import state


def main(jobs: int, modules: Sequence[str]) -> None:
    """Tests every mutant of these modules, or of all, that has no result yet."""
    collect = mutmut.collect_source_file_mutation_data

    def chosen(**options: Any) -> Any:
        mutants, data_by_path = collect(**options)
        data_by_path = {path: data for path, data in data_by_path.items() if not modules or Path(path).stem in modules}
        return [mutant for mutant in mutants if mutant[0] in data_by_path.values()], data_by_path

    # mutmut's own way to choose mutants, by a pattern, forgets their results and fails if there are none.
    mutmut.collect_source_file_mutation_data = chosen
    # mutmut first runs the tests without a mutant, by folder. With a mutant it runs them by name, and takes the mutant
    # for killed if pytest does not find one of the names. So the first run is by name too.
    mutmut.tests_for_mutant_names = lambda _: set(state().duration_by_test)
    try:
        mutmut._run((), jobs)  # noqa: SLF001 - what its command calls
    except BadTestExecutionCommandsException:
        sys.exit("\npytest does not find every test by its name. Give parametrized tests ids that are plain ASCII.")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
