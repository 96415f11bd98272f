import json

import pytest
from pydantic import ValidationError

from kindred.artefacts.case_study import CaseStudy, MatchedFeature, load, save
from kindred.artefacts.windows import ActExample, FeatureWindows


@pytest.fixture
def record():
    example = ActExample(tokens=[3, 4], texts=[" na\u00efve", "\u4e2d"], acts=[0.0, 1.25])
    windows = FeatureWindows(mean=[example], density=[], max=[example, example])
    return MatchedFeature(
        pair="seeds",
        saes=("docs-0", "docs-1"),
        group="worst",
        rank=3,
        similarity=0.1,
        eleuthers=(0.55, None),
        self_explanations=("the number of rows", ""),
        indices=(17, 2047),
        agreement=None,
        swap_scores=(0.5, None),
        context_jaccard=0.25,
        activation_correlation=-0.01,
        self_explainable=(True, False),
        windows=(windows, windows),
    )


def test_what_is_saved_is_loaded(record, tmp_path):
    save(CaseStudy([record, record]), tmp_path)
    assert load(tmp_path).records == [record, record]
    (written,) = tmp_path.iterdir()
    assert json.loads(written.read_text(encoding="utf-8"))[0]["eleuthers"] == [0.55, None]


def test_a_record_without_a_key_or_with_another_is_refused(record, tmp_path):
    whole = record.model_dump(mode="json")
    for changed in ({key: whole[key] for key in whole if key != "agreement"}, {**whole, "agreements": 1.0}):
        (tmp_path / "records.json").write_text(json.dumps([changed]))
        with pytest.raises(ValidationError, match="agreement"):
            load(tmp_path)


def test_nan_is_no_number(record):
    with pytest.raises(ValidationError, match="finite"):
        MatchedFeature.model_validate({**record.model_dump(), "similarity": float("nan")})
