"""The published code's mode; and both modes on the published data, held to its numbers."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import accumulate
from pathlib import Path

import numpy as np
import pytest
import tiktoken
from hypothesis import given
from hypothesis import strategies as st
from langchain_text_splitters import RecursiveCharacterTextSplitter, TokenTextSplitter
from numpy.typing import NDArray

from ragwright.core.errors import InputError
from ragwright.core.types import Span
from ragwright.eval.compat import compat_omega, compat_overlap, place_by_find
from ragwright.eval.overlap import Characters, ChunkMap, TokenUnits, precision_omega

CHROMA = Path(__file__).parents[3] / "shared/data/chroma"
SPANS = st.tuples(st.sampled_from("ab"), st.integers(0, 30), st.integers(0, 10)).map(
    lambda drawn: Span(drawn[0], drawn[1], drawn[1] + drawn[2])
)
REFERENCES = st.lists(SPANS.filter(len), min_size=1, max_size=4)
needs_chroma = pytest.mark.skipif(
    not (CHROMA / "questions_df.csv").is_file(),
    reason="the five published corpora (shared/data/chroma) are not on this machine",
)


def test_hand_computed_recall_precision_and_iou() -> None:
    """10 of 20 found, in chunks of 10, 10, 10 (again) and 4 (of another document); 10 not found."""
    references = [Span("a", 10, 20), Span("a", 40, 50)]
    retrieved = [Span("a", 5, 15), Span("a", 12, 22), Span("a", 5, 15), Span("b", 10, 14)]
    assert compat_overlap(references, retrieved) == (10 / 20, 10 / 34, 10 / 44)


def test_references_that_overlap_are_summed_in_the_denominators() -> None:
    """5 characters of 10 + 10; the first reference keeps 5 unmatched, the second all 10."""
    assert compat_overlap([Span("a", 0, 10), Span("a", 5, 15)], [Span("a", 0, 5)]) == (5 / 20, 1, 5 / 20)


def test_nothing_retrieved_scores_zero() -> None:
    assert compat_overlap([Span("a", 0, 10)], []) == (0, 0, 0)
    assert compat_omega([Span("a", 0, 10)], []) == 0


def test_omega_counts_a_chunk_that_only_touches_a_reference() -> None:
    """The reference fills the second of three chunks, and both its neighbours touch it: 10 of 30."""
    chunks = [Span("a", 0, 10), Span("a", 10, 20), Span("a", 20, 30), Span("b", 10, 20)]
    assert compat_omega([Span("a", 10, 20)], chunks) == 10 / 30
    assert precision_omega([Span("a", 10, 20)], ChunkMap(chunks), Characters()) == 1


def test_omega_unites_overlapping_chunks_and_what_no_chunk_holds() -> None:
    """Chunks 0..20 and 10..30 are 30 characters; of the reference 25..34 they hold 5 and lack 4."""
    chunks = [Span("a", 0, 20), Span("a", 10, 30)]
    assert compat_omega([Span("a", 15, 18), Span("a", 25, 34)], ChunkMap(chunks)) == 8 / 34


def test_a_chunk_is_placed_at_the_first_occurrence_without_its_final_stop() -> None:
    text = "It hums. Stop it. It hums. Go on."
    assert place_by_find(["It hums. Stop it.", "It hums.", "Go on"], text, "a") == [
        Span("a", 0, 16), Span("a", 0, 7), Span("a", 27, 32)
    ]  # fmt: skip


def test_a_chunk_that_is_not_in_the_text_is_an_error_that_shows_it() -> None:
    with pytest.raises(InputError, match=r"'no such words' does not stand in 'a\.md'"):
        place_by_find(["no such words"], "Other words.", "a.md")


@given(REFERENCES, st.lists(SPANS, max_size=8))
def test_the_result_is_that_of_the_published_loop(references: list[Span], retrieved: list[Span]) -> None:
    """Chunk by chunk and reference by reference, matched parts leaving a list of unmatched ones."""
    matched, unmatched = published_loop(references, retrieved)
    summed = sum(len(chunk) for chunk in retrieved)
    recall, precision, iou = compat_overlap(references, retrieved)
    assert recall == matched / sum(len(reference) for reference in references)
    assert precision == (matched / summed if summed else 0)
    assert iou == matched / (summed + unmatched)


@given(REFERENCES, st.lists(SPANS, max_size=12))
def test_omega_is_that_of_every_touching_chunk(references: list[Span], chunks: list[Span]) -> None:
    wanted = {(span.document_id, at) for span in references for at in range(span.start, span.end)}
    near = {
        (chunk.document_id, at)
        for chunk in chunks
        for span in references
        if chunk.document_id == span.document_id and chunk.start <= span.end and span.start <= chunk.end
        for at in range(chunk.start, chunk.end)
    }
    assert compat_omega(references, chunks) == len(wanted & near) / len(wanted | near)


def published_loop(references: list[Span], retrieved: list[Span]) -> tuple[int, int]:
    """Characters matched, and the summed length of the reference parts left unmatched."""
    matched: set[tuple[str, int]] = set()
    unmatched = [(each.document_id, each.start, each.end) for each in references]
    for chunk in retrieved:
        for reference in references:
            start, end = max(chunk.start, reference.start), min(chunk.end, reference.end)
            if chunk.document_id == reference.document_id and start <= end:
                matched |= {(chunk.document_id, at) for at in range(start, end)}
                unmatched = without(unmatched, (chunk.document_id, start, end))
    return len(matched), sum(end - start for _, start, end in unmatched)


def without(ranges: list[tuple[str, int, int]], taken: tuple[str, int, int]) -> list[tuple[str, int, int]]:
    """The ranges less one of them, cut in two where it lies inside."""
    source, low, high = taken
    kept = []
    for key, start, end in ranges:
        if key != source or end < low or start > high:
            kept.append((key, start, end))
        else:
            kept += [(key, a, b) for a, b in ((start, low), (high, end)) if a < b]
    return kept


SEPARATORS = ["\n\n", "\n", ".", "?", "!", " ", ""]
GOLDEN = [  # splitter, size, overlap (cl100k tokens); chunks, mean and deviation in per cent
    ("recursive", 800, 400, 704, 6.68, 5.22),
    ("token", 800, 400, 819, 4.66, 3.07),
    ("recursive", 400, 200, 1412, 13.94, 10.42),
    ("token", 400, 200, 1639, 8.45, 5.08),
    ("recursive", 400, 0, 1187, 17.74, 14.04),
    ("token", 400, 0, 824, 12.50, 8.14),
    ("recursive", 200, 0, 2386, 29.94, 18.42),
    ("token", 200, 0, 1644, 20.98, 11.87),
]
EXACT_TOKENS = [(200, 0, 21.31, 11.55), (400, 0, 12.63, 8.02), (400, 200, 8.39, 4.86), (800, 400, 4.59, 2.94)]
EXACT_RECURSIVE = [
    (800, 400, 6.71, 5.24),
    (400, 200, 14.07, 10.51),
    (400, 0, 17.81, 14.07),
    (200, 0, 30.74, 18.67),
]
EXACT_CHARACTERS = [(1200, 1206, 17.56, 11.05), (400, 3612, 35.70, 15.83)]
BY_CORPUS = {
    "state_of_the_union": 21.35,
    "wikitexts": 33.55,
    "finance": 27.12,
    "chatlogs": 25.75,
    "pubmed": 36.43,
}
BY_CORPUS_TOKENS = {
    "state_of_the_union": 16.56, "wikitexts": 21.55, "finance": 20.17, "chatlogs": 23.99, "pubmed": 24.23
}  # fmt: skip


@pytest.fixture(scope="module")
def cl100k() -> Iterator[tiktoken.Encoding]:
    """The encoding from the file that llama-index-core brings along, without network."""
    spec = find_spec("llama_index.core")
    assert spec is not None and spec.origin is not None
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIKTOKEN_CACHE_DIR", str(Path(spec.origin).parent / "_static" / "tiktoken_cache"))
        yield tiktoken.get_encoding("cl100k_base")


@pytest.fixture(scope="module")
def corpora() -> dict[str, str]:
    return {path.stem: path.read_text(encoding="utf-8") for path in (CHROMA / "corpora").glob("*.md")}


@pytest.fixture(scope="module")
def questions() -> list[list[Span]]:
    with (CHROMA / "questions_df.csv").open(encoding="utf-8", newline="") as file:
        return [
            [
                Span(row["corpus_id"], each["start_index"], each["end_index"])
                for each in json.loads(row["references"])
            ]
            for row in csv.DictReader(file)
        ]


def split(
    kind: str, size: int, overlap: int, corpora: dict[str, str], encoding: tiktoken.Encoding
) -> dict[str, list[str]]:
    """The corpora cut by LangChain's splitters, lengths in cl100k tokens."""

    def tokens(text: str) -> int:
        return len(encoding.encode(text, disallowed_special=()))

    recursive = RecursiveCharacterTextSplitter(
        separators=SEPARATORS,
        keep_separator="start",
        chunk_size=size,
        chunk_overlap=overlap,
        length_function=tokens,
    )
    fixed = TokenTextSplitter(encoding_name="cl100k_base", chunk_size=size, chunk_overlap=overlap)
    splitter = recursive if kind == "recursive" else fixed
    return {source: splitter.split_text(text) for source, text in corpora.items()}


