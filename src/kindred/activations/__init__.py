"""From tokens to the sparse activations of every SAE, in one forward pass per batch."""
