"""The default experiment from nothing to its report, against the sum of what its steps cannot do without.

A copy of the project without any artefact is run by `snakemake --cores`, as a user does; the compiled parts of the
sources are copied, so that the environment is warm. Then as many processes as there are cores share the limits of
`step_limits.py`. The second row's limit adds what any pipeline of processes pays: for each job, one start of Python
that imports torch.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from measure import Row, Settings

from kindred.params import Params
from kindred.pipeline import STEPS
from kindred.workflow import SNAPSHOT

REPOSITORY = Path(__file__).resolve().parents[1]
PROJECT = (
    "Snakefile",
    "rules",
    "src",
    "models",
    "params.yaml",
    "experiments",
    "requirements.lock",
    "pyproject.toml",
)
LIMITS = Path(__file__).with_name("step_limits.py")
SAMPLED = 8  # of the batches of long steps, one in so many is timed
LEAST = 1 / 1.5
SMALL: Mapping[str, Any] = {
    "corpus": {"packages": ["threadpoolctl", "networkx"]},
    "tokens": {"n_tokens": 30_000},
    "pairs": {"seeds": ["docs-0", "docs-1"]},
    "activations": {"n_shards": 1},
    "matching": {"n_best": 1, "n_worst": 1, "n_control": 1, "min_contexts": 5},
    "explanation": {"n_scales": 4, "max_new_tokens": 4},
    "scoring": {"n_activating": 10, "n_negative": 10},
}


def rows(settings: Settings) -> Iterator[Row]:
    """Run it once, and yield the rows."""
    with TemporaryDirectory() as name:
        project = Path(name, "project")
        _copy(project, small=settings.small)
        environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
        command = ["snakemake", "--cores", str(settings.threads), "--quiet", "all", "--", "all"]
        started = time.perf_counter()
        _finish([subprocess.Popen(command, cwd=project, env=environment, text=True, stderr=subprocess.PIPE)])
        seconds = time.perf_counter() - started
        params = Params.model_validate_json((project / SNAPSHOT).read_bytes())
        limits = _limits(project, settings)
    n_jobs = sum(len(step.identities(params)) for step in STEPS.values())
    starts = n_jobs * _start_seconds(settings.threads) / settings.threads
    case = f"{n_jobs} jobs on {settings.threads} cores"
    parts = ", ".join(f"{step} {of_step:.3g}" for step, of_step in limits.items())
    limit, target = sum(limits.values()), None if settings.small else LEAST
    yield Row(
        "whole default run", case, "limit", "sum of the steps' limits", seconds, limit, 1, target, parts
    )
    note = f"{starts:.3g} s of starts"
    reference = "and a start of Python with torch per job"
    yield Row("whole default run", case, "limit", reference, seconds, limit + starts, 1, target, note)


def _copy(project: Path, *, small: bool) -> None:
    """Copy the project as it is, times of the sources included: what numba has compiled stays valid."""
    project.mkdir()
    for name in PROJECT:
        copy = shutil.copytree if (REPOSITORY / name).is_dir() else shutil.copy2
        copy(REPOSITORY / name, project / name)
    if small:
        params = yaml.safe_load((project / "params.yaml").read_text())
        for section, values in SMALL.items():
            params[section] = values if section == "pairs" else params[section] | values
        (project / "params.yaml").write_text(yaml.safe_dump(params))


def _limits(project: Path, settings: Settings) -> dict[str, float]:
    """Seconds of each step: those of the slowest of the processes that share it."""
    every = 1 if settings.small else SAMPLED
    numbers = [str(settings.threads), str(every)]
    commands = [
        [sys.executable, str(LIMITS), str(project), str(n), *numbers] for n in range(settings.threads)
    ]
    answers = _finish(
        [
            subprocess.Popen(command, cwd=project, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            for command in commands
        ]
    )
    shares = [json.loads(answer) for answer in answers]
    return {step: max(share[step] for share in shares) for step in shares[0]}


def _start_seconds(n_at_once: int) -> float:
    """Seconds of a start of Python that imports torch, with others beside it."""
    started = time.perf_counter()
    for _ in range(3):
        _finish(
            [subprocess.Popen([sys.executable, "-c", "import torch"], text=True) for _ in range(n_at_once)]
        )
    return (time.perf_counter() - started) / 3


def _finish(processes: list[subprocess.Popen[str]]) -> list[str]:
    """Wait for all, and return what each printed; the first that failed ends this one with its last words."""
    printed = [process.communicate() for process in processes]
    for process, (_, errors) in zip(processes, printed, strict=True):
        if process.returncode:
            raise RuntimeError(f"{process.args!r} failed: {(errors or '')[-2000:]}")
    return [output or "" for output, _ in printed]
