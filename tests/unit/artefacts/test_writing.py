import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kindred.artefacts.folder import MANIFEST, Made, read_manifest, verify_content
from kindred.artefacts.writing import remove_left_overs, writing
from kindred.errors import KindredError

KilledAt = Callable[[int, Callable[[], object]], bool]
MADE = Made(kind="toy", version=1, identity="a", params={"x": 1}, sources="s", inputs={})
NEW = MADE.model_copy(update={"params": {"x": 2}})
# Says when it has written half, and goes on when it is told to.
WRITER = """
import sys
from pathlib import Path
from kindred.artefacts.folder import Made
from kindred.artefacts.writing import writing
made = Made(kind="toy", version=1, identity="a", params={"x": int(sys.argv[2])}, sources="s", inputs={})
with writing(Path(sys.argv[1]), made) as partial:
    (partial / "part.txt").write_text("hello")
    print("half", flush=True)
    sys.stdin.readline()
"""


def write(directory: Path, text: str = "hello", made: Made = MADE) -> None:
    with writing(directory, made) as partial:
        (partial / "part.txt").write_text(text)


def write_half_and_fail(directory: Path) -> None:
    with writing(directory, MADE) as partial:
        (partial / "part.txt").write_text("half")
        raise RuntimeError


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


class Writer:
    """Another process that is in the middle of writing an artefact."""

    def __init__(self, directory: Path, x: int) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(directory), str(x)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout
        assert self.process.stdout.readline() == "half\n"

    def finish(self) -> int:
        self.process.communicate("go on\n")
        return self.process.returncode

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@contextmanager
def writer(directory: Path, x: int = 1) -> Iterator[Writer]:
    other = Writer(directory, x)
    try:
        yield other
    finally:
        other.kill()


def test_an_error_while_writing_keeps_what_was_there_and_leaves_nothing_behind(tmp_path: Path) -> None:
    write(tmp_path / "a", "before")
    with pytest.raises(RuntimeError):
        write_half_and_fail(tmp_path / "a")
    assert (tmp_path / "a" / "part.txt").read_text() == "before"
    assert names(tmp_path) == ["a"]


def test_a_writer_killed_at_any_step_leaves_the_old_the_new_or_nothing(
    tmp_path: Path, killed_at: KilledAt
) -> None:
    place = tmp_path / "a"
    seen = set()
    for number in range(1000):
        write(place, "old")
        if not killed_at(number, lambda: write(place, "new", NEW)):
            break
        remove_left_overs(place)
        if read_manifest(place) is not None:
            verify_content(place, "toy", 1)
        seen.add((place / "part.txt").read_text() if place.exists() else None)
        assert set(names(tmp_path)) <= {"a"}
    assert number > 10
    assert seen == {"old", None, "new"}


def test_of_two_writers_the_second_to_finish_leaves_what_the_first_put_in_place(tmp_path: Path) -> None:
    place = tmp_path / "a"
    with writer(place) as first, writer(place) as second:
        assert second.finish() == 0
        before = [path.stat().st_ino for path in (place, place / MANIFEST, place / "part.txt")]
        assert first.finish() == 0
    assert [path.stat().st_ino for path in (place, place / MANIFEST, place / "part.txt")] == before
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize("damage", ["other", "cut short", "flipped"])
def test_what_is_there_gives_way_if_it_is_another_or_damaged(tmp_path: Path, damage: str) -> None:
    place = tmp_path / "a"
    with writer(place, x=2) as late:
        if damage == "other":
            write(place)
        else:
            write(place, made=MADE.model_copy(update={"params": {"x": 2}}))
            (place / "part.txt").write_text("hell" if damage == "cut short" else "hellO")
        assert late.finish() == 0
    assert verify_content(place, "toy", 1).params == {"x": 2}
    assert names(tmp_path) == ["a"]


def test_nobody_takes_the_folder_of_a_living_writer_for_a_left_over(tmp_path: Path) -> None:
    place = tmp_path / "a"
    with writer(place) as slow:
        partial = tmp_path / f".a.partial-{socket.gethostname()}-{slow.process.pid}"
        remove_left_overs(place)
        write(place)
        assert names(partial) == ["part.txt"]
        assert slow.finish() == 0
    assert names(tmp_path) == ["a"]


def test_what_a_killed_writer_left_is_never_taken_for_whole_and_goes_with_the_next_write(
    tmp_path: Path,
) -> None:
    place = tmp_path / "a"
    with writer(place) as dead:
        dead.kill()
    assert names(tmp_path) == [f".a.partial-{socket.gethostname()}-{dead.process.pid}"]
    assert read_manifest(place) is None
    write(place)
    assert names(tmp_path) == ["a"]


def test_left_overs_of_other_artefacts_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / ".ab.partial-1").mkdir()
    (tmp_path / ".a.partial-1").mkdir()
    (tmp_path / ".a.replaced-1").mkdir()
    remove_left_overs(tmp_path / "a")
    assert names(tmp_path) == [".ab.partial-1"]


def test_what_another_machine_may_be_writing_is_left_alone_until_nobody_is_at_work(tmp_path: Path) -> None:
    elsewhere = tmp_path / ".a.partial-some-node-1"
    elsewhere.mkdir()
    remove_left_overs(tmp_path / "a")
    write(tmp_path / "a")
    assert elsewhere.exists()
    remove_left_overs(tmp_path / "a", of_all_machines=True)
    assert names(tmp_path) == ["a"]


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_a_full_disk_is_one_clear_error_and_leaves_no_half_artefact(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(small)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip(f"cannot mount a small file system here: {mounted.stderr.decode().strip()}")
    try:
        with pytest.raises(KindredError, match="no room left to write it"):
            write(small / "a", "x" * 200_000)
        assert list(small.iterdir()) == []
    finally:
        subprocess.run(["umount", str(small)], check=True)
