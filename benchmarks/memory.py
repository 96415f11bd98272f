"""Peak memory of every step as a function of the size of the corpus and of d_sae, measured and drawn.

Runs whole projects (synthetic_project.py) through the real workflow, one after the other, and samples each job
(watching.py). Not part of `make bench`: it takes a while. Run: python benchmarks/memory.py; writes memory.csv beside it
and docs/figures/memory.png.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import matplotlib as mpl
from synthetic_project import ROOT, Sizes, make_project
from watching import Peak, Watch

mpl.use("Agg")
import matplotlib.pyplot as plt

TABLE = Path(__file__).with_suffix(".csv")
FIGURE = ROOT / "docs" / "figures" / "memory.png"
N_TOKENS = (250_000, 1_000_000, 4_000_000)
D_SAE = (2048, 8192, 16384)
MEMORY_LOG = "memory: "


@dataclass(frozen=True)
class Measured:
    """The largest job of one step in one project.

    Attributes:
        n_tokens: Of the corpus.
        d_sae: Of the SAEs.
        step: Name of the step.
        anonymous_mib: Largest anonymous memory.
        mapped_mib: Largest resident part of mapped files.
        high_water_mib: Both together, by the kernel.
        estimate_mib: What the step said before it started.
        base_mib: The part of it that is the interpreter and its libraries.
        seconds: Wall time of the job.
    """

    n_tokens: int
    d_sae: int
    step: str
    anonymous_mib: float
    mapped_mib: float
    high_water_mib: float
    estimate_mib: float
    base_mib: float
    seconds: float


def measure(sizes: Sizes, folder: Path, cores: int) -> list[Measured]:
    """Build a project and return the largest job of each step."""
    project = make_project(folder, sizes)
    peaks = run_watched(project, ["snakemake", "--cores", str(cores), "--quiet=all"])
    rows = []
    for step in dict.fromkeys(peak.step for peak in peaks):
        largest = max((peak for peak in peaks if peak.step == step), key=lambda peak: peak.anonymous)
        estimate, base = estimate_of(project, largest)
        rows.append(
            Measured(
                sizes.n_tokens,
                sizes.d_sae,
                step,
                round(largest.anonymous, 1),
                round(largest.mapped, 1),
                round(largest.high_water, 1),
                estimate,
                base,
                round(largest.seconds, 1),
            )
        )
    return rows


def run_watched(project: Path, command: Sequence[str]) -> list[Peak]:
    """Run a command in a project and watch the steps below it."""
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    with (project / "run.log").open("w") as log:
        process = subprocess.Popen(
            command, cwd=project, env=environment, stdout=log, stderr=subprocess.STDOUT
        )
        watch = Watch(process.pid)
        watch.start()
        status = process.wait()
    peaks = watch.stop()
    if status != 0:
        raise RuntimeError(
            f"{' '.join(command)} in {project} ended with {status}:\n{(project / 'run.log').read_text()[-3000:]}"
        )
    return peaks


def estimate_of(project: Path, peak: Peak) -> tuple[float, float]:
    """What the job's own log says it expected: in all, and of that the interpreter and its libraries, MiB."""
    name = f"{peak.step}/{peak.identity}" if peak.identity else peak.step
    for line in (project / "logs" / f"{name}.log").read_text().splitlines():
        if MEMORY_LOG in line:
            said = json.loads(line.partition(MEMORY_LOG)[2])
            return float(said["total_mib"]), float(said["base_mib"])
    raise RuntimeError(f"the log of {name} does not say what memory was expected")


def draw(rows: Sequence[Measured], path: Path) -> None:
    """Draw one panel for each axis, one line for each step."""
    figure, axes = plt.subplots(1, 2, figsize=(11, 4.6), sharey=True, layout="constrained")
    least = min(row.n_tokens for row in rows), min(row.d_sae for row in rows)
    peaks = {row.step: row.anonymous_mib for row in rows}
    steps = sorted(peaks, key=lambda step: -peaks[step])  # the legend is in the order of the lines, about
    colours = plt.get_cmap("tab20").colors
    panels = (
        (axes[0], "n_tokens", "tokens of the corpus", [row for row in rows if row.d_sae == least[1]]),
        (axes[1], "d_sae", "features of each SAE (d_sae)", [row for row in rows if row.n_tokens == least[0]]),
    )
    for axis, attribute, label, shown in panels:
        for place, step in enumerate(steps):
            own = sorted((getattr(row, attribute), row.anonymous_mib) for row in shown if row.step == step)
            axis.plot(*zip(*own, strict=True), marker="o", color=colours[place], label=step)
        axis.set_xscale("log", base=2)
        values = sorted({getattr(row, attribute) for row in shown})
        axis.set_xticks(values, [f"{value:,}" for value in values])
        axis.minorticks_off()
        axis.set_xlabel(label)
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("peak anonymous memory of a job (MiB)")
    axes[0].set_ylim(bottom=0)
    axes[0].set_title(f"d_sae {least[1]:,}")
    axes[1].set_title(f"{least[0]:,} tokens")
    axes[1].legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def main() -> None:
    """Measure, print, write the table and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cores", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="folder for the projects, which are then kept")
    parser.add_argument("--tokens", type=int, nargs="+", default=N_TOKENS, help="sizes of the corpus")
    parser.add_argument("--d-sae", type=int, nargs="+", default=D_SAE, help="sizes of the SAEs")
    parser.add_argument("--table", type=Path, default=TABLE)
    parser.add_argument("--figure", type=Path, default=FIGURE)
    options = parser.parse_args()
    corners = [(n_tokens, options.d_sae[0]) for n_tokens in options.tokens]
    corners += [(options.tokens[0], d_sae) for d_sae in options.d_sae[1:]]
    rows: list[Measured] = []
    for n_tokens, d_sae in corners:
        with tempfile.TemporaryDirectory() as temporary:
            folder = (options.keep or Path(temporary)) / f"{n_tokens}-{d_sae}"
            rows += measure(Sizes(n_tokens, d_sae), folder, options.cores)
        for row in rows:
            if (row.n_tokens, row.d_sae) == (n_tokens, d_sae):
                expected = f"expected {row.estimate_mib:>6.0f}"
                ratio = (row.estimate_mib - row.base_mib) / max(row.anonymous_mib - row.base_mib, 1)
                print(
                    f"{n_tokens:>9,} tokens  d_sae {d_sae:>6,}  {row.step:<12} {row.anonymous_mib:>7.0f} MiB, files "
                    f"{row.mapped_mib:>6.0f}; {expected} (over the base {ratio:.2f} x)  {row.seconds:>5.0f} s",
                    flush=True,
                )
    with options.table.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(asdict(rows[0])), lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)
    draw(rows, options.figure)


if __name__ == "__main__":
    main()
