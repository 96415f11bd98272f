"""Artefacts of other params swapped in behind the tools' backs: whoever reads one refuses, and says what made it.

The slow tests build the small experiment a second time, with other params for every step of the cache, and give each
input of each step from there, one at a time, to the command that a rule would run.
"""

import json
import random
from contextlib import contextmanager
from pathlib import Path

import pytest

slow = pytest.mark.slow
RESULTS = ("results/tables", "results/figures", "results/report")
FINDINGS = ("features", "matching", "explanation", "scoring", "case_study")
# What each step reads.
READS = {
    "tokens": ("corpus",),
    "activations": ("tokens",),
    "features": ("tokens", "activations"),
    "matching": ("features",),
    "windows": ("tokens", "features", "matching"),
    "explanation": ("tokens", "matching"),
    "scoring": ("tokens", "features", "windows", "explanation"),
    "case_study": ("matching", "features", "windows", "explanation", "scoring"),
    "tables": FINDINGS,
    "figures": FINDINGS,
    "report": FINDINGS,
}
OTHER = {
    "corpus__packages": ["networkx", "beartype"],
    "tokens__n_tokens": 30_000,
    "activations__batch_size": 16,
    "features__n_bins": 30,
    "matching__n_best": 2,
    "windows__length": 20,
    "explanation__n_scales": 6,
    "scoring__n_permutations": 10,
}
# What is said of an artefact of the other build among those of this one.
MADE_WITH = {
    "corpus": "it was made with corpus.packages = ['networkx', 'beartype'] (now ['networkx'])",
    "tokens": "it was made with tokens.n_tokens = 30000 (now 40000)",
    "activations": "it was made with activations.batch_size = 16 (now 32)",
    "features": "it was made with features.n_bins = 30 (now 40)",
    "matching": "it was made with matching.n_best = 2 (now 3)",
    "windows": "it was made with windows.length = 20 (now 30)",
    "explanation": "it was made with explanation.n_scales = 6 (now 8)",
    "scoring": "it was made with scoring.n_permutations = 10 (now 20)",
    "case_study": "it was made from another content of cache/",  # it has no settings of its own
}


@pytest.fixture(scope="module")
def other(built, tmp_path_factory):
    """The experiment with other params for every step of the cache."""
    project = built.copy(tmp_path_factory.mktemp("other") / "project")
    for key, value in OTHER.items():
        project.set(key.replace("__", "."), value)
    project.snakemake()
    return project


@pytest.fixture(scope="module")
def shared(built, tmp_path_factory):
    """A repository in which DVC has recorded what is there, and whose artefacts are swapped and put back."""
    project = built.copy(tmp_path_factory.mktemp("swapped") / "project")
    project.put_under_version_control()
    project.record()
    return project


def manifest(project, folder):
    return json.loads((project.root / folder / "manifest.json").read_text())


def artefacts(project, kind):
    """The folders of a kind of artefact."""
    paths = [path for top in ("cache", "results") for path in (project.root / top).rglob("manifest.json")]
    folders = sorted(path.parent.relative_to(project.root).as_posix() for path in paths)
    return [folder for folder in folders if manifest(project, folder)["kind"] == kind]


@contextmanager
def swapped(project, folder, other):
    """A folder of one project in the place of another's, and back."""
    project.run("mv", folder, "aside")
    project.run("cp", "-a", str(other.root / folder), folder)
    try:
        yield
    finally:
        project.run("rm", "-rf", folder)
        project.run("mv", "aside", folder)


def by_kind(folders):
    """Folders as a step's command takes them: by their step."""
    found = {}
    for folder in folders:
        found.setdefault(Path(folder).parts[1], []).append(folder)
    return found


def refused(project, step, out):
    """What the step's command says when it refuses, which leaves what it made before as it is."""
    before = project.hashes(out)
    done = project.step(step, out, **by_kind(manifest(project, out)["inputs"]), status=1)
    assert "Traceback" not in done.stderr
    assert project.hashes(out) == before
    return done.stderr


