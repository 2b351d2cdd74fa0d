"""The numbers of the evidence score, fitted on public corpora: written by `bench/evidence.py --write`."""

from __future__ import annotations

from typing import Final

# How much each sign of a sentence counts, as `evidence_score.py` defines them; they add up to 1.
MEANING: Final = 0.453
WORDS: Final = 0.325
CHUNK_WORDS: Final = 0.222

# What a word of the question counts that stands in the sentence before or in the one after, against 1 in the
# sentence itself; two sentences away it counts the square.
BEFORE: Final = 0.6
AFTER: Final = 0.3
