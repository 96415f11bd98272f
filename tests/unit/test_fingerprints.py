import os
import shutil

import pytest

from kindred import file_hashes
from kindred.errors import KindredError
from kindred.fingerprints import MEMORY, path_fingerprint, source_fingerprint


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """The memory of hashes lies in the working folder; files count as written long ago."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(file_hashes, "SETTLED_NANOSECONDS", -(10**18))


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "model" / "inner").mkdir(parents=True)
    (tmp_path / "model" / "config.json").write_text("{}")
    (tmp_path / "model" / "inner" / "weights").write_text("1")
    return tmp_path / "model"


def test_a_folder_behind_a_link_counts_like_one_in_place(folder, tmp_path):
    before = path_fingerprint(folder)
    shutil.move(folder / "inner", tmp_path / "scratch")
    (folder / "inner").symlink_to(tmp_path / "scratch")
    assert path_fingerprint(folder) == before
    (tmp_path / "scratch" / "weights").write_text("2")
    assert path_fingerprint(folder) != before


def test_a_link_turned_to_a_file_of_the_same_size_and_times(folder, tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).write_text(name)
    link = folder / "weights"
    link.symlink_to(tmp_path / "one")
    before = path_fingerprint(folder)
    link.unlink()
    link.symlink_to(tmp_path / "two")
    # The times that the memory holds, as if both had been written within one tick.
    stat = (tmp_path / "one").stat()
    text = MEMORY.read_text()
    swapped = (tmp_path / "two").stat()
    for old, new in ((stat.st_mtime_ns, swapped.st_mtime_ns), (stat.st_ctime_ns, swapped.st_ctime_ns)):
        text = text.replace(str(old), str(new))
    MEMORY.write_text(text)
    assert path_fingerprint(folder) != before


def test_any_name_of_a_file_has_a_fingerprint(folder):
    before = path_fingerprint(folder)
    odd = folder / os.fsdecode(b"caf\xe9\nx")
    odd.write_text("1")
    first = path_fingerprint(folder)
    assert first != before
    assert path_fingerprint(folder) == first  # from memory
    odd.write_text("2")
    assert path_fingerprint(folder) != first


def test_a_name_cannot_stand_for_two_files(tmp_path, folder):
    two, one = tmp_path / "two", tmp_path / "one"
    two.mkdir()
    one.mkdir()
    (two / "a").write_text("")
    (two / "b").write_text("")
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    (one / f"a {empty}\nb").write_text("")
    assert path_fingerprint(two) != path_fingerprint(one)


def test_a_file_that_cannot_be_read_is_named(folder, monkeypatch):
    def refuse(self, path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(file_hashes.FileHashes, "of", refuse)
    with pytest.raises(KindredError, match=r"config\.json: cannot be read \(Permission denied\)"):
        path_fingerprint(folder)


def test_only_a_folder_is_local(folder):
    assert source_fingerprint("model") == path_fingerprint(folder)
    assert source_fingerprint("gpt2") is None
    (folder.parent / "gpt2").write_text("a file, not the model")
    assert source_fingerprint("gpt2") is None
