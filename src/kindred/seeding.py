"""Random draws that depend on the experiment's seed, the step and the identity, and on nothing else.

Source of the draws by priority: permanent random numbers (Brewer, Early & Joyce 1972, "Selecting several samples
from a single population"), here a hash of each candidate.
"""

import hashlib

import numpy as np
from numpy.typing import NDArray

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio, odd: the step of SplitMix64


def seed_of(seed: int, *identity: str | int) -> int:
    """A 63-bit seed for one draw, such as seed_of(0, "scoring", "docs-0", 17)."""
    text = "\0".join(str(part) for part in (seed, *identity))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(seed: int, *identity: str | int) -> np.random.Generator:
    """A NumPy generator for one draw."""
    return np.random.default_rng(seed_of(seed, *identity))


def priorities(ids: NDArray[np.int64], key: int) -> NDArray[np.uint64]:
    """Give each id a pseudo-random number that hangs on it and the key alone, uint64 [id].

    The number of id i is output i of SplitMix64 started at the key. Each round is a bijection, so different ids
    have different numbers.

    Args:
        ids: Numbers from 0.
        key: Of one draw, as ``seed_of`` gives it.

    Source: Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators", with the mixing
    constants of Stafford's variant 13.
    """
    state = np.uint64(key) + _GOLDEN * (ids.astype(np.uint64) + np.uint64(1))
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(state ^ (state >> np.uint64(31)), dtype=np.uint64)


def draw(candidates: NDArray[np.int64], size: int, key: int) -> NDArray[np.int64]:
    """Draw the candidates of smallest priority without replacement, ascending; all of them if there are too few.

    Each candidate is as likely as any other over the keys, and a candidate more or less changes at most one that
    is drawn, whereas a draw by place in the list would draw others altogether.

    Args:
        candidates: Different ids from 0, in any order.
        size: How many are wanted.
        key: Of this draw, as ``seed_of`` gives it.
    """
    order = np.argsort(priorities(candidates, key))
    return np.sort(candidates[order[:size]])
