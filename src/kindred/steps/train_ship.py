"""Copy what was trained into models/, with a card beside each and one README over all."""

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

from kindred.artefacts.folder import file_sha256

TEMPLATE = """# The shipped model and SAEs

Made by `snakemake --cores all models` from the recipe in recipe.yaml and the documentation of the packages that
requirements.lock pins; nothing here is edited by hand. `cards.json` holds the same figures for programs.

## docs-lm

A Llama-style causal language model with its own byte-level BPE, weights in bfloat16.

| | |
|---|---|
| parameters | {n_parameters:,} |
| tokens seen in training | {tokens_seen:,} |
| of them in definition frames | {definition_tokens:,} |
| validation loss, held-out documents | {validation_loss_nats:.3f} nats per token |
| perplexity | {perplexity:.1f} |
| validation tokens | {n_validation_tokens:,} |

Greedy continuations:

{greedy}

Samples at temperature 1, from BOS alone (the first 300 characters):

{sampled}

## SAEs

All are TopK SAEs in SAELens's folder format. Each is measured on {n_tokens:,} or so tokens of its own kind of text
that it was not trained on; `untrained-0` reads a model of the same architecture with random weights.

| SAE | text | seed | L0 | explained variance | CE, nats | CE through the SAE | CE recovered | silent features |
|---|---|---|---|---|---|---|---|---|
{saes}

Explained variance is centred in each dimension. CE recovered compares with the site set to zero.

## Hashes (SHA-256)

{hashes}
"""


def main(arguments: list[str] | None = None) -> None:
    """Copy the model and the SAEs, write cards.json and README.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--language-model", type=Path, required=True, help="folder of the trained model")
    parser.add_argument("--saes", type=Path, nargs="+", required=True, help="folders of the trained SAEs")
    parser.add_argument(
        "--sae-cards", type=Path, nargs="+", required=True, help="their cards, in the same order"
    )
    parser.add_argument("--out", type=Path, required=True, help="the folder models/")
    options = parser.parse_args(arguments)
    _copy(options.language_model, options.out / "docs-lm")
    cards: dict[str, Any] = {
        "docs-lm": json.loads((options.language_model / "card.json").read_text()),
        "saes": {},
    }
    for sae, card in zip(options.saes, options.sae_cards, strict=True):
        _copy(sae, options.out / "saes" / sae.name)
        metadata = json.loads((sae / "cfg.json").read_text())["metadata"]
        kept = {key: metadata[key] for key in ("dataset_path", "seed", "training_tokens", "model_name")}
        cards["saes"][sae.name] = {**json.loads(card.read_text()), **kept}
    weights = sorted(options.out.rglob("*.safetensors"))
    cards["sha256"] = {path.relative_to(options.out).as_posix(): file_sha256(path) for path in weights}
    (options.out / "cards.json").write_text(json.dumps(cards, indent=1, sort_keys=True) + "\n")
    (options.out / "README.md").write_text(readme(cards))


def readme(cards: dict[str, Any]) -> str:
    """The cards as a page for people."""
    model = cards["docs-lm"]
    rows = [
        f"| {name} | {card['dataset_path']} | {card['seed']} | {card['l0']:.1f} | {card['explained_variance']:.3f} | "
        f"{card['ce_nats']:.3f} | {card['ce_sae_nats']:.3f} | {card['ce_recovered']:.3f} | "
        f"{card['n_silent']} of {card['d_sae']} ({card['silent_share']:.1%}) |"
        for name, card in cards["saes"].items()
    ]
    return TEMPLATE.format(
        **{key: value for key, value in model.items() if key not in ("greedy", "sampled")},
        greedy="\n".join(
            f"- {_quoted(prompt)} -> {_quoted(text)}" for prompt, text in model["greedy"].items()
        ),
        sampled="\n".join(f"- {_quoted(text[:300])}" for text in model["sampled"]),
        n_tokens=min(card["n_tokens"] for card in cards["saes"].values()),
        saes="\n".join(rows),
        hashes="\n".join(f"- `{name}` {digest}" for name, digest in cards["sha256"].items()),
    )


def _quoted(text: str) -> str:
    """Text as a Markdown code span on one line."""
    return f"`` {' '.join(text.split())} ``"


def _copy(source: Path, target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for path in sorted(source.iterdir()):
        if path.is_file() and not path.name.startswith("."):
            shutil.copyfile(path, target / path.name)


if __name__ == "__main__":
    main()
