"""Every benchmark as one table of ratios, and as benchmarks/results.json: `python benchmarks/run.py`.

`--only activations,matching` runs some, `--device cuda` all on a GPU.
"""

import argparse
import importlib
import json
import platform
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from measure import Row, Settings

MODULES = ("activations", "gather", "matching", "windows", "explanation", "scoring", "whole")
COLUMNS = ("step", "case", "against", "reference", "ours s", "its s", "speed", "target", "met", "n")


def main() -> None:
    """Run the benchmarks, print each row as it is done, and write them all."""
    arguments = _arguments()
    torch.set_num_threads(arguments.threads)
    settings = Settings(
        device=arguments.device, threads=arguments.threads, rounds=arguments.rounds, small=arguments.small
    )
    print(_line(COLUMNS), _line(["---"] * len(COLUMNS)), sep="\n", flush=True)
    rows: list[Row] = []
    started = time.perf_counter()
    for module in arguments.only:
        for row in importlib.import_module(module).rows(settings):
            rows.append(row)
            print(_line(_cells(row)), flush=True)
    document = {
        "device": _device(arguments.device),
        "threads": arguments.threads,
        "torch": torch.__version__,
        "small": arguments.small,
        "minutes": round((time.perf_counter() - started) / 60, 1),
        "rows": [asdict(row) | {"speed": row.speed, "met": row.met} for row in rows],
    }
    arguments.out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    missed = [row for row in rows if row.met is False]
    print(
        f"\n{len(rows)} rows, {len(missed)} below their target; written to {arguments.out}", file=sys.stderr
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", type=lambda names: tuple(names.split(",")), default=MODULES)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--small", action="store_true", help="sizes that only exercise the code")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("results.json"))
    return parser.parse_args()


def _cells(row: Row) -> list[str]:
    target = "" if row.target is None else f">= {row.target:.3g}"
    met = {True: "yes", False: "no", None: ""}[row.met]
    reference = f"{row.reference} ({row.note})" if row.note else row.reference
    seconds = [f"{row.seconds:.3g}", f"{row.reference_seconds:.3g}", f"{row.speed:.3g}"]
    return [row.step, row.case, row.against, reference, *seconds, target, met, str(row.rounds)]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _device(device: str) -> str:
    return platform.processor() or platform.machine() if device == "cpu" else torch.cuda.get_device_name()


if __name__ == "__main__":
    main()
