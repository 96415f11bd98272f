"""A corpus as one parquet table: the form in which later steps read it."""

import os
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from kindred.corpus.document import Document
from kindred.errors import KindredError

COLUMNS = ("text", "source", "label")


def write_documents(path: Path, documents: Sequence[Document]) -> None:
    """Write documents in order, under a temporary name that is then renamed: no half file is ever read."""
    columns = {name: [getattr(document, name) for document in documents] for name in COLUMNS}
    table = pa.table(columns, schema=pa.schema([(name, pa.string()) for name in COLUMNS]))
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    pq.write_table(table, temporary, compression="zstd")
    temporary.replace(path)


def read_documents(path: Path) -> list[Document]:
    """Read the documents of a table.

    Raises:
        KindredError: If the file is missing, no parquet file, lacks a column, or holds no document.
    """
    try:
        table = pq.read_table(path, columns=list(COLUMNS))
    except (FileNotFoundError, pa.ArrowInvalid) as error:
        raise KindredError(f"{path}: not a readable table of documents ({error}); write it anew") from error
    if table.column_names != list(COLUMNS):
        raise KindredError(f"{path}: has the columns {table.column_names}, needs {list(COLUMNS)}")
    rows = zip(*(table.column(name).to_pylist() for name in COLUMNS), strict=True)
    documents = [Document(text, source, label) for text, source, label in rows]
    if not documents:
        raise KindredError(f"{path}: holds no document; check the corpus section of the params")
    return documents
