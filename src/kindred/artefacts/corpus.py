"""The documents of an experiment's corpus, as one table."""

from collections.abc import Iterable
from pathlib import Path

from kindred.corpus.document import Document
from kindred.corpus.table import DocumentTable, write_documents

KIND = "corpus"
VERSION = 1

_FILE = "documents.parquet"


def save(documents: Iterable[Document], directory: Path) -> int:
    """Write the documents into an empty directory as they come, and return how many there were.

    Files:
        documents.parquet: Columns text, source and label; a row for each document, in the order of the corpus.
    """
    return write_documents(directory / _FILE, documents)


def load(directory: Path) -> DocumentTable:
    """Open the documents; they are read in their order, a few at a time."""
    return DocumentTable(directory / _FILE)
