"""Nothing is computed twice: what was computed before comes back from the content store, whole and with its bytes."""

import json
import os
import random
import shutil
import signal
import time

import pytest

FROM_WINDOWS = {"windows": 2, "scoring": 2, "case_study": 1, "tables": 1, "figures": 1, "report": 1}
N_FROM_WINDOWS = sum(FROM_WINDOWS.values())
STATE = ("cache", "results")
ONE = "cache/windows/docs-0/manifest.json"
RETURNED = "taken from the store, not computed"
slow = pytest.mark.slow


@pytest.fixture(scope="module")
def twice(built, tmp_path_factory):
    """The small experiment computed with windows of 30 tokens, and then of 20, which is what lies there."""
    project = built.copy(tmp_path_factory.mktemp("twice") / "project")
    project.set("windows.length", 20)
    project.snakemake()
    return project


@pytest.fixture
def project(twice, tmp_path):
    """A copy, hard links kept; back to 30 tokens by hand, but nothing run yet."""
    project = twice.copy(tmp_path / "project")
    project.set("windows.length", 30)
    yield project
    shutil.rmtree(project.root)


def entries(project):
    return [path for path in (project.root / ".kindred/store").iterdir() if path.is_dir()]


def test_a_value_put_back_by_hand_runs_no_job(project, built, jobs):
    started = time.monotonic()
    done = project.snakemake()
    print(f"back again in {time.monotonic() - started:.1f} s")
    assert jobs(done) == {}
    assert f"kindred: cache/windows/docs-0 and {N_FROM_WINDOWS - 1} more: it was made with " in done.stderr
    assert RETURNED in done.stderr
    assert project.hashes(*STATE) == built.hashes(*STATE)
    assert project.plan() == {}


def test_a_dry_run_tells_and_changes_nothing(project):
    before = project.hashes(*STATE, ".kindred/store")
    for command in (["-n"], ["-n", "--cores", "2"], ["--summary"]):
        told = project.run("snakemake", *command).stderr
        assert "; in the store: a run takes it from there" in told
        assert project.hashes(*STATE, ".kindred/store") == before


def test_overlays_take_turns_and_each_is_computed_once(project, jobs):
    text = (project.root / "experiments/small.yaml").read_text()
    (project.root / "experiments/twin.yaml").write_text(text.replace("dpi: 60", "dpi: 61"))
    seen, times = {}, []
    for name in ("twin", "small", "twin", "small"):
        started = time.monotonic()
        done = project.snakemake("--config", f"experiment={name}", "--", "all")
        times.append(f"{name} {time.monotonic() - started:.1f} s")
        again = name in seen
        found = project.hashes(*STATE)
        assert seen.setdefault(name, found) == found
        assert jobs(done) == (
            {"tables": 1, "figures": 1, "report": 1} if name == "twin" and not again else {}
        )
    print(", ".join(times))
    assert seen["twin"] != seen["small"]


def test_what_lies_behind_a_job_comes_back_when_the_job_has_run(project, built, jobs):
    """The windows are gone from the store: two jobs compute them, the others find what they would compute."""
    for path in entries(project):
        if json.loads((path / "manifest.json").read_text())["kind"] == "windows":
            shutil.rmtree(path)
    done = project.snakemake()
    assert jobs(done) == FROM_WINDOWS
    output = done.stdout + done.stderr
    assert output.count("comes from the store: it was computed before") == N_FROM_WINDOWS - 2
    assert "results/tables comes from the store" in (project.root / "logs/tables.log").read_text()
    assert project.hashes(*STATE) == built.hashes(*STATE)
    assert project.plan() == {}


@pytest.mark.parametrize(
    "force", [["--forcerun", "case_study"], pytest.param(["--force", "results/tables"], marks=slow)]
)
def test_what_is_forced_is_computed(project, built, jobs, force):
    project.snakemake()
    done = project.snakemake(*force)
    assert sum(jobs(done).values()) >= 1
    assert "comes from the store" not in done.stdout + done.stderr
    assert project.hashes(*STATE) == built.hashes(*STATE)


def test_a_write_through_a_link_never_comes_back(project, built, jobs):
    """The superuser can write to what is read-only; the store then has the same damage, sees it and lets go."""
    for path in entries(project):
        if json.loads((path / "manifest.json").read_text())["kind"] == "windows":
            for file in path.glob("windows.json"):
                file.chmod(0o644)
                with file.open("rb+") as content:
                    content.write(b"[")
    done = project.snakemake()
    assert jobs(done) == FROM_WINDOWS
    assert project.hashes(*STATE) == built.hashes(*STATE)


def test_what_people_open_stays_theirs_to_edit(project):
    project.snakemake()
    for path in (project.root / "results").rglob("*"):
        if path.is_file():
            assert path.stat().st_nlink == 1, path
            assert path.stat().st_mode & 0o200, path


