"""Checks of values that are right alone and wrong together; they need no file but params.yaml."""

import string
from collections.abc import Iterator

from kindred.params.problems import Problem, did_you_mean, shown
from kindred.params.sections import CORPUS_KEYS, CORPUS_UNSET, Params


def combination_problems(params: Params) -> list[Problem]:
    """All problems of values with each other."""
    return [*_pairs(params), *_lengths(params), *_counts(params), *_corpus(params), *_template(params)]


def _pairs(params: Params) -> Iterator[Problem]:
    names = list(params.saes)
    for pair, members in params.pairs.items():
        for member in members:
            if member not in params.saes:
                fault = f"unknown SAE {member}" + did_you_mean(member, names)
                yield Problem(("pairs", pair), members, fault, ", ".join(names))
        if members[0] == members[1]:
            yield Problem(("pairs", pair), members, "pairs an SAE with itself", "two different names of saes")


def _lengths(params: Params) -> Iterator[Problem]:
    context_length = params.tokens.context_length
    for key, length in (
        (("windows", "length"), params.windows.length),
        (("scoring", "context_length"), params.scoring.context_length),
    ):
        if length > context_length:
            fault = f"longer than tokens.context_length = {context_length}"
            yield Problem(key, length, fault, f"an integer >= 1 and <= {context_length}")
    windows = params.windows
    if windows.min_length > windows.length:
        fault = f"more than windows.length = {windows.length}"
        allowed = f"an integer >= 1 and <= {windows.length}"
        yield Problem(("windows", "min_length"), windows.min_length, fault, allowed)


def _counts(params: Params) -> Iterator[Problem]:
    explanation, scoring, matching = params.explanation, params.scoring, params.matching
    n_above = explanation.n_scales - 1
    if explanation.n_explanations > n_above:
        fault = (
            f"more than the {n_above} scales above 0 that explanation.n_scales = {explanation.n_scales} gives"
        )
        yield Problem(("explanation", "n_explanations"), explanation.n_explanations, fault)
    if explanation.probe_layer is not None and explanation.probe_layer < explanation.inject_layer:
        fault = f"before explanation.inject_layer = {explanation.inject_layer}, where nothing is injected yet"
        yield Problem(
            ("explanation", "probe_layer"), explanation.probe_layer, fault, "that layer or a later one"
        )
    if scoring.n_activating < scoring.n_deciles:
        fault = f"fewer than scoring.n_deciles = {scoring.n_deciles}; each decile gives at least one context"
        yield Problem(("scoring", "n_activating"), scoring.n_activating, fault)
    if matching.n_best + matching.n_worst + matching.n_control == 0:
        fault = "no pair is chosen: matching.n_best, n_worst and n_control are all 0"
        yield Problem(("matching", "n_best"), 0, fault, "at least one of them >= 1")
    if params.report.n_windows > params.windows.n_top:
        fault = f"more than windows.n_top = {params.windows.n_top}, which is all there are"
        yield Problem(("report", "n_windows"), params.report.n_windows, fault)


def _corpus(params: Params) -> Iterator[Problem]:
    corpus = params.corpus
    for key, unset in CORPUS_UNSET.items():
        value = getattr(corpus, key)
        if key not in CORPUS_KEYS[corpus.source] and value != unset:
            others = " or ".join(source for source, keys in CORPUS_KEYS.items() if key in keys)
            advice = f"set it to {shown(unset)}, or choose source {others}"
            fault = f"corpus.source = {corpus.source} reads no {key}; {advice}"
            yield Problem(("corpus", key), value, fault)
    if corpus.source != "pydocs" and corpus.path is None:
        what = "a folder" if corpus.source == "text_files" else "a hub name or a local folder"
        yield Problem(("corpus", "path"), None, f"corpus.source = {corpus.source} needs a path", what)


def _template(params: Params) -> Iterator[Problem]:
    template = params.scoring.query_template
    key = ("scoring", "query_template")
    try:
        parts = [part[1:] for part in string.Formatter().parse(template) if part[1] is not None]
    except ValueError as error:
        yield Problem(key, template, f"not a template: {error}", "text with {explanation} in it")
        return
    if not parts or any(part != ("explanation", "", None) for part in parts):
        fault = "does not hold {explanation}" if not parts else "holds a field other than {explanation}"
        yield Problem(key, template, fault, "text with {explanation} in it")
