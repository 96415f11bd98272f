"""Sparse autoencoders of every supported format behind one interface."""
