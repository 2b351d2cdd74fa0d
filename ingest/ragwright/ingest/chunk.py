"""Documents to chunks: exact offsets, a budget in tokens of the encoder, ids that stay the same."""

from __future__ import annotations

import hashlib
import uuid
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np

from ragwright.core.errors import ConfigError
from ragwright.core.profile import Profile
from ragwright.core.protocols import Chunker, EncodedChunks, Encoder, Tokenizer
from ragwright.core.types import Chunk, Document, Span
from ragwright.ingest import context, windows
from ragwright.ingest.outline import Outliner, Unit, heading_text
from ragwright.ingest.packing import Budget
from ragwright.ingest.recursive import recursive
from ragwright.ingest.ruler import TokenRuler
from ragwright.ingest.semantic import WINDOW_TOKENS, Grouper, WindowedSentences
from ragwright.ingest.sentences import (
    CODE_MARKS,
    ROW_MARKS,
    Range,
    SentenceSplitter,
    has_letter,
    shorten,
    speaking,
    trim,
)
from ragwright.ingest.structure import StructurePacker

MAX_SENTENCE = 600  # characters
# Raised whenever equal settings begin to give other chunks.
_VERSION = 2
_PROBE = "The encoder's vocabulary, e.g. immunohistochemistry § 12 or naïve_snake_case(3.14), 東京."


@dataclass(frozen=True, slots=True)
class _Cut:
    """A document, ready to be cut."""

    units: list[Unit]
    sentences: list[Range]
    ruler: TokenRuler
    budget: Budget


Run = tuple[int, int]  # first unit, and one past the last, with no furniture between them
Strategy = Callable[[_Cut, Sequence[Run]], list[Range]]
PackRun = Callable[[Sequence[Range], TokenRuler, Budget], list[Range]]


def _structure(cut: _Cut, runs: Sequence[Run]) -> list[Range]:
    # All at once: what stands inside long words is tokenised again, and a call for each would take long.
    pieces = windows.within(cut.sentences, cut.ruler, cut.budget)
    packer = StructurePacker(cut.units, pieces, ruler=cut.ruler, budget=cut.budget)
    return [chunk for run in runs for chunk in packer(*run)]


def _flat(pack_run: PackRun) -> Strategy:
    """A strategy that sees the sentences of each run and nothing else."""

    def strategy(cut: _Cut, runs: Sequence[Run]) -> list[Range]:
        chunks = []
        for first, last in runs:
            start = bisect_left(cut.sentences, (cut.units[first].start, 0))
            end = bisect_left(cut.sentences, (cut.units[last - 1].end, 0))
            chunks += pack_run(cut.sentences[start:end], cut.ruler, cut.budget)
        return chunks

    return strategy


STRATEGIES: dict[str, Strategy] = {
    "structure": _structure,
    "recursive": _flat(recursive),
    "sentence": _flat(windows.sentences),
    "fixed": _flat(windows.fixed),
}


def build_chunker(
    profile: Profile,
    tokenizer: Tokenizer,
    *,
    encoder: Encoder | None = None,
    strategy: str | None = None,
    tokens: int | None = None,
    overlap: int | None = None,
) -> Chunker:
    """A chunker for a profile and an encoder.

    Args:
        profile: Patterns, abbreviations and default settings.
        tokenizer: Of the encoder; what is counted are its tokens.
        encoder: Only `semantic` needs it.
        strategy: Instead of the profile's.
        tokens: Longest text of a chunk, instead of the profile's.
        overlap: How many tokens neighbours may share, instead of the profile's.

    Returns:
        A chunker; for `semantic` an `EncodingChunker`.

    Raises:
        ConfigError: An unknown strategy, a chunk that the encoder could not read whole, or no encoder where
            one is needed.
    """
    settings = {"strategy": strategy, "tokens": tokens, "overlap": overlap}
    profile = replace(profile, **{key: value for key, value in settings.items() if value is not None})  # type: ignore[arg-type]
    room = tokenizer.max_tokens - tokenizer.special_tokens
    if profile.tokens > room:
        raise ConfigError(
            f"chunks of {profile.tokens} tokens do not fit the encoder, which reads {room} "
            f"beside its special tokens; set tokens to at most {room}"
        )
    if profile.strategy != "semantic":
        return _ProfileChunker(profile, tokenizer)
    if encoder is None:
        raise ConfigError("the strategy semantic cuts by vectors and got no encoder; pass encoder=...")
    return _SemanticChunker(profile, tokenizer, encoder)


