"""What a change reruns: exactly the steps that depend on it, in Snakemake's own plan."""

import pytest

PUBLISHED = {"tables": 1, "figures": 1, "report": 1}
FROM_SCORING = {"scoring": 2, "case_study": 1, **PUBLISHED}
FROM_WINDOWS = {"windows": 2, **FROM_SCORING}
FROM_EXPLANATION = {"explanation": 2, **FROM_SCORING}
FROM_MATCHING = {"matching": 1, "windows": 2, **FROM_EXPLANATION}
FROM_FEATURES = {"features": 2, **FROM_MATCHING}
FROM_ACTIVATIONS = {"activations": 2, **FROM_FEATURES}
FROM_TOKENS = {"tokens": 1, **FROM_ACTIVATIONS}
PAIRS = {"seeds": ["docs-0", "docs-1"], "data": ["docs-0", "faithful-0"]}
TWO_PAIRS = {
    "activations": 2,
    "features": 3,
    "matching": 2,
    "windows": 3,
    "explanation": 3,
    "scoring": 3,
    "case_study": 2,
    **PUBLISHED,
}
slow = pytest.mark.slow


@pytest.fixture(scope="module")
def shared(built, tmp_path_factory):
    """One copy for all plans; each test puts back what it changed."""
    return built.copy(tmp_path_factory.mktemp("shared") / "project")


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("tables.digits", 3, {"tables": 1}),
        ("figures.dpi", 61, {"figures": 1}),
        ("scoring.query_template", "It is about {explanation}", FROM_SCORING),
        ("explanation.alpha", 0.5, FROM_EXPLANATION),
        ("matching.n_best", 2, FROM_MATCHING),
        ("tokens.n_tokens", 30_000, FROM_TOKENS),
        ("pairs", PAIRS, TWO_PAIRS),
        pytest.param("report.n_windows", 1, {"report": 1}, marks=slow),
        pytest.param("seed", 1, FROM_TOKENS, marks=slow),
        pytest.param("windows.n_top", 3, FROM_WINDOWS, marks=slow),
        pytest.param("scoring.n_negative", 10, FROM_SCORING, marks=slow),
        pytest.param("explanation.n_scales", 7, FROM_EXPLANATION, marks=slow),
        pytest.param("matching.threshold", 0.6, FROM_MATCHING, marks=slow),
        pytest.param("features.n_bins", 30, FROM_FEATURES, marks=slow),
        pytest.param("activations.batch_size", 16, FROM_ACTIVATIONS, marks=slow),
        pytest.param("model.dtype", "bfloat16", FROM_TOKENS, marks=slow),
        pytest.param("corpus.packages", ["attrs"], {"corpus": 1, **FROM_TOKENS}, marks=slow),
    ],
)
def test_one_value_reruns_what_depends_on_it(shared, key, value, expected):
    with shared.changed(**{key.replace(".", "__"): value}):
        assert shared.plan() == expected


@pytest.mark.slow
def test_a_new_pair_of_known_saes_leaves_activations_and_features_alone(shared):
    pairs = {"seeds": ["docs-0", "docs-1"], "turned": ["docs-1", "docs-0"]}
    with shared.changed(pairs=pairs):
        assert shared.plan() == {**FROM_MATCHING, "matching": 1, "case_study": 2}


def test_a_shorter_window_reruns_the_windows_and_what_lies_downstream(project, jobs):
    kept = ("cache/activations", "cache/features", "cache/matching", "cache/explanation")
    before = project.hashes(*kept)
    results = project.hashes("results")
    with project.changed(windows__length=20):
        assert jobs(project.snakemake()) == FROM_WINDOWS
        assert project.plan() == {}
        assert project.hashes(*kept) == before
        assert project.hashes("results") != results
    # The caches hold one state: going back makes the same steps anew (DVC keeps the old ones, if it is asked to).
    assert project.plan() == FROM_WINDOWS


def test_a_comment_reruns_nothing_and_code_reruns_the_steps_that_use_it(shared):
    module = shared.root / "src/kindred/windows/selection.py"
    before = module.read_text()
    module.write_text("# A remark.\n" + before.replace("\n\n\ndef ", "\n\n\n# Another.\ndef ", 1))
    assert shared.plan() == {}
    module.write_text(before + "\n\nADDED = 1\n")
    assert shared.plan() == FROM_WINDOWS
    module.write_text(before)
    assert shared.plan() == {}


def test_a_retouched_source_of_the_model_is_noticed(shared):
    card = shared.root / "models/saes/docs-0/cfg.json"
    before = card.read_bytes()
    card.write_bytes(before + b"\n")
    assert shared.plan() == FROM_ACTIVATIONS
    card.write_bytes(before)
    assert shared.plan() == {}
