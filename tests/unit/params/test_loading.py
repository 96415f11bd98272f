"""Every kind of wrong parameter gives one line that names the file, the key, the value and what is allowed."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from kindred.errors import KindredError
from kindred.params import BatchTopKSae, FolderSae, Params, SaeLensSae, SparsifySae, load_params
from kindred.params.loading import merge

Values = dict[str, Any]
Write = Callable[[Values], Path]


def put(values: Values, dotted: str, value: object) -> Values:
    *above, last = dotted.split("/")
    place = values
    for part in above:
        place = place[part]
    place[last] = value
    return values


def message(write: Write, values: Values, **options: Any) -> str:
    with pytest.raises(KindredError) as caught:
        load_params(write(values), **options)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    return str(caught.value)


def test_the_shipped_file_is_valid_and_frozen(repository: Path) -> None:
    params = load_params(repository / "params.yaml")
    assert params.matching.n_best == 10
    assert params.pairs["seeds"] == ("docs-0", "docs-1")
    assert params.section("windows") == {"length": 30, "min_length": 8, "n_top": 10}
    assert params.section("pairs")["seeds"] == ["docs-0", "docs-1"]
    assert params.section("case_study") == {}
    with pytest.raises(KeyError):
        params.section("seed")
    with pytest.raises(ValueError, match="frozen"):
        params.matching.n_best = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        (
            "windows/lenght",
            30,
            "params.yaml: windows.lenght = 30: unknown key; did you mean windows.length? (allowed: length, min_length",
        ),
        ("windws", {}, "windws = {}: unknown key; did you mean windows? (allowed: experiment, seed, arithmetic"),
        ("n_best", 3, "n_best = 3: unknown key; did you mean matching.n_best? (allowed: experiment,"),
        ("windows/n_best", 3, "windows.n_best = 3: unknown key; did you mean matching.n_best? (allowed: length,"),
        ("case_study/x", 1, "case_study.x = 1: unknown key (allowed: nothing)"),
        ("saes/docs-0/pth", "x", "saes.docs-0.pth = \"x\": unknown key; did you mean saes.docs-0.path? (allowed: lo"),
        ("windows/length", "thirty", 'windows.length = "thirty": wrong type (allowed: an integer >= 1)'),
        ("windows/length", True, "windows.length = true: wrong type (allowed: an integer >= 1)"),
        ("windows/length", 3.5, "windows.length = 3.5: wrong type (allowed: an integer >= 1)"),
        ("windows/length", None, "windows.length = null: wrong type (allowed: an integer >= 1)"),
        ("matching/threshold", "1.0e-1", '"1.0e-1": wrong type: write 0.1, without quotes (allowed: a number >= -1'),
        ("tokens/n_tokens", 1e6, "1000000.0: wrong type: write 1000000, without quotes (allowed: an integer >= 1)"),
        ("tokens/n_tokens", "1.0e+6", '"1.0e+6": wrong type: write 1000000, without quotes (allowed: an integer >= 1)'),
        ("explanation/probe_layer", 2.0, "probe_layer = 2.0: wrong type: write 2, without quotes (allowed: an integer"),
        ("activations/n_shards", 10**30, "out of range (allowed: an integer >= 1 and <= 10000)"),
        ("model/threads", 2000, "model.threads = 2000: out of range (allowed: an integer >= 1 and <= 1024)"),
        ("tokens/n_tokens", "inf", 'n_tokens = "inf": wrong type (allowed: an integer >= 1)'),
        ("tokens/pack", "yes", 'tokens.pack = "yes": wrong type (allowed: true or false)'),
        ("model/revision", 3, "model.revision = 3: wrong type (allowed: text, or null)"),
        ("corpus/packages", "numpy", 'corpus.packages = "numpy": wrong type (allowed: a list of text, or null)'),
        ("corpus/packages", ["numpy", 1], "corpus.packages[1] = 1: wrong type (allowed: a list of text, or null)"),
        ("windows", None, "windows = null: wrong type (allowed: a mapping with the keys length, min_length, n_top)"),
        ("saes/docs-0", "x", 'saes.docs-0 = "x": wrong type (allowed: a mapping with the key loader: batch_topk,'),
        ("pairs", ["docs-0"], 'pairs = ["docs-0"]: wrong type (allowed: a mapping of at least one name)'),
        ("windows/length", 0, "windows.length = 0: out of range (allowed: an integer >= 1)"),
        ("seed", -1, "seed = -1: out of range (allowed: an integer >= 0)"),
        ("matching/threshold", 2, "matching.threshold = 2: out of range (allowed: a number >= -1 and <= 1)"),
        ("scoring/confidence", 1, "scoring.confidence = 1: out of range (allowed: a number > 0 and < 1)"),
        ("matching/threshold", math.nan, "matching.threshold = NaN: not a finite number (allowed: a number >="),
        ("explanation/max_scale", math.inf, "explanation.max_scale = Infinity: not a finite number (allowed:"),
        ("matching/similarity", "decodr", 'matching.similarity = "decodr": not an allowed value; did you mean decod'),
        ("model/device", "gpu", 'model.device = "gpu": not a valid value (allowed: cpu, mps, cuda, cuda:N)'),
        ("model/source", "", 'model.source = "": empty (allowed: text)'),
        ("saes", {}, "saes = {}: empty (allowed: a mapping of at least one name)"),
        ("saes/docs-0/loader", "sae_len", 'saes.docs-0.loader = "sae_len": unknown loader; did you mean sae_lens?'),
        ("saes/docs-0", {"path": "x"}, "saes.docs-0.loader: missing (allowed: batch_topk, folder, sae_lens, spars"),
        ("saes/docs-0", {"loader": "folder"}, "saes.docs-0.path: missing (allowed: text)"),
        ("saes/a b", {"loader": "folder", "path": "x"}, 'saes = "a b": not a valid name (allowed: a name of letters'),
        ("windows", {"n_top": 1, "min_length": 1}, "windows.length: missing (allowed: an integer >= 1)"),
        ("pairs/seeds", ["docs-0"], 'pairs.seeds = ["docs-0"]: not a pair (allowed: a list of two names of saes)'),
        ("pairs/seeds", "docs-0", 'pairs.seeds = "docs-0": not a pair (allowed: a list of two names of saes)'),
        ("pairs/seeds", ["docs-0", "doc-1"], "unknown SAE doc-1; did you mean docs-1? (allowed: docs-0, docs-1, fa"),
        ("pairs/seeds", ["docs-0", "docs-0"], 'pairs.seeds = ["docs-0", "docs-0"]: pairs an SAE with itself'),
        ("windows/min_length", 0, "windows.min_length = 0: out of range (allowed: an integer >= 1)"),
        ("windows/min_length", 31, "windows.min_length = 31: more than windows.length = 30 (allowed: an integer >= 1"),
        ("windows/length", 129, "windows.length = 129: longer than tokens.context_length = 128 (allowed: an integ"),
        ("scoring/context_length", 200, "scoring.context_length = 200: longer than tokens.context_length = 128"),
        ("explanation/n_explanations", 32, "explanation.n_explanations = 32: more than the 31 scales above 0"),
        ("explanation/inject_layer", 7, None),
        ("scoring/n_activating", 9, "scoring.n_activating = 9: fewer than scoring.n_deciles = 10"),
        ("report/n_windows", 11, "report.n_windows = 11: more than windows.n_top = 10"),
        ("corpus/path", "x", 'corpus.path = "x": corpus.source = pydocs reads no path; set it to null'),
        ("corpus/source", "text_files", "corpus.path = null: corpus.source = text_files needs a path (allowed: a fo"),
        ("scoring/query_template", "hi", 'scoring.query_template = "hi": does not hold {explanation}'),
        ("scoring/query_template", "{explanation}{x}", "holds a field other than {explanation}"),
        ("scoring/query_template", "{explanation!r}", "holds a field other than {explanation}"),
        ("scoring/query_template", "{explanation:>9}", "holds a field other than {explanation}"),
        ("scoring/query_template", "{{explanation}}", "does not hold {explanation}"),
        ("scoring/query_template", "{", "not a template: "),
        ("experiment", 3, "params.yaml: experiment = 3: unknown experiment; did you mean default? (allowed: default)"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_named(
    write: Write, values: Values, key: str, value: object, expected: str | None
) -> None:
    if expected is None:
        assert isinstance(load_params(write(put(values, key, value))), Params)
        return
    text = message(write, put(values, key, value))
    assert len(text.splitlines()) == 1
    assert text.startswith("params.yaml: ")
    assert expected in text


@pytest.mark.parametrize(
    ("source", "key", "value", "unset"),
    [
        ("text_files", "split", "train[:9]", '"train"'),
        ("text_files", "packages", ["numpy"], "null"),
        ("hf_dataset", "packages", ["numpy"], "null"),
        ("pydocs", "path", "x", "null"),
        ("pydocs", "split", "test", '"train"'),
        ("pydocs", "text_column", "body", '"text"'),
        ("pydocs", "label_column", "topic", "null"),
    ],
)
def test_a_key_that_the_source_of_text_does_not_read_is_refused(
    write: Write, values: Values, source: str, key: str, value: object, unset: str
) -> None:
    values["corpus"] |= {"source": source, "path": None if source == "pydocs" else "x", key: value}
    assert f"corpus.source = {source} reads no {key}; set it to {unset}, or choose source" in message(
        write, values
    )
    values["corpus"][key] = json.loads(unset)
    if key != "path":
        assert isinstance(load_params(write(values)), Params)


def test_a_probe_before_the_injection_is_refused(write: Write, values: Values) -> None:
    values["explanation"] |= {"inject_layer": 3, "probe_layer": 2}
    assert "explanation.probe_layer = 2: before explanation.inject_layer = 3" in message(write, values)


def test_choosing_no_pair_at_all_is_refused(write: Write, values: Values) -> None:
    values["matching"] |= {"n_best": 0, "n_worst": 0, "n_control": 0}
    assert "matching.n_best = 0: no pair is chosen" in message(write, values)


def test_all_problems_come_in_one_message(write: Write, values: Values) -> None:
    values["windows"] |= {"lenght": 1, "n_top": "x"}
    del values["tables"]
    lines = message(write, values).splitlines()
    assert [line.split(":")[1].split("=")[0].strip() for line in lines] == [
        "windows.n_top",
        "windows.lenght",
        "tables",
    ]


def test_each_loader_has_its_own_keys(write: Write, values: Values) -> None:
    values["saes"] = {
        "a": {"loader": "folder", "path": "x"},
        "b": {"loader": "sae_lens", "release": "r", "id": "i"},
        "c": {"loader": "sparsify", "path": "org/x", "hookpoint": "layers.6.mlp"},
        "d": {"loader": "batch_topk", "path": "org/y", "revision": "main"},
    }
    values["pairs"] = {"p": ["a", "b"]}
    saes = load_params(write(values)).saes
    assert [type(sae) for sae in saes.values()] == [FolderSae, SaeLensSae, SparsifySae, BatchTopKSae]
    values["saes"]["a"]["release"] = "r"
    assert 'saes.a.release = "r": unknown key' in message(write, values)


class TestOverlay:
    @pytest.fixture
    def overlay(self, write: Write, values: Values) -> Callable[[Values], Path]:
        def to_file(overlay: Values) -> Path:
            Path("experiments").mkdir(exist_ok=True)
            Path("experiments/tiny.yaml").write_text(yaml.safe_dump(overlay))
            return write(values)

        return to_file

    def test_sections_merge_and_saes_and_pairs_are_replaced(self, overlay: Callable[[Values], Path]) -> None:
        saes = {"x": {"loader": "folder", "path": "p"}, "y": {"loader": "folder", "path": "q"}}
        path = overlay({"saes": saes, "pairs": {"p": ["x", "y"]}, "matching": {"n_best": 3}})
        params = load_params(path, experiment="tiny")
        assert list(params.saes) == ["x", "y"]
        assert params.pairs == {"p": ("x", "y")}
        assert (params.matching.n_best, params.matching.n_worst) == (3, 10)
        assert params.experiment == "tiny"
        assert load_params(path).experiment == "default"
        assert load_params(path, experiment="default").matching.n_best == 10

    def test_the_key_in_params_yaml_chooses_it_too(
        self, overlay: Callable[[Values], Path], values: Values
    ) -> None:
        values["experiment"] = "tiny"
        path = overlay({"matching": {"n_best": 3}})
        assert load_params(path) == load_params(path, experiment="tiny")
        assert load_params(path, experiment="default").matching.n_best == 10

    @pytest.mark.parametrize(
        ("content", "line"),
        [
            ({"windows": {"lenght": 3}}, "experiments/tiny.yaml: windows.lenght = 3: unknown key; did you mean win"),
            ({"windows": {"length": 300}}, "experiments/tiny.yaml: windows.length = 300: longer than tokens.context"),
            ({"tokens": {"context_length": 20}}, "params.yaml: windows.length = 30: longer than tokens.context_leng"),
            ({"windows": 3}, "experiments/tiny.yaml: windows = 3: wrong type (allowed: a mapping with the keys leng"),
            ({"saes": {"x": {"loader": "folder"}}}, "experiments/tiny.yaml: saes.x.path: missing (allowed: text)"),
            ({"experiment": "other"}, 'experiments/tiny.yaml: experiment = "other": an overlay cannot choose an exp'),
        ],
    )  # fmt: skip
    def test_an_error_names_the_file_that_holds_the_key(
        self, overlay: Callable[[Values], Path], content: Values, line: str
    ) -> None:
        with pytest.raises(KindredError) as caught:
            load_params(overlay(content), experiment="tiny")
        assert str(caught.value).startswith(line)

    def test_an_unknown_experiment_names_the_nearest(self, overlay: Callable[[Values], Path]) -> None:
        with pytest.raises(KindredError) as caught:
            load_params(overlay({}), experiment="tinny")
        assert str(caught.value) == (
            'command line: experiment = "tinny": unknown experiment; did you mean tiny? (allowed: default, tiny)'
        )

    def test_it_is_no_way_out_of_the_folder(self, overlay: Callable[[Values], Path]) -> None:
        with pytest.raises(KindredError, match="unknown experiment"):
            load_params(overlay({}), experiment="../params")


class TestReading:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("seed: 0\nmodel: [1,\nx: }", "params.yaml, line 3, column 4: not valid YAML: "),
            ("seed: 0\nseed: 1\n", "params.yaml, line 2, column 1: not valid YAML: the key seed is given twice"),
            ("saes:\n  1: {}\n", "params.yaml, line 2, column 3: not valid YAML: the key 1 is not text; put it in qu"),
            ("", "params.yaml: holds no mapping"),
            ("- 1\n", "params.yaml: holds no mapping"),
            ("a: !!python/object:os.system x\n", "params.yaml, line 1, column 4: not valid YAML: could not determine"),
        ],
    )  # fmt: skip
    def test_what_is_no_mapping_names_file_and_line(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, expected: str
    ) -> None:
        monkeypatch.chdir(tmp_path)
        Path("params.yaml").write_text(text)
        with pytest.raises(KindredError) as caught:
            load_params(Path("params.yaml"))
        assert str(caught.value).startswith(expected)

    def test_anchors_and_merge_keys_are_understood(self, write: Write, values: Values) -> None:
        path = write(values)
        saes = "saes: {a: &a {loader: folder, path: x}, b: {<<: *a, path: y}}"
        kept = {key: value for key, value in values.items() if key not in {"saes", "pairs"}}
        path.write_text(f"{saes}\npairs: {{p: [a, b]}}\n{yaml.safe_dump(kept)}")
        assert load_params(path).saes["b"] == FolderSae(loader="folder", path="y")

    def test_a_missing_file_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(KindredError, match=r"nowhere\.yaml: cannot be read: No such file"):
            load_params(tmp_path / "nowhere.yaml")


NESTED = st.recursive(
    st.integers(),
    lambda inner: st.dictionaries(st.sampled_from(["a", "b", "c", "saes"]), inner, max_size=3),
    max_leaves=12,
)
MAPPINGS = st.dictionaries(st.sampled_from(["a", "b", "c", "saes"]), NESTED, max_size=4)


@given(base=MAPPINGS, overlay=MAPPINGS)
def test_merging_is_idempotent_and_the_overlay_wins(base: Values, overlay: Values) -> None:
    once = merge(base, overlay)
    assert merge(once, overlay) == once
    assert merge(base, {}) == base
    assert set(once) == set(base) | set(overlay)
    for key, value in overlay.items():
        if key == "saes" or not isinstance(value, dict):
            assert once[key] == value


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("default", "default stands for no overlay at all"),
        ("2024", "YAML reads the name 2024 as something other than text"),
        ("1e3", "YAML reads the name 1e3 as something other than text"),
        ("no", "YAML reads the name no as something other than text"),
        ("a b", "an overlay's name is made of letters"),
        ("n" * 101, "an overlay's name is made of letters"),
    ],
)
def test_an_overlay_that_cannot_be_chosen_is_named(
    write: Write, values: Values, tmp_path: Path, name: str, reason: str
) -> None:
    folder = tmp_path / "experiments"
    folder.mkdir(exist_ok=True)
    (folder / f".{name}.yaml").write_text("seed: 1")  # of an editor
    assert isinstance(load_params(write(values), experiments=folder), Params)
    (folder / f"{name}.yaml").write_text("seed: 1")
    with pytest.raises(KindredError, match=rf"{name}\.yaml: {reason}.*; rename the file"):
        load_params(write(values), experiments=folder)


def test_a_name_too_long_for_a_folder_is_refused(write: Write, values: Values) -> None:
    values["pairs"] = {"m" * 300: ["docs-0", "docs-1"]}
    assert message(write, values).startswith("params.yaml: pairs")


def test_a_list_that_holds_itself_is_named(tmp_path: Path) -> None:
    for text in ("x: &a [*a]", "x: &a {y: [*a]}"):
        (tmp_path / "params.yaml").write_text(text)
        with pytest.raises(KindredError, match="a list or mapping holds itself, by an alias"):
            load_params(tmp_path / "params.yaml")
    doubled = "".join(f"k{n}: &k{n} [*k{n - 1}, *k{n - 1}]\n" for n in range(1, 60))
    (tmp_path / "params.yaml").write_text(f"k0: &k0 [1]\n{doubled}")
    with pytest.raises(KindredError, match="holds more than 1,000,000 values"):
        load_params(tmp_path / "params.yaml")
