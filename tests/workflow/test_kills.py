"""Kills at seeded moments spread over a whole run: the next run of either tool finishes, with the same bytes.

The moments are spread evenly over the length of an undisturbed `dvc repro` from nothing, one in each of as many equal
parts: its start, every job of Snakemake within it, and the hashing of the outputs at its end. To make each trial short,
a trial does not begin from nothing: it begins from what an undisturbed run has finished when the jobs of that moment
begin. So all that was made by then is left in place (and must be kept), all else is deleted, the tool is started, and
the kill comes as long after its first job began as it would have in the undisturbed run. What is killed goes by turns:

- `group`: snakemake and all of its jobs;
- `snakemake`: snakemake alone, whose jobs live on as orphans beside the next run;
- `job`: one running job, chosen by the seed (snakemake then ends by itself);
- `dvc`: dvc repro, snakemake and all of its jobs.

After it both tools are run, in turns one or the other first. One line for each kill is printed (`pytest -s`) and added
to the file that KINDRED_KILLS_LOG names; KINDRED_KILLS is their number (30), KINDRED_KILLS_ONLY=3,7 picks some of them.
"""

import json
import os
import random
import re
import signal
import time
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest

RESULTS = ("results/tables", "results/figures", "results/report")
LIMIT_SECONDS = 300
WAYS = ("job", "dvc", "group", "snakemake")  # so that the last moment, among DVC's own work, is one of `dvc`
LOG_TIME = re.compile(r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}) DEBUG ", re.MULTILINE)
JOB = re.compile(r"kindred\.steps[. ]\w+ .*?--out (\S+)")
HEADER = (
    "number",
    "moment",
    "killed",
    "running then",
    "finished then",
    "next",
    "jobs",
    "seconds",
    "then",
    "equal",
)

slow = pytest.mark.slow


@dataclass(frozen=True)
class Run:
    """An undisturbed run: when each artefact's job began and ended, in seconds from its start, and its length."""

    jobs: dict[str, tuple[float, float]]
    seconds: float

    def begun(self, moment):
        """When the jobs of a moment began: those that run, or the last before it; zero if there are none yet."""
        running = [start for start, end in self.jobs.values() if start <= moment < end]
        return (
            min(running) if running else max((s for s, _ in self.jobs.values() if s <= moment), default=0.0)
        )

    def finished(self, moment):
        return {folder for folder, (_, end) in self.jobs.items() if end <= moment}


@dataclass(frozen=True)
class Trial:
    number: int
    moment: float
    way: str


def undisturbed(project):
    """Run `dvc repro` from nothing and read the times of its jobs from their logs."""
    project.run("rm", "-rf", "cache", *RESULTS, "logs", "dvc.lock")
    project.empty_store()
    started = time.time()
    project.run("dvc", "repro")
    seconds = time.time() - started
    jobs = {}
    for log in (project.root / "logs").rglob("*.log"):
        text = log.read_text()
        times = [datetime.strptime(t, "%Y-%m-%d %H:%M:%S,%f").timestamp() for t in LOG_TIME.findall(text)]
        jobs[JOB.search(text)[1]] = (times[0] - started, times[-1] - started)
    return Run(jobs, seconds)


def trials(run, number):
    """One trial in each of `number` equal parts of a run."""
    generator = random.Random(0)
    for trial in range(number):
        moment = run.seconds * (trial + generator.random()) / number
        yield Trial(trial + 1, moment, WAYS[(trial - number) % len(WAYS) - 2])


