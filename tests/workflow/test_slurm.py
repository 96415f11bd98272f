"""On a real Slurm of one node: the bytes of a local run, whatever is requeued, cancelled or killed meanwhile.

The node is started by slurm_node.sh, as root and with Debian's packages slurmctld, slurmd and munge; where it does not
start within two minutes, these tests skip and say why. The executor plugin comes from requirements-cluster.lock.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

NODE = Path(__file__).with_name("slurm_node.sh")
PLUGINS = Path(sys.prefix, "cluster")
DAEMONS = ("munged", "slurmctld", "slurmd")
LIMIT_SECONDS = 300
ARTEFACT = "cache/features/docs-1"
OUTPUT = f"{ARTEFACT}/manifest.json"

pytestmark = pytest.mark.slurm


@pytest.fixture(scope="module")
def node():
    """A Slurm of one node, idle."""
    if os.geteuid() != 0:
        pytest.skip("starting Slurm needs root")
    if missing := [name for name in DAEMONS if not shutil.which(name)]:
        pytest.skip(f"Slurm is not installed: there is no {', '.join(missing)}")
    if not (PLUGINS / "snakemake_executor_plugin_slurm").exists():
        pytest.skip(f"no executor plugin for Slurm in {PLUGINS}: make {PLUGINS}/.complete")
    # Not in pytest's folders, which munge's own user must not enter.
    with tempfile.TemporaryDirectory(prefix="kindred-slurm-", ignore_cleanup_errors=True) as folder:
        try:
            started = subprocess.run(
                [NODE, "start", folder], stderr=subprocess.PIPE, text=True, check=False, timeout=180
            )
            if started.returncode:
                pytest.skip(f"Slurm did not start: {started.stderr.strip()}")
            yield
        finally:
            subprocess.run([NODE, "stop", folder], check=True)


def on_slurm(project, *targets):
    """The command of a user, asking for the state of jobs as often as Slurm of one node bears."""
    return (
        "env",
        f"PYTHONPATH={project.root / 'src'}{os.pathsep}{PLUGINS}",
        *("snakemake", "--profile", "profiles/slurm"),
        *("--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "1"),
        *("--", *targets),
    )


def queue():
    """The numbers of all jobs that have not ended."""
    return subprocess.run(
        ["squeue", "--noheader", "--format=%i"], capture_output=True, text=True, check=True
    ).stdout.split()


def step_process(project):
    """The process that computes the artefact."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            found = command.startswith("python -m kindred.steps ") and f" --out {ARTEFACT} " in command
            if found and (process / "cwd").samefile(project.root):
                return int(process.name)
        except (FileNotFoundError, ProcessLookupError):  # it ended meanwhile
            continue
    return None


def wait_for(condition, project):
    end = time.monotonic() + LIMIT_SECONDS
    while not (found := condition()):
        assert time.monotonic() < end, (project.root / "output.txt").read_text()
        time.sleep(0.05)
    return found


@contextmanager
def running(project):
    """A run that makes the artefact, from the moment at which its job computes; ended at the latest afterwards."""
    run = project.start(*on_slurm(project, OUTPUT))
    try:
        wait_for(lambda: step_process(project), project)
        yield run
    finally:
        run.kill()
        run.wait()


def end_of(run, project):
    return run.wait(LIMIT_SECONDS), (project.root / "output.txt").read_text()


def requeue(project):
    """Let Slurm begin the running job anew, as after a preemption or the loss of its node."""
    before = step_process(project)
    subprocess.run(["scontrol", "requeue", *queue()], check=True)
    wait_for(lambda: step_process(project) not in (before, None), project)


def test_every_job_is_one_of_slurm_and_the_bytes_are_those_of_a_local_run(unbuilt, built, jobs, node):
    done = unbuilt.run(*on_slurm(unbuilt, "results/tables"))
    submitted = re.findall(r"has been submitted with SLURM jobid \d+", done.stdout + done.stderr)
    assert len(submitted) == sum(jobs(done).values()) == 15
    made = unbuilt.hashes("cache", "results")
    assert made == built.hashes("cache", "results/tables")
    assert unbuilt.plan("results/tables") == {}
    assert unbuilt.hashes("cache", "results") == made


def test_a_job_that_slurm_requeues_is_waited_for(project, built, node):
    project.run("rm", "-rf", ARTEFACT)
    with running(project) as run:
        requeue(project)
        assert end_of(run, project)[0] == 0
    assert project.hashes(ARTEFACT) == built.hashes(ARTEFACT)
    assert project.partials() == []


def test_after_a_cancelled_job_a_killed_one_and_a_killed_run_the_next_run_finishes(project, built, node):
    project.run("rm", "-rf", ARTEFACT)
    with running(project) as run:
        os.kill(step_process(project), signal.SIGKILL)
        status, text = end_of(run, project)
    assert status == 1
    assert "SLURM status is: 'FAILED'" in text
    with running(project) as run:
        subprocess.run(["scancel", *queue()], check=True)
        status, text = end_of(run, project)
    assert status == 1
    assert "SLURM status is: 'CANCELLED'" in text
    assert not (project.root / OUTPUT).exists()
    with running(project) as run:
        run.kill()  # its job lives on, beside that of the next run
    project.run(*on_slurm(project, OUTPUT))
    wait_for(lambda: not queue(), project)
    assert project.hashes("cache") == built.hashes("cache")
    assert project.partials() == []
