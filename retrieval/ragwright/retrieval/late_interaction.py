"""Reranking by late interaction: every token of a question finds its best match among a chunk's tokens.

The score is MaxSim (Khattab and Zaharia 2020, "ColBERT", arXiv:2004.12832), divided by the question's tokens.
Questions and chunks are encoded apart, so that a chunk's token vectors serve every question.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ragwright.core.errors import ModelError
from ragwright.core.types import Chunk, Vectors
from ragwright.retrieval.batches import Ints, ModelInput
from ragwright.retrieval.forward import Compute, Forward
from ragwright.retrieval.layers import unit_rows
from ragwright.retrieval.memory import Once, RecentArrays
from ragwright.retrieval.multi_vector import RESAVE, Expansion, TokenModel, open_token_model
from ragwright.retrieval.tokens import ModelTokenizer, Tokens

# What a question is filled up with where the model names nothing: the mask of BERT's and of RoBERTa's
# family, else the end of text of decoders.
_MASKS = ("[MASK]", "<mask>", "<|endoftext|>", "<|im_end|>", "</s>")
_BYTES = 4  # of a number


class LateInteraction:
    """Scores chunks for questions; for any number of threads.

    Attributes:
        fingerprint: Names the weights, the tokenizer and the rules on which tokens take part.
    """

    def __init__(
        self, rules: TokenModel, forward: Callable[[], Forward], *, cache_megabytes: float = 256
    ) -> None:
        """Make a reranker.

        Args:
            rules: How texts become token vectors.
            forward: Gives what computes them; asked when something is first scored.
            cache_megabytes: Token vectors of recent chunks are remembered in so much memory.

        Raises:
            ModelError: The tokenizer lacks the token that questions are filled up with.
        """
        self.fingerprint = rules.model.fingerprint
        self._rules = rules
        self._model = rules.model
        self._tokenizer = ModelTokenizer(rules.model)
        self._filling = _filling(self._tokenizer, rules.expansion)
        _check_markers(self._tokenizer, rules.markers)
        found = (self._tokenizer.token_id(word) for word in rules.skipped)
        self._skipped = np.array([each for each in found if each is not None], np.int64)
        self._forward = forward
        self._room = cache_megabytes * 1_000_000
        self._recent: RecentArrays[Vectors] = RecentArrays(cache_megabytes)

    def rerank(
        self, queries: Sequence[str], candidates: Sequence[Sequence[Chunk]]
    ) -> list[NDArray[np.float32]]:
        """Score the candidates of every query; see `Reranker.rerank`.

        A chunk is read with its context, as the encoder reads it, once for all queries of a call; what
        exceeds the model's limit is cut off.

        Returns:
            For each query, float32, shape (its candidates,): mean over the query's tokens of the greatest
            cosine to a token of the chunk, -1..1.
        """
        scores: list[NDArray[np.float32]] = []
        for part in self._parts(candidates):
            asked = queries[part.start : part.stop]
            texts = [
                [chunk.context + chunk.text for chunk in chunks]
                for chunks in candidates[part.start : part.stop]
            ]
            vectors, read = self._encode(asked, {text for each in texts for text in each})
            scores += [
                max_sim(query, [read[text] for text in each])
                for query, each in zip(vectors, texts, strict=True)
            ]
        return scores

    def _parts(self, candidates: Sequence[Sequence[Chunk]]) -> Iterator[range]:
        """Neighbouring queries whose candidates' vectors together fit into the cache's room; one at least."""
        start = size = 0
        for place, chunks in enumerate(candidates):
            more = sum(chunk.tokens for chunk in chunks) * self._model.dimension * _BYTES
            if size and size + more > self._room:
                yield range(start, place)
                start, size = place, 0
            size += more
        if start < len(candidates):
            yield range(start, len(candidates))

    def _encode(self, queries: Sequence[str], texts: set[str]) -> tuple[list[Vectors], Mapping[str, Vectors]]:
        """Token vectors of queries and of texts; queries and texts not seen lately are computed together."""
        read = self._recent.find(texts)
        new = sorted(texts - read.keys())
        vectors = self._vectors([*self._query_inputs(queries), *self._passage_inputs(new)])
        made = dict(zip(new, vectors[len(queries) :], strict=True))
        self._recent.keep(made)
        return vectors[: len(queries)], read | made

    def _vectors(self, inputs: Sequence[ModelInput]) -> list[Vectors]:
        found: list[Vectors] = [np.zeros((0, 0), np.float32)] * len(inputs)

        def receive(row: int, states: NDArray[np.float32]) -> None:
            for projection in self._model.projections:
                states = projection(states)
            found[row] = unit_rows(states[:, : self._model.dimension])

        if inputs:
            self._forward().run(inputs, receive)
        return found

    def _query_inputs(self, queries: Sequence[str]) -> Iterator[ModelInput]:
        prompt = self._model.query_prompt
        expansion = self._rules.expansion
        limit = self._rules.query_tokens
        if expansion is not None:
            limit = expansion.length if expansion.fixed else max(limit, expansion.length)
        for tokens in self._tokenizer.encode([prompt + query for query in queries]):
            ids, kept = self._cut(tokens, limit, prompt=len(prompt), skips=self._rules.skipped_in_queries)
            yield _filled(ids, kept, expansion, self._filling)

    def _passage_inputs(self, texts: Sequence[str]) -> Iterator[ModelInput]:
        prompt = self._model.passage_prompt
        for tokens in self._tokenizer.encode([prompt + text for text in texts]):
            ids, kept = self._cut(tokens, self._rules.passage_tokens, prompt=len(prompt), skips=True)
            yield ModelInput(ids, _alone(kept))

    def _cut(self, tokens: Tokens, limit: int, *, prompt: int, skips: bool) -> tuple[Ints, Ints]:
        """Ids within a limit, the special tokens at the end included, and the places that take part."""
        tail = self._tokenizer.tokens_behind
        count = len(tokens.ids)
        places = np.r_[: limit - tail, count - tail : count] if count > limit else np.arange(count)
        ids, offsets = tokens.ids[places], tokens.offsets[places]
        part = np.ones(len(ids), bool)
        if not self._rules.every_token:
            part = (offsets[:, 1] > offsets[:, 0]) & (offsets[:, 0] >= prompt)
        if skips:
            part &= ~np.isin(ids, self._skipped)
        return ids, np.flatnonzero(part) if part.any() else np.arange(len(ids))


def max_sim(query: Vectors, passages: Sequence[Vectors]) -> NDArray[np.float32]:
    """How well passages match a query, token by token.

    Args:
        query: Rows of unit norm, shape (tokens, dim).
        passages: Rows of unit norm each, shape (its tokens, dim), at least one.

    Returns:
        float32, shape (len(passages),): mean over the query's tokens of the greatest cosine, -1..1. A
        passage's score depends on no other passage, to the last bit.
    """
    return np.array([(passage @ query.T).max(axis=0).mean() for passage in passages], np.float32)


def _check_markers(tokenizer: ModelTokenizer, markers: Sequence[str]) -> None:
    """Refuse markers that are tokens of their own and would be read as several."""
    for marker in markers:
        names = (marker, *marker.split()[:1])
        known = next((name for name in names if tokenizer.token_id(name) is not None), None)
        if known is not None and len(tokenizer.encode_plain([known])[0]) != 1:
            raise ModelError(f"the tokenizer does not read the marker {known!r} as one token; {RESAVE}")


def _filling(tokenizer: ModelTokenizer, expansion: Expansion | None) -> int:
    """The id that questions are filled up with; -1 where they are not."""
    if expansion is None:
        return -1
    names = _MASKS if expansion.token is None else (expansion.token,)
    found = [each for name in names if (each := tokenizer.token_id(name)) is not None]
    if not found:
        raise ModelError(
            f"the model fills questions up with {expansion.token or 'its mask token'}, which its tokenizer "
            "does not know; choose another reranker.model"
        )
    return found[0]


def _filled(ids: Ints, kept: Ints, expansion: Expansion | None, filling: int) -> ModelInput:
    """A question's input, filled up; the added tokens take part."""
    missing = 0 if expansion is None else expansion.length - len(ids)
    if expansion is None or missing <= 0:
        return ModelInput(ids, _alone(kept))
    added = np.arange(len(ids), len(ids) + missing)
    attended = None if expansion.attended else len(ids)
    whole = np.concatenate([ids, np.full(missing, filling, np.int64)])
    return ModelInput(whole, _alone(np.concatenate([kept, added])), attended=attended)


def _alone(places: Ints) -> Ints:
    """The range of each place, shape (len(places), 2)."""
    return np.stack([places, places + 1], axis=1)


def load_late_interaction(name: str, compute: Compute, *, cache_megabytes: float = 256) -> LateInteraction:
    """Open a model for late interaction; its weights are loaded when something is first scored.

    Args:
        name: See `open_token_model`.
        compute: How it is run.
        cache_megabytes: See `LateInteraction`.

    Raises:
        ModelError: See `open_token_model`.
    """
    rules = open_token_model(name)
    return LateInteraction(rules, Once(compute.loader(rules.model)), cache_megabytes=cache_megabytes)
