"""Chunks: what holds for every document and every strategy."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.fakes import HashEncoder

from ragwright.core.errors import ConfigError
from ragwright.core.profile import STRATEGIES, Profile, load_profile
from ragwright.core.protocols import Tokenizer
from ragwright.core.types import Block, BlockKind, Chunk, Document, Passage
from ragwright.ingest.chunk import build_chunker

CORPORA = Path(__file__).parents[3] / "shared/data/chroma/corpora"
KINDS: tuple[BlockKind, ...] = (
    "title", "paragraph", "list_item", "code", "caption", "furniture", "table_row", "table", "table",
)  # fmt: skip
WORDS = st.sampled_from(
    ["The", "law.", "Article 5", "(a) ", "unaffable", "immunohistochemistry", "x" * 150, "日本語",
     "e\u0301", "가",
     "\n", "\n\n", "\x0c", "\x0b", "\u3000", "#", "12.5", "İ", "ﷺ", "👩‍👧", "\u200b",
     "a_b", "[SEP]", "\x1f", "| "]
)  # fmt: skip
TEXTS = st.lists(WORDS | st.sampled_from([" "]), max_size=150).map("".join) | st.text(
    st.characters(codec="utf-8"), max_size=200
)


@st.composite
def documents(draw: st.DrawFn) -> Document:
    """Documents with blocks in order, gaps between them, and tables with rows inside."""
    text = draw(TEXTS)
    cuts = sorted(draw(st.sets(st.integers(0, len(text)), max_size=12)))
    blocks: list[Block] = []
    for start, end in pairwise(cuts):
        kind = draw(st.sampled_from(KINDS))
        blocks.append(Block(kind, start, end, page=1, level=draw(st.integers(1, 3))))
        if kind == "table":
            rows = sorted(
                draw(
                    st.sets(st.integers(start, end), min_size=2, max_size=5)
                    if end > start
                    else st.just(set())
                )
            )
            for number, (first, last) in enumerate(pairwise(rows)):
                blocks.append(Block("table_header" if number == 0 else "table_row", first, last, page=1))
        if draw(st.booleans()) and blocks[-1].kind not in ("table_header", "table_row"):
            blocks.pop()
    return Document(
        "d",
        "folder/some_file.txt",
        draw(st.sampled_from(["", "A title", "some_file.txt"])),
        text,
        tuple(blocks),
    )


def _visible(document: Document) -> set[int]:
    hidden = {i for b in document.blocks if b.kind == "furniture" for i in range(b.start, b.end)}
    return {i for i, c in enumerate(document.text) if not c.isspace()} - hidden


def _check(document: Document, chunk: Chunk, tokenizer: Tokenizer, *, tokens: int) -> None:
    span = chunk.span
    assert chunk.text == document.text[span.start : span.end] == chunk.text.strip() != ""
    passage = Passage.of(chunk)
    whole = len(tokenizer.starts(passage.text)) + tokenizer.special_tokens
    assert chunk.tokens == whole <= tokenizer.max_tokens
    assert len(tokenizer.starts(chunk.text)) <= tokens or len(chunk.text) == 1
    assert chunk.context == "" or chunk.context.endswith("\n")
    assert chunk.sentences
    covered = {i for s in chunk.sentences for i in range(s.start, s.end)}
    assert {i for i in range(span.start, span.end) if not document.text[i].isspace()} <= covered
    assert all(span.start <= s.start < s.end <= span.end for s in chunk.sentences)
    assert all(one.end <= other.start for one, other in pairwise(chunk.sentences))


@pytest.mark.parametrize("strategy", STRATEGIES)
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(document=documents(), tokens=st.integers(8, 60), share=st.floats(0, 0.9), legal=st.booleans())
def test_every_chunk_is_exact_within_its_budget_and_nothing_visible_is_lost(
    strategy: str, tokenizer: Tokenizer, document: Document, tokens: int, share: float, legal: bool
) -> None:
    profile = load_profile("legal") if legal else Profile()
    chunker = build_chunker(
        profile,
        tokenizer,
        encoder=HashEncoder(),
        strategy=strategy,
        tokens=tokens,
        overlap=int(tokens * share),
    )
    chunks = chunker(document)
    for chunk in chunks:
        _check(document, chunk, tokenizer, tokens=tokens)
    held = {i for chunk in chunks for i in range(chunk.span.start, chunk.span.end)}
    visible = _visible(document)
    assert {i for i in held if not document.text[i].isspace()} <= visible
    spoken = [any(c.isalnum() for c in chunk.text) for chunk in chunks]
    assert all(spoken) or not any(spoken)
    # What is left out could only have made a chunk without letter or digit.
    assert not any(document.text[i].isalnum() for i in visible - held)
    if not any(block.kind == "furniture" for block in document.blocks) and len(document.text) <= tokens:
        assert visible <= held
    assert [chunk.span for chunk in chunks] == sorted({chunk.span for chunk in chunks})
    assert len({chunk.id for chunk in chunks}) == len(chunks)


def test_settings_that_the_encoder_cannot_read_are_refused(tokenizer: Tokenizer) -> None:
    with pytest.raises(ConfigError, match="at most 254"):
        build_chunker(Profile(), tokenizer, tokens=255)
    with pytest.raises(ConfigError, match="did you mean 'structure'"):
        build_chunker(Profile(), tokenizer, strategy="structur")


def test_the_fingerprint_changes_with_every_setting_that_changes_chunks(tokenizer: Tokenizer) -> None:
    builds = [
        build_chunker(Profile(), tokenizer),
        build_chunker(Profile(), tokenizer, tokens=100),
        build_chunker(Profile(), tokenizer, overlap=10),
        build_chunker(Profile(), tokenizer, strategy="fixed"),
        build_chunker(Profile(abbreviations=("x.",)), tokenizer),
    ]
    assert len({chunker.fingerprint for chunker in builds}) == len(builds)
    assert (
        build_chunker(Profile(name="a", glossary={"a": ("b",)}), tokenizer).fingerprint
        == builds[0].fingerprint
    )


def test_furniture_ends_a_chunk_and_stands_in_none(tokenizer: Tokenizer) -> None:
    text = "One half of it\n\nPage 1 of 2\n\nand the other half."
    blocks = (
        Block("paragraph", 0, 14, 1),
        Block("furniture", 16, 27, 1),
        Block("paragraph", 29, len(text), 2),
    )
    for strategy in STRATEGIES:
        chunks = build_chunker(Profile(), tokenizer, encoder=HashEncoder(), strategy=strategy)(
            Document("d", "a.pdf", "", text, blocks)
        )
        assert [(c.text, c.page) for c in chunks] == [("One half of it", 1), ("and the other half.", 2)]


def test_a_rule_alone_between_furniture_makes_no_chunk_unless_there_is_nothing_else(
    tokenizer: Tokenizer,
) -> None:
    text = "Words on a page.\n\nPage 1\n\n* * *"
    blocks = (Block("paragraph", 0, 16), Block("furniture", 18, 24))
    (chunk,) = build_chunker(Profile(), tokenizer)(Document("d", "a.pdf", "", text, blocks))
    assert chunk.text == "Words on a page."
    (chunk,) = build_chunker(Profile(), tokenizer)(Document("d", "a.txt", "", "* * *"))
    assert chunk.text == "* * *"


def test_signs_are_no_sentence_of_their_own(tokenizer: Tokenizer) -> None:
    text = "First words.\n\n***\n\nA\n\nLast words.\n\n7"
    chunks = build_chunker(Profile(), tokenizer)(Document("d", "a.txt", "", text))
    found = [text[s.start : s.end] for chunk in chunks for s in chunk.sentences]
    assert found == ["First words.\n\n***", "A\n\nLast words.\n\n7"]


@pytest.mark.parametrize(
    ("part", "length"),
    [
        ("x", 60_000),
        ("日本語文字列", 12_000),
        *(
            pytest.param(each, 60_000, marks=pytest.mark.slow)
            for each in ("日本語文字列", "日本語文書。", "aB3+x/", "เขียน")
        ),
    ],
)
def test_text_without_white_space_is_cut_in_linear_time(tokenizer: Tokenizer, part: str, length: int) -> None:
    text = part * (length // len(part))
    for strategy in STRATEGIES:
        began = time.perf_counter()
        chunker = build_chunker(Profile(), tokenizer, encoder=HashEncoder(), strategy=strategy, overlap=0)
        chunks = chunker(Document("d", "a.txt", "", text))
        assert time.perf_counter() - began < 5
        assert "".join(chunk.text for chunk in chunks) == text
        assert all(len(tokenizer.starts(chunk.text)) <= 200 for chunk in chunks)


def test_ids_do_not_depend_on_the_run_or_the_hash_seed() -> None:
    code = (
        "import importlib.util as u; s = u.spec_from_file_location('t', 'tests/tokenizer.py')\n"
        "t = u.module_from_spec(s); s.loader.exec_module(t)\n"
        "from ragwright.core.profile import load_profile\n"
        "from ragwright.core.types import Document\n"
        "from ragwright.ingest.chunk import build_chunker\n"
        "text = 'Article 1\\nThe parties agree.\\n(a) One. Two vs. three.\\n\\nArticle 2\\nNo.\\n' * 20\n"
        "c = build_chunker(load_profile('legal'), t.WordPieceTokenizer(), tokens=40)\n"
        "print(c.fingerprint, [x.id for x in c(Document('d', 'a.txt', 'A', text))])"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True,
            text=True, check=True, cwd=Path(__file__).parents[2],
        ).stdout
        for seed in ("0", "1")
    }  # fmt: skip
    assert len(outputs) == 1


@pytest.mark.slow
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_real_corpora_are_cut_exactly(strategy: str, tokenizer: Tokenizer) -> None:
    if not CORPORA.exists():
        pytest.skip("the public corpora are not on this machine")
    for path in sorted(CORPORA.glob("*.md")):
        document = Document(path.stem, path.name, path.name, path.read_text(encoding="utf-8"))
        chunks = build_chunker(Profile(), tokenizer, encoder=HashEncoder(), strategy=strategy)(document)
        for chunk in chunks:
            _check(document, chunk, tokenizer, tokens=200)
        held = {i for chunk in chunks for i in range(chunk.span.start, chunk.span.end)}
        assert _visible(document) <= held
