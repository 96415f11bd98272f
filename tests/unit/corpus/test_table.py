import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kindred.corpus.document import Document
from kindred.corpus.table import read_documents, write_documents
from kindred.errors import KindredError

DOCUMENTS = [Document("one", "a.py::f", "a"), Document("zwei ü\n", "b.py::g", "b")]


def test_round_trip_and_equal_bytes(tmp_path):
    write_documents(tmp_path / "folder" / "one.parquet", DOCUMENTS)
    write_documents(tmp_path / "two.parquet", DOCUMENTS)
    assert read_documents(tmp_path / "two.parquet") == DOCUMENTS
    assert (tmp_path / "two.parquet").read_bytes() == (tmp_path / "folder" / "one.parquet").read_bytes()
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["one.parquet"]


def test_errors_name_the_file(tmp_path):
    path = tmp_path / "x.parquet"
    with pytest.raises(KindredError, match=r"x\.parquet"):
        read_documents(path)
    path.write_bytes(b"PAR1 truncated")
    with pytest.raises(KindredError, match=r"x\.parquet"):
        read_documents(path)
    pq.write_table(pa.table({"text": ["a"]}), path)
    with pytest.raises(KindredError, match=r"x\.parquet"):
        read_documents(path)
    write_documents(path, [])
    with pytest.raises(KindredError, match="no document"):
        read_documents(path)


def test_long_texts_are_converted_a_few_at_a_time_into_the_same_bytes(tmp_path, monkeypatch):
    documents = [Document("x" * 50, str(place), "a") for place in range(700)]
    write_documents(tmp_path / "whole.parquet", documents)
    monkeypatch.setattr("kindred.corpus.table._CHARACTERS", 60)
    write_documents(tmp_path / "parts.parquet", documents)
    assert (tmp_path / "parts.parquet").read_bytes() == (tmp_path / "whole.parquet").read_bytes()
    assert read_documents(tmp_path / "parts.parquet") == documents


def test_a_text_too_long_for_the_table_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("kindred.corpus.table._LONGEST_BYTES", 9)
    write_documents(tmp_path / "a.parquet", [Document("nine char", "fits", "a")])
    with pytest.raises(KindredError, match="the text long has 10 bytes"):
        write_documents(tmp_path / "a.parquet", [Document("\u00e9" * 5, "long", "a")])
    assert [document.source for document in read_documents(tmp_path / "a.parquet")] == ["fits"]
