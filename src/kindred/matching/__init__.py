"""One-to-one matching of the features of two sparse autoencoders."""
