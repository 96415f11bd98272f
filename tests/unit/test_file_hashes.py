import hashlib
import json
import os
import resource
from pathlib import Path

import pytest

from kindred import file_hashes
from kindred.file_hashes import FileHashes


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if every file had been written long ago."""
    monkeypatch.setattr(file_hashes, "SETTLED_NANOSECONDS", -(10**18))


@pytest.fixture
def memory(tmp_path: Path) -> Path:
    return tmp_path / "memory" / "a.json"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file.txt"
    path.write_text("hello")
    return path


def hash_and_save(memory: Path, *files: Path, keep_others: bool = False) -> list[str]:
    hashes = FileHashes(memory)
    found = [hashes.of(path) for path in files]
    hashes.save(keep_others=keep_others)
    return found


def flip_and_put_the_times_back(file: Path) -> None:
    stat = file.stat()
    content = file.read_text()
    with file.open("r+") as opened:
        opened.write(content.swapcase())
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def test_what_was_hashed_once_is_not_read_again(settled: None, memory: Path, file: Path) -> None:
    assert hash_and_save(memory, file) == [sha256("hello")]
    memory.write_text(memory.read_text().replace(sha256("hello"), "remembered"))
    assert hash_and_save(memory, file) == ["remembered"]


def test_a_file_of_the_same_size_and_time_is_read_again_if_it_was_written_to(
    settled: None, memory: Path, file: Path
) -> None:
    hash_and_save(memory, file)
    flip_and_put_the_times_back(file)
    assert hash_and_save(memory, file) == [sha256("HELLO")]


def test_what_was_written_just_now_is_not_remembered_since_a_clock_ticks_coarsely(
    memory: Path, file: Path
) -> None:
    for _ in range(20):
        before = file.read_text()
        assert hash_and_save(memory, file) == [sha256(before)]
        assert not memory.exists()
        flip_and_put_the_times_back(file)
        assert hash_and_save(memory, file) == [sha256(before.swapcase())]


def test_only_what_was_asked_for_is_remembered_unless_the_others_are_kept(
    settled: None, memory: Path, file: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.txt"
    other.write_text("other")
    hash_and_save(memory, file)
    hash_and_save(memory, other, keep_others=True)
    assert set(json.loads(memory.read_text())) == {str(file), str(other)}
    hash_and_save(memory, other)
    assert set(json.loads(memory.read_text())) == {str(other)}


def test_an_unchanged_memory_is_not_written_again(settled: None, memory: Path, file: Path) -> None:
    hash_and_save(memory, file)
    before = memory.stat().st_mtime_ns
    hash_and_save(memory, file)
    assert memory.stat().st_mtime_ns == before
    assert [path.name for path in memory.parent.iterdir()] == [memory.name]


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[]", b"null", b"3", b'{"f": 3}', b'{"f": [[1, "x", 2], "d"]}', b"\xff"]
)
def test_a_damaged_memory_only_costs_hashing_again(
    settled: None, memory: Path, file: Path, text: bytes
) -> None:
    memory.parent.mkdir()
    memory.write_bytes(text)
    assert hash_and_save(memory, file) == [sha256("hello")]
    assert set(json.loads(memory.read_text())) == {str(file)}


def test_a_memory_that_cannot_be_written_only_costs_hashing_again(
    settled: None, memory: Path, file: Path
) -> None:
    hash_and_save(memory, file)
    before = memory.read_bytes()
    file.write_text("other")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, limits[1]))  # stands for a full disk
    try:
        assert hash_and_save(memory, file) == [sha256("other")]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert memory.read_bytes() == before
    assert [path.name for path in memory.parent.iterdir()] == [memory.name]
