"""The reader: one transformer reads a question and a chunk together, and says what in the chunk answers.

One pass gives both, whether the chunk answers at all and whether each of its tokens belongs to the evidence;
`ReaderHeads` says how. After Chen et al. 2017, "Reading Wikipedia to Answer Open-Domain
Questions" (arXiv:1704.00051), with a relevance per token in place of a start and an end, since evidence need
not be one span, and after Nogueira and Cho 2019 (arXiv:1901.04085) for the passage.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ragwright.core.protocols import Reader, Reading
from ragwright.core.types import Chunk
from ragwright.retrieval.batches import Ints, ModelInput
from ragwright.retrieval.coalesce import Coalescer
from ragwright.retrieval.forward import Compute, Forward
from ragwright.retrieval.memory import Once, RecentArrays
from ragwright.retrieval.pairs import keep_longest_first
from ragwright.retrieval.reader_model import ReaderModel, open_reader_model
from ragwright.retrieval.tokens import ModelTokenizer, Tokens

Odds = NDArray[np.float32]

UNREAD = -10.0
"""Log-odds of a sentence that lies beyond the model's limit."""

# Token ids and places of a chunk are a few kilobytes, so that this holds some ten thousand chunks.
_RECENT_MEGABYTES = 64


@dataclass(frozen=True, slots=True)
class _Pair:
    """One question and one chunk as the model reads them.

    Attributes:
        chunk: The chunk.
        input: All tokens of the question and then all of the chunk are wanted.
        asked: How many tokens of the question there are.
        places: Character ranges of the chunk's tokens in its context and text, shape (n, 2).
    """

    chunk: Chunk
    input: ModelInput
    asked: int
    places: Ints


class TransformerReader:
    """Reads chunks for questions; for any number of threads.

    Attributes:
        fingerprint: Names the weights, the tokenizer, and every setting that readings depend on.
        rules: How its log-odds become probabilities.
    """

    def __init__(
        self,
        opened: ReaderModel,
        load: Callable[[], Forward],
        *,
        recent_megabytes: float = _RECENT_MEGABYTES,
    ) -> None:
        """Make a reader; the weights are loaded when something is first read.

        Args:
            opened: The model.
            load: Loads what computes token vectors.
            recent_megabytes: Tokens of recent chunks are remembered in so much memory.
        """
        self.fingerprint = opened.model.fingerprint
        self.rules = opened.rules
        self._model = opened.model
        self._heads = opened.heads
        self._tokenizer = ModelTokenizer(opened.model)
        self._frame = self._tokenizer.pair_frame()
        self._forward = Once(load)
        self._recent: RecentArrays[Ints] = RecentArrays(recent_megabytes)

    def read(self, queries: Sequence[str], candidates: Sequence[Sequence[Chunk]]) -> list[list[Reading]]:
        """Read the candidates of every query; see `Reader.read`.

        A chunk is read with its context, as the encoder reads it. What exceeds the model's limit is cut off,
        the longer text first; a sentence that is not read at all gets `UNREAD`.
        """
        pairs = self._pairs(queries, candidates)
        odds: list[tuple[float, Odds]] = [(0.0, np.zeros(0, np.float32))] * len(pairs)

        def receive(row: int, states: NDArray[np.float32]) -> None:
            odds[row] = self._heads.odds(states[: pairs[row].asked], states[pairs[row].asked :])

        if pairs:
            self._forward().run([pair.input for pair in pairs], receive)
        readings = iter([_reading(pair, *found) for pair, found in zip(pairs, odds, strict=True)])
        return [[next(readings) for _ in chunks] for chunks in candidates]

    def _pairs(self, queries: Sequence[str], candidates: Sequence[Sequence[Chunk]]) -> list[_Pair]:
        asked = self._tokenizer.encode_plain(queries)
        read = self._tokenized({_text(chunk) for chunks in candidates for chunk in chunks})
        return [
            self._pair(query, chunk, read[_text(chunk)])
            for query, chunks in zip(asked, candidates, strict=True)
            for chunk in chunks
        ]

    def _pair(self, query: Ints, chunk: Chunk, tokens: Ints) -> _Pair:
        frame = self._frame
        room = self._model.max_tokens - len(frame.before) - len(frame.between) - len(frame.behind)
        one, two = keep_longest_first(len(query), len(tokens), room=room)
        ids, types = frame.join(query[:one], tokens[:two, 0], longest=self._model.max_tokens)
        asked, first = len(frame.before), len(frame.before) + one + len(frame.between)
        wanted = np.r_[asked : asked + one, first : first + two]
        ranges = np.stack([wanted, wanted + 1], axis=1)
        read = ModelInput(ids, ranges, types if self._model.typed else None)
        return _Pair(chunk, read, one, tokens[:two, 1:])

    def _tokenized(self, texts: set[str]) -> dict[str, Ints]:
        """Id, start and end of each token of texts; what recent calls have read is not read again."""
        found = self._recent.find(texts)
        new = sorted(texts - found.keys())
        first, behind = self._tokenizer.tokens_before(""), self._tokenizer.tokens_behind
        made = {
            text: _without_ends(tokens, first, behind)
            for text, tokens in zip(new, self._tokenizer.encode(new), strict=True)
        }
        self._recent.keep(made)
        return found | made


