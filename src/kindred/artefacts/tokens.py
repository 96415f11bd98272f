"""The packed contexts of an experiment, and the documents they were cut from."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kindred.artefacts.arrays import allocate, save_array
from kindred.corpus.packing import PackedContexts
from kindred.corpus.table import TextRows, write_rows

KIND = "tokens"
VERSION = 1

_ARRAYS = ("tokens", "is_special", "document")
_DOCUMENTS_FILE = "documents.parquet"
_COLUMNS = ("source", "label")


@dataclass(frozen=True, eq=False)
class Tokens:
    """Packed contexts, and for each document index in them where the document comes from.

    Attributes:
        contexts: Arrays [context, position]; the flat index of a token is context * context_length + position.
        documents: Source and label of each document; a loaded artefact reads them when they are gone through.
    """

    contexts: PackedContexts
    documents: Iterable[tuple[str, ...]]


def new_array(
    directory: Path, name: str, shape: tuple[int, ...], dtype: np.dtype[np.generic]
) -> NDArray[np.generic]:
    """Map the file of one of the contexts' arrays, to be filled before it is saved."""
    return allocate(directory / f"{name}.npy", shape, dtype)


def save(value: Tokens, directory: Path) -> None:
    """Write the contexts; arrays that were filled in this folder stay as they are.

    Files:
        tokens.npy: Token ids, int32 [context, position].
        is_special.npy: True wherever a special token stands, bool [context, position].
        document.npy: The document of each token, int32 [context, position].
        documents.parquet: Columns source and label; row i is document i of the array above.
    """
    for name in _ARRAYS:
        save_array(directory / f"{name}.npy", getattr(value.contexts, name))
    write_rows(directory / _DOCUMENTS_FILE, _COLUMNS, value.documents)


def load(directory: Path) -> Tokens:
    """Open the contexts, memory-mapped."""
    arrays = (np.load(directory / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in _ARRAYS)
    return Tokens(PackedContexts(*arrays), TextRows(directory / _DOCUMENTS_FILE, _COLUMNS))
