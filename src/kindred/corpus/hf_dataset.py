"""A dataset of the Hugging Face hub, or a local folder of one, as a corpus (library: datasets)."""

import json
import logging
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import datasets

from kindred.characters import mend_surrogates
from kindred.corpus.document import UNLABELLED, Document, is_missing
from kindred.errors import KindredError
from kindred.folders import folder_files, log_left_out

_ROWS = 256  # read at a time
_REASON = 300  # characters of an error of the library that are shown
_SPLIT_NAME = re.compile(r"\w+(?:\.\w+)*")
_ONE_SPLIT = (
    "train"  # of a saved dataset that bears no name, as the library calls the only split of data files
)


def read_hf_dataset(
    path: str,
    *,
    split: str,
    text_column: str,
    label_column: str | None = None,
    name: str | None = None,
    scratch: Path | None = None,
) -> Iterator[Document]:
    """Read a split of a dataset a few rows at a time; rows without text are left out, and their number is logged.

    Args:
        path: Name on the hub, a folder of data files, or a folder written by ``save_to_disk``.
        split: Name of the split, such as ``train`` or ``train[:1000]``.
        text_column: Column of the text.
        label_column: Column of the label; class labels are given by their names, and a row without one is
            ``unlabelled``. Without a column the label is the path.
        name: Configuration of the dataset, if it has several.
        scratch: Folder for what the library makes of local data files while they are read; a temporary one if None.

    Raises:
        KindredError: If the dataset, split or a column is missing or damaged, or no row has a text.
    """
    place = f"{path}/{split}"
    n_texts = n_rows = 0
    with ExitStack() as stack:
        rows = _load(path, name, split, scratch, stack)
        for column in (text_column, label_column):
            if column is not None and column not in rows.column_names:
                raise KindredError(
                    f"corpus: dataset {path} has the columns {rows.column_names}, not {column!r}"
                )
        for text, label in _texts_and_labels(rows, text_column, label_column, path, place):
            if isinstance(text, str) and text.strip():
                n_texts += 1
                yield Document(mend_surrogates(text), f"{place}::{n_rows}", mend_surrogates(label))
            n_rows += 1
        kind = rows.features[text_column]
    if not n_texts:
        raise KindredError(
            f"corpus: dataset {path}, split {split}, holds no text in the column {text_column!r} "
            f"({n_rows} rows; the column is of the type {kind})"
        )
    if n_texts < n_rows:
        logging.warning(
            "corpus: %d of %d rows of %s hold no text and were left out", n_rows - n_texts, n_rows, place
        )


def _texts_and_labels(
    rows: Any, text_column: str, label_column: str | None, default: str, place: str
) -> Iterator[tuple[object, str]]:
    """Yield text and label of each row."""
    columns = [text_column] if label_column is None else [text_column, label_column]
    try:
        for batch in rows.select_columns(list(dict.fromkeys(columns))).iter(batch_size=_ROWS):
            texts = batch[text_column]
            names = (
                [default] * len(texts)
                if label_column is None
                else _label_names(rows.features[label_column], batch[label_column])
            )
            yield from zip(texts, names, strict=True)
    except (OSError, ValueError) as error:  # Arrow's own errors are of these, and text that is not UTF-8
        raise KindredError(f"corpus: dataset {place} cannot be read to its end: {_reason(error)}") from error


def _load(path: str, name: str | None, split: str, scratch: Path | None, stack: ExitStack) -> Any:
    """Load a split; a folder of ``save_to_disk`` is read as what it is."""
    folder = Path(path)
    try:
        if (folder / "dataset_dict.json").exists() or (folder / "state.json").exists():
            return _select(_load_saved(folder), split)
        if folder.is_dir():
            return _load_data_files(folder, name, split, stack.enter_context(_temporary(scratch)))
        return datasets.load_dataset(path, name, split=split)
    except Exception as error:  # each builder of the library fails in its own way; all become one message
        raise KindredError(
            f"corpus: dataset {path}, split {split}, could not be loaded: {_reason(error)}"
        ) from error


