import json

import datasets
import pytest

from kindred.corpus.hf_dataset import read_hf_dataset
from kindred.errors import KindredError


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    datasets.disable_progress_bars()


@pytest.fixture
def saved(tmp_path):
    features = datasets.Features(
        {"sentence": datasets.Value("string"), "class": datasets.ClassLabel(names=["bad", "good"])}
    )
    rows = datasets.Dataset.from_dict(
        {"sentence": ["Fine.", "", "Poor."], "class": [1, 0, 0]}, features=features
    )
    rows.save_to_disk(str(tmp_path / "saved"))
    return str(tmp_path / "saved")


def test_a_saved_dataset_with_class_names(saved):
    documents = list(read_hf_dataset(saved, split="train", text_column="sentence", label_column="class"))
    assert [(document.text, document.label) for document in documents] == [
        ("Fine.", "good"),
        ("Poor.", "bad"),
    ]
    assert documents[1].source.endswith("/train::2")


def test_a_folder_of_data_files(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "train.jsonl").write_text("".join(json.dumps({"text": t}) + "\n" for t in ("One.", "Two.")))
    documents = list(read_hf_dataset(str(folder), split="train[1:]", text_column="text"))
    assert [(document.text, document.label) for document in documents] == [("Two.", str(folder))]


def test_errors_name_what_is_missing(saved, tmp_path):
    with pytest.raises(KindredError, match="'text'"):
        list(read_hf_dataset(saved, split="train", text_column="text"))
    with pytest.raises(KindredError, match="absent"):
        list(read_hf_dataset(str(tmp_path / "absent"), split="train", text_column="text"))
    datasets.Dataset.from_dict({"text": ["", " "]}).save_to_disk(str(tmp_path / "empty"))
    with pytest.raises(KindredError, match="no text"):
        list(read_hf_dataset(str(tmp_path / "empty"), split="train", text_column="text"))
