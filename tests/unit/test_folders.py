import os

import pytest

from kindred.errors import KindredError
from kindred.folders import folder_files, identity_of, walk_folder


def names(folder):
    return [path.relative_to(folder).as_posix() for path in folder_files(folder)]


def test_files_behind_links_are_listed_once_for_each_way_to_them(tmp_path):
    folder, elsewhere = tmp_path / "folder", tmp_path / "elsewhere"
    (folder / "b").mkdir(parents=True)
    (elsewhere / "deep").mkdir(parents=True)
    (folder / "b" / "own").write_text("")
    (elsewhere / "deep" / "far").write_text("")
    (folder / "a").symlink_to(elsewhere)
    (folder / "c").symlink_to(elsewhere / "deep" / "far")
    assert names(folder) == ["a/deep/far", "b/own", "c"]


def test_loops_end(tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    for folder in (one, other):
        folder.mkdir()
        (folder / "file").write_text("")
    (one / "to").symlink_to(other)
    (other / "to").symlink_to(one)
    (one / "self").symlink_to(".")
    (one / "ring").symlink_to("ring")
    assert names(one) == ["file", "to/file"]
    assert [path.name for folder in walk_folder(one) for path in folder.unreadable] == ["ring"]


def test_what_is_neither_file_nor_folder_is_told(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "gone").symlink_to("absent")
    (folder,) = walk_folder(tmp_path)
    assert [path.name for path in folder.unreadable] == ["gone", "pipe"]
    assert folder.files == ()


def test_a_folder_that_cannot_be_listed_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "absent", tmp_path / "file"):
        with pytest.raises(KindredError, match=f"{path.name}: cannot be listed"):
            folder_files(path)


def test_one_folder_has_one_identity(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder")
    assert identity_of(tmp_path / "link") == identity_of(tmp_path / "folder") != identity_of(tmp_path)
    assert identity_of(tmp_path / "absent") is None
