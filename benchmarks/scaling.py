"""The table of docs/scaling.md, worked out from measured rates: `python benchmarks/scaling.py`.

Rates come from results.json (products per second, share of the limit that the step reaches), matching.json and
end_to_end.json (seconds of each step on 10 M tokens); bytes from the formats of the artefacts (docs/artefacts.md).
"""

import json
from dataclasses import dataclass
from typing import Any

from page import between
from run import FOLDER, table_line

PAGE = FOLDER.parent / "docs" / "scaling.md"
BEGIN, END = "<!-- from measured rates by benchmarks/scaling.py -->", "<!-- end -->"


@dataclass(frozen=True)
class Experiment:
    """Sizes of an experiment with one pair of SAEs.

    Attributes:
        name: Of the column.
        n_tokens: Of the corpus.
        d_sae: Features of each SAE.
        d_model: Width of the model.
        n_weights: Of the blocks up to the hook point, which every token passes.
        k: Features that fire at a token.
        n_jobs: Jobs of two cores that run at once.
    """

    name: str
    n_tokens: float
    d_sae: int
    d_model: int
    n_weights: float
    k: int
    n_jobs: int
    n_saes: int = 2
    context_length: int = 128


# Blocks 0 to 7 of a Llama-3.2-1B: 61 M weights each.
TARGET = Experiment("1 B tokens x 131k", 1e9, 131_072, 2048, 8 * 61e6, 64, 1)
ON_CLUSTER = Experiment("the same, 100 jobs at once", 1e9, 131_072, 2048, 8 * 61e6, 64, 100)


def seconds(experiment: Experiment, results: dict[str, Any], measured: dict[str, Any]) -> dict[str, float]:
    """Wall seconds of each step on jobs of two cores."""
    e = experiment
    steps, sizes = measured["steps"], measured["sizes"]
    reached = min(row["speed"] for row in results["rows"]["activations"] if row["against"] == "limit")
    products = 2 * e.n_tokens * (e.n_weights + e.n_saes * e.d_model * e.d_sae)
    per_token = e.n_tokens / sizes["n_tokens"]
    per_entry = per_token * e.k / sizes["k"]
    matching = measured["matching"]
    return {
        "corpus": steps["corpus"]["seconds"] * per_token,
        "tokens": steps["tokens"]["seconds"] * per_token,
        "activations": products / product_rate(results) / min(reached, 1.0) / e.n_jobs,
        "features": steps["features"]["seconds"] / 2 * per_entry * (e.n_saes / min(e.n_saes, e.n_jobs)),
        "matching": matching["seconds"] * (e.d_sae / matching["d_sae"]) ** 2 * (e.d_model / matching["d"]),
        "windows": steps["windows"]["seconds"] / 2 * per_entry * (e.n_saes / min(e.n_saes, e.n_jobs)),
    }


def product_rate(results: dict[str, Any]) -> float:
    """Multiplications and additions per second of the largest float32 product measured, in twos."""
    row = max(
        (row for row in results["rows"]["matching"] if row["against"] == "limit"),
        key=lambda row: row["reference_seconds"],
    )
    n = int(row["case"].split()[-1])
    return 2 * n * n * 512 / row["reference_seconds"]


def n_bytes(experiment: Experiment) -> dict[str, float]:
    """Bytes of each step's artefacts."""
    e = experiment
    positions = e.n_tokens * e.context_length / (e.context_length - 1)  # BOS stands before each context
    feature_bytes = 2 if e.d_sae <= 1 << 16 else 4
    token_bytes = 4 if positions <= 1 << 32 else 8
    return {
        "corpus": 4 * e.n_tokens,
        "tokens": 9 * positions,
        "activations": e.n_saes * (8 * positions + (feature_bytes + 4) * e.k * e.n_tokens),
        "features": e.n_saes * (token_bytes + 4) * e.k * e.n_tokens,
        "matching": e.d_sae * (8 + 8 + 4 + 4 * 8),
        "windows": 0.0,
    }


def table(results: dict[str, Any], measured: dict[str, Any]) -> list[str]:
    """Return the lines of the table."""
    one, many = (seconds(experiment, results, measured) for experiment in (TARGET, ON_CLUSTER))
    sizes = n_bytes(TARGET)
    header = ["step", "bytes", f"{TARGET.name}, one job of 2 cores at a time", ON_CLUSTER.name]
    lines = [table_line(header), table_line(["---"] * len(header))]
    lines += [table_line([step, _size(sizes[step]), _time(one[step]), _time(many[step])]) for step in one]
    return [
        *lines,
        table_line(["all", _size(sum(sizes.values())), _time(sum(one.values())), _time(sum(many.values()))]),
    ]


def _time(value: float) -> str:
    for unit, length in (("days", 86400), ("h", 3600), ("min", 60)):
        if value >= 2 * length:
            return f"{value / length:.3g} {unit}"
    return f"{value:.2g} s"


def _size(value: float) -> str:
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return "under 1 MB"


def with_table(page: str, results: dict[str, Any], measured: dict[str, Any]) -> str:
    """Return the page with its table made anew."""
    return between(page, BEGIN, END, table(results, measured))


def main() -> None:
    """Rewrite the page."""
    results, measured = (
        json.loads((FOLDER / name).read_text(encoding="utf-8"))
        for name in ("results.json", "end_to_end.json")
    )
    measured["matching"] = json.loads((FOLDER / "matching.json").read_text(encoding="utf-8"))
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8"), results, measured), encoding="utf-8")


if __name__ == "__main__":
    main()
