"""Random draws that depend on the experiment's seed, the step and the identity, and on nothing else."""

import hashlib

import numpy as np


def seed_of(seed: int, *identity: str | int) -> int:
    """A 63-bit seed for one draw, such as seed_of(0, "scoring", "docs-0", 17)."""
    text = "\0".join(str(part) for part in (seed, *identity))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(seed: int, *identity: str | int) -> np.random.Generator:
    """A NumPy generator for one draw."""
    return np.random.default_rng(seed_of(seed, *identity))
