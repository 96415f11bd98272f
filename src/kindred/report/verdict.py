"""The findings in words, each computed from a comparison: nothing here is said unless the numbers say it."""

import math
from dataclasses import dataclass
from typing import Literal

from kindred.report.comparison import Comparison, Outcome
from kindred.report.frames import pairs_frame, scores_frame
from kindred.report.questions import chosen_features, find, widest_scope
from kindred.report.study import Study

Tone = Literal["yes", "no", "open", "plain"]

_AGREEMENT: dict[Outcome, str] = {
    "higher": "Explanations of best-matched pairs agree more than those of random pairs",
    "lower": "Explanations of best-matched pairs agree less than those of random pairs",
    "undecided": "Explanations of best-matched pairs were not shown to agree more than those of random pairs",
    "unmeasured": "Whether best-matched pairs agree more than random ones could not be measured",
}
_AUROC: dict[Outcome, str] = {
    "higher": "the explanations describe their features better than shuffled explanations do",
    "lower": "the explanations describe their features worse than shuffled explanations do",
    "undecided": "the explanations were not shown to describe their features better than shuffled ones do",
    "unmeasured": "whether the explanations describe their features could not be measured",
}
_ANSWERS: dict[Outcome, tuple[str, Tone]] = {
    "higher": ("Yes", "yes"),
    "lower": ("No, the reverse", "no"),
    "undecided": ("Not shown", "open"),
    "unmeasured": ("Not measured", "open"),
}
_MIRRORED: dict[Outcome, Outcome] = {"higher": "lower", "lower": "higher"}


RIVALS = ("unsteered", "continuation", "logit_lens")
_REFERENCES = {
    "unsteered": "the unsteered explanation",
    "continuation": "the steered continuation",
    "logit_lens": "the logit lens",
    "top_tokens": "the list of top tokens (a leaky upper reference)",
}


@dataclass(frozen=True)
class Finding:
    """One question, its answer in a word or two, and the sentence with the figures."""

    question: str
    answer: str
    tone: Tone
    sentence: str
    comparison: Comparison


def headline(study: Study, answers: list[Comparison]) -> tuple[str, ...]:
    """The verdict: one sentence on agreement and scores, then the reservations that the numbers call for."""
    scope = widest_scope(study)
    agreement = find(answers, scope, "agreement", "control").outcome
    auroc = find(answers, scope, "auroc", "null_permuted").outcome
    joint = "and" if (agreement == "higher") == (auroc == "higher") else "but"
    sentences = [f"{_AGREEMENT[agreement]}, {joint} {_AUROC[auroc]}."]
    if agreement == "higher" and auroc != "higher":
        sentences.append(
            "Agreement between texts that were not shown to describe their features is no evidence of shared meaning."
        )
    if auroc == "higher":
        sentences += _against_baselines(answers, scope)
    return (*sentences, *_sameness(study))


def findings(study: Study, answers: list[Comparison], scope: str) -> list[Finding]:
    """The answers of one scope in the order in which a reader would ask."""
    asked = [
        (
            "Do explanations of best pairs agree more than those of control pairs?",
            "agreement",
            "control",
            False,
        ),
        (
            "Does swapping explanations cost less in best pairs than in control pairs?",
            "swap_cost",
            "control",
            True,
        ),
        (
            "Do best pairs fire in the same contexts more than control pairs?",
            "context_jaccard",
            "control",
            False,
        ),
        ("Do their activations correlate more?", "activation_correlation", "control", False),
        ("Do self-explanations beat the permuted null?", "auroc", "null_permuted", False),
        ("Do they beat a random explanation?", "auroc", "null_random", False),
    ]
    known = {answer.second for answer in answers if answer.quantity == "auroc" and answer.scope == scope}
    asked += [
        (f"Do they beat {words}?", "auroc", name, False)
        for name, words in _REFERENCES.items()
        if name in known
    ]
    return [
        _finding(question, find(answers, scope, quantity, second), mirrored)
        for question, quantity, second, mirrored in asked
    ]


def describe_p(p_value: float) -> str:
    """A p-value in words: 'p = 0.012', 'p < 0.001'."""
    if math.isnan(p_value):
        return "p unknown"
    return "p < 0.001" if p_value < 0.001 else f"p = {p_value:.3f}"


def _finding(question: str, comparison: Comparison, mirrored: bool) -> Finding:
    """`mirrored`: a lower value is the Yes."""
    outcome = _MIRRORED.get(comparison.outcome, comparison.outcome) if mirrored else comparison.outcome
    answer, tone = _ANSWERS[outcome]
    return Finding(question, answer, tone, _sentence(comparison), comparison)


def _sentence(comparison: Comparison) -> str:
    if comparison.outcome == "unmeasured":
        return f"Too few values: {comparison.n_first} and {comparison.n_second}."
    number = (
        f"n = {comparison.n_first}"
        if comparison.paired
        else f"n = {comparison.n_first} and {comparison.n_second}"
    )
    kind = "median paired difference" if comparison.paired else "difference"
    return (
        f"Medians {comparison.median_first:.3f} and {comparison.median_second:.3f}; {kind} "
        f"{_signed(comparison.difference)} [{_signed(comparison.low)}, {_signed(comparison.high)}], "
        f"{describe_p(comparison.p_value)}, {number}."
    )


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "\N{MINUS SIGN}")


def _against_baselines(answers: list[Comparison], scope: str) -> list[str]:
    """How the self-explanation fares against its rivals; the top tokens are a reference, not a rival."""
    said: dict[Outcome, str] = {
        "higher": "They beat",
        "undecided": "They were not shown to beat",
        "lower": "They do worse than",
    }
    sentences = []
    for outcome, words in said.items():
        names = [
            _REFERENCES[answer.second]
            for answer in answers
            if (answer.scope, answer.quantity, answer.outcome) == (scope, "auroc", outcome)
            and answer.second in RIVALS
        ]
        if names:
            sentences.append(f"{words} {_listed(names)}.")
    return sentences


def _sameness(study: Study) -> tuple[str, ...]:
    """A reservation where many features got the very same words, since agreement then comes for free."""
    scores = scores_frame(study)
    own = scores[(scores["method"] == "self") & (scores["rank"] == 0)].set_index(["sae", "feature"])
    texts = own["explanation"].reindex(chosen_features(pairs_frame(study)))
    share = texts.nunique() / len(texts)
    if share > 0.5:
        return ()
    return (
        f"Only {texts.nunique()} of {len(texts)} explanations are different texts, so agreement partly means that "
        "the model says the same of everything.",
    )


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]