def place_in_order(texts: list[str], document_text: str, source: str, *, overlapping: bool) -> list[Span]:
    """Exact spans of chunks: each is looked for after the one before."""
    spans: list[Span] = []
    position = 0
    for text in texts:
        start = document_text.index(text, position)
        spans.append(Span(source, start, start + len(text)))
        position = start + 1 if overlapping else start + len(text)
    return spans


def token_offsets(text: str, encoding: tiktoken.Encoding) -> NDArray[np.int64]:
    """Character offsets of every token, (n, 2); a token of some bytes of a character covers all of it."""
    ids = encoding.encode(text, disallowed_special=())
    edges = np.array([0, *accumulate(len(encoding.decode_single_token_bytes(each)) for each in ids)])
    last_bytes = np.cumsum([len(character.encode()) for character in text])
    starts = np.searchsorted(last_bytes, edges[:-1], side="right")
    return np.stack([starts, np.searchsorted(last_bytes, edges[1:] - 1, side="right") + 1], axis=1)


def by_corpus(values: list[float], questions: list[list[Span]]) -> dict[str, float]:
    """Mean in per cent per corpus."""
    names = [references[0].document_id for references in questions]
    groups = {
        name: [value for value, own in zip(values, names, strict=True) if own == name] for name in names
    }
    return {name: 100 * float(np.mean(group)) for name, group in groups.items()}


