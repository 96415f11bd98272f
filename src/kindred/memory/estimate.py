"""How an estimate is put together, and how a job that would exceed what its rule states is refused."""

from dataclasses import dataclass
from typing import Any

from kindred.errors import KindredError

MIB = 1 << 20
MB = 1_000_000  # Snakemake's mem_mb counts in these


@dataclass(frozen=True)
class Term:
    """One part of what a job holds at its peak.

    Attributes:
        what: In words, with the numbers it comes from.
        n_bytes: How large it is.
        lower: The parameter, or else the measure, that makes it smaller.
    """

    what: str
    n_bytes: int
    lower: str


@dataclass(frozen=True)
class Estimate:
    """What a job is going to hold at its peak: anonymous memory, not the pages of files that it maps.

    Attributes:
        base: The interpreter and its libraries, bytes, as measured.
        terms: All else.
    """

    base: int
    terms: tuple[Term, ...]

    @property
    def total(self) -> int:
        """All together, in bytes."""
        return self.base + sum(term.n_bytes for term in self.terms)

    def as_json(self) -> dict[str, Any]:
        """For the log."""
        return {
            "total_mib": round(self.total / MIB, 1),
            "base_mib": round(self.base / MIB, 1),
            "terms_mib": {term.what: round(term.n_bytes / MIB, 1) for term in self.terms},
        }


def refuse_excess(estimate: Estimate, step: str, stated_mb: int) -> None:
    """Refuse a job that needs more than is stated.

    Raises:
        KindredError: Naming both numbers, the largest term and what to do.
    """
    if estimate.total <= stated_mb * MB:
        return
    largest = max(estimate.terms, key=lambda term: term.n_bytes, default=None)
    needed = -(-estimate.total // MB)
    raised = f"give the job more: snakemake --set-resources {step}:mem_mb={_rounded_up(needed)}"
    if largest is None or largest.n_bytes < estimate.base:
        advice = f"most of it, {estimate.base // MB} MB, is Python and its libraries: {raised}"
    else:
        advice = (
            f"most of it, {largest.n_bytes // MB} MB, is {largest.what}: lower {largest.lower}, or {raised}"
        )
    raise KindredError(f"needs about {needed} MB of memory, but its rule states {stated_mb} MB; {advice}")


def _rounded_up(megabytes: int) -> int:
    """To a number that is easy to type and leaves some room."""
    return -(-megabytes * 11 // 10 // 100) * 100
