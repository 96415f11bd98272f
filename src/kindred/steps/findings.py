"""How the steps that publish results read everything that the earlier steps found."""

from kindred.artefacts import case_study as case_study_artefact
from kindred.artefacts import explanation as explanation_artefact
from kindred.artefacts import features as features_artefact
from kindred.artefacts import matching as matching_artefact
from kindred.artefacts import scoring as scoring_artefact
from kindred.report.study import Study, gather_study
from kindred.steps.job import Job

INPUTS = ("features", "matching", "explanation", "scoring", "case_study")


def read_study(job: Job) -> Study:
    """Read the artefacts of all SAEs and pairs."""
    features = job.read_each("features", features_artefact.load)
    return gather_study(
        job.params,
        matchings=job.read_each("matching", matching_artefact.load),
        case_studies=job.read_each("case_study", case_study_artefact.load),
        statistics={name: value.statistics.table for name, value in features.items()},
        explanations=job.read_each("explanation", explanation_artefact.load),
        scores=job.read_each("scoring", scoring_artefact.load),
    )
