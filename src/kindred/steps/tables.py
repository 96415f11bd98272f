"""Step tables: the case study and the tables as JSON, CSV, LaTeX and Markdown."""

from kindred.artefacts import tables as artefact
from kindred.report.publishing import publish_tables
from kindred.steps.findings import INPUTS, read_study
from kindred.steps.job import Job, run


def work(job: Job) -> None:
    """Write the case study and the tables as JSON, CSV, LaTeX and Markdown."""
    tables = publish_tables(read_study(job), digits=job.params.tables.digits)
    with job.write() as directory:
        artefact.save(tables, directory)


if __name__ == "__main__":
    run("tables", work, inputs=INPUTS)
