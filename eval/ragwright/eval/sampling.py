"""A part of a data set's questions, drawn at random, for a quick look."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from random import Random

from ragwright.eval.values import Dataset


def drawn(dataset: Dataset, count: int, *, seed: int = 0) -> Dataset:
    """So many of the questions, in their order; the data set itself when it has no more.

    Documents and judgements stay: the sample is asked within the whole. The digest names the sample, so that
    only runs on equal samples are compared.

    Args:
        dataset: Any.
        count: At least 1.
        seed: Equal seeds draw the same questions.
    """
    if count >= len(dataset.items):
        return dataset
    places = sorted(Random(seed).sample(range(len(dataset.items)), count))
    items = tuple(dataset.items[place] for place in places)
    told = f"{dataset.digest} {' '.join(item.id for item in items)}"
    return replace(
        dataset, items=items, digest=hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()
    )
