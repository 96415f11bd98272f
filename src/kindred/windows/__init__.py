"""The passages that activate a feature most, and their text as it was written."""
