"""All that a verification finds: the verdict on the tables, where the computations part, and what else differs.

Source: docs/methods.md, section 8.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kindred.verification.comparison import Comparison, Verdict
from kindred.verification.upstream import Chain, Change, Parting, changes, differing, partings

# Three statuses for three verdicts: `equal` is what another processor can promise, `identical` what the same can, and a
# script must be able to ask for either. 2 is left for what cannot be compared, as with diff and cmp.
STATUS = {Verdict.IDENTICAL: 0, Verdict.DIFFERENT: 1, Verdict.WITHIN: 3}
NOT_COMPARED = 2


@dataclass(frozen=True)
class Record:
    """What is known of how some tables came about.

    Attributes:
        chain: All artefacts up to the tables, by folder.
        params: All params of the experiment.
        environment: Packages, interpreter, processor, threads, and hashes of corpus and models; nested.
    """

    chain: Chain
    params: Mapping[str, Any]
    environment: Mapping[str, Any]


@dataclass(frozen=True)
class Origins:
    """How two records differ.

    Attributes:
        differing: Folders of the artefacts that differ, the most upstream first.
        partings: The steps to look at, the most upstream first.
        params: Params that differ.
        environment: What differs of the environment.
    """

    differing: Sequence[str]
    partings: Sequence[Parting]
    params: Sequence[Change]
    environment: Sequence[Change]


@dataclass(frozen=True)
class Outcome:
    """What a verification finds.

    Attributes:
        name: Of the reference, as it was asked for.
        commit: That the name means.
        comparison: Of the tables.
        origins: None where the reference has no record of how it came about.
        sections: The sections of params that each step depends on.
        notes: What else a reader has to know.
    """

    name: str
    commit: str
    comparison: Comparison
    origins: Origins | None
    sections: Mapping[str, frozenset[str]]
    notes: Sequence[str] = ()

    @property
    def status(self) -> int:
        """The exit status that says the verdict."""
        return STATUS[self.comparison.verdict]


def compare_records(reference: Record, present: Record) -> Origins:
    """Compare how two sets of tables were made.

    Where both were made in portable arithmetic, the processor made no difference, so it is left out.
    """
    portable = all(record.params.get("arithmetic") == "portable" for record in (reference, present))
    surroundings = changes(reference.environment, present.environment)
    return Origins(
        differing=differing(reference.chain, present.chain),
        partings=partings(reference.chain, present.chain),
        params=changes(reference.params, present.params),
        environment=[change for change in surroundings if not (portable and change.key == "processor")],
    )
