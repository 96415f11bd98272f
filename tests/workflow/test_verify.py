"""`kindred verify` on the real small experiment under git: each verdict, its exit status, and what it names."""

import json
import os
import sys

import pytest

PAIRS = "results/tables/pairs.csv"


@pytest.fixture(scope="module")
def committed(built, tmp_path_factory):
    """The built project under git; each test puts back what it changes."""
    project = built.copy(tmp_path_factory.mktemp("verify") / "project")
    project.run("git", "init", "--quiet")
    project.commit()
    return project


def verify(project, *arguments, status=0):
    return project.run(sys.executable, "-m", "kindred", "verify", *arguments, status=status)


def reference(project, name, edits, base="HEAD"):
    """Tag a commit that holds other texts of some files (None: no such file), without touching the work tree."""
    index = ("env", f"GIT_INDEX_FILE={project.root / '.git' / 'other-index'}", "git")
    project.run(*index, "read-tree", base)
    for path, text in edits.items():
        if text is None:
            project.run(*index, "rm", "--quiet", "--cached", path)
        else:
            blob = project.run("git", "hash-object", "-w", "--stdin", input=text).stdout.strip()
            project.run(*index, "update-index", "--add", "--cacheinfo", f"100644,{blob},{path}")
    tree = project.run(*index, "write-tree").stdout.strip()
    identity = ("-c", "user.name=test", "-c", "user.email=test@example.org")
    commit = project.run("git", *identity, "commit-tree", tree, "-m", name).stdout.strip()
    project.run("git", "tag", "--force", name, commit)
    return commit


def text_of(project, path):
    return (project.root / path).read_text()


def test_what_was_committed_is_identical(committed):
    done = verify(committed)
    lines = done.stdout.splitlines()
    commit = committed.run("git", "rev-parse", "HEAD").stdout[:12]
    assert lines[0] == f"identical, byte by byte, to HEAD ({commit})"
    assert lines[2:4] == ["upstream: no artefact differs", "environment: as recorded"]
    assert committed.run("git", "status", "--porcelain").stdout == ""


def test_an_experiment_may_be_named_by_the_table_of_experiments(committed):
    commit = committed.run("git", "rev-parse", "HEAD").stdout.strip()
    table = committed.root / "docs/experiments.csv"
    table.parent.mkdir(exist_ok=True)
    table.write_text(f"name,commit,what\nsmall-1,{commit},the small experiment\n")
    try:
        assert f"to small-1 ({commit[:12]})" in verify(committed, "--against", "small-1").stdout
        unknown = verify(committed, "--against", "small-2", status=2)
        assert (
            "small-2: no tag, named experiment or commit of this clone (named experiments: " in unknown.stderr
        )
        assert "small-1" in unknown.stderr
    finally:
        table.unlink()
    assert "Traceback" not in unknown.stderr


def test_a_number_that_moved_a_little_is_within_the_tolerance_and_named(committed):
    rows = text_of(committed, PAIRS).splitlines()
    cells = rows[1].split(",")
    similarity = rows[0].split(",").index("similarity")
    moved = f"{float(cells[similarity]) + 0.0002:.4f}"
    rows[1] = ",".join([*cells[:similarity], moved, *cells[similarity + 1 :]])
    reference(committed, "moved", {PAIRS: "\n".join(rows) + "\n"})
    done = verify(committed, "--against", "moved", status=3)
    assert "equal within the stated tolerance to moved" in done.stdout
    assert "tolerance: relative 0.001 or absolute 0.0001" in done.stdout
    assert "1 cell of " in done.stdout
    row = f"pair={cells[0]} group={cells[1]} feature_left={cells[4]} feature_right={cells[6]}"
    assert f"pairs.csv [{row}] similarity: {moved} -> {cells[similarity]}" in done.stdout
    assert f"{PAIRS} of moved is not what was computed there" in done.stdout


