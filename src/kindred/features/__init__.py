"""From shards of activations to an index by feature and the statistics of each feature."""
