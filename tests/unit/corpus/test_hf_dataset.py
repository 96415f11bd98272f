import json
import logging
import os
import re

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


ROWS = [f"row {number}" for number in range(10)]


def texts(folder, split, **columns):
    return [
        document.text for document in read_hf_dataset(str(folder), split=split, text_column="text", **columns)
    ]


@pytest.fixture
def folders(tmp_path):
    """The same ten rows in each form that a local folder may have; the split is called train."""
    rows = datasets.Dataset.from_dict({"text": ROWS})
    rows.save_to_disk(str(tmp_path / "unnamed"))
    datasets.Dataset.from_dict({"text": ROWS}, split="train[:10]").save_to_disk(str(tmp_path / "named"))
    datasets.DatasetDict({"train": rows, "test": rows.select([9])}).save_to_disk(str(tmp_path / "several"))
    (tmp_path / "files").mkdir()
    rows.to_json(tmp_path / "files" / "train.jsonl")
    return {name: tmp_path / name for name in ("unnamed", "named", "several", "files")}


@pytest.mark.parametrize(
    ("split", "expected"),
    [
        ("train", ROWS),
        ("train[:3]", ROWS[:3]),
        ("train[-2:]", ROWS[-2:]),
        ("train[:20%]", ROWS[:2]),
        ("train[1:2]+train[:1]", [ROWS[1], ROWS[0]]),
    ],
)
@pytest.mark.parametrize("form", ["unnamed", "named", "several", "files"])
def test_a_split_is_read_as_it_is_written(folders, form, split, expected):
    assert texts(folders[form], split) == expected


@pytest.mark.parametrize("split", ["nonsense", "train[", "train[:3]x", "validation[:3]"])
@pytest.mark.parametrize("form", ["unnamed", "named", "several", "files"])
def test_a_split_that_is_not_there_is_refused(folders, form, split):
    with pytest.raises(KindredError, match=re.escape(f"split {split}, could not be loaded: Un")):
        texts(folders[form], split)


def test_all_splits(folders):
    assert texts(folders["several"], "all") == [*ROWS, ROWS[9]]
    assert texts(folders["unnamed"], "all") == ROWS


def test_an_empty_part_is_refused(folders):
    with pytest.raises(KindredError, match=r"holds no text in the column 'text' \(0 rows"):
        texts(folders["unnamed"], "train[5:2]")


@pytest.mark.parametrize(
    ("feature", "values", "expected"),
    [
        (datasets.ClassLabel(names=["bad", "good"]), [1, None, -1], ["good", "unlabelled", "unlabelled"]),
        (datasets.Value("string"), ["good", None, ""], ["good", "unlabelled", ""]),
        (datasets.Value("float32"), [0.5, None, float("nan")], ["0.5", "unlabelled", "unlabelled"]),
        (datasets.Value("int64"), [3, None, 0], ["3", "unlabelled", "0"]),
    ],
)
def test_a_label_that_is_missing_is_unlabelled(tmp_path, feature, values, expected):
    features = datasets.Features({"text": datasets.Value("string"), "label": feature})
    rows = datasets.Dataset.from_dict({"text": ROWS[:3], "label": values}, features=features)
    rows.save_to_disk(str(tmp_path / "saved"))
    documents = read_hf_dataset(
        str(tmp_path / "saved"), split="train", text_column="text", label_column="label"
    )
    assert [document.label for document in documents] == expected


def test_rows_without_text_are_counted(tmp_path, caplog):
    datasets.Dataset.from_dict({"text": ["a", None, " "]}).save_to_disk(str(tmp_path / "saved"))
    with caplog.at_level(logging.WARNING):
        assert texts(tmp_path / "saved", "train") == ["a"]
    assert "2 of 3 rows" in caplog.text


def test_a_replaced_file_of_the_same_time_is_read_anew(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    for text in ("One.", "Two."):
        (folder / "train.jsonl").write_text(json.dumps({"text": text}))
        os.utime(folder / "train.jsonl", (1, 1))
        assert texts(folder, "train", scratch=tmp_path) == [text]
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_files_outside_of_the_folder_are_refused(tmp_path):
    (tmp_path / "other.jsonl").write_text('{"text": "Not hashed."}')
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "README.md").write_text(
        "---\nconfigs:\n- config_name: default\n  data_files: ../other.jsonl\n---\n"
    )
    with pytest.raises(KindredError, match=r"it takes .*other\.jsonl, which does not lie in it"):
        texts(folder, "train")


def test_data_files_that_the_library_leaves_out_are_named(folders, tmp_path, caplog):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "more.jsonl").write_text('{"text": "More."}')
    (folders["files"] / "linked").symlink_to(tmp_path / "elsewhere")
    with caplog.at_level(logging.WARNING):
        texts(folders["files"], "train")
    assert "left out (no data of it): linked/more.jsonl" in caplog.text


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.jsonl", b'{"text": "a"}\n{"text": '),
        ("x.jsonl", b'{"text": "half \\ud83d smile"}\n'),
        ("x.parquet", b"PAR1 no table"),
        ("x.jsonl.gz", b"\x1f\x8b\x08 not compressed"),
        ("x.txt", b"\xff\xfe\x00caf\xe9"),
        ("x.csv", "text\na\n".encode("utf-16")),
        ("x.zip", b"PK no archive"),
    ],
)
def test_a_damaged_file_is_an_error_of_the_dataset(tmp_path, name, content):
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / name).write_bytes(content)
    with pytest.raises(KindredError, match=r"data, split train, could not be loaded: .+"):
        texts(folder, "train")


def test_a_saved_dataset_that_is_cut_off_or_not_whole(folders):
    (arrow,) = folders["unnamed"].glob("*.arrow")
    arrow.write_bytes(arrow.read_bytes()[:100])
    (folders["named"] / "dataset_info.json").unlink()
    for form in ("unnamed", "named"):
        with pytest.raises(KindredError, match=f"{form}, split train, could not be loaded"):
            texts(folders[form], "train")


@pytest.mark.parametrize("form", ["unnamed", "named"])
def test_a_saved_dataset_with_files_outside_of_it_is_refused(folders, tmp_path, form):
    state = next(folders[form].rglob("state.json"))
    arrow = next(state.parent.glob("*.arrow"))
    arrow.rename(tmp_path / "elsewhere.arrow")
    for name in (
        os.path.relpath(tmp_path / "elsewhere.arrow", state.parent),
        str(tmp_path / "elsewhere.arrow"),
    ):
        state.write_text(json.dumps({**json.loads(state.read_text()), "_data_files": [{"filename": name}]}))
        with pytest.raises(KindredError, match=r"elsewhere\.arrow, which does not lie in it"):
            texts(folders[form], "train")


def test_an_empty_split_beside_others_is_no_fault(tmp_path):
    rows = datasets.Dataset.from_dict({"text": ["One."]})
    datasets.DatasetDict({"train": rows, "test": rows.select([])}).save_to_disk(str(tmp_path / "saved"))
    assert texts(tmp_path / "saved", "train") == ["One."]
    assert texts(tmp_path / "saved", "all") == ["One."]
    with pytest.raises(KindredError, match="split test, holds no text"):
        texts(tmp_path / "saved", "test")
