"""Step report: the page that a reader scrolls, with everything inside it."""

from kindred.artefacts import report as artefact
from kindred.report.publishing import publish_report
from kindred.steps.findings import INPUTS, read_study
from kindred.steps.job import Job, run


def work(job: Job) -> None:
    """Write the page that a reader scrolls, with everything inside it."""
    report = publish_report(read_study(job), n_windows=job.params.report.n_windows)
    with job.write() as directory:
        artefact.save(report, directory)


if __name__ == "__main__":
    run("report", work, inputs=INPUTS)