def assert_close(values: list[float], mean: float, deviation: float) -> None:
    """Mean and population standard deviation in per cent agree to 0.01, as the published tables give them."""
    seen = [100 * float(np.mean(values)), 100 * float(np.std(values))]
    assert seen == pytest.approx([mean, deviation], abs=0.01)


@needs_chroma
@pytest.mark.slow
@pytest.mark.parametrize(("kind", "size", "overlap", "count", "mean", "deviation"), GOLDEN)
def test_the_published_precision_omega_comes_out_to_a_hundredth(
    kind: str, size: int, overlap: int, count: int, mean: float, deviation: float,
    corpora: dict[str, str], questions: list[list[Span]], cl100k: tiktoken.Encoding,
) -> None:  # fmt: skip
    pieces = split(kind, size, overlap, corpora, cl100k)
    spans = [
        span for source, texts in pieces.items() for span in place_by_find(texts, corpora[source], source)
    ]
    chunks = ChunkMap(spans)
    values = [compat_omega(references, chunks) for references in questions]
    assert len(spans) == count
    assert_close(values, mean, deviation)
    if (kind, size) == ("recursive", 200):
        assert by_corpus(values, questions) == pytest.approx(BY_CORPUS, abs=0.01)


@needs_chroma
@pytest.mark.slow
@pytest.mark.parametrize(("size", "overlap", "mean", "deviation"), EXACT_RECURSIVE)
def test_exact_offsets_and_strict_overlap_correct_the_recursive_values(
    size: int, overlap: int, mean: float, deviation: float,
    corpora: dict[str, str], questions: list[list[Span]], cl100k: tiktoken.Encoding,
) -> None:  # fmt: skip
    pieces = split("recursive", size, overlap, corpora, cl100k)
    chunks = ChunkMap(
        span
        for source, texts in pieces.items()
        for span in place_in_order(texts, corpora[source], source, overlapping=overlap > 0)
    )
    assert_close([precision_omega(each, chunks, Characters()) for each in questions], mean, deviation)


