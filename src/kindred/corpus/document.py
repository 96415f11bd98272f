"""The unit of every corpus: one text that knows where it came from."""

import hashlib
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


def mend_surrogates(text: str) -> str:
    r"""Put U+FFFD for each half of a surrogate pair that stands alone, which is no character; whole pairs are joined.

    JSON and Python can spell such a half (``\ud83d``); no file in UTF-8 can hold it.

    >>> mend_surrogates("a\ud83db") == "a\N{REPLACEMENT CHARACTER}b"
    True
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def documents_sha256(documents: Iterable[Document]) -> str:
    """Hash texts, sources and labels in order; lengths are hashed too, so field borders count."""
    digest = hashlib.sha256()
    for document in documents:
        for field in (document.text, document.source, document.label):
            encoded = field.encode()
            digest.update(len(encoded).to_bytes(8, "little"))
            digest.update(encoded)
    return digest.hexdigest()
