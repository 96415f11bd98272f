import os
import subprocess
from pathlib import Path

import pytest

from kindred.errors import KindredError
from kindred.repository import EXPERIMENTS, Experiment, Repository


def git(root: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=test", "-c", "user.email=test@example.org")
    return subprocess.run(
        ["git", *identity, *arguments], cwd=root, check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository of two commits, the first of them tagged `first`."""
    git(tmp_path, "init", "--quiet")
    for number in ("one", "two"):
        (tmp_path / "tables").mkdir(exist_ok=True)
        (tmp_path / "tables/a.csv").write_text(f"{number}\n")
        git(tmp_path, "add", "--all")
        git(tmp_path, "commit", "--quiet", "--message", number)
        if number == "one":
            git(tmp_path, "tag", "--annotate", "--message", "an annotated tag", "first")
    return tmp_path


def test_files_are_read_as_they_were_committed(root: Path) -> None:
    (root / "tables/a.csv").write_text("now\n")
    repository = Repository(root)
    assert repository.committed("first", "tables/a.csv") == b"one\n"
    assert repository.committed("HEAD", "tables/a.csv") == b"two\n"
    assert repository.committed("HEAD", "tables/absent.csv") is None
    assert repository.files("HEAD", "tables") == ["tables/a.csv"]
    assert repository.files("HEAD", "absent") == []


def test_what_differs_from_head_or_is_unknown_to_git_is_uncommitted(root: Path) -> None:
    repository = Repository(root)
    assert repository.uncommitted(["tables"]) == []
    (root / "tables/a.csv").write_text("now\n")
    (root / "tables/new file.csv").write_text("new\n")
    (root / "elsewhere").write_text("x\n")
    assert repository.uncommitted(["tables"]) == ["tables/a.csv", "tables/new file.csv"]


def test_a_project_in_a_folder_of_a_larger_repository_sees_its_own_files(root: Path) -> None:
    inner = Repository(root / "tables")
    assert inner.committed("HEAD", "a.csv") == b"two\n"
    assert inner.files("HEAD", ".") == ["a.csv"]


def test_names_are_tags_rows_of_the_table_or_revisions(root: Path) -> None:
    repository = Repository(root)
    first, head = repository.resolve("first"), repository.head()
    assert first == git(root, "rev-parse", "HEAD~1") != head
    assert repository.resolve("HEAD") == repository.resolve(head[:10]) == head
    (root / EXPERIMENTS).parent.mkdir()
    (root / EXPERIMENTS).write_text(f"name,commit,what\nnamed,{head},the second\n")
    assert repository.resolve("named") == head
    with pytest.raises(
        KindredError, match=r"nowhere: no tag, named experiment.*\(named experiments: first, named\)"
    ):
        repository.resolve("nowhere")


def test_a_named_commit_that_the_clone_lacks_is_said_to_be_missing(root: Path) -> None:
    (root / EXPERIMENTS).parent.mkdir()
    (root / EXPERIMENTS).write_text(f"name,commit,what\nfar,{'0' * 39}1,not here\n")
    with pytest.raises(KindredError, match="which this clone does not have: fetch the branch"):
        Repository(root).resolve("far")


def test_a_table_of_experiments_with_other_columns_is_refused_by_line(root: Path) -> None:
    (root / EXPERIMENTS).parent.mkdir()
    (root / EXPERIMENTS).write_text("name,commit,what\nfine,1,x\nwrong,2,x,more\n")
    with pytest.raises(KindredError, match=r"experiments\.csv, line 3"):
        Repository(root).experiments()


def test_outside_of_a_repository_and_before_the_first_commit_the_error_is_clear(tmp_path: Path) -> None:
    with pytest.raises(KindredError, match="not a git repository"):
        Repository(tmp_path)
    git(tmp_path, "init", "--quiet")
    with pytest.raises(KindredError, match="rev-parse"):
        Repository(tmp_path).head()


def test_names_that_are_not_utf_8(root: Path) -> None:
    (root / os.fsdecode(b"caf\xe9.txt")).write_text("x")
    assert Repository(root).uncommitted(["."]) == [r"caf\xe9.txt"]


@pytest.mark.parametrize("content", [b"name,commit,what\nx,y,caf\xe9\n", b'name,commit,what\nx,y,"open\n'])
def test_a_table_of_experiments_that_cannot_be_read(root: Path, content: bytes) -> None:
    (root / "docs").mkdir(exist_ok=True)
    (root / EXPERIMENTS).write_bytes(content)
    with pytest.raises(KindredError, match=r"experiments\.csv: no CSV table in UTF-8"):
        Repository(root).experiments()


def test_a_byte_order_mark_is_no_part_of_a_column(root: Path) -> None:
    (root / "docs").mkdir(exist_ok=True)
    (root / EXPERIMENTS).write_bytes('\ufeffname,commit,what\na,b,"one\rtwo"\n'.encode())
    assert Repository(root).experiments() == [Experiment("a", "b", "one\rtwo")]


def test_a_shallow_clone_says_how_to_get_the_commit_that_it_lacks(
    root: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """By its name, and by the commit, as `kindred tags` asks for it; the name is not listed as one that is there."""
    first = git(root, "rev-parse", "first^{commit}")
    (root / EXPERIMENTS).parent.mkdir()
    (root / EXPERIMENTS).write_text(f"name,commit,what\nold,{first},the first\n")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "three")
    shallow = tmp_path_factory.mktemp("clone") / "shallow"
    git(root, "clone", "--quiet", "--depth", "1", root.as_uri(), str(shallow))
    repository = Repository(shallow)
    for name in ("old", first):
        with pytest.raises(KindredError) as caught:
            repository.resolve(name)
        assert f"old is commit {first}, which this clone does not have" in str(caught.value)
        assert "git fetch --unshallow" in str(caught.value)
    with pytest.raises(
        KindredError, match=r"other: no tag, named experiment or commit of this clone; .*--unshallow"
    ):
        repository.resolve("other")
    git(shallow, "fetch", "--quiet", "--unshallow", "--tags")
    assert repository.resolve("old") == first