class _ProfileChunker:
    """Cuts documents by one profile; see `build_chunker`."""

    def __init__(self, profile: Profile, tokenizer: Tokenizer) -> None:
        self.fingerprint = _fingerprint(profile, tokenizer)
        self._tokenizer = tokenizer
        self._strategy = profile.strategy
        self._budget = Budget(profile.tokens, profile.overlap)
        self._outline = Outliner(profile)
        self._splitter = SentenceSplitter(
            profile.language, profile.abbreviations, max_characters=MAX_SENTENCE
        )
        room = tokenizer.max_tokens - tokenizer.special_tokens - profile.tokens
        self._context_limit = min(context.MAX_TOKENS, room)

    def __call__(self, document: Document) -> list[Chunk]:
        """Chunks in text order; every visible character that is not furniture stands in one.

        Only stretches without letter or digit that cannot join a neighbour are left out, such as a rule alone
        on a page, unless the document has nothing else.
        """
        cut = self._prepared(document)
        return self._divided(document, cut, STRATEGIES[self._strategy]) if cut.units else []

    def _prepared(self, document: Document) -> _Cut:
        units = self._outline(document)
        sentences = [piece for unit in units for piece in self._unit_sentences(document.text, unit)]
        return _Cut(units, sentences, TokenRuler(document.text, self._tokenizer), self._budget)

    def _divided(self, document: Document, cut: _Cut, strategy: Strategy) -> list[Chunk]:
        limit = self._budget.tokens
        sizes = _exact(cut.ruler, strategy(replace(cut, budget=self._budget), _runs(cut.units)), limit=limit)
        spoken = {chunk: size for chunk, size in sizes.items() if has_letter(document.text, *chunk)}
        return list(self._chunks(document, cut, spoken or sizes))

    def _unit_sentences(self, text: str, unit: Unit) -> list[Range]:
        """A unit's sentences; a heading, a row and a group of code lines are one each."""
        if unit.kind in ("paragraph", "list_item"):
            return self._splitter.split(text, unit.start, unit.end)
        marks = CODE_MARKS if unit.kind == "code" else ROW_MARKS
        groups = _line_groups(text, unit) if unit.kind == "code" else [(unit.start, unit.end)]
        pieces = (
            piece for group in groups for piece in shorten(text, *group, limit=MAX_SENTENCE, marks=marks)
        )
        return speaking(text, pieces, limit=MAX_SENTENCE)

    def _chunks(self, document: Document, cut: _Cut, sizes: Mapping[Range, int]) -> Iterator[Chunk]:
        ranges = sorted(sizes)
        writer = context.ContextWriter(document, self._tokenizer, limit=self._context_limit)
        titles = _titles(document.text, cut.units)
        starts, ends = [start for start, _ in ranges], [end for _, end in ranges]
        firsts = np.searchsorted([unit.end for unit in cut.units], starts, side="right").tolist()
        lasts = np.searchsorted([unit.start for unit in cut.units], ends).tolist()
        flat = cut.sentences
        from_ = np.searchsorted([end for _, end in flat], starts, side="right").tolist()
        to = np.searchsorted([start for start, _ in flat], ends).tolist()
        for number, (start, end) in enumerate(ranges):
            touched = cut.units[firsts[number] : lasts[number]]
            spans = _clipped(document, flat[from_[number] : to[number]], (start, end))
            headings, prefix, length = _above(titles, touched, start, writer=writer)
            text = document.text[start:end]
            yield Chunk(
                id=_identify(document, self.fingerprint, (start, end)),
                span=Span(document.id, start, end),
                text=text,
                context=prefix,
                headings=headings,
                page=touched[0].page,
                sentences=spans,
                tokens=sizes[start, end] + length + self._tokenizer.special_tokens,
            )


