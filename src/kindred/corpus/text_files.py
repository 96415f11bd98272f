"""Plain text files and JSON lines as a corpus: one document per .txt file, one per line of a .jsonl file."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from kindred.corpus.document import Document
from kindred.errors import KindredError

SUFFIXES = (".txt", ".jsonl")


def read_text_files(paths: Path | Iterable[Path]) -> Iterator[Document]:
    """Read a folder's .txt and .jsonl files (sub-folders included, sorted), or the files given, in their order.

    The label is the name of the folder that a file lies in; a line of JSON may set its own by the key ``label``.
    Files of JSON lines need the key ``text``. Sources are relative to the folder given. Empty texts are left out.
    One document is in memory at a time: a whole .txt file, or one line of JSON.

    Raises:
        KindredError: If a path is missing, a line is no such JSON, or no text is found.
    """
    empty = True
    for root, path in _files(paths):
        for document in _read_file(root, path):
            empty = False
            yield document
    if empty:
        raise KindredError(
            f"corpus.path: no text found in {paths}; it needs .txt files or .jsonl files with a text"
        )


def _files(paths: Path | Iterable[Path]) -> Iterator[tuple[Path, Path]]:
    """Yield (folder that sources are relative to, file)."""
    if not isinstance(paths, Path):
        for path in paths:
            yield path.parent, path
    elif paths.is_dir():
        for path in sorted(paths.rglob("*")):
            if path.suffix in SUFFIXES and path.is_file():
                yield paths, path
    else:
        yield paths.parent, paths


def _read_file(root: Path, path: Path) -> Iterator[Document]:
    if path.suffix not in SUFFIXES:
        raise KindredError(f"{path}: not a kind of text file that can be read; use .txt or .jsonl")
    source = path.relative_to(root).as_posix()
    label = path.resolve().parent.name
    try:
        with path.open(encoding="utf-8") as file:
            if path.suffix == ".txt":
                content = file.read()
                if content.strip():
                    yield Document(content, source, label)
                return
            for number, line in enumerate(file, start=1):
                if line.strip():
                    document = _parse_line(line, f"{path}, line {number}", f"{source}::{number}", label)
                    if document.text.strip():
                        yield document
    except (OSError, UnicodeDecodeError) as error:
        raise KindredError(f"{path}: cannot be read as UTF-8 text ({error})") from error


def _parse_line(line: str, place: str, source: str, label: str) -> Document:
    try:
        record = json.loads(line)
    except json.JSONDecodeError as error:
        raise KindredError(f"{place}: not valid JSON ({error})") from error
    if not isinstance(record, dict) or not isinstance(record.get("text"), str):
        raise KindredError(f'{place}: needs an object with a "text" that is a string')
    return Document(record["text"], source, str(record.get("label", label)))
