import pytest

from kindred.corpus.document import Document
from kindred.corpus.text_files import read_text_files
from kindred.errors import KindredError


@pytest.fixture
def folder(tmp_path):
    for name in ("news", "mail"):
        (tmp_path / name).mkdir()
    (tmp_path / "news" / "b.txt").write_text("Second file.\n")
    (tmp_path / "news" / "a.txt").write_text("First file.")
    (tmp_path / "news" / "empty.txt").write_text(" \n")
    (tmp_path / "news" / "ignored.md").write_text("Not read.")
    (tmp_path / "mail" / "lines.jsonl").write_text(
        '{"text": "A letter.", "label": 1}\n\n{"text": "A note."}\n'
    )
    return tmp_path


def test_a_folder_is_read_in_order_with_labels(folder):
    assert list(read_text_files(folder)) == [
        Document("A letter.", "mail/lines.jsonl::1", "1"),
        Document("A note.", "mail/lines.jsonl::3", "mail"),
        Document("First file.", "news/a.txt", "news"),
        Document("Second file.\n", "news/b.txt", "news"),
    ]


def test_a_list_is_read_in_its_own_order(folder):
    paths = [folder / "news" / "b.txt", folder / "news" / "a.txt"]
    assert [document.source for document in read_text_files(paths)] == ["b.txt", "a.txt"]


@pytest.mark.parametrize("line", ["not json", '["text"]', '{"label": "a"}', '{"text": 3}'])
def test_a_bad_line_is_named(tmp_path, line):
    (tmp_path / "x.jsonl").write_text('{"text": "fine"}\n' + line)
    with pytest.raises(KindredError, match=r"x\.jsonl, line 2"):
        list(read_text_files(tmp_path))


def test_missing_foreign_and_empty_are_errors(tmp_path):
    for path in (tmp_path / "absent.txt", tmp_path / "x.pdf"):
        with pytest.raises(KindredError, match=path.name):
            list(read_text_files(path))
    with pytest.raises(KindredError, match="no text"):
        list(read_text_files(tmp_path))
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9")
    with pytest.raises(KindredError, match=r"latin\.txt"):
        list(read_text_files(tmp_path))