@needs_chroma
@pytest.mark.slow
@pytest.mark.parametrize(("size", "count", "mean", "deviation"), EXACT_CHARACTERS)
def test_windows_of_characters_give_the_corrected_values(
    size: int, count: int, mean: float, deviation: float,
    corpora: dict[str, str], questions: list[list[Span]],
) -> None:  # fmt: skip
    spans = [
        Span(source, start, min(start + size, len(text)))
        for source, text in corpora.items()
        for start in range(0, len(text), size)
    ]
    chunks = ChunkMap(spans)
    assert len(spans) == count
    assert_close([precision_omega(each, chunks, Characters()) for each in questions], mean, deviation)


@pytest.fixture(scope="module")
def offsets(corpora: dict[str, str], cl100k: tiktoken.Encoding) -> dict[str, NDArray[np.int64]]:
    return {source: token_offsets(text, cl100k) for source, text in corpora.items()}


def windows(offsets: NDArray[np.int64], source: str, *, size: int, step: int) -> list[Span]:
    """Exact spans of windows of tokens; the last one ends with the text."""
    starts = range(0, max(len(offsets) - (size - step), 1), step)
    return [Span(source, int(offsets[at, 0]), int(offsets[at : at + size][-1, 1])) for at in starts]


@needs_chroma
@pytest.mark.slow
@pytest.mark.parametrize(("size", "overlap", "mean", "deviation"), EXACT_TOKENS)
def test_windows_of_tokens_give_the_values_in_true_tokens(
    size: int, overlap: int, mean: float, deviation: float,
    questions: list[list[Span]], offsets: dict[str, NDArray[np.int64]],
) -> None:  # fmt: skip
    chunks = ChunkMap(
        span
        for source, own in offsets.items()
        for span in windows(own, source, size=size, step=size - overlap)
    )
    values = [precision_omega(each, chunks, TokenUnits(offsets.__getitem__)) for each in questions]
    assert_close(values, mean, deviation)
    if (size, overlap) == (200, 0):
        assert by_corpus(values, questions) == pytest.approx(BY_CORPUS_TOKENS, abs=0.01)


def test_an_ideograph_of_several_tokens_is_counted_in_cl100k_tokens(cl100k: tiktoken.Encoding) -> None:
    """The real encoding, without the corpora: every token of a character belongs to that character."""
    text = "The 鰯 hums."
    units = TokenUnits(lambda _: token_offsets(text, cl100k))
    [(_, start, end)] = units.ranges([Span("a", 4, 5)])
    assert end - start > 1
    assert (
        b"".join(cl100k.decode_single_token_bytes(each) for each in cl100k.encode(text)[start:end]).strip()
        == "鰯".encode()
    )
