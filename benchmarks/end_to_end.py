"""The whole pipeline on a large corpus and wide SAEs under a hard limit of memory: wall time and peak of each step.

The text is synthetic (synthetic_project.py). The limit holds for all processes of the run together, page cache
included: a control group of the kernel (v1 or v2), which needs a hierarchy that may be written to; where there is none
the memory is sampled only, and the output says so. Run: python benchmarks/end_to_end.py (10 M tokens, two SAEs of 16k
latents, 2 cores, 4 GiB); --tokens 200000 to see that it works.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from synthetic_project import Sizes, make_project
from watching import Peak, Watch

GIB = 1 << 30
MIB = 1 << 20
_V1 = Path("/sys/fs/cgroup/memory")
_V2 = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Group:
    """A control group with a limit of memory, of either version of the kernel's interface."""

    folder: Path
    version: int

    @classmethod
    def make(cls, limit: int) -> "Group | None":
        """Make one, or return None where that is not possible."""
        for version, parent in ((1, _V1), (2, _V2)):
            group = cls(parent / f"kindred-{os.getpid()}", version)
            try:
                group.folder.mkdir()
                group.write("memory.limit_in_bytes" if version == 1 else "memory.max", limit)
            except OSError:
                group.remove()
                continue
            return group
        return None

    def write(self, file: str, value: int) -> None:
        """Set a value."""
        (self.folder / file).write_text(f"{value}\n")

    def peak(self) -> int:
        """Largest memory charged to the group, page cache included, bytes."""
        return int(
            (self.folder / ("memory.max_usage_in_bytes" if self.version == 1 else "memory.peak")).read_text()
        )

    def events(self) -> dict[str, int]:
        """How often the limit was met (the kernel then drops page cache), and how many were killed for it."""
        if self.version == 2:
            found = _table(self.folder / "memory.events")
            return {"limit met": found["max"], "killed": found["oom_kill"]}
        met = int((self.folder / "memory.failcnt").read_text())
        return {"limit met": met, "killed": _table(self.folder / "memory.oom_control").get("oom_kill", 0)}

    def remove(self) -> None:
        """Remove the group, which must be empty of processes."""
        if self.folder.is_dir():
            self.folder.rmdir()


def _table(path: Path) -> dict[str, int]:
    return {key: int(value) for key, value in (line.split() for line in path.read_text().splitlines())}


def run(project: Path, command: Sequence[str], group: Group | None) -> tuple[list[Peak], Watch, float]:
    """Run a command inside the group; return the peaks of its steps, the watch and the wall time."""
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}

    def join() -> None:
        if group is not None:
            group.write("cgroup.procs", os.getpid())

    began = time.monotonic()
    with (project / "run.log").open("w") as log:
        process = subprocess.Popen(
            command,
            cwd=project,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            preexec_fn=join,  # noqa: PLW1509  (one thread as yet)
        )
        watch = Watch(process.pid)
        watch.start()
        status = process.wait()
    seconds = time.monotonic() - began
    peaks = watch.stop()
    if status != 0:
        tail = (project / "run.log").read_text()[-3000:]
        raise RuntimeError(f"{' '.join(command)} ended with {status}:\n{tail}")
    return peaks, watch, seconds


def stated(job_mb: int, all_mb: int) -> list[str]:
    """Arguments that tell Snakemake what each job may use, and all together."""
    steps = ["activations", "features", "matching", "windows", "explanation", "scoring"]
    return [
        "--resources",
        f"mem_mb={all_mb}",
        "--set-resources",
        *(f"{step}:mem_mb={job_mb}" for step in steps),
    ]


def results(
    sizes: Sizes, peaks: Sequence[Peak], watch: Watch, seconds: float, group: Group | None
) -> dict[str, Any]:
    """What `report` prints, for benchmarks/end_to_end.json, from which docs/scaling.md is worked out."""
    steps = {}
    for step in dict.fromkeys(peak.step for peak in peaks):
        own = [peak for peak in peaks if peak.step == step]
        steps[step] = {
            "jobs": len(own),
            "seconds": round(sum(peak.seconds for peak in own), 1),
            "anonymous_mib": round(max(peak.anonymous for peak in own)),
        }
    whole = {"minutes": round(seconds / 60, 1), "anonymous_mib": round(watch.together)}
    if group is not None:
        whole |= {"charged_mib": group.peak() // MIB, **group.events()}
    return {"sizes": asdict(sizes), "steps": steps, "whole": whole}


def report(peaks: Sequence[Peak], watch: Watch, seconds: float, group: Group | None) -> None:
    """Print a table of the steps and the peaks of the whole."""
    print(
        "| step | jobs | seconds, all jobs | largest job: anonymous MiB | of files, MiB |\n|---|---|---|---|---|"
    )
    for step in dict.fromkeys(peak.step for peak in peaks):
        own = [peak for peak in peaks if peak.step == step]
        anonymous, mapped = max(p.anonymous for p in own), max(p.mapped for p in own)
        print(f"| {step} | {len(own)} | {sum(p.seconds for p in own):.0f} | {anonymous:.0f} | {mapped:.0f} |")
    print(
        f"\nwall time {seconds / 60:.1f} min; anonymous memory of all processes at most {watch.together:.0f} MiB "
        "(sampled)"
    )
    if group is None:
        print("no control group could be made here: nothing was limited, the memory was sampled only")
        return
    events = group.events()
    print(
        f"control group (v{group.version}): at most {group.peak() / MIB:.0f} MiB with page cache; limit met "
        f"{events['limit met']} times (the kernel then drops page cache), killed {events['killed']}"
    )


def main() -> None:
    """Build the project, run it under the limit, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=10_000_000)
    parser.add_argument("--d-sae", type=int, default=16_384)
    parser.add_argument("--gib", type=float, default=4.0, help="limit for all processes together")
    parser.add_argument(
        "--folder", type=Path, help="where the project is built, and kept (needs 12 GB for 10 M tokens)"
    )
    parser.add_argument("--out", type=Path, help="file of results, besides what is printed (JSON)")
    options = parser.parse_args()
    sizes = Sizes(
        options.tokens,
        options.d_sae,
        n_shards=max(2, options.tokens // 1_250_000),
        n_pairs=5,
        n_scales=32,
        n_tested=100,
    )
    limit = int(options.gib * GIB)
    with tempfile.TemporaryDirectory() as temporary:
        project = make_project((options.folder or Path(temporary)) / "project", sizes)
        print(
            f"{sizes.n_tokens:,} synthetic tokens, two TopK SAEs of {sizes.d_sae:,} latents (k {sizes.k}), a model of "
            f"{sizes.n_layers} layers and width {sizes.d_model} with random weights, {sizes.n_shards} shards, 2 cores, "
            f"limit {options.gib:g} GiB\n",
            flush=True,
        )
        all_mb = limit // 1_000_000 - 200  # Snakemake's own process
        command = ["snakemake", "--cores", "2", "--quiet=all", *stated(all_mb // 2, all_mb)]
        group = Group.make(limit)
        try:
            measured = run(project, command, group)
            report(*measured, group)
            if options.out is not None:
                found = results(sizes, *measured, group)
                options.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        finally:
            if group is not None:
                group.remove()


if __name__ == "__main__":
    main()
