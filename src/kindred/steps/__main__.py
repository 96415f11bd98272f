"""`python -m kindred.steps NAME ...` runs step NAME, unless the store has what it would make.

That is looked up before the step's libraries are imported, which takes far longer. `python -m kindred.steps.NAME` with
the same arguments always computes.
"""

import argparse
import logging
import runpy
import sys
from pathlib import Path

from kindred.errors import KindredError
from kindred.lineage import Lineage
from kindred.params import Params
from kindred.returning import bring_one_back
from kindred.store import Store
from kindred.workflow import hold_work


def main() -> None:
    """Take the artefact from the store, or run the step."""
    parser = argparse.ArgumentParser(prog="python -m kindred.steps", add_help=False)
    parser.add_argument(
        "step", help="name of the step; `python -m kindred.steps.NAME --help` lists its arguments"
    )
    for name in ("params", "out", "log", "store"):
        parser.add_argument(f"--{name}", type=Path)
    arguments, _ = parser.parse_known_args()
    if arguments.store and _is_taken(arguments.params, arguments.out, Store(arguments.store)):
        _note(arguments.log, f"{arguments.out} comes from the store: it was computed before")
        return
    del sys.argv[1]
    runpy.run_module(f"kindred.steps.{arguments.step}", run_name="__main__", alter_sys=True)


def _is_taken(params: Path, out: Path, store: Store) -> bool:
    """Whether the artefact is in place now, from the store. What is wrong is left to the step, which says it."""
    if not store.settings.gives:
        return False
    try:
        hold_work()
        lineage = Lineage(Params.model_validate_json(params.read_bytes()))
        return out in lineage.artefacts and bring_one_back(lineage, store, out)
    except (OSError, ValueError, KindredError) as error:
        logging.debug("the store is not asked: %s", error)
        return False


def _note(log: Path, message: str) -> None:
    print(message, file=sys.stderr)
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text(f"{message}\n")


if __name__ == "__main__":
    main()
