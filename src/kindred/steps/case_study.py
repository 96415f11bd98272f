"""Step case_study: what is known of both features of each chosen pair."""

from kindred.artefacts import case_study as artefact
from kindred.artefacts import explanation as explanation_artefact
from kindred.artefacts import features as features_artefact
from kindred.artefacts import matching as matching_artefact
from kindred.artefacts import scoring as scoring_artefact
from kindred.artefacts import windows as windows_artefact
from kindred.case_study.records import SaeEvidence, build_case_study
from kindred.steps.job import Job, run


def work(job: Job) -> None:
    """Put together what is known of both features of each chosen pair."""
    matching = job.read_one("matching", matching_artefact.load)
    features = job.read_each("features", features_artefact.load)
    windows = job.read_each("windows", windows_artefact.load)
    explanations = job.read_each("explanation", explanation_artefact.load)
    scores = job.read_each("scoring", scoring_artefact.load)
    left, right = (
        SaeEvidence(name, features[name].index, windows[name], explanations[name], scores[name])
        for name in job.params.pairs[job.identity]
    )
    case_study = build_case_study(job.identity, matching, left, right)
    with job.write() as directory:
        artefact.save(case_study, directory)


if __name__ == "__main__":
    run("case_study", work, inputs=("matching", "features", "windows", "explanation", "scoring"))
