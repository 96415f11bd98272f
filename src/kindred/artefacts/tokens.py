"""The packed contexts of an experiment, and the documents they were cut from."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from kindred.corpus.packing import PackedContexts

KIND = "tokens"
VERSION = 1

_ARRAYS = ("tokens", "is_special", "document")
_DOCUMENTS_FILE = "documents.parquet"


@dataclass(frozen=True, eq=False)
class Tokens:
    """Packed contexts, and for each document index in them where the document comes from.

    Attributes:
        contexts: Arrays [context, position]; the flat index of a token is context * context_length + position.
        sources: Source of each document.
        labels: Label of each document.
    """

    contexts: PackedContexts
    sources: Sequence[str]
    labels: Sequence[str]


def save(value: Tokens, directory: Path) -> None:
    """Write the contexts into an empty directory.

    Files:
        tokens.npy: Token ids, int32 [context, position].
        is_special.npy: True at BOS, EOS and padding, bool [context, position].
        document.npy: The document of each token, int32 [context, position].
        documents.parquet: Columns source and label; row i is document i of the array above.
    """
    for name in _ARRAYS:
        np.save(directory / f"{name}.npy", getattr(value.contexts, name), allow_pickle=False)
    table = pa.table({"source": list(value.sources), "label": list(value.labels)})
    pq.write_table(table, directory / _DOCUMENTS_FILE, compression="zstd")


def load(directory: Path) -> Tokens:
    """Open the contexts, memory-mapped."""
    arrays = (np.load(directory / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in _ARRAYS)
    documents = pq.read_table(directory / _DOCUMENTS_FILE).to_pydict()
    return Tokens(PackedContexts(*arrays), documents["source"], documents["label"])
