"""Make the control model: the language model's architecture with random weights (Heap et al. 2501.17727)."""

import argparse
from pathlib import Path

import torch
from pydantic import TypeAdapter
from transformers import AutoTokenizer

from kindred.models.language_model import build_language_model
from kindred.models.tokenizer import special_tokens
from kindred.steps.train_language_model import LanguageModelSettings


def main(arguments: list[str] | None = None) -> None:
    """Build the model that the training would start from, and write its folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokenizer", type=Path, required=True, help="folder of the tokenizer")
    parser.add_argument("--out", type=Path, required=True, help="folder of the model, Hugging Face form")
    parser.add_argument("--settings", required=True, help="settings of the language model as JSON")
    options = parser.parse_args(arguments)
    settings = TypeAdapter(LanguageModelSettings).validate_json(options.settings)
    tokenizer = AutoTokenizer.from_pretrained(options.tokenizer)
    model = build_language_model(
        settings.architecture, len(tokenizer), special_tokens(tokenizer), settings.training.seed
    )
    model.to(torch.bfloat16).save_pretrained(options.out)
    tokenizer.save_pretrained(options.out)


if __name__ == "__main__":
    main()
