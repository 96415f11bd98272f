"""The records of a pair of SAEs: all that is known of both features of each chosen pair."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from kindred.artefacts.windows import FeatureWindows

KIND = "case_study"
VERSION = 1

_FILE = "records.json"

Share = Annotated[float, Field(ge=0, le=1)]


class MatchedFeature(BaseModel):
    """Two features that were paired, and what is known of them; of two values the first is the left SAE's.

    Attributes:
        pair: Name of the pair of SAEs.
        saes: Their names.
        group: best and worst are matched pairs, control is a random mismatched one.
        rank: Place within the group, from 0.
        similarity: By which the features were matched.
        eleuthers: AUROC of each feature's self-explanation (rank 0); null where there is none.
        self_explanations: The self-explanations themselves.
        indices: Indices of the features in their SAEs.
        agreement: Cosine of the embeddings of the two self-explanations; null if one is empty.
        swap_scores: AUROC of the left explanation on the right feature's contexts, and the reverse.
        context_jaccard: Contexts in which both fire over those in which either does.
        activation_correlation: Pearson correlation over all tokens of the corpus but special ones; null if a
            feature never fires.
        self_explainable: Whether each feature passed the failure detection of self-explanation.
        windows: Top windows of each feature.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    pair: str
    saes: tuple[str, str]
    group: Literal["best", "worst", "control"]
    rank: Annotated[int, Field(ge=0)]
    similarity: float
    eleuthers: tuple[Share | None, Share | None]
    self_explanations: tuple[str, str]
    indices: tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=0)]]
    agreement: float | None
    swap_scores: tuple[Share | None, Share | None]
    context_jaccard: Share
    activation_correlation: float | None
    self_explainable: tuple[bool, bool]
    windows: tuple[FeatureWindows, FeatureWindows]


@dataclass(frozen=True, eq=False)
class CaseStudy:
    """The records of one pair of SAEs.

    Attributes:
        records: Best, worst, control, each by rank.
    """

    records: list[MatchedFeature]


RECORDS = TypeAdapter(list[MatchedFeature])


def save(value: CaseStudy, directory: Path) -> None:
    """Write the records into an empty directory.

    Files:
        records.json: One list, a record for each chosen pair of features.
    """
    records = [record.model_dump(mode="json") for record in value.records]
    text = json.dumps(records, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    (directory / _FILE).write_text(text + "\n", encoding="utf-8", newline="\n")


def load(directory: Path) -> CaseStudy:
    """Read the records."""
    return CaseStudy(RECORDS.validate_json((directory / _FILE).read_bytes()))
