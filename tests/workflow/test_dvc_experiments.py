"""DVC's experiments, metrics and plots on the real workflow: each reruns what depends, and is found again."""

import csv
import io
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import vl_convert
import yaml
from PIL import Image

from kindred.report.figures import FIGURES

REPOSITORY = Path(__file__).parents[2]
OVERLAY = "experiments/small.yaml"
FROM_MATCHING = {
    "matching": 1,
    "windows": 2,
    "explanation": 2,
    "scoring": 2,
    "case_study": 1,
    "tables": 1,
    "figures": 1,
    "report": 1,
}
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
CHROMIUM_OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--no-first-run",
    "--virtual-time-budget=10000",
    "--window-size=1400,3600",
)
SEEN = """<script>addEventListener("load", () => {
document.body.dataset.images = [...document.images].filter(image => image.naturalWidth > 100).length })</script>"""


@pytest.fixture(scope="module")
def baseline(built, tmp_path_factory):
    """The built project in a repository with one commit. Only to be read, or copied."""
    project = built.copy(tmp_path_factory.mktemp("baseline") / "project")
    project.put_under_version_control()
    for key, value in (("user.name", "test"), ("user.email", "test@example.org")):
        project.run("git", "config", key, value)
    shutil.copytree(REPOSITORY / ".dvc/plots", project.root / ".dvc/plots")
    project.run("dvc", "repro")
    project.commit("baseline")
    return project


@pytest.fixture
def laboratory(baseline, tmp_path):
    """A copy of the repository, to make experiments in."""
    return baseline.copy(tmp_path / "laboratory")


@pytest.fixture(scope="module")
def offline(tmp_path_factory):
    """A template for DVC's page that holds Vega itself, which DVC takes from the network."""
    if CHROMIUM is None:
        pytest.skip("chromium is not installed: the page of dvc plots was not looked at")
    vega = vl_convert.javascript_bundle(vl_version="5.8").replace("</script", r"<\/script")
    template = tmp_path_factory.mktemp("template") / "page.html"
    # The bundle is a module, whose names would be everybody's in a plain script, and which would run too late as one.
    template.write_text(
        f"<!DOCTYPE html><html><head><meta charset='utf-8'><script>(() => {{{vega}}})()</script>{SEEN}</head>"
        "<body>{plot_divs}</body></html>"
    )
    return template


def changed_files(project):
    """What git sees, as (state, path)."""
    lines = project.run("git", "status", "--porcelain").stdout.splitlines()
    return {(line[:2].strip(), line[3:]) for line in lines}


def nothing_to_do(project):
    assert project.plan() == {}
    assert "up to date" in project.run("dvc", "status").stdout
    return True


def experiments(project):
    """The rows of `dvc exp show`, by name or revision."""
    rows = csv.DictReader(io.StringIO(project.run("dvc", "exp", "show", "--csv").stdout))
    return {row["Experiment"] or row["rev"]: row for row in rows}


def metrics(project):
    return json.loads((project.root / "results/tables/metrics.json").read_text())


def back(project):
    """The work tree as the commit says."""
    project.run("git", "checkout", "--quiet", ".")
    project.run("dvc", "checkout", "--quiet")
    assert changed_files(project) == set()


def test_an_experiment_reruns_what_depends_and_is_found_again(laboratory, jobs):
    before = laboratory.hashes("cache", "results")
    assert jobs(laboratory.run("dvc", "exp", "run", "--name", "five", "-S", "tables.digits=5")) == {
        "tables": 1
    }
    assert nothing_to_do(laboratory)
    made = laboratory.hashes("cache", "results")
    changes = changed_files(laboratory)
    assert {path for _, path in changes if not path.startswith("results/tables/")} == {
        "dvc.lock",
        "params.yaml",
    }
    assert {state for state, _ in changes} == {"M"}

    row = experiments(laboratory)["five"]
    assert row["tables.digits"] == "5"
    ratio = metrics(laboratory)["pairs"]["seeds"]["shared_feature_ratio_two_sided"]
    assert float(row["pairs.seeds.shared_feature_ratio_two_sided"]) == ratio

    back(laboratory)
    assert laboratory.hashes("cache", "results") == before
    assert nothing_to_do(laboratory)
    laboratory.run("dvc", "exp", "apply", "five")
    assert changed_files(laboratory) == changes
    assert laboratory.hashes("cache", "results") == made
    assert nothing_to_do(laboratory)

    back(laboratory)
    laboratory.run("dvc", "exp", "branch", "five", "digits-five")
    laboratory.run("git", "checkout", "--quiet", "digits-five")
    laboratory.run("dvc", "checkout", "--quiet")
    assert changed_files(laboratory) == set()
    assert laboratory.hashes("cache", "results") == made
    assert nothing_to_do(laboratory)


