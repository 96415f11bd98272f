"""Language models: tokenizer, training, sampling, loading and hooks."""
