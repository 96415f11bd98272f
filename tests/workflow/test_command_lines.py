"""What Snakemake is asked to do, and where: what nobody reads, and what cannot be written, is refused in one line."""

import os
import subprocess
import sys

import pytest

NO_OPTIONS = ("--cores", "1", "-n")


def last_line(done):
    return done.stderr.strip().splitlines()[-1]


def test_a_config_key_that_nothing_reads_is_refused(project):
    for entry, hint in (
        ("seed=5", "--config seed: unknown key (allowed: experiment"),
        ("experiement=small", "--config experiement: unknown key; did you mean experiment?"),
        ("experiment=", "--config experiment: no value"),
    ):
        done = project.run("snakemake", *NO_OPTIONS, "--config", entry, status=1)
        assert last_line(done).startswith(hint)
        assert "Traceback" not in done.stderr
    done = project.run("snakemake", *NO_OPTIONS, "--configfile", "params.yaml", status=1)
    assert "--config seed: unknown key" in done.stderr
    assert project.plan("--config", "experiment=small") == {}


def test_the_kubernetes_workflow_refuses_what_it_does_not_read(project, jobs):
    workflow = ("snakemake", "--snakefile", "profiles/kubernetes/Snakefile", *NO_OPTIONS, "--config")
    done = project.run(*workflow, "experiment=small", status=1)
    assert last_line(done).startswith("--config experiment: unknown key; did you mean experiments?")
    done = project.run(*workflow, "experiments=small,defualt", status=1)
    assert last_line(done).startswith(
        "--config experiments=defualt: unknown experiment; did you mean default?"
    )
    assert jobs(project.run(*workflow, "experiments=small,default")) == {"experiment": 2}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a folder read-only")
def test_a_read_only_checkout_is_one_line_and_what_only_reads_works(project, tmp_path):
    place = tmp_path / "read-only"
    place.mkdir()
    project.run("rm", "-rf", ".kindred", ".snakemake")
    mounted = subprocess.run(["mount", "--bind", project.root, place], check=False, capture_output=True)
    if mounted.returncode:
        pytest.skip(f"mount is not allowed here: {mounted.stderr!r}")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", place], check=True)
        there = type(project)(place)
        done = there.run("snakemake", *NO_OPTIONS, status=1)
        assert last_line(done).startswith(".kindred: Read-only file system: ")
        assert "Traceback" not in done.stderr
        assert "total cache" in there.run(sys.executable, "-m", "kindred", "sizes").stdout
        table = "results/tables/pairs.csv"
        assert "as recorded" in there.run(sys.executable, "-m", "kindred", "provenance", table).stdout
    finally:
        subprocess.run(["umount", place], check=True)
