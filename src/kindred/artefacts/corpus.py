"""The documents of an experiment's corpus, as parquet."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from kindred.corpus.document import Document

KIND = "corpus"
VERSION = 1

_FILE = "documents.parquet"


def save(documents: Sequence[Document], directory: Path) -> None:
    """Write documents.parquet with the columns text, source and label."""
    columns = {
        name: [getattr(document, name) for document in documents] for name in ("text", "source", "label")
    }
    pq.write_table(pa.table(columns), directory / _FILE, compression="zstd")


def load(directory: Path) -> list[Document]:
    """Read the documents in their order."""
    columns = pq.read_table(directory / _FILE).to_pydict()
    return [Document(*row) for row in zip(columns["text"], columns["source"], columns["label"], strict=True)]
