"""`kindred sizes [NAME]`: how large the artefacts are, here or in a tagged experiment."""

import argparse
from pathlib import Path

from kindred.errors import KindredError
from kindred.repository import Repository
from kindred.sizes import readable, recorded_sizes, size_table, step_sizes, store_size
from kindred.store import STORE, Store

LOCK = "dvc.lock"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument(
        "name",
        nargs="?",
        metavar="NAME",
        help="a tag, a name of docs/experiments.csv or a commit, whose dvc.lock is read; "
        "without it: what lies in this folder",
    )


def run(arguments: argparse.Namespace) -> int:
    """Print a line for each step (of a commit: for each folder that DVC versions) and the totals."""
    root = Path()
    store = None
    if arguments.name is None:
        sizes = step_sizes(root)
        if not sizes:
            raise KindredError("no artefacts lie here: run snakemake to make them, or dvc pull to get them")
        store = Store(STORE)
    else:
        repository = Repository(root)
        lock = repository.committed(repository.resolve(arguments.name), LOCK)
        if lock is None:
            raise KindredError(f"{arguments.name} has no {LOCK}: nothing was versioned there")
        sizes = recorded_sizes(lock, f"{LOCK} of {arguments.name}")
    print(size_table(sizes, store=store_size(store) if store else None))
    if store:
        print(
            f"the store may take {readable(store.limit)}; what lies in cache as well takes no more room by links"
        )
    return 0
