from pathlib import Path

import pytest

from kindred.artefacts.folder import MANIFEST, Made, read_manifest, size_damage, verify_content
from kindred.artefacts.writing import writing
from kindred.errors import KindredError

MADE = Made(kind="toy", version=1, identity="a", params={"x": 1}, sources="s", inputs={})


def write(directory: Path, text: str = "hello") -> None:
    with writing(directory, MADE) as partial:
        (partial / "part.txt").write_text(text)


def test_a_written_artefact_verifies_and_its_manifest_says_what_made_it(tmp_path: Path) -> None:
    write(tmp_path / "a")
    manifest = verify_content(tmp_path / "a", "toy", 1)
    assert manifest.params == {"x": 1}
    assert manifest.files["part.txt"].size == 5


def test_equal_content_gives_equal_bytes(tmp_path: Path) -> None:
    write(tmp_path / "a")
    write(tmp_path / "b")
    assert (tmp_path / "a" / MANIFEST).read_bytes() == (tmp_path / "b" / MANIFEST).read_bytes()


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
