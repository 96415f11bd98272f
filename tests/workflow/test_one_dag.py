"""The DAG is written once, in the rules: DVC wraps all of it, and neither it nor `all` can forget a step."""

import csv
import io
import re
import shutil
from pathlib import Path

import pytest
import yaml

from kindred.params import Params
from kindred.pipeline import STEPS

# How commands are run, not what they compute: the bytes do not depend on it.
HARNESS = {"profiles"}
OUR_OWN = {".kindred", ".snakemake", "logs"}
EXTRA_RULE = """rule extra:
    output:
        "results/extra/manifest.json",
    shell:
        "touch {output}"


"""


@pytest.fixture(scope="module")
def dag(built):
    """Every output of the target `all`, with its rule and inputs."""
    return summary(built)


def summary(project, target="all"):
    """What Snakemake says of every file that it makes for a target: name, rule and inputs."""
    table = project.run("snakemake", "--detailed-summary", "--", target).stdout
    rows = list(csv.DictReader(io.StringIO(table), delimiter="\t"))
    return {row["output_file"]: (row["rule"], row["input-file(s)"].split(",")) for row in rows}


def stage(project):
    (found,) = yaml.safe_load((project.root / "dvc.yaml").read_text())["stages"].values()
    return found


def names(entries):
    """Paths of DVC's deps or outs, which may be written with options."""
    return [name for entry in entries for name in ([entry] if isinstance(entry, str) else entry)]


def lies_under(path, folders):
    return [folder for folder in folders if Path(path).is_relative_to(folder)]


def folder_of(output):
    return Path(output).parent if Path(output).name == "manifest.json" else Path(output)


def not_covered(project, dag):
    """Outputs of the DAG, each file of a folder, that DVC would not keep, or would keep twice."""
    outs = names(stage(project)["outs"])
    return [file for output in dag for file in files_of(project, output) if len(lies_under(file, outs)) != 1]


def files_of(project, output):
    """An output that is a file, or is not there; else the files of the folder without Snakemake's mark."""
    if not (project.root / output).is_dir():
        return [output]
    files = [path for path in (project.root / output).rglob("*") if path.is_file()]
    return [path.relative_to(project.root) for path in files if path.name != ".snakemake_timestamp"]


def params_of(project):
    return Params.model_validate_json((project.root / ".kindred/params.json").read_text())


def test_dvc_has_one_stage_that_names_no_step(built):
    data = yaml.safe_load((built.root / "dvc.yaml").read_text())
    assert list(data["stages"]) == ["pipeline"]
    commands = stage(built)["cmd"]
    assert commands == ["snakemake --cores all -- all", "python -m kindred.edits"]
    assert not set(re.findall(r"\w+", " ".join(commands))) & {*STEPS}
    assert not [dep for dep in names(stage(built)["deps"]) if lies_under(dep, ["cache", "results"])]
    # Lower than results/* no folder is named: a new step of the cache needs no line here.
    assert [out for out in names(stage(built)["outs"]) if out.startswith("cache")] == ["cache"]


def test_every_output_of_the_dag_lies_under_exactly_one_out(built, dag):
    assert not_covered(built, dag) == []


def test_a_figure_that_dvc_does_not_know_would_be_noticed(project, dag):
    (project.root / "results/figures/new.png").touch()
    assert not_covered(project, dag) == [Path("results/figures/new.png")]


def test_a_rule_that_writes_elsewhere_would_be_noticed(project):
    snakefile = project.root / "Snakefile"
    text = snakefile.read_text()
    start = text.index("rule all:")
    changed = text[start:].replace(
        "rules.report.output,", "rules.report.output,\n        rules.extra.output,"
    )
    snakefile.write_text(text[:start] + EXTRA_RULE + changed)
    assert not_covered(project, summary(project)) == ["results/extra/manifest.json"]


def test_rules_and_steps_are_the_same(built, dag):
    """One rule for each step, of its name, that writes to the step's folders: all of them, and nothing more."""
    params = params_of(built)
    made = {(rule, folder_of(output)) for output, (rule, _) in dag.items()}
    assert made == {
        (step.name, step.path(identity)) for step in STEPS.values() for identity in step.identities(params)
    }


def test_all_needs_every_artefact(built, jobs):
    """A step that nobody asks for would be forgotten by DVC too, as its command is the target `all`."""
    params = params_of(built)
    everything = jobs(built.run("snakemake", "-n", "--forceall", "--", "all"))
    assert everything == {name: len(step.identities(params)) for name, step in STEPS.items()}


def test_inputs_are_artefacts_and_stamps_alone(dag):
    """So what reruns is decided by the lineage, and nothing that DVC does not know comes in by a rule."""
    for output, (_, inputs) in dag.items():
        stamp = f".kindred/stamps/{folder_of(output)}"
        assert stamp in inputs
        assert set(inputs) - {stamp} <= dag.keys()


def only_what_dvc_knows(project):
    """Remove every file that is neither a dep, a param nor an out of the stage (nor how commands are run)."""
    known = {
        Path(name).parts[0]
        for name in (*names(stage(project)["deps"]), *names(stage(project)["params"]), "cache", "results")
    }
    for path in project.root.iterdir():
        if path.name not in known | HARNESS | OUR_OWN:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for path in (project.root / "src").iterdir():
        if path.name != "kindred":
            shutil.rmtree(path)


def test_freshness_is_judged_by_nothing_that_dvc_does_not_know(project):
    only_what_dvc_knows(project)
    assert not (project.root / "dvc.yaml").exists()
    assert project.plan() == {}


@pytest.mark.slow
def test_a_build_reads_nothing_that_dvc_does_not_know(unbuilt, built):
    only_what_dvc_knows(unbuilt)
    unbuilt.snakemake()
    assert unbuilt.hashes("cache", "results") == built.hashes("cache", "results")
