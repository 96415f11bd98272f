"""`kindred prune [--keep SIZE | --all]`: frees the content store, of what was not used for longest.

Nothing that lies in cache/ or results/ is touched. What goes is computed again if its parameters come back.
"""

import argparse
import re

from pydantic import ByteSize, TypeAdapter

from kindred.errors import KindredError
from kindred.sizes import readable
from kindred.store import STORE, Store

_SIZE = re.compile(r"\s*\d+(\.\d+)?\s*[A-Za-z]+\s*", re.ASCII)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument(
        "--keep",
        metavar="SIZE",
        help="what may stay, such as 5GB or 300MB; without it: the limit of the last run",
    )
    choice.add_argument("--all", action="store_true", help="empty the store")


def run(arguments: argparse.Namespace) -> int:
    """Drop entries and say how much that was and what is left.

    Raises:
        KindredError: the size cannot be read.
    """
    store = Store(STORE)
    limit = 0 if arguments.all else store.limit if arguments.keep is None else _size(arguments.keep)
    store.remove_left_overs(of_all_machines=False)
    dropped = store.trim(limit)
    left = store.entries()
    n_bytes = sum(entry.n_bytes for entry in left)
    print(f"store: {readable(dropped)} dropped; {readable(n_bytes)} in {len(left)} artefacts left")
    return 0


def _size(text: str) -> int:
    try:
        if not _SIZE.fullmatch(text):  # pydantic reads the beginning, and drops the rest
            raise ValueError(text)
        return int(TypeAdapter(ByteSize).validate_python(text))
    except ValueError as error:
        raise KindredError(
            f"--keep {text}: not a size; give a number with a unit, such as 5GB or 1.5GB or 300MB"
        ) from error
