"""The features of one SAE that any of its pairs chose, so that each SAE is processed once."""

from collections.abc import Mapping

from kindred.artefacts.matching import Matching


def chosen_features(
    sae: str, pairs: Mapping[str, tuple[str, str]], matchings: Mapping[str, Matching]
) -> list[int]:
    """Features of `sae` in the chosen pairs of all matchings it takes part in, ascending, each once.

    Args:
        sae: Name of the SAE.
        pairs: Names of the left and right SAE of each pair.
        matchings: Matching of each pair that names the SAE.
    """
    features: set[int] = set()
    for name, matching in matchings.items():
        left, right = pairs[name]
        if sae == left:
            features.update(matching.chosen["left"].tolist())
        if sae == right:
            features.update(matching.chosen["right"].tolist())
    return sorted(features)
