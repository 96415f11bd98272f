import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kindred.artefacts.folder import MANIFEST, Made, read_manifest, size_damage, verify_content
from kindred.artefacts.writing import writing
from kindred.errors import KindredError

MADE = Made(kind="toy", version=1, identity="a", params={"x": 1}, sources="s", inputs={})


def write(directory: Path, text: str = "hello") -> None:
    with writing(directory, MADE) as partial:
        (partial / "part.txt").write_text(text)


def write_half_and_fail(directory: Path) -> None:
    with writing(directory, MADE) as partial:
        (partial / "part.txt").write_text("half")
        raise RuntimeError


def test_a_written_artefact_verifies_and_its_manifest_says_what_made_it(tmp_path: Path) -> None:
    write(tmp_path / "a")
    manifest = verify_content(tmp_path / "a", "toy", 1)
    assert manifest.params == {"x": 1}
    assert manifest.files["part.txt"].size == 5


def test_equal_content_gives_equal_bytes(tmp_path: Path) -> None:
    write(tmp_path / "a")
    write(tmp_path / "b")
    assert (tmp_path / "a" / MANIFEST).read_bytes() == (tmp_path / "b" / MANIFEST).read_bytes()


def test_an_error_while_writing_keeps_what_was_there_and_leaves_nothing_behind(tmp_path: Path) -> None:
    write(tmp_path / "a", "before")
    with pytest.raises(RuntimeError):
        write_half_and_fail(tmp_path / "a")
    assert (tmp_path / "a" / "part.txt").read_text() == "before"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_leftovers_of_a_killed_writer_are_never_taken_for_whole_and_go_at_the_next_write(
    tmp_path: Path,
) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path\n"
        "from kindred.artefacts.folder import Made; from kindred.artefacts.writing import writing\n"
        "made = Made(kind='toy', version=1, identity='a', params={}, sources='s', inputs={})\n"
        "with writing(Path(sys.argv[1]), made) as partial:\n"
        "    (partial / 'part.txt').write_text('half'); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "a")], check=False)
    assert done.returncode == -signal.SIGKILL
    assert read_manifest(tmp_path / "a") is None
    assert len(list(tmp_path.iterdir())) == 1
    write(tmp_path / "a")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_truncated_file_is_named_and_the_artefact_loses_its_manifest(tmp_path: Path) -> None:
    write(tmp_path / "a")
    (tmp_path / "a" / "part.txt").write_text("hel")
    with pytest.raises(KindredError, match=r"part\.txt has 3 bytes, not the 5"):
        verify_content(tmp_path / "a", "toy", 1)
    assert read_manifest(tmp_path / "a") is None


def test_a_flipped_byte_is_noticed(tmp_path: Path) -> None:
    write(tmp_path / "a")
    (tmp_path / "a" / "part.txt").write_text("hellO")
    with pytest.raises(KindredError, match=r"part\.txt differs from what was written"):
        verify_content(tmp_path / "a", "toy", 1)


def test_missing_and_foreign_files_are_damage(tmp_path: Path) -> None:
    write(tmp_path / "a")
    manifest = verify_content(tmp_path / "a", "toy", 1)
    (tmp_path / "a" / "other.txt").touch()
    assert "other.txt is no part" in str(size_damage(tmp_path / "a", manifest))
    (tmp_path / "a" / "part.txt").unlink()
    assert "part.txt is missing" in str(size_damage(tmp_path / "a", manifest))


@pytest.mark.parametrize(("kind", "version"), [("other", 1), ("toy", 2)])
def test_another_kind_or_version_is_refused(tmp_path: Path, kind: str, version: int) -> None:
    write(tmp_path / "a")
    with pytest.raises(KindredError, match="is toy version 1, expected"):
        verify_content(tmp_path / "a", kind, version)


def test_an_unreadable_manifest_is_one_clear_error(tmp_path: Path) -> None:
    write(tmp_path / "a")
    (tmp_path / "a" / MANIFEST).write_text("{")
    with pytest.raises(KindredError, match="not a manifest that this version of kindred can read"):
        read_manifest(tmp_path / "a")


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
