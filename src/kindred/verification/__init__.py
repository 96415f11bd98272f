"""Comparing what was computed with a committed reference: cell by cell, and step by step up to where they part."""