def test_a_reference_from_another_environment_with_another_text_says_so(committed):
    features = text_of(committed, "results/tables/features.csv").splitlines()
    sae, feature = features[2].split(",")[:2]
    features[2] = f"{features[2]} indeed"
    sidecars = {}
    for path in sorted((committed.root / "results/tables").glob("*.provenance.json")):
        record = json.loads(path.read_text())
        record["environment"]["processor"] = "Another 9000"
        record["environment"]["packages"]["numpy"] = "1.0"
        sidecars[f"results/tables/{path.name}"] = json.dumps(record)
    edits = {"results/tables/features.csv": "\n".join(features) + "\n", **sidecars}
    reference(committed, "elsewhere", edits)
    done = verify(committed, "--against", "elsewhere", status=1)
    assert f"1 feature affected; the explanations of 1 read otherwise ({sae}/{feature})" in done.stdout
    assert "features.csv: 1 cell (explanation 1)" in done.stdout
    assert "packages.numpy 1.0 -> " in done.stdout
    assert "Another 9000" not in done.stdout  # portable arithmetic is the same on every processor
    assert "arithmetic: portable, which gives the same bytes on every x86-64 processor" in done.stdout
    document = json.loads(verify(committed, "--against", "elsewhere", "--json", status=1).stdout)
    assert [cell["column"] for cell in document["beyond"]] == ["explanation"]
    assert {change["key"] for change in document["upstream"]["environment"]} == {"packages.numpy"}


def test_a_reference_from_before_portable_arithmetic_names_its_processor(committed):
    sidecars = {}
    for path in sorted((committed.root / "results/tables").glob("*.provenance.json")):
        record = json.loads(path.read_text())
        record["environment"]["processor"] = "Another 9000"
        del record["params"]["arithmetic"]
        sidecars[f"results/tables/{path.name}"] = json.dumps(record)
    reference(committed, "earlier", sidecars)
    done = verify(committed, "--against", "earlier", status=0)
    assert "arithmetic none -> portable" in done.stdout
    assert "processor Another 9000 -> " in done.stdout


def test_tables_of_other_digits_differ_by_the_step_that_writes_them(committed):
    digits = committed.root / "results/tables"
    committed.run("cp", "-a", "results/tables", "tables-before")
    try:
        with committed.changed(tables__digits=2):
            unmade = verify(committed, status=2)
            assert "results/tables: it was made with tables.digits = 4 (now 2)" in unmade.stderr
            committed.snakemake(str(digits.relative_to(committed.root)))
            done = verify(committed, status=1)
    finally:
        committed.run("rm", "-rf", "results/tables")
        committed.run("mv", "tables-before", "results/tables")
    assert done.stdout.startswith("different from HEAD")
    assert "first differing step: tables (results/tables)" in done.stdout
    assert "its params differ (recorded -> here): tables.digits 4 -> 2" in done.stdout
    assert verify(committed).stdout.startswith("identical")


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("cache/windows/docs-0", "cache/windows/docs-0: it is missing"),
        ("results/tables/pairs.csv", "results/tables/pairs.csv is missing"),
    ],
)
def test_with_anything_missing_nothing_is_compared(committed, path, message):
    committed.run("mv", path, "aside")
    try:
        done = verify(committed, status=2)
    finally:
        committed.run("mv", "aside", path)
    assert done.stdout == ""
    assert message in done.stderr
    for advice in ("dvc pull", "snakemake --cores all results/tables", "kindred verify --recompute"):
        assert advice in done.stderr
    assert "Traceback" not in done.stderr


def test_a_table_edited_by_hand_is_not_compared(committed):
    path = committed.root / PAIRS
    before, times = path.read_bytes(), path.stat()
    path.write_bytes(before.replace(b"0.", b"1.", 1))
    try:
        done = verify(committed, status=2)
    finally:
        path.write_bytes(before)
        os.utime(path, (times.st_atime, times.st_mtime))
    assert f"{PAIRS} differs from what was written (checksum)" in done.stderr
    assert verify(committed).stdout.startswith("identical")


