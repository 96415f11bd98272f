"""The unit of every corpus: one text that knows where it came from."""

import hashlib
import math
from collections.abc import Iterable
from dataclasses import dataclass

UNLABELLED = "unlabelled"  # stands for a label that is missing


@dataclass(frozen=True)
class Document:
    """One text with its source, to trace any token by, and its label, to diff corpora by.

    Attributes:
        text: The text itself, not empty.
        source: Where it stands, unique within a corpus (for documentation: ``package/path.py::qualname``).
        label: The class it belongs to (for documentation: the distribution's name).
    """

    text: str
    source: str
    label: str


def is_missing(label: object) -> bool:
    """Whether a label stands for none: null, or NaN, which tables of numbers have for it."""
    return label is None or (isinstance(label, float) and math.isnan(label))


def documents_sha256(documents: Iterable[Document]) -> str:
    """Hash texts, sources and labels in order; lengths are hashed too, so field borders count."""
    digest = hashlib.sha256()
    for document in documents:
        for field in (document.text, document.source, document.label):
            encoded = field.encode()
            digest.update(len(encoded).to_bytes(8, "little"))
            digest.update(encoded)
    return digest.hexdigest()
