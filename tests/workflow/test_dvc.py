"""DVC and Snakemake agree on what is done, in either order, and across a clone."""

import time

import pytest
import yaml

FROM_WINDOWS = {"windows": 2, "scoring": 2, "case_study": 1, "tables": 1, "figures": 1, "report": 1}


def test_dvc_finds_nothing_to_do_after_snakemake(repository, built, jobs):
    assert jobs(repository.run("dvc", "repro")) == {}
    assert "up to date" in repository.run("dvc", "status").stdout
    assert repository.plan() == {}
    assert repository.hashes("cache", "results") == built.hashes("cache", "results")


@pytest.mark.slow
def test_dvc_reruns_only_what_depends_on_a_change_and_a_clone_needs_nothing(repository, jobs, tmp_path):
    repository.run("dvc", "repro")
    repository.set("windows.length", 20)
    assert jobs(repository.run("dvc", "repro")) == FROM_WINDOWS
    assert repository.plan() == {}
    repository.set("windows.length", 30)
    assert jobs(repository.snakemake()) == {}  # they come from the store
    assert jobs(repository.run("dvc", "repro")) == {}

    repository.run("dvc", "remote", "add", "--default", "store", str(tmp_path / "store"))
    repository.run("dvc", "push", "--quiet")
    repository.commit()
    repository.run("git", "clone", "--quiet", str(repository.root), str(tmp_path / "clone"))
    clone = type(repository)(tmp_path / "clone")
    clone.run("dvc", "pull", "--quiet")
    assert "up to date" in clone.run("dvc", "status").stdout
    assert clone.plan() == {}
    assert clone.hashes("cache", "results") == repository.hashes("cache", "results")


def started(project, log, *command):
    """Start a run, and wait until the job that writes a log has begun."""
    project.run("rm", "-f", log)
    run = project.start(*command)
    end = time.monotonic() + 300
    while not (project.root / log).exists():
        assert run.poll() is None, (project.root / "output.txt").read_text()
        assert time.monotonic() < end
        time.sleep(0.05)
    return run


def test_params_that_are_edited_while_dvc_runs_are_not_recorded_with_the_results_of_before(repository, jobs):
    repository.run("dvc", "repro")
    lock = repository.root / "dvc.lock"
    before = lock.read_bytes()
    repository.set("windows.length", 20)
    run = started(repository, "logs/windows/docs-0.log", "dvc", "repro")
    repository.set("windows.length", 25)
    assert run.wait(300) != 0
    assert "edited while this ran: params.yaml. " in (repository.root / "output.txt").read_text()
    assert lock.read_bytes() == before
    assert "params.yaml" in repository.run("dvc", "status").stdout

    assert jobs(repository.run("dvc", "repro")) == FROM_WINDOWS
    (stage,) = yaml.safe_load(lock.read_text())["stages"].values()
    assert stage["params"]["params.yaml"]["windows"]["length"] == 25
    manifest = repository.root / "cache/windows/docs-0/manifest.json"
    assert yaml.safe_load(manifest.read_text())["params"]["windows"]["length"] == 25
    assert "up to date" in repository.run("dvc", "status").stdout
    assert repository.plan() == {}


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    ["experiments/small.yaml", "models/README.md", "rules/matching.smk", "src/kindred/errors.py", "requirements.lock"],
)  # fmt: skip
def test_every_other_dependency_that_is_edited_while_dvc_runs_fails_the_stage(repository, name):
    repository.run("dvc", "repro")
    before = (repository.root / "dvc.lock").read_bytes()
    repository.set("tables.digits", 5)
    run = started(repository, "logs/tables.log", "dvc", "repro")
    with (repository.root / name).open("a") as file:
        file.write("# a comment\n")
    assert run.wait(300) != 0
    assert f"edited while this ran: {name}. " in (repository.root / "output.txt").read_text()
    assert (repository.root / "dvc.lock").read_bytes() == before


def test_snakemake_says_at_its_end_that_params_were_edited(project):
    project.set("tables.digits", 5)
    run = started(project, "logs/tables.log", "snakemake", "--cores", "1", "--", "results/tables")
    project.set("tables.digits", 6)
    assert run.wait(300) == 0
    assert (
        "was edited while this ran: the results are those of the earlier values"
        in (project.root / "output.txt").read_text()
    )
    assert project.plan("results/tables") == {"tables": 1}