def test_figures_and_report_need_not_be_there(committed):
    committed.run("mv", "results/figures", "aside")
    try:
        verify(committed)
    finally:
        committed.run("mv", "aside", "results/figures")


def test_a_reference_that_cannot_serve_is_one_clear_error(committed):
    empty = committed.run("git", "mktree", input="").stdout.strip()
    reference(committed, "bare", {}, base=empty)
    done = verify(committed, "--against", "bare", status=2)
    assert "holds no tables in results/tables, so there is nothing to compare with; named experiments: " in (
        done.stderr
    )
    header, *rows = text_of(committed, PAIRS).splitlines()
    other = "\n".join([header.replace("group,", "kind,"), *rows]) + "\n"
    reference(committed, "other", {PAIRS: other})
    done = verify(committed, "--against", "other", status=2)
    assert f"{PAIRS} of the reference has no column group, by which its rows are told apart" in done.stderr
    other = "\n".join([header.replace("agreement,", "accord,"), *rows]) + "\n"
    reference(committed, "renamed", {PAIRS: other})
    done = verify(committed, "--against", "renamed", status=1)
    assert "pairs.csv: column accord is missing here" in done.stdout
    assert "pairs.csv: column agreement is not in the reference" in done.stdout


def test_a_reference_without_provenance_is_compared_all_the_same(committed):
    sidecars = sorted((committed.root / "results/tables").glob("*.provenance.json"))
    reference(committed, "mute", {f"results/tables/{path.name}": None for path in sidecars})
    done = verify(committed, "--against", "mute")
    assert "its origin is not recorded" in done.stdout


def test_outside_of_git_there_is_no_reference(committed):
    (committed.root / ".git").rename(committed.root / "git-aside")
    try:
        done = verify(committed, status=2)
    finally:
        (committed.root / "git-aside").rename(committed.root / ".git")
    assert "git" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_another_setting_upstream_is_named_with_its_step(repository):
    repository.set("explanation.alpha", 0.9)
    repository.snakemake("results/tables")
    done = verify(repository, status=1)
    assert (
        "first differing step: explanation (cache/explanation/docs-0, cache/explanation/docs-1)"
        in done.stdout
    )
    assert "its params differ (recorded -> here): explanation.alpha 0.4 -> 0.9" in done.stdout
    assert "further downstream differ" in done.stdout
    assert "environment: as recorded" in done.stdout
    assert len(done.stdout.splitlines()) < 30


@pytest.mark.slow
def test_everything_computed_anew_is_identical_and_nothing_here_is_touched(repository, tmp_path):
    repository.run("rm", "-rf", "cache/corpus", "cache/scoring")
    before = repository.hashes("cache", "results", ".kindred")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    command = ["env", f"TMPDIR={temporary}", sys.executable, "-m", "kindred", "verify", "--recompute"]
    done = repository.run(*command, "--cores", "2")
    assert done.stdout.startswith("identical, byte by byte, to HEAD")
    assert f"computing everything anew in {temporary}" in done.stderr
    assert repository.hashes("cache", "results", ".kindred") == before
    assert list(temporary.glob("kindred-verify-*")) == []
    assert repository.run("git", "status", "--porcelain").stdout == ""


@pytest.mark.slow
def test_what_was_computed_anew_and_differs_is_kept(repository, tmp_path):
    repository.set("tables.digits", 3)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    command = ["env", f"TMPDIR={temporary}", sys.executable, "-m", "kindred", "verify", "--recompute"]
    done = repository.run(*command, "--cores", "2", status=1)
    (kept,) = temporary.glob("kindred-verify-*")
    assert f"what was computed is kept in {kept}" in done.stdout
    assert (kept / "results/tables/pairs.csv").exists()
    assert "tables.digits 4 -> 3" in done.stdout
