import errno
import fcntl
import os
import subprocess
from pathlib import Path

import pytest

from kindred import sharing
from kindred.sharing import share


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_text("content")
    return path


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


@pytest.fixture
def reflinks(tmp_path: Path) -> Path:
    """A small file system that has reflinks."""
    image, place = tmp_path / "image", tmp_path / "mounted"
    place.mkdir()
    with image.open("wb") as file:
        file.truncate(512 * 1024 * 1024)
    commands = (["mkfs.btrfs", "-q", str(image)], ["mount", "-o", "loop", str(image), str(place)])
    for command in commands:
        try:
            done = subprocess.run(command, capture_output=True, check=False)
        except FileNotFoundError:
            pytest.skip(f"there is no {command[0]} here")
        if done.returncode != 0:
            pytest.skip(f"cannot mount a file system with reflinks here: {done.stderr.decode().strip()}")
    return place


def test_a_reflink_is_preferred_and_leaves_the_source_as_writable_as_it_was(reflinks: Path) -> None:
    try:
        source, target = reflinks / "source", reflinks / "target"
        source.write_bytes(os.urandom(1_000_000))
        before = source.read_bytes(), mode(source)
        assert share(source, target, link=True) == "reflink"
        assert target.read_bytes() == before[0]
        target.write_text("other")
        assert (source.read_bytes(), mode(source)) == before
    finally:
        subprocess.run(["umount", str(reflinks)], check=True)


def test_without_reflinks_a_hard_link_that_nobody_may_write_to(source: Path) -> None:
    target = source.with_name("target")
    assert share(source, target, link=True) in ("reflink", "hardlink")
    assert target.read_text() == "content"
    if target.stat().st_ino == source.stat().st_ino:
        assert mode(source) == 0o444


def test_a_copy_where_no_link_is_wanted_and_the_source_keeps_its_mode(source: Path) -> None:
    target = source.with_name("target")
    before = mode(source)
    share(source, target, link=False)
    target.write_text("other")
    assert source.read_text() == "content"
    assert mode(source) == before


@pytest.mark.parametrize("kind", ["symlink", "hardlink"])
def test_what_others_may_write_to_is_copied_and_its_mode_is_theirs(source: Path, kind: str) -> None:
    name, target = source.with_name("name"), source.with_name("target")
    (os.symlink if kind == "symlink" else os.link)(source, name)
    before = mode(source)
    assert share(name, target, link=True) in ("reflink", "copy")
    assert (target.is_symlink(), target.read_text()) == (False, "content")
    assert mode(source) == before


@pytest.mark.parametrize("kind", ["symlink", "hardlink"])
def test_what_nobody_may_write_to_gets_one_more_name(source: Path, kind: str) -> None:
    name, target = source.with_name("name"), source.with_name("target")
    (os.symlink if kind == "symlink" else os.link)(source, name)
    source.chmod(0o444)
    assert share(name, target, link=True) in ("reflink", "hardlink")
    assert (target.is_symlink(), target.read_text()) == (False, "content")


def test_another_file_system_gets_a_copy(source: Path) -> None:
    other = Path("/dev/shm")
    if not other.is_dir() or other.stat().st_dev == source.stat().st_dev:
        pytest.skip("there is no other file system here")
    target = other / f"kindred-{os.getpid()}"
    try:
        assert share(source, target, link=True) == "copy"
        assert target.read_text() == "content"
    finally:
        target.unlink(missing_ok=True)


def test_a_full_disk_is_no_reason_for_a_copy(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(sharing.fcntl, "ioctl", full)
    target = source.with_name("target")
    with pytest.raises(OSError, match="No space left"):
        share(source, target, link=True)
    assert not target.exists()


def test_the_request_is_that_of_the_system(source: Path) -> None:
    """_IOW(0x94, 9, int)."""
    assert sharing.FICLONE == (1 << 30) | (4 << 16) | (0x94 << 8) | 9
    assert fcntl.ioctl