def _load_saved(folder: Path) -> dict[str, Any]:
    """Load the splits of a folder of ``save_to_disk``, and of nothing outside of it, by name.

    An empty split has no file, which the library does not read.
    """
    if not (folder / "dataset_dict.json").exists():
        saved = _load_one(folder)
        return {_name_of(saved): saved}
    names = json.loads((folder / "dataset_dict.json").read_bytes())["splits"]
    return {name: _load_one(folder / name) for name in names}


def _load_one(folder: Path) -> Any:
    files = [entry["filename"] for entry in json.loads((folder / "state.json").read_bytes())["_data_files"]]
    _refuse_outside(map(folder.joinpath, files), folder)
    if files:
        return datasets.load_from_disk(str(folder))
    info = datasets.DatasetInfo.from_directory(str(folder))
    empty: dict[str, list[object]] = {column: [] for column in info.features or {}}
    return datasets.Dataset.from_dict(empty, features=info.features)


def _load_data_files(folder: Path, name: str | None, split: str, cache: str) -> Any:
    """Load a split of a folder of data files, and of nothing outside of it.

    The library's lasting cache knows files by their time alone: it would give the old rows for a file that was replaced
    by one of the same time.
    """
    builder = datasets.load_dataset_builder(str(folder), name, cache_dir=cache)
    files = {_absolute(file) for files in (builder.config.data_files or {}).values() for file in files}
    _refuse_outside(files, folder)
    log_left_out(
        [path for path in folder_files(folder) if _absolute(path) not in files], folder, "no data of it"
    )
    builder.download_and_prepare()
    return builder.as_dataset(split=split)


def _refuse_outside(files: Iterable[Path], folder: Path) -> None:
    """Raise ValueError if a dataset takes a file that does not lie in its folder, and so is not hashed."""
    for file in sorted(map(_absolute, files)):
        if not file.is_relative_to(_absolute(folder)):
            raise ValueError(f"it takes {file}, which does not lie in it; put all files into one folder")


def _absolute(path: str | Path) -> Path:
    """Return a path without dots; links stay links, as they count as part of the folder they lie in."""
    return Path(os.path.abspath(path))  # noqa: PTH100 (resolve follows links)


def _temporary(scratch: Path | None) -> "tempfile.TemporaryDirectory[str]":
    return tempfile.TemporaryDirectory(dir=scratch, prefix=".datasets-")


def _name_of(saved: Any) -> str:
    """Return the name of the one split of a saved dataset, without what part of it was saved."""
    name = str(saved.split or _ONE_SPLIT).partition("[")[0]
    return name if _SPLIT_NAME.fullmatch(name) else _ONE_SPLIT


def _select(splits: Mapping[str, Any], split: str) -> Any:
    """Return the rows that a split's name and slices stand for, by the library's own rules.

    Raises:
        ValueError: If there is no such split.
    """
    spec = "+".join(splits) if split == "all" else split
    try:
        parts = datasets.ReadInstruction.from_spec(spec).to_absolute(
            {key: len(rows) for key, rows in splits.items()}
        )
    except (ValueError, AssertionError) as error:
        raise ValueError(
            f"{error} (its splits: {', '.join(splits)}; a part is written as {next(iter(splits))}[:1000] or "
            f"{next(iter(splits))}[:10%])"
        ) from None
    chosen = [splits[part.splitname].select(range(part.from_, max(part.from_, part.to))) for part in parts]
    return chosen[0] if len(chosen) == 1 else datasets.concatenate_datasets(chosen)


def _label_names(feature: object, values: list[Any]) -> list[str]:
    """Return the names of class labels, and any other values as text; what is missing is unlabelled.

    Raises:
        ValueError: If a class label is none of its classes.
    """
    if isinstance(feature, datasets.ClassLabel):
        return [UNLABELLED if value is None or value < 0 else feature.int2str(value) for value in values]
    return [UNLABELLED if is_missing(value) else str(value) for value in values]


def _reason(error: BaseException) -> str:
    """What went wrong on one line, and what lies behind it where the library wraps it."""
    texts = [" ".join(str(each).split())[:_REASON] for each in (error, error.__cause__) if each is not None]
    return "; ".join(filter(None, dict.fromkeys(texts))) or type(error).__name__
