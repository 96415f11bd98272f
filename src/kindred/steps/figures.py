"""Step figures: the figures as PDF and PNG."""

from kindred.artefacts import figures as artefact
from kindred.report.figure_files import publish_figures
from kindred.steps.findings import INPUTS, read_study
from kindred.steps.job import Job, run


def work(job: Job) -> None:
    """Draw the figures as PDF and PNG."""
    figures = publish_figures(read_study(job), dpi=job.params.figures.dpi)
    with job.write() as directory:
        artefact.save(figures, directory)


if __name__ == "__main__":
    run("figures", work, inputs=INPUTS)
