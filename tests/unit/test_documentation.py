"""The generated pages are those of the code as it is, and what they say of files is true."""

import re
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kindred.artefacts import scoring
from kindred.artefacts.activations import ActivationShard, SparseActivations
from kindred.artefacts.case_study import CaseStudy
from kindred.artefacts.explanation import TEXT_COLUMNS, Explanations
from kindred.artefacts.features import FeatureIndex, Features
from kindred.artefacts.matching import Matching, Proof
from kindred.artefacts.tokens import Tokens
from kindred.artefacts.windows import Windows
from kindred.corpus.document import Document
from kindred.corpus.packing import SpecialTokens, pack_documents
from kindred.documentation import documented_entries, pages
from kindred.features.statistics import feature_statistics
from kindred.params import load_params
from kindred.pipeline import STEPS
from kindred.report.figures import FIGURES
from kindred.report.tables import FORMATS

REPOSITORY = Path(__file__).parents[2]
DOCS = REPOSITORY / "docs"
PAGES = ("params.md", "artefacts.md", "methods.md", "pipeline.md")
SINGLE, WHOLE = np.zeros(0, np.float32), np.zeros(0, np.int64)


@pytest.fixture(scope="module")
def generated() -> dict[str, str]:
    return pages(load_params(REPOSITORY / "params.yaml", experiment="default"))


def test_pages_are_as_generated(generated: dict[str, str]) -> None:
    for name, text in generated.items():
        written = (DOCS / name).read_text(encoding="utf-8")
        assert written == text, f"docs/{name} is out of date: run python -m kindred.documentation docs/"


def test_everything_is_described(generated: dict[str, str]) -> None:
    assert not re.findall(r"^.*\|  \|$", generated["artefacts.md"], flags=re.MULTILINE)


@pytest.mark.parametrize("name", STEPS)
def test_an_artefact_states_the_kind_and_version_of_its_step(name: str) -> None:
    module = import_module(f"kindred.artefacts.{name}")
    kind, version = module.KIND, module.VERSION
    assert kind == name
    assert version == STEPS[name].version


def empty_values() -> dict[str, object]:
    """The smallest value of each artefact that a step passes on."""
    index = FeatureIndex(1, 1, 4, 2, np.zeros(2, np.int64), WHOLE.astype(np.uint32), SINGLE)
    contexts = pack_documents([[5, 6]], 4, SpecialTokens(bos=0, eos=1, pad=2))
    statistics = feature_statistics(index, contexts.tokens, n_bins=2, n_top_tokens=1, n_top_activations=1)
    frames = {name: pd.DataFrame(columns=list(columns)) for name, columns in scoring.COLUMNS.items()}
    sparse = SparseActivations(np.zeros(5, np.int64), WHOLE.astype(np.uint16), SINGLE)
    curves = np.zeros((0, 2), np.float32)
    return {
        "corpus": [Document("text", "source", "label")],
        "tokens": Tokens(contexts, [("source", "label")]),
        "activations": ActivationShard(0, 1, 4, {"a": 1}, {"a": sparse}),
        "features": Features(index, statistics),
        "matching": Matching(
            WHOLE,
            WHOLE,
            SINGLE,
            {},
            pd.DataFrame({"left": WHOLE}),
            {},
            (),
            1,
            1,
            {"a": Proof(0.0, 0.0, curves[0:0, 0], curves[0:0, 0])},
        ),
        "windows": Windows({}, pd.DataFrame({"feature": WHOLE})),
        "explanation": Explanations(
            features=WHOLE,
            scales=np.zeros(2, np.float32),
            self_similarity=curves,
            entropy=curves,
            composite=curves,
            best_scale=SINGLE,
            self_explainable=np.zeros(0, np.bool_),
            texts=pd.DataFrame(columns=list(TEXT_COLUMNS)),
            settings={},
        ),
        "scoring": scoring.Scores(
            frames["table"],
            frames["contexts"],
            curves,
            frames["explanations"],
            curves,
            scoring.Truncation(limit=None, contexts=0, windows=0, explanations=0, passages=0),
        ),
        "case_study": CaseStudy([]),
    }


@pytest.mark.parametrize("name", [name for name, step in STEPS.items() if step.folder.startswith("cache/")])
def test_the_files_named_are_those_written(name: str, tmp_path: Path) -> None:
    module = import_module(f"kindred.artefacts.{name}")
    module.save(empty_values()[name], tmp_path)
    written = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    files = [file for file, _ in documented_entries(module.save.__doc__, "Files")]
    named = {file.replace("{sae}", "a").replace("{similarity}", "a") for file in files}
    assert named == written
    module.load(tmp_path)


def test_the_published_files_are_named() -> None:
    figures = dict(documented_entries(import_module("kindred.artefacts.figures").save.__doc__, "Files"))
    assert [*figures][:-1] == [f"{name}.{{pdf,png}}" for name in FIGURES]
    tables = dict(documented_entries(import_module("kindred.artefacts.tables").save.__doc__, "Files"))
    assert all(name.endswith((".json", f".{{{','.join(FORMATS)}}}")) for name in tables)


def test_an_entry_goes_on_over_lines_and_ends_with_its_section() -> None:
    text = "A point.\n\nAttributes:\n    x: In\n        metres.\n    y: Too.\n\nRaises:\n    E: no."
    assert documented_entries(text, "Attributes") == [("x", "In metres."), ("y", "Too.")]
    assert documented_entries(text, "Files") == []


@pytest.mark.parametrize("page", PAGES)
def test_links_and_named_modules_exist(page: str) -> None:
    text = (DOCS / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", text):
        assert (DOCS / target).exists(), target
    for source in re.findall(r"`((?:src|rules|profiles|experiments|tests)/[\w./-]+\.\w+)`", text):
        assert (REPOSITORY / source).exists(), source
    for module in re.findall(r"`(kindred(?:\.[a-z_]+)+)`", text):
        path = (REPOSITORY / "src").joinpath(*module.split("."))
        assert path.with_suffix(".py").exists() or path.is_dir(), module


def test_the_table_of_rules_is_that_of_the_rules() -> None:
    """Names, artefacts and logs in docs/pipeline.md are those of all rules but the training ones."""
    text = (DOCS / "pipeline.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| `\w+` \|.*\| `([^`]+)` \| `([^`]+)` \|$", text, flags=re.MULTILINE)
    assert [name for name, _, _ in rows] == list(STEPS)
    rules = [path.read_text() for path in (REPOSITORY / "rules").glob("*.smk") if path.stem != "models"]
    made = {
        found["name"]: found
        for rule in rules
        for found in re.finditer(
            r'^rule (?P<name>\w+):.*?output:\s+(?:manifest=|directory\()"(?P<artefact>[^"]+?)(?:/manifest.json)?".*?'
            r'log:\s+"(?P<log>[^"]+)"',
            rule,
            flags=re.MULTILINE | re.DOTALL,
        )
    }
    assert made.keys() == STEPS.keys()
    for name, artefact, log in rows:
        assert (artefact, log) == (made[name]["artefact"], made[name]["log"])


def test_every_overlay_is_in_the_pipeline_page() -> None:
    text = (DOCS / "pipeline.md").read_text(encoding="utf-8")
    for path in (REPOSITORY / "experiments").glob("*.yaml"):
        assert f"`experiments/{path.name}`" in text
