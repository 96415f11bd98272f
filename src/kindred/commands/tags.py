"""`kindred tags`: recreate the tags of the released experiments from docs/experiments.csv."""

import argparse
from pathlib import Path

from kindred.errors import KindredError
from kindred.repository import EXPERIMENTS, Repository


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command takes nothing."""


def run(arguments: argparse.Namespace) -> int:
    """Create each tag that is missing, and print every experiment.

    Raises:
        KindredError: a tag names another commit than the table, or this clone does not have the commit.
    """
    repository = Repository(Path())
    experiments = repository.experiments()
    if not experiments:
        raise KindredError(f"{EXPERIMENTS} names no experiment")
    for experiment in experiments:
        commit = repository.resolve(experiment.commit)
        present = repository.tags().get(experiment.name)
        if present not in (None, commit):
            raise KindredError(
                f"tag {experiment.name} is commit {present}, but {EXPERIMENTS} says {commit}: one of them is wrong; "
                f"to take the table's word: git tag --delete {experiment.name}, and run again"
            )
        if present is None:
            repository.tag(experiment)
        print(f"{experiment.name}  {commit[:12]}  {'is there' if present else 'created'}  {experiment.what}")
    return 0
