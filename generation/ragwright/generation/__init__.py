"""Answers with checked citations, or a refusal."""
