"""Step report: the page that a reader scrolls, with everything inside it."""

from kindred.artefacts import report as artefact
from kindred.report.page import build_report
from kindred.steps.findings import INPUTS, read_study
from kindred.steps.job import Job, run


def work(job: Job) -> None:
    """Write the page that a reader scrolls, with everything inside it."""
    page = build_report(read_study(job), job.params.report.n_windows)
    with job.write() as directory:
        artefact.save(artefact.Report({"index.html": page.encode()}), directory)


if __name__ == "__main__":
    run("report", work, inputs=INPUTS)