class JoinedReader:
    """A reader whose concurrent calls are joined, so that their pairs share batches.

    Attributes:
        fingerprint: Of the reader.
        rules: Of the reader.
    """

    def __init__(self, reader: Reader, *, limit: int = 1024) -> None:
        """Wrap a reader.

        Args:
            reader: What reads.
            limit: Calls are joined up to so many pairs of a query and a candidate.
        """
        self.fingerprint, self.rules = reader.fingerprint, reader.rules

        def call(items: list[tuple[str, Sequence[Chunk]]]) -> list[list[Reading]]:
            return reader.read([query for query, _ in items], [chunks for _, chunks in items])

        self._joined: Coalescer[tuple[str, Sequence[Chunk]], list[Reading]] = Coalescer(
            call, limit=limit, size=lambda item: len(item[1])
        )

    def read(self, queries: Sequence[str], candidates: Sequence[Sequence[Chunk]]) -> list[list[Reading]]:
        """See `Reader.read`."""
        return self._joined(list(zip(queries, candidates, strict=True)))


def best_range(odds: Odds) -> tuple[int, int] | None:
    """The neighbouring tokens whose log-odds have the largest sum, half-open; None where none is above 0.

    Kadane's algorithm: a token that more likely belongs to the evidence lengthens the range, and one that
    likely does not is bridged where what follows makes up for it.

    >>> best_range(np.array([-1.0, 2.0, -0.5, 1.0, -3.0, 1.5], np.float32))
    (1, 4)
    """
    if not len(odds) or odds.max() <= 0:
        return None
    sums = np.r_[0.0, np.cumsum(odds, dtype=np.float64)]
    lowest = np.minimum.accumulate(sums[:-1])
    end = int((sums[1:] - lowest).argmax())
    return int(sums[: end + 1].argmin()), end + 1


def _reading(pair: _Pair, passage: float, tokens: Odds) -> Reading:
    """What the log-odds of a chunk and of its tokens say."""
    chunk = pair.chunk
    shift = len(chunk.context) - chunk.span.start
    starts = pair.places[:, 0]
    bounds = [starts.searchsorted((s.start + shift, s.end + shift)) for s in chunk.sentences]
    sentences = [float(tokens[a:b].mean()) if a < b else UNREAD for a, b in bounds]
    return Reading(passage, np.array(sentences, np.float32), _answer(pair, tokens))


def _answer(pair: _Pair, odds: Odds) -> tuple[int, int] | None:
    """Whole words of the chunk's text, by the range of tokens that answers best."""
    text, before = pair.chunk.text, len(pair.chunk.context)
    first = int(pair.places[:, 0].searchsorted(before))
    found = best_range(odds[first:])
    if found is None:
        return None
    start, end = (int(pair.places[first + found[0], 0]), int(pair.places[first + found[1] - 1, 1]))
    start, end = start - before, end - before
    while start > 0 and text[start - 1 : start + 1].isalnum():
        start -= 1
    while end < len(text) and text[end - 1 : end + 1].isalnum():
        end += 1
    return start, end


def _without_ends(tokens: Tokens, before: int, behind: int) -> Ints:
    """Id, start and end of each token that stands for characters, shape (n, 3)."""
    every = np.concatenate([tokens.ids[:, None], tokens.offsets], axis=1)
    return every[before : len(every) - behind]


def _text(chunk: Chunk) -> str:
    return chunk.context + chunk.text


def load_reader(name: str, compute: Compute) -> TransformerReader:
    """Open a reader; its weights are loaded when something is first read.

    Args:
        name: See `open_reader_model`.
        compute: How it is run.

    Raises:
        ModelError: See `open_reader_model`.
    """
    opened = open_reader_model(name)
    return TransformerReader(opened, compute.loader(opened.model))
