"""Embedding scores: how well an explanation retrieves the contexts in which its feature fires."""
