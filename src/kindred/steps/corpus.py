"""Step corpus: the documents that params.corpus names."""

from collections.abc import Iterator
from pathlib import Path

from kindred.artefacts import corpus as artefact
from kindred.corpus.document import Document
from kindred.corpus.pydocs import DEFAULT_PACKAGES, read_package
from kindred.corpus.text_files import read_text_files
from kindred.errors import KindredError
from kindred.params import CorpusParams
from kindred.steps.job import Job, run


def work(job: Job) -> None:
    """Collect the documents, with their sources and labels."""
    with job.write() as directory:
        if not artefact.save(collect(job.params.corpus, job, directory), directory):
            raise KindredError(
                f"corpus.source = {job.params.corpus.source}: the corpus is empty; name a source that holds text"
            )


def collect(params: CorpusParams, job: Job, scratch: Path) -> Iterator[Document]:
    """Read the documents from where the params say, as they are asked for; `scratch` is left as it was."""
    if params.source == "pydocs":
        packages = params.packages or DEFAULT_PACKAGES
        for done, package in enumerate(packages, start=1):
            yield from read_package(package)
            job.progress(done, len(packages))
        return
    if params.path is None:
        raise KindredError(f"corpus.path = null: corpus.source = {params.source} needs a path")
    if params.source == "text_files":
        yield from read_text_files(
            Path(params.path), text_key=params.text_column, label_key=params.label_column
        )
        return
    from kindred.corpus.hf_dataset import read_hf_dataset  # noqa: PLC0415  (datasets take a second to import)

    yield from read_hf_dataset(
        params.path,
        split=params.split,
        text_column=params.text_column,
        label_column=params.label_column,
        scratch=scratch,
    )


if __name__ == "__main__":
    run("corpus", work, inputs=())
