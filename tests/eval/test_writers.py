"""Writers: native folders, BEIR folders, ragas JSON lines."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragwright.core.errors import InputError
from ragwright.core.types import Evidence, Question, Span
from ragwright.eval.datasets import load_dataset
from ragwright.eval.values import (
    Dataset,
    Found,
    Item,
    Judgement,
    Outcome,
    Reference,
    Reply,
    SourceText,
)
from ragwright.eval.writers import write_beir, write_native, write_ragas

WORDS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=6)
FACTS = st.dictionaries(WORDS, WORDS, max_size=2)


@st.composite
def references(draw: st.DrawFn) -> Reference:
    source, grade = draw(WORDS), draw(st.integers(1, 3))
    text = draw(st.none() | WORDS)
    if draw(st.booleans()):
        return Reference(draw(st.just(source) | st.just("")) if text else source, text=text, grade=grade)
    start = draw(st.integers(0, 99))
    return Reference(source, start, start + (len(text) if text else draw(st.integers(1, 9))), text, grade)


@st.composite
def datasets(draw: st.DrawFn) -> Dataset:
    items = []
    for number, name in enumerate(draw(st.lists(WORDS, min_size=1, max_size=4, unique=True)), 1):
        labels = tuple(draw(st.lists(references(), max_size=3)))
        question = draw(WORDS.filter(lambda text: not text.isspace()))
        metadata, filters = draw(FACTS), draw(FACTS)
        row = f"questions.jsonl:{number}"
        items.append(Item(name, question, labels, draw(WORDS), bool(labels), metadata, filters, row))
    sources = draw(st.lists(WORDS, max_size=3, unique=True))
    texts = tuple(SourceText(source, draw(WORDS), draw(WORDS), draw(FACTS)) for source in sources)
    judgements = tuple(Judgement(items[0].id, source, draw(st.integers(-1, 3))) for source in sources)
    return Dataset("any", "native", tuple(items), texts, judgements)


@settings(max_examples=40, deadline=None)
@given(datasets())
def test_what_is_written_natively_reads_back_equal(dataset: Dataset) -> None:
    with TemporaryDirectory() as folder:
        read = load_dataset(write_native(dataset, Path(folder) / "set"))
        assert replace(read, name="any", digest="") == dataset
        again = load_dataset(write_native(read, Path(folder) / "set"))
        assert again == read
        assert not [path for path in Path(folder, "set").iterdir() if path.name.startswith(".")]


def test_writing_over_a_folder_leaves_no_documents_of_before(tmp_path: Path) -> None:
    items = (Item("1", "What?", (Reference("a", 0, 1),)),)
    full = Dataset("d", "native", items, (SourceText("a", "x"),), (Judgement("1", "a", 1),))
    write_native(full, tmp_path)
    write_native(replace(full, texts=(), judgements=()), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["questions.jsonl"]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    items = (Item("1", "What?", (Reference("a", 0, 1),)),)
    write_native(Dataset("d", "native", items), tmp_path)
    before = (tmp_path / "questions.jsonl").read_bytes()
    with pytest.raises(TypeError):
        write_native(Dataset("d", "native", (replace(items[0], metadata={"a": object()}),)), tmp_path)
    assert (tmp_path / "questions.jsonl").read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1
    with pytest.raises(InputError, match="cannot make the folder"):
        write_native(Dataset("d", "native", items), tmp_path / "questions.jsonl" / "below")


def test_beir_folders_read_back_as_the_judgements_they_were_made_from(tmp_path: Path) -> None:
    items = (Item("1", "What?", (Reference("b", grade=2),)), Item("2", "Who?", answerable=False))
    texts = (SourceText("a", "one", "A", {"year": "1"}), SourceText("b", "two", "B"))
    judgements = (Judgement("1", "b", 2), Judgement("1", "a", 0))
    read = load_dataset(write_beir(Dataset("d", "trec", items, texts, judgements), tmp_path))
    assert read.texts == texts
    assert read.judgements == judgements
    assert read.items == (replace(items[0], row="queries.jsonl:1"),)


def test_spans_become_beir_judgements_of_their_documents(tmp_path: Path) -> None:
    labels = (Reference("a.md", 0, 1), Reference("a.md", 2, 3, grade=2), Reference("", text="two"))
    texts = (SourceText("x/a.md", "one"), SourceText("x/b.md", "two"))
    write_beir(Dataset("d", "native", (Item("1", "What?", labels),), texts), tmp_path, part="dev")
    lines = (tmp_path / "qrels" / "dev.tsv").read_text(encoding="utf-8").splitlines()
    assert lines == ["query-id\tcorpus-id\tscore", "1\tx/a.md\t2", "1\tx/b.md\t1"]


def test_beir_needs_documents_and_ids_without_tabs(tmp_path: Path) -> None:
    dataset = Dataset("d", "native", (Item("a\tb", "What?", (Reference("a", 0, 1),)),))
    with pytest.raises(InputError, match="brings no documents"):
        write_beir(dataset, tmp_path)
    with pytest.raises(InputError, match="hold a tab"):
        write_beir(replace(dataset, texts=(SourceText("a", "x"),)), tmp_path)


def outcome() -> Outcome:
    evidence = (Evidence(Span("a.md", 0, 3), "One", 0.9), Evidence(Span("a.md", 10, 13), "Two", 0.8))
    found = Found("c1", Span("a.md", 0, 19), "A", (), None, "One fish. Two fish.", 1.0, evidence=evidence)
    question = Question("q", "Which?", (Span("a.md", 4, 8),), "fish")
    return Outcome(question, found=(found,), reply=Reply("It is fish.", (), False, 0.9))


def test_ragas_lines_have_its_field_names_and_read_back(tmp_path: Path) -> None:
    text_of = {"a.md": "One fish. Two fish.", "b.md": ""}.get
    file = write_ragas([outcome()], tmp_path / "out" / "ragas.jsonl", text_of=text_of)
    assert json.loads(file.read_text(encoding="utf-8")) == {
        "id": "q",
        "user_input": "Which?",
        "retrieved_contexts": ["One", "Two"],
        "retrieved_context_ids": ["a.md", "a.md"],
        "response": "It is fish.",
        "reference": "fish",
        "reference_contexts": ["fish"],
        "reference_context_ids": ["a.md"],
    }
    (item,) = load_dataset(file).items
    assert item.references == (Reference("", text="fish"),)
    write_ragas([outcome()], file, text_of=text_of, contexts="chunks")
    assert json.loads(file.read_text(encoding="utf-8"))["retrieved_contexts"] == ["One fish. Two fish."]


def test_what_an_outcome_recorded_needs_no_document(tmp_path: Path) -> None:
    recorded = replace(outcome(), gold=("fish",), reply=None)
    file = write_ragas([recorded], tmp_path / "ragas.jsonl")
    row = json.loads(file.read_text(encoding="utf-8"))
    assert row["reference_contexts"] == ["fish"]
    assert row["response"] is None


def test_a_reference_without_text_is_an_error_that_names_the_question(tmp_path: Path) -> None:
    for texts in ({}, {"a.md": "One"}):
        with pytest.raises(InputError, match=r'question q: "a\.md" has'):
            write_ragas([outcome()], tmp_path / "ragas.jsonl", text_of=texts.get)
    assert not list(tmp_path.iterdir())
