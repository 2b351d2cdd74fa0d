"""A small reader with made-up weights, written as training writes one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from tests.small_models import WIDTH, small_transformer

from ragwright.core.reader_folder import AnswerWeights, EvidenceWeights, ReaderRules, write_rules
from ragwright.core.reader_heads import ReaderHeads, write_heads

RULES = ReaderRules(
    max_tokens=96,
    evidence=EvidenceWeights(bias=-1.0, sentence=1.0, passage=0.5, meaning=1.0, words=0.5, chunk_words=0.5),
    answer=AnswerWeights(bias=-1.0, passage=1.0, support=2.0),
)


def small_reader(folder: Path, *, rules: ReaderRules = RULES, width: int = WIDTH, **settings: Any) -> Path:
    """A reader's folder.

    Args:
        folder: Where to; made when absent.
        rules: How it is used.
        width: Of the vectors that its heads read.
        settings: Of the transformer.
    """
    small_transformer(folder, **settings)
    random = np.random.default_rng(5)
    weight = random.normal(size=(2, width, width)).astype(np.float32) / np.float32(width**0.5)
    bias, offset = (random.normal(size=shape).astype(np.float32) for shape in ((2, width), (2,)))
    write_heads(folder, ReaderHeads(weight, bias / np.float32(width**0.5), offset))
    write_rules(folder, rules)
    return folder
