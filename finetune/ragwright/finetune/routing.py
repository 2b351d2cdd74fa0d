"""What makes a query an expert's: centroids of pilot questions, and how near to them a question of it is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ragwright.core.errors import InputError
from ragwright.core.routing_table import Expert, ExpertKind
from ragwright.core.types import Vectors

FLOOR = 0.05
"""Share of an expert's own pilot questions that lie further away than its floor."""

LEAST_PILOTS = 5
"""Fewer questions do not tell how wide a domain is."""

_ROUNDS = 50
_FOLDS = 5
_MEMBERS = 5  # pilot questions of a centroid, on average, at the least


def make_expert(
    name: str, *, kind: ExpertKind, folder: str, pilots: Vectors, centroids: int, seed: int
) -> Expert:
    """An expert that is known by its pilot questions.

    Args:
        name: Unique in its table.
        kind: What it is.
        folder: Of its tuned model, relative to the table's.
        pilots: Vectors of questions of its domain by the encoder of the index, float32, shape (n, dim), rows
            of unit L2 norm.
        centroids: At most so many; fewer where there are fewer than five questions for each.
        seed: Of the first centroids.

    Returns:
        Its floor is the cosine that 95 of 100 pilot questions reach to centroids of other pilot questions.

    Raises:
        InputError: There are too few pilot questions.
    """
    if len(pilots) < LEAST_PILOTS:
        raise InputError(
            f"the expert {name} has {len(pilots)} pilot questions; name at least {LEAST_PILOTS} of its domain"
        )
    count = max(1, min(centroids, len(pilots) // _MEMBERS))
    middles = spherical_centroids(pilots, count=count, seed=seed)
    return Expert(name, kind, folder, middles, _floor(pilots, count, seed))


def _floor(pilots: Vectors, count: int, seed: int) -> float:
    """The cosine that nearly all pilot questions reach to centroids that were made without them."""
    folds = np.random.default_rng(seed).permutation(len(pilots)) % _FOLDS
    likeness = np.empty(len(pilots))
    for fold in range(_FOLDS):
        middles = spherical_centroids(pilots[folds != fold], count=count, seed=seed)
        likeness[folds == fold] = (pilots[folds == fold] @ middles.T).max(axis=1)
    return float(np.quantile(likeness, FLOOR, method="lower"))


def spherical_centroids(vectors: Vectors, *, count: int, seed: int) -> Vectors:
    """Centroids of vectors by cosine.

    The method is that of Dhillon and Modha 2001, "Concept decompositions for large sparse text data using
    clustering".

    Args:
        vectors: float32, shape (n, dim), rows of unit L2 norm, at least one.
        count: How many, at most the number of different vectors.
        seed: Of the first ones, which are drawn far from one another.

    Returns:
        float32, shape (k, dim) with k <= count, rows of unit L2 norm.
    """
    middles = _first(vectors, count, np.random.default_rng(seed))
    nearest: NDArray[np.intp] | None = None
    for _ in range(_ROUNDS):
        now = (vectors @ middles.T).argmax(axis=1)
        if nearest is not None and (now == nearest).all():
            break
        nearest = now
        middles = np.stack([_middle(vectors[now == row], middles[row]) for row in range(len(middles))])
    return middles


def _first(vectors: Vectors, count: int, random: np.random.Generator) -> Vectors:
    """First centroids: each is drawn with a chance that grows with its distance from those before."""
    chosen = [int(random.integers(len(vectors)))]
    distance = np.full(len(vectors), np.inf)
    while len(chosen) < count:
        distance = np.minimum(distance, np.maximum(0.0, 1.0 - vectors @ vectors[chosen[-1]]))
        distance[distance < 1e-6] = 0.0  # equal questions make no two centroids
        if not distance.any():
            break
        chosen.append(int(random.choice(len(vectors), p=distance / distance.sum())))
    return vectors[chosen].copy()


def _middle(members: Vectors, former: NDArray[np.float32]) -> NDArray[np.float32]:
    """The direction of the members' mean; the former one where there are none, or they cancel out."""
    total = members.sum(axis=0)
    norm = float(np.linalg.norm(total))
    return np.asarray(total / norm, np.float32) if norm > 1e-6 else former
