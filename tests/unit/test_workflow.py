import base64
import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kindred.artefacts.writing import writing
from kindred.errors import KindredError
from kindred.lineage import Lineage
from kindred.params import Params, load_params
from kindred.workflow import SNAPSHOT, hold_work, prepare

ROOT = Path(__file__).parents[2]
# A job of the run whose params lie in the snapshot; or that run itself. Each lives until it is killed.
JOB = "import sys; from kindred.workflow import hold_work; hold_work(); print('up', flush=True); sys.stdin.read()"
RUN = "import sys; from kindred.workflow import _alone; _alone(); print('up', flush=True); sys.stdin.read()"
# What the Snakefile does when it is parsed; in a process of its own, since its locks end with the process.
PREPARE = """
import sys
from kindred.errors import KindredError
from kindred.workflow import prepare
try:
    prepare(main_process=True, experiment=sys.argv[1], needs_sources=False)
except KindredError as error:
    sys.exit(str(error))
"""


@pytest.fixture(autouse=True)
def prepared_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of its own in which the small experiment was prepared."""
    shutil.copy(ROOT / "params.yaml", tmp_path)
    shutil.copytree(ROOT / "experiments", tmp_path / "experiments")
    monkeypatch.chdir(tmp_path)
    assert prepared() == ""


def preparing(experiment: str = "small") -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", PREPARE, experiment], stderr=subprocess.PIPE, text=True)


def prepared(experiment: str = "small") -> str:
    """What a start says on the terminal."""
    with preparing(experiment) as process:
        return process.communicate()[1]


def small() -> Params:
    return load_params(Path("params.yaml"), experiment="small")


@contextmanager
def alive(code: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "up\n"
        yield process
        process.kill()


def mark_incomplete(output: str) -> Path:
    """The mark that Snakemake sets while a job makes an output."""
    mark = Path(".snakemake/incomplete", base64.urlsafe_b64encode(output.encode()).decode())
    mark.parent.mkdir(parents=True, exist_ok=True)
    mark.touch()
    return mark


def test_jobs_read_the_params_that_their_run_began_with() -> None:
    before = small()
    Path("params.yaml").write_text("seed: 1\n")
    assert prepare(main_process=False, experiment=None, needs_sources=False) == before


def test_what_killed_runs_left_goes_at_the_next_start_and_what_they_finished_stays() -> None:
    lineage = Lineage(small())
    corpus = Path("cache/corpus")
    with writing(corpus, lineage.made(*lineage.artefacts[corpus], {})) as directory:
        (directory / "data.txt").write_text("x")
    left_over = Path("cache/.tokens.partial-1")
    left_over.mkdir()
    finished, unfinished = (mark_incomplete(f"cache/{name}/manifest.json") for name in ("corpus", "tokens"))
    assert prepared() == ""
    assert (corpus / "data.txt").exists()
    assert not left_over.exists()
    assert not finished.exists()
    assert unfinished.exists()


def test_what_other_machines_may_be_writing_goes_when_no_job_is_at_work() -> None:
    left_over = Path("cache/.tokens.partial-some-node-1")
    left_over.mkdir(parents=True)
    with alive(JOB):
        prepared()
        assert left_over.exists()
    prepared()
    assert not left_over.exists()


def test_a_file_system_without_locks_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int, kind: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", refuse)
    with pytest.raises(
        KindredError, match=r"\.kindred/working: this file system has no locks .* another one"
    ):
        hold_work()


def test_locks_of_a_living_run_are_kept_and_those_of_a_dead_one_removed() -> None:
    lock = Path(".snakemake/locks/0.input.lock")
    lock.parent.mkdir(parents=True)
    with alive(RUN):
        lock.touch()
        prepared()
        assert lock.exists()
        assert "another snakemake runs in this folder, with other params" in prepared("hard-negatives")
    prepared()
    assert not lock.exists()


def test_other_params_wait_for_the_jobs_of_a_killed_run_and_the_same_do_not() -> None:
    with alive(JOB) as job:
        assert prepared() == ""
        before = SNAPSHOT.read_text()
        following = preparing("hard-negatives")
        assert following.stderr
        said = following.stderr.readline()
        assert said == "kindred: waiting for the jobs of a killed run, which had other params, to end\n"
        assert SNAPSHOT.read_text() == before
        job.kill()
        assert following.communicate()[1] == ""
    assert following.returncode == 0
    assert SNAPSHOT.read_text() != before


def test_a_file_in_the_place_of_the_records_is_one_line() -> None:
    for folder in (".kindred", ".snakemake"):
        shutil.rmtree(folder, ignore_errors=True)
        Path(folder).touch()
        assert (
            prepared()
            == f"{folder}: File exists: something of another kind is in its place: move it away and run again\n"
        )
        Path(folder).unlink()


@pytest.mark.parametrize("place", ["cache", "cache/tokens", "cache/windows/docs-0", "results/tables", "logs"])
def test_a_file_in_the_place_of_results_is_one_line_and_is_kept(place: str) -> None:
    Path(place).parent.mkdir(parents=True, exist_ok=True)
    Path(place).write_text("mine\n")
    assert prepared().startswith(f"{place}: Not a directory: a file is in the place of a folder")
    assert Path(place).read_text() == "mine\n"


def test_records_that_cannot_be_written_are_named_before_anything_is_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Root may write anywhere, so the answer of the system is put in its place."""
    monkeypatch.setattr(os, "access", lambda path, mode: str(path) != ".snakemake/locks")
    Path(".snakemake/locks").mkdir(parents=True, exist_ok=True)
    with pytest.raises(KindredError, match=r"\.snakemake/locks: Permission denied: .*chown, chmod"):
        prepare(main_process=True, experiment="small", needs_sources=False)


def test_a_snapshot_of_damaged_bytes_is_written_again() -> None:
    SNAPSHOT.write_bytes(b"\xff\xfe")
    assert prepared() == ""
    assert Params.model_validate_json(SNAPSHOT.read_bytes()) == small()
