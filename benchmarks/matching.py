"""Exact matching: against one blocked float32 product, and against the dense matrix with SciPy's solver.

`python benchmarks/matching.py` matches 131,072 with 131,072 features, half of them shared, and prints the proof.
"""

import json
import resource
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from measure import Row, Settings, by_turns
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from kindred.matching.assignment import Assignment, assign
from kindred.matching.similarity import unit_rows
from kindred.params.saes import FolderSae
from kindred.saes.loading import load_sae

D_MODEL = 512
TILE = 2048
MATMUL_SHARE, PEER_SPEED = 1 / 2.5, {16384: 4.0, 32768: 6.0}
SLOW_PEER = 16384  # features from which the peer takes up to minutes, and is timed once
SHIPPED = Path(__file__).parents[1] / "models" / "saes"


def rows(settings: Settings) -> Iterator[Row]:
    """Yield the rows of every size and kind."""
    sizes = (512,) if settings.small else (8192, 16384, 32768)
    for n in sizes:
        for kind in ("permuted", "half shared"):
            yield from _compared(settings, f"{kind} {n}", *dictionaries(kind, n))
    shipped = [_decoder(name) for name in ("docs-0", "docs-1")]
    yield from _compared(settings, f"shipped SAEs {len(shipped[0])}, d {shipped[0].shape[1]}", *shipped)


def dictionaries(kind: str, n: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Unit rows [n, 512] of two dictionaries: all features shared under noise, or half of them."""
    generator = np.random.default_rng(0)
    left, noise = (_unit(generator.normal(size=(n, D_MODEL))) for _ in range(2))
    order = generator.permutation(n)
    if kind == "permuted":
        return left, _unit(left + 0.5 * noise)[order]
    shared = _unit(left[: n // 2] + 0.3 * noise[: n // 2])
    return left, np.concatenate([shared, noise[n // 2 :]])[order]


def _unit(rows: NDArray[np.floating]) -> NDArray[np.float64]:
    return unit_rows(rows, sae="benchmark", matrix="decoder")


def _decoder(name: str) -> NDArray[np.float64]:
    sae = load_sae(name, FolderSae(loader="folder", path=str(SHIPPED / name)), device="cpu")
    return _unit(sae.W_dec.numpy())


def _compared(
    settings: Settings, case: str, left: NDArray[np.float64], right: NDArray[np.float64]
) -> Iterator[Row]:
    n = len(left)
    found: list[Assignment] = []
    ways = {
        "ours": lambda: found.append(assign(left, right, device=settings.device)),
        "matmul": lambda: _product(left, right, settings.device),
    }
    medians = by_turns(ways, settings)
    total, gap = found[-1].total, found[-1].gap
    yield Row(
        "matching",
        case,
        "limit",
        "one blocked float32 product",
        medians["ours"],
        medians["matmul"],
        settings.rounds,
        MATMUL_SHARE,
        note=f"total {total:.4f}, gap {gap:.0e}",
    )
    rounds = 1 if n >= SLOW_PEER else settings.rounds
    peers: list[float] = []
    peer = by_turns({"peer": lambda: peers.append(_dense(left, right))}, settings, rounds=rounds, warm=False)
    if abs(peers[-1] - total) > 1e-6:
        raise AssertionError(f"{case}: the totals differ: {total} and the peer's {peers[-1]}")
    yield Row(
        "matching",
        case,
        "peer",
        "dense float64 cosines, SciPy",
        medians["ours"],
        peer["peer"],
        rounds,
        PEER_SPEED.get(n),
        note=f"same total to {abs(peers[-1] - total):.0e}",
    )


def _product(left: NDArray[np.float64], right: NDArray[np.float64], device: str) -> None:
    """All similarities in float32, block by block, none kept."""
    rows, columns = (torch.from_numpy(side).to(device, torch.float32) for side in (left, right))
    block = torch.empty((min(TILE, len(rows)), len(columns)), device=device)
    for start in range(0, len(rows), TILE):
        own = rows[start : start + TILE]
        torch.mm(own, columns.T, out=block[: len(own)])


def _dense(left: NDArray[np.float64], right: NDArray[np.float64]) -> float:
    """What a user would write today: the dense matrix of cosines and SciPy's solver."""
    similarity = left @ right.T
    chosen = linear_sum_assignment(similarity, maximize=True)
    return float(similarity[chosen].sum())


def main() -> None:
    """Match the largest size there is in practice, once."""
    torch.set_num_threads(2)
    left, right = dictionaries("half shared", 131072)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    start = time.perf_counter()
    assignment = assign(left, right, device=device)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"131,072 x 131,072 features of d {D_MODEL}, half shared, on {device}: {seconds:.0f} s, peak {peak:.1f} GiB"
    )
    print(
        f"total {assignment.total:.6f}, no matching exceeds {assignment.upper_bound:.6f} (gap {assignment.gap:.1e})"
    )
    found = {
        "d_sae": len(left),
        "d": D_MODEL,
        "device": device,
        "seconds": round(seconds, 1),
        "peak_gib": round(peak, 2),
        "total": assignment.total,
        "gap": assignment.gap,
    }
    Path(__file__).with_suffix(".json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
