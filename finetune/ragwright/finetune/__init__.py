"""Tuning a workspace's retriever to its documents: questions, negatives, training, and what came of it."""