def processes(session):
    """The command line of every living process of a session, by process number."""
    found = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
            command = (status.parent / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except (FileNotFoundError, ProcessLookupError):  # it ended meanwhile
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            found[int(status.parent.name)] = command
    return found


def jobs_in(session):
    """The process of each running job, by its artefact's folder."""
    return {
        match[1]: process
        for process, command in sorted(processes(session).items())
        if command.startswith("python ") and (match := JOB.search(command))
    }


def manifests(project):
    """What tells the manifest of each finished artefact from one that is written later."""
    found = {}
    for folder in ("cache", "results"):
        for path in (project.root / folder).rglob("manifest.json"):
            if not any(part.startswith(".") for part in path.relative_to(project.root).parts):
                stat = path.stat()
                place = path.parent.relative_to(project.root).as_posix()
                found[place] = (stat.st_ino, stat.st_mtime_ns)
    return found


def left_overs(project):
    return [path for top in ("cache", "results") for path in (project.root / top).rglob(".*.partial-*")] + [
        path for top in ("cache", "results") for path in (project.root / top).rglob(".*.replaced-*")
    ]


def delete_all_but(project, folders):
    """Leave these artefacts alone, and their logs; nothing else may come back from the store."""
    for path in manifests(project).keys() - folders:
        project.run("rm", "-rf", path, f"logs/{Path(path).relative_to(Path(path).parts[0])}.log")
    project.empty_store()


def wait_until(condition, run):
    end = time.monotonic() + LIMIT_SECONDS
    while not condition():
        assert time.monotonic() < end, "nothing came of it"
        if run.poll() is not None:
            return
        time.sleep(0.01)


def start_and_wait(project, run, trial):
    """Start the tool of a trial from what was finished before its moment, and wait for the moment to kill."""
    begun = run.begun(trial.moment)
    delete_all_but(project, run.finished(begun))
    command = ("dvc", "repro") if trial.way == "dvc" else ("snakemake", "--cores", "2", "--", "all")
    process = project.start(*command)
    if begun:
        wait_until(lambda: jobs_in(process.pid), process)
    elif trial.way == "job":
        trial = Trial(trial.number, 0.0, trial.way)
    time.sleep(max(trial.moment - begun, 0))
    if trial.way == "job":
        wait_until(lambda: jobs_in(process.pid), process)
    return process


def kill(process, trial):
    """Kill what the trial says; the folders of the jobs that ran then, and which of them was killed alone."""
    running = jobs_in(process.pid)
    if process.poll() is not None:
        return running, "nothing, it had ended"
    if trial.way == "job":
        if not running:
            return running, "nothing, no job ran any more"
        folder = random.Random(trial.number).choice(sorted(running))
        os.kill(running[folder], signal.SIGKILL)
        return running, folder
    (os.kill if trial.way == "snakemake" else os.killpg)(process.pid, signal.SIGKILL)
    return running, trial.way


def wait_for_orphans(session):
    """Orphans end by themselves; afterwards nothing of a killed run may be left."""
    end = time.monotonic() + LIMIT_SECONDS
    while processes(session):
        assert time.monotonic() < end, processes(session)
        time.sleep(0.05)


def next_runs(project, trial, jobs):
    """Run both tools, one or the other first: what the first one had to do, and how long each took."""
    tools = [("snakemake", "--cores", "2", "--", "all"), ("dvc", "repro")]
    first, second = tools if trial.number % 2 else reversed(tools)
    start = time.monotonic()
    done = jobs_run(project.run(*first), jobs)
    middle = time.monotonic()
    after = jobs_run(project.run(*second), jobs)
    return first[0], done, middle - start, after, time.monotonic() - middle


def jobs_run(done, jobs):
    """How many jobs of each rule; none as well if DVC saw no need to ask Snakemake."""
    return {} if "Data and pipelines are up to date" in done.stdout else jobs(done)


def one_kill(project, run, trial, reference, jobs):
    """Do one trial; the line about it, and whether all is as it must be."""
    process = start_and_wait(project, run, trial)
    finished = manifests(project)
    running, killed = kill(process, trial)
    process.wait(LIMIT_SECONDS)
    if trial.way != "snakemake":
        wait_for_orphans(process.pid)
    first, done, seconds, after, more = next_runs(project, trial, jobs)
    wait_for_orphans(process.pid)
    now, hashes = manifests(project), project.hashes("cache", "results")
    faults = {
        "not kept": sorted(folder for folder in finished if now.get(folder) != finished[folder]),
        "left over": [str(path) for path in left_overs(project)],
        "differs": sorted(name for name, _ in reference.items() ^ hashes.items()),
        "second tool": after,
    }
    faults = {name: fault for name, fault in faults.items() if fault}
    line = (
        trial.number,
        f"{trial.moment:.1f} s",
        killed,
        " ".join(sorted(running)) or "-",
        len(finished),
        first,
        sum(done.values()),
        f"{seconds:.0f}",
        f"{more:.0f}",
        "no: " + json.dumps(faults) if faults else "yes",
    )
    return line, not faults


def say(*lines):
    text = "".join("| " + " | ".join(str(cell) for cell in line) + " |\n" for line in lines)
    print(text, end="", flush=True)
    if "KINDRED_KILLS_LOG" in os.environ:
        with Path(os.environ["KINDRED_KILLS_LOG"]).open("a") as file:
            file.write(text)


def summary(chosen, lines, run, good):
    killed = Counter(trial.way for trial in chosen)
    ways = ", ".join(f"{number} {way}" for way, number in sorted(killed.items()))
    met = {folder.split("/")[1] for line in lines for folder in line[3].split() if folder != "-"}
    redone = sum(line[6] for line in lines) / len(lines)
    return (
        f"{len(lines)} kills over an undisturbed run of {run.seconds:.0f} s ({ways}); jobs of {len(met)} steps were "
        f"running ({', '.join(sorted(met))}); {redone:.1f} jobs for the next run on average; {sum(good)} as undisturbed"
    )


@slow
def test_after_a_kill_at_any_moment_the_next_runs_finish_with_the_bytes_of_an_undisturbed_one(
    repository, jobs
):
    repository.record()
    reference = repository.hashes("cache", "results")
    run = undisturbed(repository)
    assert repository.hashes("cache", "results") == reference
    chosen = list(trials(run, int(os.environ.get("KINDRED_KILLS", "30"))))
    if only := os.environ.get("KINDRED_KILLS_ONLY"):
        chosen = [trial for trial in chosen if str(trial.number) in only.split(",")]
    say(HEADER, ["---"] * len(HEADER))
    lines, good = [], []
    for trial in chosen:
        line, fine = one_kill(repository, run, trial, reference, jobs)
        say(line)
        lines.append(line)
        good.append(fine)
    say([summary(chosen, lines, run, good)])
    assert all(good)