class _SemanticChunker(_ProfileChunker):
    """Groups sentences by their vectors; see `ragwright.ingest.semantic`. Neighbours share no sentence."""

    def __init__(self, profile: Profile, tokenizer: Tokenizer, encoder: Encoder) -> None:
        super().__init__(profile, tokenizer)
        room = tokenizer.max_tokens - tokenizer.special_tokens
        tokens = min(WINDOW_TOKENS, room - min(context.MAX_TOKENS, room // 5))
        self._windows = _ProfileChunker(replace(profile, tokens=tokens, overlap=0), tokenizer)
        self._encoder = encoder
        both = f"{self.fingerprint} {self._windows.fingerprint} {encoder.fingerprint}"
        digest = hashlib.sha256(both.encode()).hexdigest()[:16]
        self.fingerprint = f"{profile.strategy}-{profile.tokens}-{digest}"

    def __call__(self, document: Document) -> list[Chunk]:
        """Chunks in text order, as `encode` gives them."""
        return list(self.encode(document).chunks)

    def encode(self, document: Document) -> EncodedChunks:
        """Chunks with their vectors."""
        cut = self._prepared(document)
        if not cut.units:
            return EncodedChunks((), {}, {}, 0)
        encoded = self._windows._divided(document, cut, _structure)
        found = [(sentence.start, sentence.end) for window in encoded for sentence in window.sentences]
        pieces = windows.within(found, cut.ruler, self._budget)
        sentences = WindowedSentences(pieces, encoded, ruler=cut.ruler, encoder=self._encoder)
        grouper = Grouper(sentences, cut.units, self._budget)

        def strategy(cut: _Cut, runs: Sequence[Run]) -> list[Range]:
            edges = ((cut.units[first].start, cut.units[last - 1].end) for first, last in runs)
            return [group for start, end in edges for group in grouper(start, end)]

        return sentences.encoded(self._divided(document, cut, strategy))


@dataclass(frozen=True, slots=True)
class _Title:
    """A heading: its words, and where it begins."""

    words: str
    start: int


def _titles(text: str, units: Sequence[Unit]) -> dict[int, _Title]:
    """The headings among units, by position."""
    return {
        position: _Title(heading_text(text, unit), unit.start)
        for position, unit in enumerate(units)
        if unit.kind == "heading"
    }


def _above(
    titles: Mapping[int, _Title], touched: Sequence[Unit], start: int, *, writer: context.ContextWriter
) -> tuple[tuple[str, ...], str, int]:
    """The headings that all of a chunk stands under, its context, and the context's tokens."""
    paths = [unit.path for unit in touched if unit.kind != "heading"] or [unit.path for unit in touched]
    shared = 0
    # The paths are in document order, so that what the outermost two share, all share.
    for one, other in zip(min(paths), max(paths), strict=False):
        if one != other:
            break
        shared += 1
    path = [titles[k] for k in paths[0][:shared]]
    outside = [title.words for title in path if title.start < start]
    own = (titles[unit.path[-1]] for unit in touched if unit.kind == "heading")
    inside = [title.words for title in own if title.start >= start]
    headings = tuple(title.words for title in path)
    prefix, length = writer(outside, inside=inside, header=touched[0].header)
    return headings, prefix, length


def _runs(units: Sequence[Unit]) -> list[Run]:
    runs: list[Run] = []
    for _, members in groupby(range(len(units)), key=lambda position: units[position].run):
        positions = list(members)
        runs.append((positions[0], positions[-1] + 1))
    return runs


def _exact(ruler: TokenRuler, chunks: Sequence[Range], *, limit: int) -> dict[Range, int]:
    """Chunks with their exact tokens, divided where they are longer than their pieces were counted."""
    sizes = dict(zip(chunks, ruler.sizes(chunks), strict=True))
    pieces = ruler.divide([chunk for chunk, size in sizes.items() if size > limit], limit=limit)
    kept = {chunk: size for chunk, size in sizes.items() if size <= limit}
    return kept | dict(zip(pieces, ruler.sizes(pieces), strict=True))


def _clipped(document: Document, sentences: Sequence[Range], chunk: Range) -> tuple[Span, ...]:
    """Sentences of a chunk; one that reaches beyond it is cut to what stands inside.

    One that says nothing by itself joins a neighbour, also of another unit.
    """
    inside: list[Range] = []
    for start, end in sentences:
        found = (start, end)
        if start < chunk[0] or end > chunk[1]:
            inner = trim(document.text, max(start, chunk[0]), min(end, chunk[1]))
            if inner is None:
                continue
            found = inner
        inside.append(found)
    joined = speaking(document.text, inside, limit=chunk[1] - chunk[0])
    return tuple(Span(document.id, *found) for found in joined)


def _line_groups(text: str, unit: Unit) -> Iterator[Range]:
    """Code between blank lines."""
    cursor = unit.start
    while cursor < unit.end:
        blank = text.find("\n\n", cursor, unit.end)
        stop = unit.end if blank < 0 else blank
        group = trim(text, cursor, stop)
        if group is not None:
            yield group
        cursor = stop + 2


def _identify(document: Document, fingerprint: str, chunk: Range) -> str:
    """UUID text of a chunk: equal for equal tenant, source, settings, span and text."""
    start, end = chunk
    tenant = (document.access.tenant,) if document.access.tenant else ()
    parts = (document.source, fingerprint, str(start), str(end), document.text[start:end], *tenant)
    # Lengths first, so that no two different lists of parts read the same.
    joined = "".join(f"{len(part)}:{part}" for part in parts)
    return str(uuid.UUID(bytes=hashlib.sha256(joined.encode("utf-8", "surrogatepass")).digest()[:16]))


def _fingerprint(profile: Profile, tokenizer: Tokenizer) -> str:
    """Readable settings and a digest of all, the tokenizer's behaviour on a probe included."""
    probe = tokenizer.starts(_PROBE).tolist()
    parts = (_VERSION, profile.digest, tokenizer.max_tokens, tokenizer.special_tokens, probe)
    digest = hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
    return f"{profile.strategy}-{profile.tokens}-{profile.overlap}-{digest}"
