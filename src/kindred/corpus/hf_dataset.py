"""A dataset of the Hugging Face hub, or a local folder of one, as a corpus (library: datasets)."""

from pathlib import Path
from typing import Any

import datasets

from kindred.corpus.document import Document
from kindred.errors import KindredError


def read_hf_dataset(
    path: str, *, split: str, text_column: str, label_column: str | None = None, name: str | None = None
) -> list[Document]:
    """Read a split of a dataset; rows without text are left out.

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
    texts = rows[text_column]
    labels = [path] * len(rows) if label_column is None else _label_names(rows, label_column)
    documents = [
        Document(text, f"{path}/{split}::{index}", label)
        for index, (text, label) in enumerate(zip(texts, labels, strict=True))
        if isinstance(text, str) and text.strip()
    ]
    if not documents:
        raise KindredError(
            f"corpus: dataset {path}, split {split}, holds no text in the column {text_column!r}"
        )
    return documents


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


def _label_names(rows: Any, column: str) -> list[str]:
    feature = rows.features[column]
    if isinstance(feature, datasets.ClassLabel):
        return [feature.int2str(value) if value >= 0 else "unlabelled" for value in rows[column]]
    return [str(value) for value in rows[column]]
