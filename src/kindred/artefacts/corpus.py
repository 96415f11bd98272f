"""The documents of an experiment's corpus, as one table."""

from collections.abc import Sequence
from pathlib import Path

from kindred.corpus.document import Document
from kindred.corpus.table import read_documents, write_documents

KIND = "corpus"
VERSION = 1

_FILE = "documents.parquet"


def save(documents: Sequence[Document], directory: Path) -> None:
    """Write the documents into an empty directory.

    Files:
        documents.parquet: Columns text, source and label; a row for each document, in the order of the corpus.
    """
    write_documents(directory / _FILE, documents)


def load(directory: Path) -> list[Document]:
    """Read the documents in their order."""
    return read_documents(directory / _FILE)
