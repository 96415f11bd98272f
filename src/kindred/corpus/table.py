"""A corpus as one parquet table: the form in which later steps read it, a few documents at a time."""

import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from kindred.corpus.document import Document
from kindred.errors import KindredError

COLUMNS = ("text", "source", "label")

# A row group is written, and its columns are compressed, as a whole: it bounds what a writer and a reader hold.
GROUP_BYTES = 1 << 26
GROUP_ROWS = 1 << 20
_ROWS = 256  # converted at a time, or fewer: as many as
_CHARACTERS = 1 << 26  # make, so that long texts do not exceed what one array of Arrow holds
_LONGEST_BYTES = (1 << 31) - 2  # of one text, by Arrow's type
_READ_BYTES = 1 << 20  # of a column read at a time


class TextRows:
    """Rows of a parquet table of texts, read from the file anew each time they are gone through.

    Raises:
        KindredError: If the file is missing, no parquet file, or lacks a column.
    """

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self._path, self._columns = path, list(columns)
        with self._opened() as file:
            found = file.schema_arrow.names
            self._n_rows = int(file.metadata.num_rows)
        if not set(columns) <= set(found):
            raise KindredError(f"{path}: has the columns {found}, needs {list(columns)}")

    def __len__(self) -> int:
        """Return the number of rows."""
        return self._n_rows

    def __iter__(self) -> Iterator[tuple[str, ...]]:
        """Yield the rows in order."""
        with self._opened() as file:
            for batch in file.iter_batches(_ROWS, columns=self._columns):
                yield from zip(*(batch.column(name).to_pylist() for name in self._columns), strict=True)

    def _opened(self) -> pq.ParquetFile:
        try:
            return pq.ParquetFile(self._path, buffer_size=_READ_BYTES, pre_buffer=False)
        except (FileNotFoundError, pa.ArrowInvalid) as error:
            raise KindredError(
                f"{self._path}: not a readable table of texts ({error}); write it anew"
            ) from error


class DocumentTable:
    """The documents of a table in their order, read anew each time they are gone through.

    Raises:
        KindredError: If the file is missing, no parquet file, lacks a column, or holds no document.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rows = TextRows(path, COLUMNS)
        if not len(self._rows):
            raise KindredError(f"{path}: holds no document; check the corpus section of the params")

    def __len__(self) -> int:
        """Return the number of documents."""
        return len(self._rows)

    def __iter__(self) -> Iterator[Document]:
        """Yield the documents."""
        return (Document(text, source, label) for text, source, label in self._rows)

    @property
    def places(self) -> TextRows:
        """Source and label of each document, without its text."""
        return TextRows(self._path, COLUMNS[1:])


def write_rows(path: Path, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> int:
    """Write rows of texts as they come, one row group in memory at a time; return how many there were."""
    schema = pa.schema([(name, pa.string()) for name in columns])
    n_rows = 0
    rows = iter(rows)
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for group in _row_groups(rows, schema):
            # In one piece: the bytes must not hang on how many rows were converted at a time.
            writer.write_table(group.combine_chunks(), row_group_size=GROUP_ROWS)
            n_rows += len(group)
    return n_rows


def write_documents(path: Path, documents: Iterable[Document]) -> int:
    """Write documents in order, under a temporary name that is then renamed: no half file is ever read.

    Returns:
        How many there were; they are taken from the iterator as they are written.

    Raises:
        KindredError: If a text is too long for the table.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        rows = ((_bounded(document), document.source, document.label) for document in documents)
        n_documents = write_rows(temporary, COLUMNS, rows)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return n_documents


def read_documents(path: Path) -> list[Document]:
    """Read all documents of a table into memory.

    Raises:
        KindredError: If the file is missing, no parquet file, lacks a column, or holds no document.
    """
    return list(DocumentTable(path))


def _bounded(document: Document) -> str:
    """Return a document's text.

    Raises:
        KindredError: If a column of the table cannot hold it.
    """
    # A character is at most four bytes: most texts need not be encoded to know.
    if 4 * len(document.text) > _LONGEST_BYTES:
        n_bytes = len(document.text.encode())
        if n_bytes > _LONGEST_BYTES:
            raise KindredError(
                f"corpus: the text {document.source} has {n_bytes:,} bytes, more than the {_LONGEST_BYTES:,} that a "
                "table of texts holds; divide it into several"
            )
    return document.text


def _next_rows(rows: Iterator[Sequence[str]]) -> list[Sequence[str]]:
    """Take the rows that are converted together."""
    some: list[Sequence[str]] = []
    n_characters = 0
    for row in islice(rows, _ROWS):
        some.append(row)
        n_characters += sum(map(len, row))
        if n_characters >= _CHARACTERS:
            break
    return some


def _row_groups(rows: Iterator[Sequence[str]], schema: pa.Schema) -> Iterator[pa.Table]:
    """Gather rows until they fill a row group."""
    batches: list[pa.RecordBatch] = []
    n_bytes = n_rows = 0
    while some := _next_rows(rows):
        batches.append(
            pa.record_batch(
                [pa.array(column, pa.string()) for column in zip(*some, strict=True)], schema=schema
            )
        )
        n_bytes += batches[-1].nbytes
        n_rows += len(some)
        if n_bytes >= GROUP_BYTES or n_rows >= GROUP_ROWS:
            yield pa.Table.from_batches(batches)
            batches, n_bytes, n_rows = [], 0, 0
    if batches:
        yield pa.Table.from_batches(batches)
