import json
import logging
import os

import pytest

from kindred.corpus.document import Document
from kindred.corpus.table import read_documents, write_documents
from kindred.corpus.text_files import read_text_files, text_paths
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


@pytest.mark.parametrize("line", ["not json", '["text"]', '{"label": "a"}', '{"text": 3}'])
def test_a_bad_line_is_named(tmp_path, line):
    (tmp_path / "x.jsonl").write_text('{"text": "fine"}\n' + line)
    with pytest.raises(KindredError, match=r"x\.jsonl, line 2"):
        list(read_text_files(tmp_path))


def test_missing_and_empty_are_errors(tmp_path):
    with pytest.raises(KindredError, match="absent"):
        list(read_text_files(tmp_path / "absent"))
    with pytest.raises(KindredError, match="no text"):
        list(read_text_files(tmp_path))


@pytest.mark.parametrize(
    "content", [b"caf\xe9", "UTF-16".encode("utf-16"), b"\x89PNG\r\n\x1a\n\xff", b"\x1f\x8b\x08gzip"]
)
@pytest.mark.parametrize("name", ["x.txt", "x.jsonl"])
def test_what_is_not_utf_8_is_named(tmp_path, content, name):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(KindredError, match=rf"{name}: not text in UTF-8 .*save it as UTF-8"):
        list(read_text_files(tmp_path))


def test_deep_json_is_named(tmp_path):
    (tmp_path / "x.jsonl").write_text("[" * 100_000)
    with pytest.raises(KindredError, match=r"x\.jsonl, line 1: not valid JSON"):
        list(read_text_files(tmp_path))


def test_a_byte_order_mark_is_no_text(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfA text.")
    (tmp_path / "b.jsonl").write_bytes(b'\xef\xbb\xbf{"text": "A line."}')
    assert [document.text for document in read_text_files(tmp_path)] == ["A text.", "A line."]


def test_a_line_of_json_ends_at_a_line_feed_alone(tmp_path):
    (tmp_path / "a.jsonl").write_bytes('{"text": "a\u2028b\x85c"}\r\n\r{"text": "d\\re"}'.encode())
    assert [document.text for document in read_text_files(tmp_path)] == ["a\u2028b\x85c", "d\re"]


def test_other_spellings_and_linked_folders_are_read(folder, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "far.TXT").write_text("Far away.")
    (elsewhere / "LINES.JsonL").write_text('{"text": "A line."}')
    (folder / "linked").symlink_to(elsewhere)
    (folder / "linked.txt").symlink_to(elsewhere / "far.TXT")
    found = [(document.source, document.label) for document in read_text_files(folder)]
    assert ("linked/far.TXT", "linked") in found
    assert ("linked/LINES.JsonL::1", "linked") in found
    assert ("linked.txt", folder.name) in found


def test_links_that_lead_back_are_not_followed(folder):
    before = list(read_text_files(folder))
    (folder / "news" / "up").symlink_to(folder)
    (folder / "news" / "itself").symlink_to(folder / "news")
    (folder / "mail" / "over").symlink_to(folder / "news")
    found = list(read_text_files(folder))
    assert [document for document in found if "over" not in document.source] == before
    assert {d.source for d in found if "over" in d.source} == {"mail/over/a.txt", "mail/over/b.txt"}


def test_what_is_left_out_is_named(folder, caplog):
    (folder / "mail" / "gone.txt").symlink_to(folder / "absent")
    for number in range(4):
        (folder / f"{number}.csv").write_text("a,b")
    with caplog.at_level(logging.WARNING):
        list(read_text_files(folder))
    assert caplog.messages[0].endswith(
        "left out (only .txt and .jsonl files are read): 0.csv, 1.csv, 2.csv, 3.csv, mail/gone.txt and 1 more"
    )
    assert "1 texts hold nothing but white space and were left out (the first: " in caplog.messages[1]


def test_keys_of_text_and_label(tmp_path):
    lines = [
        {"body": "One.", "topic": "a"},
        {"body": "Two.", "topic": None},
        {"body": "Three.", "label": "b"},
    ]
    (tmp_path / "x.jsonl").write_text("\n".join(map(json.dumps, lines)))
    named = read_text_files(tmp_path, text_key="body", label_key="topic")
    assert [document.label for document in named] == ["a", "unlabelled", "unlabelled"]
    unnamed = read_text_files(tmp_path, text_key="body")
    assert [document.label for document in unnamed] == [tmp_path.name, tmp_path.name, "b"]
    with pytest.raises(
        KindredError, match=r"line 1: needs an object with a 'text'.*'body', 'topic'.*text_column"
    ):
        list(read_text_files(tmp_path))


def test_a_label_that_is_null_is_not_the_text_none(tmp_path):
    (tmp_path / "x.jsonl").write_text('{"text": "One.", "label": null}\n{"text": "Two.", "label": true}')
    assert [document.label for document in read_text_files(tmp_path)] == [tmp_path.name, "true"]


def test_half_a_surrogate_pair_becomes_one_character_and_is_told(tmp_path, caplog):
    (tmp_path / "x.jsonl").write_text(
        '{"text": "fine"}\n{"text": "half \\ud83d smile"}\n{"text": "\\ud83d\\ude00"}'
    )
    with caplog.at_level(logging.WARNING):
        documents = list(read_text_files(tmp_path))
    assert [document.text for document in documents] == ["fine", "half \ufffd smile", "\U0001f600"]
    (message,) = caplog.messages
    assert "1 texts or labels" in message
    assert "x.jsonl, line 2" in message


def test_names_that_are_not_utf_8(tmp_path):
    inner = tmp_path / os.fsdecode(b"gr\xfcn")
    inner.mkdir()
    (inner / os.fsdecode(b"caf\xe9.txt")).write_text("A text.")
    (document,) = read_text_files(tmp_path)
    assert (document.source, document.label) == ("gr\\xfcn/caf\\xe9.txt", "gr\\xfcn")
    write_documents(tmp_path / "documents.parquet", [document])
    assert read_documents(tmp_path / "documents.parquet") == [document]


def test_the_files_that_are_read_are_listed(folder):
    read = {document.source.partition("::")[0] for document in read_text_files(folder)}
    listed = {path.relative_to(folder).as_posix() for path in text_paths(folder)}
    assert listed - read == {"news/empty.txt"}
    assert read <= listed


def test_texts_of_white_space_alone_are_counted(tmp_path, caplog):
    (tmp_path / "a.txt").write_text("\ufeff \n\x0c")
    (tmp_path / "b.txt").write_text("Words.")
    (tmp_path / "c.jsonl").write_text('{"text": ""}\n{"text": "More."}\n')
    with caplog.at_level(logging.WARNING):
        assert [document.text for document in read_text_files(tmp_path)] == ["Words.", "More."]
    (told,) = caplog.messages
    assert "2 texts hold nothing but white space and were left out (the first: " in told
    assert "a.txt" in told


def test_a_label_that_is_not_a_number_is_missing(tmp_path):
    (tmp_path / "x.jsonl").write_text('{"text": "One.", "label": NaN, "topic": NaN}')
    assert [document.label for document in read_text_files(tmp_path)] == [tmp_path.name]
    assert [document.label for document in read_text_files(tmp_path, label_key="topic")] == ["unlabelled"]
