"""Every benchmark as one table of ratios, and as benchmarks/results.json: `python benchmarks/run.py`.

`--only activations,matching` runs some and writes nothing; with `--out` their rows take the place of those in that
file. `--device cuda` runs on a GPU, into results_cuda.json.
"""

import argparse
import importlib
import json
import platform
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from measure import Row, Settings

MODULES = ("activations", "gather", "matching", "windows", "explanation", "scoring", "arithmetic", "whole")
ON_GPU = ("activations", "matching", "explanation", "scoring")
COLUMNS = ("step", "case", "against", "reference", "ours s", "its s", "speed", "target", "met", "n")
FOLDER = Path(__file__).parent


def main() -> None:
    """Run the benchmarks, print and keep each row as it is done; status 1 if one of them failed."""
    arguments = _arguments()
    if arguments.device != "cpu" and not torch.cuda.is_available():
        sys.exit(
            f"--device {arguments.device}: torch {torch.__version__} finds no GPU here; nothing was measured"
        )
    torch.set_num_threads(arguments.threads)
    settings = Settings(
        device=arguments.device, threads=arguments.threads, rounds=arguments.rounds, small=arguments.small
    )
    setting = {"device": _device(arguments.device), "threads": arguments.threads, "torch": torch.__version__}
    document: dict[str, Any] = setting | {"minutes": {}, "failed": [], "rows": {}}
    if arguments.only and arguments.out and arguments.out.exists():
        earlier = json.loads(arguments.out.read_text(encoding="utf-8"))
        if {name: earlier[name] for name in setting} == setting:
            document = earlier
    print(table_line(COLUMNS), table_line(["---"] * len(COLUMNS)), sep="\n", flush=True)
    for module in arguments.only or (MODULES if arguments.device == "cpu" else ON_GPU):
        started = time.perf_counter()
        document["rows"][module] = []
        document["failed"] = [failed for failed in document["failed"] if failed != module]
        try:
            for row in importlib.import_module(module).rows(settings):
                document["rows"][module].append(asdict(row) | {"speed": row.speed, "met": row.met})
                print(table_line(cells(row)), flush=True)
        except Exception:  # the others are worth having; this one is named at the end
            traceback.print_exc()
            document["failed"].append(module)
        document["minutes"][module] = round((time.perf_counter() - started) / 60, 1)
        if arguments.out:
            arguments.out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    _conclude(document, arguments.out)


def _conclude(document: dict[str, Any], out: Path | None) -> None:
    rows = list(chain.from_iterable(document["rows"].values()))
    missed = sum(row["met"] is False for row in rows)
    minutes = sum(document["minutes"].values())
    where = f"; written to {out}" if out else ""
    print(f"\n{len(rows)} rows in {minutes:.0f} minutes, {missed} below their target{where}")
    if document["failed"]:
        sys.exit(f"failed: {', '.join(document['failed'])}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", type=lambda names: tuple(names.split(",")), help="some benchmarks")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--small", action="store_true", help="sizes that only exercise the code")
    parser.add_argument("--out", type=Path, help="file of results; default: beside this script, if all run")
    arguments = parser.parse_args()
    if arguments.out is None and not arguments.only and not arguments.small:
        name = "results.json" if arguments.device == "cpu" else f"results_{arguments.device}.json"
        arguments.out = FOLDER / name
    return arguments


def cells(row: Row) -> list[str]:
    """Return the cells of a row, in the order of ``COLUMNS``."""
    target = "" if row.target is None else f"{row.target:.3g}"
    met = {True: "yes", False: "no", None: ""}[row.met]
    reference = f"{row.reference} ({row.note})" if row.note else row.reference
    seconds = [f"{row.seconds:.3g}", f"{row.reference_seconds:.3g}", f"{row.speed:.3g}"]
    return [row.step, row.case, row.against, reference, *seconds, target, met, str(row.rounds)]


def table_line(values: Sequence[str]) -> str:
    """Return a line of a Markdown table."""
    return f"| {' | '.join(values)} |"


def _device(device: str) -> str:
    """Name the processor as it names itself."""
    if device != "cpu":
        return torch.cuda.get_device_name()
    processors = Path("/proc/cpuinfo")
    lines = processors.read_text(encoding="utf-8").splitlines() if processors.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.machine()}, {torch.backends.cpu.get_cpu_capability()}"


if __name__ == "__main__":
    main()
