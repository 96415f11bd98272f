"""Self-explanation: a model is asked, with a feature's direction in place of a word, what the word means."""
