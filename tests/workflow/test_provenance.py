"""Where tables come from: their sidecars, `kindred provenance`, and the tags of the table of experiments."""

import json
import shutil
import sys

import pytest
import yaml

from kindred.provenance import ORIGINS, read_provenance

TABLE = "results/tables/pairs.csv"
SIDECAR = "results/tables/pairs.provenance.json"


def sidecar(project):
    return read_provenance((project.root / SIDECAR).read_bytes(), SIDECAR)


def kindred(project, *arguments, status=0):
    return project.run(sys.executable, "-m", "kindred", *arguments, status=status)


def remake_tables(project):
    project.run("rm", "-rf", "results/tables")
    project.snakemake("results/tables")


def test_a_sidecar_names_commit_params_inputs_and_packages_and_dvc_does_not_count_it(repository):
    content = json.loads((repository.root / "results/tables/manifest.json").read_text())["content"]
    remake_tables(repository)
    record = sidecar(repository)
    assert record.commit == repository.run("git", "rev-parse", "HEAD").stdout.strip()
    assert record.uncommitted == []
    assert record.params["experiment"] == "small"
    assert record.environment.packages["torch"].startswith("2.")
    assert set(record.files) == {"pairs.csv", "pairs.md", "pairs.tex"}
    for name in ("cache/corpus", "cache/case_study/seeds"):
        manifest = json.loads((repository.root / name / "manifest.json").read_text())
        assert record.chain[name].content == manifest["content"]
    manifest = json.loads((repository.root / "results/tables/manifest.json").read_text())
    assert manifest["content"] == content
    assert not any(name.endswith(".provenance.json") for name in manifest["files"])

    first = repository.commit("the tables, with their sidecars")
    remake_tables(repository)
    assert repository.run("git", "status", "--porcelain").stdout == ""
    assert sidecar(repository).commit == record.commit != first

    (repository.root / "params.yaml").write_text((repository.root / "params.yaml").read_text() + "# mine\n")
    repository.set("tables.digits", 3)
    repository.snakemake("results/tables")
    assert sidecar(repository).commit == first
    assert sidecar(repository).uncommitted == ["params.yaml"]
    assert sidecar(repository).params["tables"]["digits"] == 3


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (lambda path: path.unlink(), "is missing"),
        (lambda path: path.write_text(path.read_text()[:1000]), "is damaged"),
        (
            lambda path: shutil.copy(path.with_name("summary.provenance.json"), path),
            "is that of another table",
        ),
    ],
)
def test_a_sidecar_that_is_lost_is_written_anew(project, jobs, harm, reason):
    before = project.hashes("results/tables")
    harm(project.root / SIDECAR)
    done = project.snakemake()
    assert f"kindred: {SIDECAR} {reason}" in done.stderr
    assert jobs(done) == {"tables": 1}
    assert project.hashes("results/tables") == before


def test_the_chain_is_printed_from_a_table_to_the_model_and_the_corpus(project):
    done = kindred(project, "provenance", TABLE)
    record = sidecar(project)
    for digest in (record.corpus, *record.models.values()):
        assert digest in done.stdout
    places = [done.stdout.index(f"  cache/{step}") for step in ("case_study", "scoring", "windows", "corpus")]
    assert places == sorted(places)
    assert "NOT the file" not in done.stdout
    assert "ANOTHER here" not in done.stdout

    (project.root / TABLE).write_text("edited\n")
    (project.root / "cache/matching/seeds/manifest.json").unlink()
    done = kindred(project, "provenance", TABLE)
    assert "NOT the file that was written" in done.stdout
    assert "not here" in done.stdout


def test_the_chain_of_a_figure_and_of_a_cached_file_comes_from_the_manifests(project):
    assert "cache/corpus" in kindred(project, "provenance", "results/figures/swap_cost.png").stdout
    done = kindred(project, "provenance", "cache/tokens/manifest.json")
    assert "of tokens" in done.stdout
    assert "cache/windows" not in done.stdout


def test_a_file_of_no_artefact_is_refused_in_one_line(project):
    for file, message in (("params.yaml", "belongs to no artefact"), ("nowhere.csv", "no such file")):
        done = kindred(project, "provenance", file, status=2)
        assert message in done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_what_a_sidecar_calls_uncommitted_is_what_dvc_calls_a_dependency(project):
    stage = yaml.safe_load((project.root / "dvc.yaml").read_text())["stages"]["pipeline"]
    assert {*stage["deps"], "params.yaml"} == set(ORIGINS)


def test_tags_are_recreated_from_the_table_of_experiments(repository):
    commit = repository.run("git", "rev-parse", "HEAD").stdout.strip()
    table = repository.root / "docs/experiments.csv"
    table.parent.mkdir()
    table.write_text(f"name,commit,what\nsmall-1,{commit},the small experiment\n")
    assert "created" in kindred(repository, "tags").stdout
    assert repository.run("git", "rev-parse", "small-1^{commit}").stdout.strip() == commit
    assert "is there" in kindred(repository, "tags").stdout

    table.write_text(f"name,commit,what\nsmall-1,{repository.commit('other')},the small experiment\n")
    assert "one of them is wrong" in kindred(repository, "tags", status=2).stderr
