"""The validated parameters of an experiment: params.yaml and its overlays."""

from kindred.params.describe import describe
from kindred.params.files import check_files
from kindred.params.loading import available_experiments, load_params
from kindred.params.saes import BatchTopKSae, FolderSae, SaeLensSae, SaeParams, SparsifySae
from kindred.params.sections import (
    ActivationsParams,
    CaseStudyParams,
    CorpusParams,
    ExplanationParams,
    FeaturesParams,
    FiguresParams,
    MatchingParams,
    ModelParams,
    Params,
    ReportParams,
    ScoringParams,
    TablesParams,
    TokensParams,
    WindowsParams,
)

__all__ = [
    "ActivationsParams",
    "BatchTopKSae",
    "CaseStudyParams",
    "CorpusParams",
    "ExplanationParams",
    "FeaturesParams",
    "FiguresParams",
    "FolderSae",
    "MatchingParams",
    "ModelParams",
    "Params",
    "ReportParams",
    "SaeLensSae",
    "SaeParams",
    "ScoringParams",
    "SparsifySae",
    "TablesParams",
    "TokensParams",
    "WindowsParams",
    "available_experiments",
    "check_files",
    "describe",
    "load_params",
]
