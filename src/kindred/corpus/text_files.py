"""Plain text files and JSON lines as a corpus: one document per .txt file, one per line of a .jsonl file."""

import json
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from kindred.characters import mend_surrogates, readable_name
from kindred.corpus.document import UNLABELLED, Document, is_missing
from kindred.errors import KindredError
from kindred.folders import log_left_out, walk_folder

SUFFIXES = (".txt", ".jsonl")  # in lower or upper case


def read_text_files(
    folder: Path, *, text_key: str = "text", label_key: str | None = None
) -> Iterator[Document]:
    """Read a folder's .txt and .jsonl files, those of its sub-folders and behind links included, sorted by path.

    The label is the name of the folder that a file lies in; a line of JSON may set its own. Sources are relative to the
    folder given. Texts of white space alone are left out, and their number is logged. Line ends of Windows (and lone
    carriage returns) of a .txt file become line feeds, a byte order mark is taken off, and half a surrogate pair that a
    line of JSON spells becomes U+FFFD, which is logged; nothing else of a text is changed. Files that are left out are
    logged by name. One document is in memory at a time: a whole .txt file, or one line of JSON.

    Args:
        folder: The folder.
        text_key: The key of the text in a line of JSON.
        label_key: The key of its label there; a line without it is ``unlabelled``. None: the key ``label`` where there
            is one, else the folder's name.

    Raises:
        KindredError: If the folder or a file cannot be read, a line is no such JSON, or no text is found.
    """
    found, left_out = _found(folder)
    log_left_out(left_out, folder, f"only {' and '.join(SUFFIXES)} files are read")
    reader = _Reader(text_key, label_key)
    empty = True
    for path in found:
        for document in reader.read(path, readable_name(path.relative_to(folder).as_posix())):
            empty = False
            yield document
    reader.report()
    if empty:
        raise KindredError(
            f"corpus.path: no text found in {folder}; it needs .txt files or .jsonl files with a text"
        )


def text_paths(folder: Path) -> list[Path]:
    """List the files that ``read_text_files`` reads, in its order.

    Raises:
        KindredError: If a folder cannot be listed.
    """
    return _found(folder)[0]


def _found(folder: Path) -> tuple[list[Path], list[Path]]:
    """List the files to read and what is left out, both sorted."""
    found: list[Path] = []
    left_out: list[Path] = []
    for inner in walk_folder(folder):
        left_out += inner.unreadable
        for path in inner.files:
            (found if path.suffix.lower() in SUFFIXES else left_out).append(path)
    return sorted(found), sorted(left_out)


@dataclass
class _Reader:
    """Reads files, and notes the places of texts that had to be mended, or hold nothing."""

    text_key: str
    label_key: str | None
    mended: list[str] = field(default_factory=list)
    blank: list[str] = field(default_factory=list)

    def read(self, path: Path, source: str) -> Iterator[Document]:
        """Yield the documents of one file."""
        shown = readable_name(path)
        # Not the name of a link's target, which is not hashed.
        label = readable_name(Path(os.path.abspath(path)).parent.name)  # noqa: PTH100 (resolve follows links)
        try:
            if path.suffix.lower() == ".txt":
                content = path.read_text(encoding="utf-8-sig")
                if content.strip():
                    yield Document(content, source, label)
                else:
                    self.blank.append(shown)
                return
            with path.open(encoding="utf-8-sig", newline="\n") as file:
                for number, line in enumerate(file, start=1):
                    if line.strip():
                        place = f"{shown}, line {number}"
                        text, own = self._parse(line, place, label)
                        if text.strip():
                            yield Document(text, f"{source}::{number}", own)
                        else:
                            self.blank.append(place)
        except OSError as error:
            raise KindredError(f"{shown}: cannot be read ({error.strerror})") from error
        except UnicodeDecodeError as error:
            raise KindredError(
                f"{shown}: not text in UTF-8 ({error}); save it as UTF-8, or take it out"
            ) from error

    def report(self) -> None:
        """Log how many texts were mended or left out, and where the first one stands."""
        if self.blank:
            logging.warning(
                "corpus.path: %d texts hold nothing but white space and were left out (the first: %s)",
                len(self.blank),
                self.blank[0],
            )
        if self.mended:
            logging.warning(
                "corpus.path: %d texts or labels spell half of a surrogate pair, which is no character and became "
                "U+FFFD (the first: %s)",
                len(self.mended),
                self.mended[0],
            )

    def _parse(self, line: str, place: str, label: str) -> tuple[str, str]:
        """Return text and label of a line of JSON."""
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise KindredError(f"{place}: not valid JSON ({error})") from error
        if not isinstance(record, dict) or not isinstance(record.get(self.text_key), str):
            keys = f"; its keys are {', '.join(map(repr, record))}" if isinstance(record, dict) else ""
            raise KindredError(
                f"{place}: needs an object with a {self.text_key!r} that is a string{keys} (corpus.text_column names "
                "the key)"
            )
        own = record.get("label" if self.label_key is None else self.label_key)
        if is_missing(own):
            own = label if self.label_key is None else UNLABELLED
        found = record[self.text_key], own if isinstance(own, str) else json.dumps(own, ensure_ascii=False)
        mended = mend_surrogates(found[0]), mend_surrogates(found[1])
        if mended != found:
            self.mended.append(place)
        return mended