def test_params_and_metrics_are_compared_with_a_commit(laboratory):
    """A metric that a researcher would see move: a pair's median, edited as if another run had found it."""
    shown = json.loads(laboratory.run("dvc", "metrics", "show", "--json").stdout)
    assert shown[""]["data"]["results/tables/metrics.json"]["data"] == metrics(laboratory)
    path = laboratory.root / "results/tables/metrics.json"
    agreement = metrics(laboratory)["pairs"]["seeds"]["best"]["agreement"]
    path.write_text(path.read_text().replace(str(agreement), str(agreement + 0.25), 1))
    laboratory.set("tables.digits", 5)
    laboratory.set("figures.dpi", 61)

    found = json.loads(laboratory.run("dvc", "metrics", "diff", "--json").stdout)
    ((name, change),) = found["results/tables/metrics.json"].items()
    assert name == "pairs.seeds.best.agreement"
    assert change["diff"] == pytest.approx(0.25)
    params = json.loads(laboratory.run("dvc", "params", "diff", "--json").stdout)
    assert params == {"params.yaml": {"tables.digits": {"old": 4, "new": 5, "diff": 1}}}
    # An overlay is no params file of the stage; it is compared when it is named.
    overlay = json.loads(laboratory.run("dvc", "params", "diff", "--json", "--targets", OVERLAY).stdout)
    assert overlay == {OVERLAY: {"figures.dpi": {"old": 60, "new": 61, "diff": 1}}}


def test_every_figure_is_among_the_plots(baseline):
    plots = yaml.safe_load((baseline.root / "dvc.yaml").read_text())["plots"]
    assert {plot for plot in plots if isinstance(plot, str)} == {
        f"results/figures/{name}.png" for name in FIGURES
    }


def test_plots_are_written(laboratory):
    laboratory.run("dvc", "plots", "show")
    page = (laboratory.root / "dvc_plots/index.html").read_text()
    assert page.count("vegaEmbed(") == len(charts(laboratory))
    assert len(re.findall(r'<img\s+src="static/workspace_', page)) == len(FIGURES)
    for chart in charts(laboratory):
        assert chart in page
    assert changed_files(laboratory) <= {("??", "dvc_plots/")}


@pytest.mark.parametrize("revisions", [("show",), ("diff", "HEAD")])
def test_plots_need_nothing_in_the_cache_of_dvc(laboratory, revisions):
    """As in a clone in which snakemake made the tables, other ones perhaps than dvc.lock names."""
    shutil.rmtree(laboratory.root / ".dvc/cache")
    figure = laboratory.root / "results/figures/swap_cost.png"
    figure.write_bytes(figure.read_bytes() + b"redrawn")
    done = laboratory.run("dvc", "plots", *revisions)
    page = (laboratory.root / "dvc_plots/index.html").read_text()
    assert page.count("vegaEmbed(") == len(charts(laboratory))
    assert len(re.findall(r'<img\s+src="static/workspace_', page)) == len(FIGURES)
    if revisions == ("show",):
        assert "failed to load" not in done.stderr


def test_a_browser_draws_every_plot(laboratory, offline, tmp_path):
    """A point for each number of the tables, a box for each group and method, and every figure."""
    pairs, features = measured(laboratory, "pairs", "agreement"), measured(laboratory, "features", "auroc")
    points = {
        "Agreement of explanations against similarity": pairs,
        "Agreement of explanations by group": pairs,
        "AUROC of self-explanations by group": sum(
            measured(laboratory, "pairs", f"auroc_{side}") for side in ("left", "right")
        ),
        "AUROC by method": measured(laboratory, "scores", "auroc"),
        "AUROC of self-explanations against their null": features,
    }
    boxes = {
        "Agreement of explanations by group": 3,
        "AUROC of self-explanations by group": 3,
        "AUROC by method": 5,
    }
    laboratory.run("dvc", "plots", "show", "--html-template", str(offline))
    dom = look_at(laboratory.root / "dvc_plots/index.html", tmp_path)
    drawn = {part[: part.index('"')]: part for part in dom.split('<div id="')[1:]}
    assert len(charts(laboratory)) == len(points)
    for name, n in points.items():
        part = drawn[name.replace(" ", "_")]
        assert part.count('aria-roledescription="point"') == n
        assert part.count('aria-roledescription="box"') == boxes.get(name, 0)
    assert f'data-images="{len(FIGURES)}"' in dom


@pytest.mark.slow
def test_a_browser_draws_two_revisions_side_by_side(laboratory, offline, tmp_path):
    laboratory.run("dvc", "exp", "run", "--name", "sharper", "-S", f"{OVERLAY}:figures.dpi=72")
    laboratory.run("dvc", "plots", "diff", "HEAD", "sharper", "--html-template", str(offline))
    dom = look_at(laboratory.root / "dvc_plots/index.html", tmp_path)
    assert dom.count('role="graphics-document"') == len(charts(laboratory))
    assert f'data-images="{2 * len(FIGURES)}"' in dom
    widths = {revision: width_of_figure(laboratory, revision) for revision in ("HEAD", "sharper")}
    assert widths["sharper"] == pytest.approx(widths["HEAD"] * 72 / 60, abs=2)


