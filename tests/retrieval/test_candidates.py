"""The pool that hits are taken from: distinct texts in ranked order, reranked without losing anything."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ragwright.core.protocols import PartTerms, Scored, StoredChunk
from ragwright.core.types import Chunk, Span
from ragwright.retrieval.candidates import Candidate, Ranking, distinct

NO_TERMS = PartTerms(np.zeros(0, np.uint32), np.zeros(1, np.uint32))


def _stored(key: str, text: str) -> StoredChunk:
    chunk = Chunk(key, Span("d", 0, len(text)), text, "", (), None, (), 3)
    return StoredChunk(chunk, f"{key}.md", key, {}, np.zeros((0, 2), np.float32), NO_TERMS)


def _ranking(keys: Sequence[str]) -> list[Scored]:
    return [Scored(key, 1.0 - place / 100) for place, key in enumerate(keys)]


# Twenty chunks, each second one with a text that another one has too.
STORED = {f"c{n:02}": _stored(f"c{n:02}", f"text {n if n % 2 else n % 6}") for n in range(20)}
RANKINGS = st.lists(st.sampled_from([*STORED, "gone"]), unique=True, max_size=21).map(_ranking)


@given(st.lists(RANKINGS, max_size=4), st.integers(1, 25))
def test_a_pool_holds_the_best_chunk_of_each_text_and_names_the_others(
    rankings: list[list[Scored]], wanted: int
) -> None:
    def fetch(ids: Sequence[str]) -> dict[str, StoredChunk]:
        assert len(set(ids)) == len(ids)
        return {key: STORED[key] for key in ids if key in STORED}

    pools = distinct(rankings, fetch, wanted=wanted)
    assert pools == [distinct([ranked], fetch, wanted=wanted)[0] for ranked in rankings]
    for ranked, pool in zip(rankings, pools, strict=True):
        there = [STORED[hit.id] for hit in ranked if hit.id in STORED]
        texts = list(dict.fromkeys(chunk.chunk.text for chunk in there))
        assert [each.stored.chunk.text for each in pool] == texts[:wanted]
        for each in pool:
            same = [chunk for chunk in there if chunk.chunk.text == each.stored.chunk.text]
            assert [each.stored, *each.others] == same[: 1 + len(each.others)]


@given(RANKINGS, st.data())
def test_a_reranked_ranking_keeps_every_chunk_once_best_first(
    ranked: list[Scored], data: st.DataObject
) -> None:
    pool = distinct([ranked], lambda ids: {k: STORED[k] for k in ids if k in STORED}, wanted=6)[0]
    scores = data.draw(st.lists(st.integers(-9, 9).map(float), min_size=len(pool), max_size=len(pool)))
    ranking = Ranking(ranked, [], ranked)
    after = ranking.reranked(pool, scores)
    assert sorted(hit.id for hit in after) == sorted(hit.id for hit in ranked)
    assert after == sorted(after, key=lambda hit: (-hit.score, hit.id))
    found = ranking.found(pool, scores)
    assert [(each.score, each.parts["reranked"]) for each in found] == [
        (score, score) for score in sorted(scores, reverse=True)
    ]
    new = {hit.id: hit.score for hit in after}
    assert all(new[each.stored.chunk.id] == each.score for each in found)


def test_candidates_of_equal_new_score_are_ordered_by_id_and_twins_share_a_score() -> None:
    ranked = _ranking(["c05", "c00", "c06", "c03", "c01"])
    pool = [Candidate(STORED["c05"]), Candidate(STORED["c00"], [STORED["c06"]]), Candidate(STORED["c03"])]
    ranking = Ranking(ranked, ranked[:2], ranked)
    found = ranking.found(pool, [2.0, 2.0, 5.0])
    assert [each.stored.chunk.id for each in found] == ["c03", "c00", "c05"]
    assert found[1].places[0].source == "c06.md"
    assert found[2].parts == {
        "dense": 1.0,
        "dense_rank": 1.0,
        "sparse": 1.0,
        "sparse_rank": 1.0,
        "fused": 1.0,
        "reranked": 2.0,
    }
    after = ranking.reranked(pool, [2.0, 2.0, 5.0])
    assert [(hit.id, hit.score) for hit in after[:4]] == [
        ("c03", 5.0),
        ("c00", 2.0),
        ("c05", 2.0),
        ("c06", 2.0),
    ]
    assert after[4] == Scored("c01", 1.0)
