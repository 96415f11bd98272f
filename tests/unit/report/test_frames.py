"""The frames hold one row per thing, and withhold what has no null."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from kindred.errors import KindredError
from kindred.params import Params
from kindred.report.frames import features_frame, pairs_frame, scores_frame
from kindred.report.study import Study, gather_study


def without_null(study: Study) -> Study:
    """The same study, the first SAE's scores having lost both nulls."""
    name = next(iter(study.saes))
    sae = study.saes[name]
    table = sae.scores.table.assign(null_permuted=np.nan, null_random=np.nan)
    return replace(study, saes={**study.saes, name: replace(sae, scores=replace(sae.scores, table=table))})


def test_one_row_per_pair_in_the_order_of_groups(study):
    frame = pairs_frame(study)
    assert len(frame) == 24
    assert list(frame["pair"].unique()) == ["seeds", "data"]
    assert list(frame.loc[frame["pair"] == "data", "group"].unique()) == ["best", "worst", "control"]


def test_swap_cost_is_own_minus_swapped(study):
    row = pairs_frame(study).iloc[0]
    own = (row["auroc_left"] + row["auroc_right"]) / 2
    assert row["swap_cost"] == pytest.approx(own - (row["swap_score_left"] + row["swap_score_right"]) / 2)
    record = study.pairs["seeds"].records[0]
    assert row["auroc_left"] == pytest.approx(record.eleuthers[0])


def test_a_missing_value_is_nan_not_zero(study):
    frame = pairs_frame(study)
    first_control = frame[(frame["group"] == "control") & (frame["rank"] == 0)]
    assert first_control["swap_score_right"].isna().all()
    assert first_control["swap_cost"].isna().all()


def test_a_score_without_a_null_is_withheld(study):
    frame = scores_frame(without_null(study))
    lost = frame[frame["sae"] == "docs-0"]
    assert lost["withheld"].all()
    assert lost[["auroc", "auroc_low", "embedding_gap"]].isna().all(axis=None)
    assert not frame.loc[frame["sae"] != "docs-0", "withheld"].any()
    assert pairs_frame(without_null(study))["auroc_left"].isna().all()


def test_one_row_per_feature_with_its_roles(study):
    frame = features_frame(study)
    assert not frame.duplicated(["sae", "feature"]).any()
    record = study.pairs["seeds"].records[0]
    row = frame[(frame["sae"] == record.saes[0]) & (frame["feature"] == record.indices[0])].iloc[0]
    assert "seeds:best" in row["chosen_as"]
    assert row["explanation"] == record.self_explanations[0]
    assert row["max_self_similarity"] <= 1


def test_gathering_nothing_is_refused():
    class Nothing:
        records = ()

    params = Params.model_construct(pairs={"seeds": ("a", "b")})
    with pytest.raises(KindredError, match="nothing to report"):
        gather_study(
            params,
            matchings={"seeds": None},
            case_studies={"seeds": Nothing()},
            statistics={"a": pd.DataFrame()},
            explanations={},
            scores={},
        )