@pytest.mark.slow
def test_an_experiment_in_a_folder_of_its_own_leaves_the_work_tree_alone(laboratory, jobs):
    before = laboratory.hashes("cache", "results")
    done = laboratory.run(
        "dvc", "exp", "run", "--temp", "--name", "fewer", "-S", f"{OVERLAY}:matching.n_best=2"
    )
    assert jobs(done) == FROM_MATCHING
    assert changed_files(laboratory) == set()
    assert laboratory.hashes("cache", "results") == before
    assert nothing_to_do(laboratory)

    old = metrics(laboratory)["pairs"]["seeds"]["best"]["agreement"]
    found = json.loads(laboratory.run("dvc", "metrics", "diff", "--json", "HEAD", "fewer").stdout)
    change = found["results/tables/metrics.json"]["pairs.seeds.best.agreement"]
    assert change["old"] == old != change["new"]
    laboratory.run("dvc", "exp", "apply", "fewer")
    assert metrics(laboratory)["pairs"]["seeds"]["best"]["agreement"] == change["new"]
    assert nothing_to_do(laboratory)


@pytest.mark.slow
def test_queued_experiments_run_one_after_another(laboratory, jobs):
    settings = {"six": "tables.digits=6", "coarse": f"{OVERLAY}:figures.dpi=50"}
    for name, setting in settings.items():
        laboratory.run("dvc", "exp", "run", "--queue", "--name", name, "-S", setting)
    assert laboratory.run("dvc", "queue", "status").stdout.count("Queued") == 2
    laboratory.run("dvc", "exp", "run", "--run-all")
    laboratory.run("dvc", "queue", "stop", status=None)
    assert laboratory.run("dvc", "queue", "status").stdout.count("Success") == 2
    assert jobs(laboratory.run("dvc", "queue", "logs", "six")) == {"tables": 1}
    assert jobs(laboratory.run("dvc", "queue", "logs", "coarse")) == {"figures": 1}

    assert changed_files(laboratory) == set()
    assert experiments(laboratory)["six"]["tables.digits"] == "6"
    for name in settings:
        laboratory.run("dvc", "exp", "apply", name)
        assert nothing_to_do(laboratory)
        back(laboratory)
        assert nothing_to_do(laboratory)


@pytest.mark.slow
def test_a_queued_experiment_runs_the_sources_that_were_queued(laboratory, jobs):
    laboratory.run("dvc", "exp", "run", "--queue", "--name", "six", "-S", "tables.digits=6")
    source = laboratory.root / "src/kindred/report/tables.py"
    queued = source.read_text()
    source.write_text(queued.replace("Chosen pairs of matched features", "Edited since"))
    assert source.read_text() != queued
    laboratory.run("dvc", "exp", "run", "--run-all")
    laboratory.run("dvc", "queue", "stop", status=None)
    assert jobs(laboratory.run("dvc", "queue", "logs", "six")) == {"tables": 1}
    source.write_text(queued)
    laboratory.run("dvc", "exp", "apply", "six")
    assert "Chosen pairs of matched features" in (laboratory.root / "results/tables/pairs.md").read_text()
    assert nothing_to_do(laboratory)


@pytest.mark.slow
def test_a_key_that_the_overlay_sets_is_the_overlay_s(laboratory, jobs):
    """docs/experiments.md warns of it: params.yaml does not reach a key that experiments/small.yaml sets."""
    assert jobs(laboratory.run("dvc", "exp", "run", "-S", "figures.dpi=99")) == {}
    assert jobs(laboratory.run("dvc", "exp", "run", "-S", f"{OVERLAY}:figures.dpi=50")) == {"figures": 1}


def charts(project):
    """The plots of dvc.yaml that are drawn from tables."""
    plots = yaml.safe_load((project.root / "dvc.yaml").read_text())["plots"]
    return [name for plot in plots if isinstance(plot, dict) for name in plot]


def measured(project, table, column):
    """How many cells of a column have a number."""
    rows = csv.DictReader(io.StringIO((project.root / f"results/tables/{table}.csv").read_text()))
    return sum(row[column] != "" for row in rows)


def width_of_figure(project, revision):
    with Image.open(project.root / f"dvc_plots/static/{revision}_results_figures_swap_cost.png") as image:
        return image.width


def look_at(page, folder):
    """What headless Chromium has on the page once everything was drawn."""
    command = [
        CHROMIUM,
        *CHROMIUM_OPTIONS,
        f"--user-data-dir={folder / 'profile'}",
        "--dump-dom",
        page.as_uri(),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    return done.stdout[done.stdout.rindex("</head>") :]  # Vega's own text lies before