def test_a_limit_of_zero_uses_no_store_and_a_wrong_one_is_refused(project, jobs):
    done = project.snakemake("--resources", "store_mb=much", status=1)
    assert "Resource 'store_mb' was given value 'much', which is not an integer" in done.stderr
    before = entries(project)
    assert before
    assert "the store" not in project.run("snakemake", "-n", "--resources", "store_mb=0").stderr
    done = project.snakemake("--resources", "store_mb=0", "--", ONE)
    assert jobs(done) == {"windows": 1}
    assert entries(project) == before
    done = project.snakemake("--resources", "store_mb=1", "--", ONE)
    assert jobs(done) == {}
    assert "kindred: .kindred/store was over its limit; " in done.stderr
    assert 0 < len(entries(project)) < len(before)


def test_a_store_that_cannot_be_used_costs_time_alone(project, jobs):
    project.run("rm", "-rf", ".kindred/store")
    (project.root / ".kindred/store/settings.json").mkdir(parents=True)
    done = project.snakemake("--", ONE)
    assert jobs(done) == {"windows": 1}
    assert "kindred: .kindred/store is not used" in done.stderr


def test_a_forced_run_takes_nothing_from_the_store_when_it_starts(project, jobs):
    assert "the store" not in project.run("snakemake", "-n", "--forcerun", "windows").stderr
    done = project.snakemake("--forcerun", "windows", "--", ONE)
    assert "the store" not in done.stderr
    assert jobs(done) == {"windows": 1}


def test_sizes_shows_the_store_and_prune_frees_it(project):
    table = project.run("kindred", "sizes").stdout
    (row,) = [line for line in table.splitlines() if line.startswith("store ")]
    assert row.split()[1] == str(len(entries(project)))
    assert "the store may take 20 GB" in table
    assert f"{len(entries(project))} artefacts left" in project.run("kindred", "prune").stdout
    project.run("kindred", "prune", "--keep", "2MB")
    left = sum(
        path.stat().st_size
        for entry in entries(project)
        for path in entry.rglob("*")
        if path.name != "manifest.json"
    )
    assert 0 < left <= 2_000_000
    refusal = project.run("kindred", "prune", "--keep", "much", status=2).stderr
    assert (
        refusal
        == "kindred: --keep much: not a size; give a number with a unit, such as 5GB or 1.5GB or 300MB\n"
    )
    before = project.hashes(*STATE)
    project.run("kindred", "prune", "--all")
    assert entries(project) == []
    assert project.hashes(*STATE) == before


def test_in_a_repository_both_tools_find_nothing_to_do_and_git_is_clean(project, jobs):
    """By `git checkout` alone, without `dvc checkout`: the caches come from the store."""
    project.put_under_version_control()
    project.record()
    first = project.commit()
    before = project.hashes(*STATE)
    project.set("windows.length", 20)
    project.run("dvc", "repro")
    assert jobs(project.run("dvc", "repro")) == {}
    project.commit()
    project.run("git", "checkout", "--quiet", first)
    done = project.run("dvc", "repro")
    assert jobs(done) == {}
    assert RETURNED in done.stderr
    assert project.hashes(*STATE) == before
    assert project.run("git", "status", "--porcelain").stdout == ""
    assert "up to date" in project.run("dvc", "status").stdout
    assert project.plan() == {}


def test_tables_that_come_back_name_the_commit_of_now_and_the_environment_of_then(project):
    project.put_under_version_control()
    commit = project.commit()
    for path in entries(project):  # as if they had been computed elsewhere
        for sidecar in path.glob("*.provenance.json"):
            record = json.loads(sidecar.read_text())
            record["environment"]["processor"] = "another"
            sidecar.write_text(json.dumps(record, indent=1) + "\n")
    project.snakemake("results/tables")
    record = json.loads((project.root / "results/tables/pairs.provenance.json").read_text())
    assert record["commit"] == commit
    assert record["params"]["windows"]["length"] == 30
    assert record["environment"]["processor"] == "another"
    shown = project.run("kindred", "provenance", "results/tables/pairs.csv").stdout
    assert "ANOTHER here" not in shown
    assert "NOT the file" not in shown


@pytest.mark.parametrize("number", [0, 1, *(pytest.param(number, marks=slow) for number in range(2, 8))])
def test_killed_while_artefacts_come_back_the_next_run_finishes(project, built, jobs, number):
    started = time.monotonic()
    project.run("snakemake", "-n")
    length = time.monotonic() - started
    run = project.start("snakemake", "--cores", "2")
    time.sleep(length * random.Random(number).uniform(0.4, 1.2))
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    done = project.snakemake()
    assert jobs(done) == {}
    assert project.hashes(*STATE) == built.hashes(*STATE)
    assert project.partials() == []
    assert all(not path.name.startswith(".") for path in entries(project))
