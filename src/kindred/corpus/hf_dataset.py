"""A dataset of the Hugging Face hub, or a local folder of one, as a corpus (library: datasets)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets

from kindred.corpus.document import Document
from kindred.errors import KindredError

_ROWS = 256  # read at a time


def read_hf_dataset(
    path: str, *, split: str, text_column: str, label_column: str | None = None, name: str | None = None
) -> Iterator[Document]:
    """Read a split of a dataset a few rows at a time; rows without text are left out.

    Args:
        path: Name on the hub, a folder of data files, or a folder written by ``save_to_disk``.
        split: Name of the split, such as ``train`` or ``train[:1000]``.
        text_column: Column of the text.
        label_column: Column of the label; class labels are given by their names. Without one the label is the path.
        name: Configuration of the dataset, if it has several.

    Raises:
        KindredError: If the dataset, split or a column is missing, or no row has a text.
    """
    rows = _load(path, name, split)
    for column in (text_column, label_column):
        if column is not None and column not in rows.column_names:
            raise KindredError(f"corpus: dataset {path} has the columns {rows.column_names}, not {column!r}")
    place = f"{path}/{split}"
    empty = True
    for index, (text, label) in enumerate(_texts_and_labels(rows, text_column, label_column, path)):
        if isinstance(text, str) and text.strip():
            empty = False
            yield Document(text, f"{place}::{index}", label)
    if empty:
        raise KindredError(
            f"corpus: dataset {path}, split {split}, holds no text in the column {text_column!r}"
        )


def _texts_and_labels(
    rows: Any, text_column: str, label_column: str | None, default: str
) -> Iterator[tuple[object, str]]:
    """Yield text and label of each row."""
    columns = [text_column] if label_column is None else [text_column, label_column]
    for batch in rows.select_columns(list(dict.fromkeys(columns))).iter(batch_size=_ROWS):
        texts = batch[text_column]
        names = (
            [default] * len(texts)
            if label_column is None
            else _label_names(rows.features[label_column], batch[label_column])
        )
        yield from zip(texts, names, strict=True)


def _load(path: str, name: str | None, split: str) -> Any:
    """Load a split; a folder of ``save_to_disk`` is read as what it is."""
    folder = Path(path)
    try:
        if (folder / "dataset_dict.json").exists():
            return datasets.load_from_disk(path)[split]
        if (folder / "dataset_info.json").exists() and (folder / "state.json").exists():
            return datasets.load_from_disk(path)
        return datasets.load_dataset(path, name, split=split)
    except Exception as error:  # each builder of the library fails in its own way; all become one message
        raise KindredError(f"corpus: dataset {path}, split {split}, could not be loaded: {error}") from error


def _label_names(feature: object, values: list[Any]) -> list[str]:
    """Return the names of class labels, and any other values as text."""
    if isinstance(feature, datasets.ClassLabel):
        return [feature.int2str(value) if value >= 0 else "unlabelled" for value in values]
    return [str(value) for value in values]
