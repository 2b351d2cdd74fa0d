"""The structure strategy: sections, tables, lists and clauses stay together."""

from __future__ import annotations

from itertools import pairwise

from ragwright.core.profile import Profile, load_profile
from ragwright.core.protocols import Tokenizer
from ragwright.core.types import Block, BlockKind, Chunk, Document
from ragwright.ingest.chunk import build_chunker
from ragwright.ingest.markdown import parse_markdown

Part = tuple[BlockKind, str, int | None]


def _document(*parts: Part, title: str = "Handbook") -> Document:
    text, blocks = "", []
    for kind, words, level in parts:
        start = len(text) + (2 if text else 0)
        text = f"{text}\n\n{words}" if text else words
        blocks.append(Block(kind, start, len(text), level=level))
    return Document("d", "handbook.md", title, text, tuple(blocks))


def _chunks(document: Document, tokenizer: Tokenizer, *, tokens: int = 40, overlap: int = 0) -> list[Chunk]:
    return build_chunker(Profile(), tokenizer, tokens=tokens, overlap=overlap)(document)


def test_a_heading_begins_a_chunk_and_later_chunks_name_it_in_their_context(tokenizer: Tokenizer) -> None:
    long = " ".join(f"Sentence number {n} is here." for n in range(12))
    chunks = _chunks(
        _document(("title", "# Leave", 1), ("title", "## Sick", 2), ("paragraph", long, None)), tokenizer
    )
    assert chunks[0].text.startswith("# Leave\n\n## Sick\n\nSentence number 0")
    assert chunks[0].context == "Handbook\n"
    assert {chunk.headings for chunk in chunks} == {("Leave", "Sick")}
    assert {chunk.context for chunk in chunks[1:]} == {"Handbook > Leave > Sick\n"}
    assert all(chunk.text.endswith(".") for chunk in chunks)


def test_a_title_that_stands_in_the_chunk_is_not_repeated(tokenizer: Tokenizer) -> None:
    (chunk,) = _chunks(_document(("title", "# HANDBOOK", 1), ("paragraph", "Be kind.", None)), tokenizer)
    assert chunk.context == ""


def test_sections_of_some_size_are_not_mixed(tokenizer: Tokenizer) -> None:
    body = "This part has a body of more than ten tokens, so it stands alone."
    document = _document(
        ("title", "A", 1), ("paragraph", body, None), ("title", "B", 1), ("paragraph", body, None)
    )
    assert [chunk.headings for chunk in _chunks(document, tokenizer)] == [("A",), ("B",)]


def test_tiny_sections_join_and_keep_the_headings_that_they_share(tokenizer: Tokenizer) -> None:
    document = _document(
        ("title", "Top", 1), ("title", "A", 2), ("paragraph", "Yes.", None), ("title", "B", 2),
        ("paragraph", "No.", None),
    )  # fmt: skip
    (chunk,) = _chunks(document, tokenizer)
    assert chunk.headings == ("Top",)


def test_paragraphs_that_fit_stay_whole(tokenizer: Tokenizer) -> None:
    paragraph = "Here are some words. " * 4 + "End."
    parts: list[Part] = [("paragraph", paragraph, None)] * 4
    chunks = _chunks(_document(*parts), tokenizer)
    assert all(chunk.text.replace(paragraph, "").strip() == "" for chunk in chunks)


def test_a_small_rest_takes_some_of_what_stands_before_it(tokenizer: Tokenizer) -> None:
    items: list[Part] = [
        ("list_item", f"{n}. Here are ten words for the item number {n}.", 1) for n in range(8)
    ]
    parts: list[Part] = [
        ("title", "Steps", 1),
        *items,
        ("title", "Next", 1),
        ("paragraph", "Words. " * 9, None),
    ]
    chunks = _chunks(_document(*parts), tokenizer, tokens=90)
    assert [chunk.headings for chunk in chunks] == [("Steps",), ("Steps",), ("Next",)]
    assert chunks[1].text.startswith("4. Here") and chunks[2].text.startswith("Next")


