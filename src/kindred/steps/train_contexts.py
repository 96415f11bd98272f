"""Take contexts from the language model's own training stream, as the text that the docs SAEs are trained on.

Definition frames keep their share, since the model writes them too: the faithful SAEs see the same kinds of text.
"""

import argparse
from itertools import islice
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter
from transformers import AutoTokenizer

from kindred.corpus.packing import NO_DOCUMENT, PackedContexts
from kindred.corpus.table import read_documents
from kindred.models.tokenizer import special_tokens
from kindred.models.training import batches
from kindred.steps.train_language_model import LanguageModelSettings, prepare_data
from kindred.steps.train_samples import write_contexts


def main(arguments: list[str] | None = None) -> None:
    """Read documents and tokenizer, write a folder of packed contexts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=Path, required=True, help="table of documents (parquet)")
    parser.add_argument("--tokenizer", type=Path, required=True, help="folder of the tokenizer")
    parser.add_argument("--n-contexts", type=int, required=True, help="contexts to take")
    parser.add_argument("--out", type=Path, required=True, help="folder of packed contexts")
    parser.add_argument("--settings", required=True, help="settings of the language model as JSON")
    options = parser.parse_args(arguments)
    settings = TypeAdapter(LanguageModelSettings).validate_json(options.settings)
    tokenizer = AutoTokenizer.from_pretrained(options.tokenizer)
    data = prepare_data(read_documents(options.documents), tokenizer, settings)
    n_batches = -(-options.n_contexts // settings.training.batch_size)
    stream = islice(batches(data, settings.training), n_batches)
    tokens = np.concatenate(list(stream))[: options.n_contexts]
    special = special_tokens(tokenizer)
    is_special = special.among(tokens)
    document = np.where(is_special, NO_DOCUMENT, np.arange(len(tokens))[:, None]).astype(np.int32)
    write_contexts(options.out, PackedContexts(tokens, is_special, document))


if __name__ == "__main__":
    main()
