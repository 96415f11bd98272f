"""Compare settings of the self-explanation by their AUROC, on features that the case study does not report.

Whatever is chosen by score must be chosen on other features than those it is reported on (docs/methods.md). Run it in a
project whose pipeline has run: `python benchmarks/explanation_settings.py --sae docs-0 --features 40`.
"""

import argparse
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from kindred.artefacts import features as features_artefact
from kindred.artefacts import matching as matching_artefact
from kindred.artefacts import tokens as tokens_artefact
from kindred.artefacts.features import Features
from kindred.explanation.self_explanation import explain
from kindred.matching.chosen import chosen_features
from kindred.params import ExplanationParams, Params
from kindred.scoring.embedding import load_embedder
from kindred.scoring.scores import score
from kindred.seeding import generator
from kindred.steps.loading import open_model, open_sae
from kindred.windows.text import PassageDecoder
from kindred.windows.top import top_windows
from kindred.workflow import SNAPSHOT

GRID = {
    "template": ("meaning", "repeat"),
    "injection": ("add", "replace", "mean_plus"),
    "inject_layer": (0, 1, 2),
    "probe_layer": (None, 2),
}
FIXED = {"n_scales": 17, "max_scale": 4.0, "n_explanations": 1}


def main() -> None:
    """Explain the features under each setting, score all texts on the same contexts, print medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sae", required=True)
    parser.add_argument("--features", type=int, default=40, help="number of features")
    parser.add_argument(
        "--out", type=Path, required=True, help="table of results (CSV); one of each feature beside it"
    )
    options = parser.parse_args()
    params = Params.model_validate_json(SNAPSHOT.read_bytes())
    torch.set_num_threads(params.model.threads)
    contexts = tokens_artefact.load(Path("cache/tokens")).contexts
    features = features_artefact.load(Path("cache/features", options.sae))
    pairs = {name: Path("cache/matching", name) for name, pair in params.pairs.items() if options.sae in pair}
    matchings = {name: matching_artefact.load(folder) for name, folder in pairs.items()}
    reported = chosen_features(options.sae, params.pairs, matchings)
    chosen = other_features(features, reported, options.features, params)
    loaded, sae = open_model(params), open_sae(params, options.sae)
    rows = np.unique(np.linspace(0, contexts.n_contexts - 1, 64).astype(np.int64))
    settings, texts = [], []
    for number, values in enumerate(product(*GRID.values())):
        setting = dict(zip(GRID, values, strict=True))
        explanations = explain(
            loaded,
            sae.W_dec[chosen],
            chosen,
            neutral_tokens=torch.from_numpy(contexts.tokens[rows].astype(np.int64)),
            neutral_special=torch.from_numpy(np.array(contexts.is_special[rows])),
            params=ExplanationParams.model_validate(params.explanation.model_dump() | FIXED | setting),
            hook_point=sae.hook_point,
            seed=params.seed,
        )
        table = explanations.texts
        own = table[(table["method"] == "self") & (table["rank"] == 0)]
        texts.append(own.assign(method=f"setting-{number}"))
        settings.append({"method": f"setting-{number}", **setting})
        if number == 0:
            texts.append(table[table["method"] != "self"])
        print(setting, own["text"].head(3).tolist(), flush=True)
    decode = PassageDecoder(loaded.tokenizer)
    windows = top_windows(
        features.index,
        chosen,
        contexts,
        length=params.windows.length,
        min_length=params.windows.min_length,
        n_top=params.windows.n_top,
        decode=decode,
    )
    scores = score(
        chosen,
        pd.concat(texts, ignore_index=True),
        features.index,
        contexts,
        windows,
        decode=decode,
        count_tokens=lambda text: len(loaded.tokenizer.encode(text, add_special_tokens=False)),
        embedder=load_embedder(params.scoring.embedder, device="cpu", batch_size=params.scoring.batch_size),
        decoder_rows=sae.W_dec.numpy(),
        params=params.scoring,
        seed=params.seed,
    ).table
    scores.to_csv(options.out.with_suffix(".features.csv"), index=False, float_format="%.4f")
    summary = scores.groupby("method")[["auroc", "null_permuted"]].agg(["mean", "median"])
    summary.columns = ["_".join(column) for column in summary.columns]
    result = summary.reset_index().merge(pd.DataFrame(settings), on="method", how="left")
    result = result.sort_values("auroc_mean", ascending=False)
    result.to_csv(options.out, index=False, float_format="%.4f")
    print(result.to_string())


def other_features(features: Features, reported: list[int], n: int, params: Params) -> list[int]:
    """A seeded choice of features that fire often enough and are in no chosen pair."""
    table = features.statistics.table
    eligible = table.loc[table["n_contexts_active"] >= params.matching.min_contexts, "feature"].to_numpy()
    pool = np.setdiff1d(eligible, reported)
    return sorted(generator(params.seed, "explanation settings").choice(pool, n, replace=False).tolist())


if __name__ == "__main__":
    main()
