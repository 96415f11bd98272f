"""Step tables: the case study and the tables as JSON, CSV, LaTeX and Markdown."""

from kindred.artefacts import tables as artefact
from kindred.report.tables import render_tables
from kindred.steps.findings import INPUTS, read_study
from kindred.steps.job import Job, run


def work(job: Job) -> None:
    """Write the case study and the tables as JSON, CSV, LaTeX and Markdown."""
    texts = render_tables(read_study(job), job.params.tables.digits)
    tables = artefact.Tables({name: text.encode() for name, text in texts.items()})
    with job.write() as directory:
        artefact.save(tables, directory)
        job.write_sidecars(directory)


if __name__ == "__main__":
    run("tables", work, inputs=INPUTS)