def test_an_introduction_stays_with_its_list(tokenizer: Tokenizer) -> None:
    parts: list[Part] = [
        ("paragraph", "Some words stand here first. " * 5, None),
        ("paragraph", "Bring these tools:", None),
        ("list_item", "- a hammer with a long handle of wood", 1),
        ("list_item", "- a saw", 1),
    ]
    chunks = _chunks(_document(*parts), tokenizer, tokens=40)
    assert [chunk.text.split()[0] for chunk in chunks] == ["Some", "Bring"]


def test_no_chunk_ends_with_a_heading_that_has_a_body(tokenizer: Tokenizer) -> None:
    rows = "\n".join(f"| row {n} | {n} |" for n in range(4))
    body = "Some words stand here first. " * 3
    text = f"# Top\n\nYes.\n\n## A\n\n{body}\n\n## B\n\n| a | b |\n|---|---|\n{rows}\n\n## C\n\n{body}"
    parsed = parse_markdown(text.encode(), "a.md")
    for tokens in range(24, 120, 4):
        for chunk in _chunks(Document("d", "a.md", "", parsed.text, parsed.blocks), tokenizer, tokens=tokens):
            assert not chunk.text.rpartition("\n")[2].startswith("#")


def test_a_cut_table_repeats_its_header_in_the_context_only(tokenizer: Tokenizer) -> None:
    rows = ["Part | Price"] + [f"Bolt {n} | {n}.50 EUR" for n in range(20)]
    text, blocks = "\n".join(rows), []
    for number, row in enumerate(rows):
        start = text.index(row + "\n") if number < 20 else text.index(row)
        blocks.append(Block("table_row" if number else "table_header", start, start + len(row)))
    document = Document("d", "t.csv", "Prices", text, (Block("table", 0, len(text)), *blocks))
    chunks = _chunks(document, tokenizer)
    assert len(chunks) > 2
    assert chunks[0].context == "Prices\n"
    assert {chunk.context for chunk in chunks[1:]} == {"Prices\nPart | Price\n"}
    assert all(line in rows for chunk in chunks for line in chunk.text.split("\n"))


def test_overlap_repeats_whole_sentences_of_a_cut_paragraph(tokenizer: Tokenizer) -> None:
    long = " ".join(f"Sentence number {n} is here." for n in range(20))
    chunks = _chunks(_document(("paragraph", long, None)), tokenizer, overlap=8)
    for one, other in pairwise(chunks):
        assert one.sentences[-1] == other.sentences[0]


def test_the_legal_profile_finds_articles_and_cuts_before_clauses(tokenizer: Tokenizer) -> None:
    clause = "The supplier shall deliver the goods in time and bear all the costs of it."
    text = f"Article 1\n{clause}\n\nArticle 2\n(a) {clause}\n(b) {clause}\n(c) {clause}"
    chunks = build_chunker(load_profile("legal"), tokenizer, tokens=50)(
        Document("d", "c.txt", "Contract", text)
    )
    assert [chunk.headings for chunk in chunks] == [("Article 1",), ("Article 2",), ("Article 2",)]
    assert chunks[2].text.startswith("(c)")


def test_a_reference_inside_wrapped_prose_is_no_heading(tokenizer: Tokenizer) -> None:
    text = "The tenant is bound by what stands in\nSection 3\nof the lease and by nothing else."
    (chunk,) = build_chunker(load_profile("legal"), tokenizer)(Document("d", "c.txt", "", text))
    assert chunk.headings == ()


def test_code_is_cut_between_lines(tokenizer: Tokenizer) -> None:
    code = "\n".join(f"value_{n} = compute({n})" for n in range(60))
    chunks = _chunks(_document(("code", code, None)), tokenizer, tokens=200)
    assert len(chunks) > 1
    assert all(
        line.startswith("value_") and line.endswith(")") for c in chunks for line in c.text.split("\n")
    )


def test_a_deep_path_keeps_title_and_innermost_heading(tokenizer: Tokenizer) -> None:
    words = "a heading of many words that goes on and on for quite a while"
    headings: list[Part] = [("title", f"{words} {level}", level) for level in range(1, 5)]
    body = " ".join(f"Sentence number {n} is here." for n in range(80))
    chunks = _chunks(_document(*headings, ("paragraph", body, None)), tokenizer, tokens=150)
    assert chunks[-1].context.startswith("Handbook > ")
    assert chunks[-1].context.endswith(f"{words} 4\n")
    assert len(tokenizer.starts(chunks[-1].context)) <= 48
