"""The chunks that a query may show: the halves' results joined, made distinct, and reranked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ragwright.core.protocols import Scored, StoredChunk
from ragwright.core.types import Place
from ragwright.retrieval.finding import Found

Fetch = Callable[[Sequence[str]], Mapping[str, StoredChunk]]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A chunk that may be shown, and the others of its text.

    Attributes:
        stored: The best ranked chunk of its text.
        others: The others that were seen, in ranked order.
    """

    stored: StoredChunk
    others: list[StoredChunk] = field(default_factory=list)

    @property
    def id(self) -> str:
        """Of the best ranked chunk."""
        return self.stored.chunk.id

    @property
    def places(self) -> tuple[Place, ...]:
        """Where the others stand: of the results alone, which a scope bounds, whatever else has this text."""
        return tuple([Place(other.chunk.span, other.source) for other in self.others])


@dataclass(frozen=True, slots=True)
class Ranking:
    """What both halves put forward for one query.

    Attributes:
        dense: The dense half, best first.
        sparse: The lexical half, best first.
        fused: Both joined, best first.
        routing: What the query's expert was chosen by; every hit tells it.
    """

    dense: Sequence[Scored]
    sparse: Sequence[Scored]
    fused: Sequence[Scored]
    routing: Mapping[str, float] = field(default_factory=dict)

    def found(self, candidates: Sequence[Candidate], scores: Sequence[float] | None = None) -> list[Found]:
        """Candidates with every part of their scores, best first; equal scores are ordered by id.

        Args:
            candidates: In the order of `fused`.
            scores: What a reranker gave each of them; None: they were not reranked.
        """
        fused = dict(self.fused)
        halves = (_places("dense", self.dense), _places("sparse", self.sparse))
        parts = [
            {**halves[0](each.id), **halves[1](each.id), "fused": fused[each.id], **self.routing}
            for each in candidates
        ]
        if scores is None:
            return [
                Found(c.stored, c.places, part["fused"], part)
                for c, part in zip(candidates, parts, strict=True)
            ]
        found = [
            Found(c.stored, c.places, score, {**part, "reranked": score})
            for c, part, score in zip(candidates, parts, scores, strict=True)
        ]
        return sorted(found, key=lambda each: (-each.score, each.stored.chunk.id))

    def reranked(self, candidates: Sequence[Candidate], scores: Sequence[float]) -> list[Scored]:
        """The whole ranking, the reranked chunks first.

        A chunk of the same text as a candidate has its score. The others follow in their former order, their
        scores moved below the lowest of the reranked.
        """
        new = {
            chunk.chunk.id: score
            for each, score in zip(candidates, scores, strict=True)
            for chunk in (each.stored, *each.others)
        }
        first = sorted(((Scored(key, score)) for key, score in new.items()), key=_best_first)
        rest = [hit for hit in self.fused if hit.id not in new]
        shift = first[-1].score - 1.0 - rest[0].score if first and rest else 0.0
        return [*first, *(Scored(hit.id, hit.score + shift) for hit in rest)]


# Where chunks turn out to be of equal text, so many more are asked for than are missing.
_SPARE = 2


def distinct(rankings: Sequence[Sequence[Scored]], fetch: Fetch, *, wanted: int) -> list[list[Candidate]]:
    """For each ranking the best chunks with different texts, in its order.

    Args:
        rankings: Best first.
        fetch: Gives chunks by id; asked for all rankings at once, until every one has its chunks.
        wanted: At most this many for each ranking.
    """
    pools: list[dict[str, Candidate]] = [{} for _ in rankings]
    seen = [0] * len(rankings)
    more = {place: wanted for place, ranked in enumerate(rankings) if ranked}
    while more:
        asked = {
            place: [hit.id for hit in rankings[place][seen[place] : seen[place] + count]]
            for place, count in more.items()
        }
        stored = fetch(list(dict.fromkeys(key for ids in asked.values() for key in ids)))
        for place, ids in asked.items():
            _take(pools[place], (stored[key] for key in ids if key in stored), wanted=wanted)
            seen[place] += len(ids)
        missing = {place: wanted - len(pools[place]) for place in more if seen[place] < len(rankings[place])}
        more = {place: count + _SPARE for place, count in missing.items() if count > 0}
    return [list(pool.values()) for pool in pools]


def _take(pool: dict[str, Candidate], chunks: Iterable[StoredChunk], *, wanted: int) -> None:
    """Add chunks to a pool, by text, as long as it is not full."""
    for stored in chunks:
        known = pool.get(stored.chunk.text)
        if known is not None:
            known.others.append(stored)
        elif len(pool) < wanted:
            pool[stored.chunk.text] = Candidate(stored)


def _places(name: str, ranked: Sequence[Scored]) -> Callable[[str], dict[str, float]]:
    """What a half says of a chunk, by its id: nothing of one that it did not see."""
    ranks = {hit.id: rank for rank, hit in enumerate(ranked)}

    def of(key: str) -> dict[str, float]:
        rank = ranks.get(key)
        return {} if rank is None else {name: ranked[rank].score, f"{name}_rank": float(rank + 1)}

    return of


def _best_first(hit: Scored) -> tuple[float, str]:
    return -hit.score, hit.id
