"""Killed or interrupted at any moment: nothing half-written counts, what is finished is kept, the next run goes on."""

import os
import signal
import time

import pytest

RESULTS = ("results/tables", "results/figures", "results/report")
LIMIT_SECONDS = 300


def wait_for(project, *places):
    """Wait until all of these files of a run are there."""
    end = time.monotonic() + LIMIT_SECONDS
    while not all((project.root / place).exists() for place in places):
        assert time.monotonic() < end, (project.root / "output.txt").read_text()
        time.sleep(0.02)


def end_of(run):
    return run.wait(LIMIT_SECONDS)


def locks(project):
    return list((project.root / ".snakemake/locks").iterdir())


def test_the_run_after_a_kill_finishes_without_unlocking_by_hand(project, built):
    project.run("rm", "-rf", "results", "cache/case_study", "cache/scoring", "cache/windows/docs-0", "logs")
    run = project.start("snakemake", "--cores", "2", "--", *RESULTS)
    wait_for(project, "logs/scoring/docs-0.log")  # which waits for the windows
    windows = (project.root / "cache/windows/docs-0/manifest.json").stat().st_mtime_ns
    os.killpg(run.pid, signal.SIGKILL)
    assert end_of(run) == -signal.SIGKILL
    assert locks(project), "the kill left no lock, so this tests nothing"
    project.snakemake(*RESULTS)
    assert project.hashes("cache", "results") == built.hashes("cache", "results")
    assert (project.root / "cache/windows/docs-0/manifest.json").stat().st_mtime_ns == windows
    assert project.partials() == []


def test_locks_of_a_run_that_is_alive_are_respected_and_so_are_its_params(project):
    project.run("rm", "-rf", "cache/activations/001", "logs")
    run = project.start("snakemake", "--cores", "1", "--", "cache/activations/001/manifest.json")
    wait_for(project, "logs/activations/001.log")
    try:
        done = project.snakemake("cache/activations/001/manifest.json", status=1)
        assert "LockException" in done.stderr
        project.set("tables.digits", 3)
        done = project.run("snakemake", "-n", status=1)
        assert "another snakemake runs in this folder, with other params" in done.stderr
    finally:
        os.killpg(run.pid, signal.SIGTERM)
        end_of(run)


def test_an_interrupt_ends_clearly_and_keeps_the_finished_shards(project):
    project.run("rm", "-rf", "results", "cache/activations", "logs")
    run = project.start("snakemake", "--cores", "1", "--", *RESULTS)
    wait_for(project, "logs/activations/000.log", "logs/activations/001.log")  # one after the other
    os.killpg(run.pid, signal.SIGINT)
    assert end_of(run) != 0
    output = (project.root / "output.txt").read_text()
    assert "activations: interrupted; what is finished is kept, run again to go on" in output
    assert "Traceback" not in output
    assert project.partials() == []
    assert len(list(project.root.glob("cache/activations/*/manifest.json"))) == 1
    plan = project.plan()
    assert plan["activations"] == 1
    assert "tokens" not in plan


@pytest.mark.slow
def test_killed_at_five_moments_the_results_are_those_of_an_undisturbed_run(built, unbuilt):
    moments = ("tokens", "activations/001", "matching/seeds", "explanation/docs-1", "figures")
    for number, moment in enumerate(moments):
        run = unbuilt.start("snakemake", "--cores", "2", "--", *RESULTS)
        wait_for(unbuilt, f"logs/{moment}.log")
        # Now with all its jobs, now alone: they then go on beside those of the next run.
        (os.killpg if number % 2 == 0 else os.kill)(run.pid, signal.SIGKILL)
        assert end_of(run) == -signal.SIGKILL
    unbuilt.snakemake(*RESULTS)
    assert unbuilt.hashes("cache", "results") == built.hashes("cache", "results")
    assert unbuilt.partials() == []