def test_a_folder_of_other_params_is_refused_with_what_it_was_made_with_and_planned_to_be_remade(
    project, built, jobs
):
    with project.changed(windows__length=20):
        project.snakemake("cache/windows/docs-0/manifest.json")
    swapped_in = project.copy(project.root.parent / "other")
    project.run("rm", "-rf", "cache/windows/docs-0")
    project.run("cp", "-a", str(built.root / "cache/windows/docs-0"), "cache/windows/docs-0")
    assert project.plan() == {}  # and the steps have the params of now
    with swapped(project, "cache/windows/docs-0", swapped_in):
        said = refused(project, "scoring", "cache/scoring/docs-0")
        assert f"cache/windows/docs-0 cannot be used: {MADE_WITH['windows']}" in said
        done = project.run("snakemake", "-n")
    assert f"kindred: cache/windows/docs-0: {MADE_WITH['windows']}; to be made anew" in done.stderr
    assert jobs(done) == {"windows": 1, "scoring": 1, "case_study": 1, "tables": 1, "figures": 1, "report": 1}


@slow
def test_each_step_reads_what_is_listed_here(shared):
    for step, kinds in READS.items():
        for folder in artefacts(shared, step):
            assert set(by_kind(manifest(shared, folder)["inputs"])) == set(kinds)


@slow
@pytest.mark.parametrize(("step", "kind"), [(step, kind) for step, kinds in READS.items() for kind in kinds])
def test_each_input_of_each_step_is_refused_if_it_was_made_with_other_params(shared, other, step, kind):
    generator = random.Random(f"{step} {kind}")
    out = generator.choice(artefacts(shared, step))
    folder = generator.choice(by_kind(manifest(shared, out)["inputs"])[kind])
    assert manifest(other, folder)["content"] != manifest(shared, folder)["content"]
    with swapped(shared, folder, other):
        said = refused(shared, step, out)
    # Itself, or what was made from it, if the step reads that first.
    assert (
        f"{folder} cannot be used: {MADE_WITH[kind]}" in said
        or f"{folder} is stale ({MADE_WITH[kind]})" in said
    )


@slow
@pytest.mark.parametrize("step", READS)
def test_a_whole_cache_of_other_params_is_refused_by_each_step(shared, other, step):
    """As after a `dvc checkout` of another experiment: every artefact agrees with its inputs, none with the params."""
    out = artefacts(shared, step)[-1]
    inputs = by_kind(manifest(shared, out)["inputs"])
    with swapped(shared, "cache", other):
        done = shared.step(step, out, **inputs, status=1)
    assert "Traceback" not in done.stderr
    assert " cannot be used: it was made with " in done.stderr


@slow
def test_what_lies_downstream_of_other_params_is_refused_with_their_name(shared, other):
    """Where the step itself has the same settings: its input is what differs."""
    with swapped(shared, "cache/tokens", other):
        said = refused(shared, "case_study", "cache/case_study/seeds")
    assert " cannot be used: its input cache/" in said
    assert f"(it was made with {MADE_WITH['tokens'].removeprefix('it was made with ')})" in said


@slow
@pytest.mark.parametrize("kind", MADE_WITH)
def test_both_tools_see_a_swapped_folder_and_make_it_anew(shared, other, kind):
    before = shared.hashes("cache", *RESULTS)
    folder = artefacts(shared, kind)[0]
    shared.run("rm", "-rf", folder)
    shared.run("cp", "-a", str(other.root / folder), folder)
    done = shared.run("snakemake", "-n")
    assert f"kindred: {folder}: {MADE_WITH[kind]}" in done.stderr
    assert "modified:           cache" in shared.run("dvc", "status").stdout
    shared.run("dvc", "repro")
    assert shared.hashes("cache", *RESULTS) == before
    assert "up to date" in shared.run("dvc", "status").stdout
    assert shared.plan() == {}


def test_what_is_edited_while_a_step_runs_did_not_make_its_artefact(project):
    """The code of a step is what was there when it began; the edit makes its artefact stale."""
    project.run("rm", "-rf", "logs/scoring", "cache/scoring/docs-0")
    run = project.start("snakemake", "--cores", "1", "--", "cache/scoring/docs-0/manifest.json")
    log = project.root / "logs/scoring/docs-0.log"
    while not (log.exists() and log.read_text().count("\n") > 1):  # the first line comes before it has begun
        assert run.poll() is None
    with (project.root / "src/kindred/scoring/scores.py").open("a") as source:
        source.write("\n\nEDITED = True\n")
    assert run.wait(300) == 0
    done = project.run("snakemake", "-n", "--", "cache/scoring/docs-0/manifest.json")
    changed = "the code of kindred.steps.scoring has changed since it was made"
    assert f"kindred: cache/scoring/docs-0 and 1 more: {changed}" in done.stderr
