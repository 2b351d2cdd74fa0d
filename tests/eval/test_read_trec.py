"""TREC collections."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragwright.core.errors import InputError
from ragwright.eval.binding import bind, bind_judgements
from ragwright.eval.datasets import load_dataset
from ragwright.eval.values import Judgement, Reference, SourceText

CRANFIELD = Path(__file__).parents[3] / "shared" / "data" / "cranfield"

DOCUMENTS = """<doc>
<docno>1</docno>
<title>a wing
in a flow .</title>
<author>one,a.</author>
<text>a wing
  in a flow &amp; more .</text>
</doc>
<doc><docno>2</docno><title></title><text></text></doc>
"""
TOPICS = """<?xml version='1.0'?>
<xml>
<top>
<num> 4</num>
<title>
what of
wings .
</title>
</top>
<top><num> 7</num><title>what of flows .</title></top>
</xml>
"""


def write(folder: Path, qrels: str, *, topics: str = TOPICS, documents: str = DOCUMENTS) -> Path:
    (folder / "README.md").write_text("# The format\n<doc>..</doc>\n<top>..</top>\n", encoding="utf-8")
    (folder / "documents.xml").write_text(documents, encoding="utf-8")
    (folder / "topics.xml").write_text(topics, encoding="utf-8")
    (folder / "qrels.txt").write_text(qrels, encoding="utf-8")
    return folder


def test_topics_documents_and_judgements_are_read(tmp_path: Path) -> None:
    dataset = load_dataset(write(tmp_path, "4 0 1 1\n4 0 2 0\n"))
    assert dataset.format == "trec"
    assert dataset.texts == (
        SourceText("1", "a wing\n  in a flow & more .", "a wing in a flow .", {"author": "one,a."}),
    )
    (item,) = dataset.items
    assert (item.id, item.text, item.row) == ("4", "what of wings .", "topics.xml:3")
    assert item.references == (Reference("1"),)
    assert item.metadata == {"empty_documents": ["2"]}
    assert dataset.judgements == (Judgement("4", "1", 1), Judgement("4", "2", 0))


def test_judgements_that_count_topics_in_file_order_are_recognised(tmp_path: Path) -> None:
    dataset = load_dataset(write(tmp_path, "1 0 1 1\n2 0 1 1\n"))
    assert [(item.id, item.metadata["topic"]) for item in dataset.items] == [("1", "4"), ("2", "7")]


def test_judgements_that_fit_neither_numbers_nor_order_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r'qrels\.txt:1: there is no query "9"'):
        load_dataset(write(tmp_path, "9 0 1 1\n"))


def test_classic_topics_without_closing_tags_are_read(tmp_path: Path) -> None:
    topics = "<top>\n<num> Number: 301\n<title> Organised Crime\n\n<desc> Description:\nWho?\n</top>\n"
    documents = "<DOC>\n<DOCNO> FT-1 </DOCNO>\n<HEADLINE>News</HEADLINE>\n<P>Crime pays.</P>\n</DOC>\n"
    dataset = load_dataset(write(tmp_path, "301 0 FT-1 2\n", topics=topics, documents=documents))
    (item,) = dataset.items
    assert (item.id, item.text) == ("301", "Organised Crime")
    assert item.metadata == {"description": "Who?"}
    assert item.references == (Reference("FT-1", grade=2),)
    assert dataset.texts[0].text == "News\nCrime pays."


@pytest.mark.parametrize(
    ("qrels", "seen"),
    [
        ("4 0 1 1\n4 0 1\n", "qrels.txt:2: 3 columns"),
        ("4 0 1 1\n4 0 1 0\n", "has grade 0, but 1 at qrels.txt:1"),
    ],
)
def test_wrong_judgements_are_named(tmp_path: Path, qrels: str, seen: str) -> None:
    with pytest.raises(InputError) as error:
        load_dataset(write(tmp_path, qrels))
    assert seen in str(error.value)


def test_repeated_documents_are_errors(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="document 1 has been given before"):
        load_dataset(write(tmp_path, "4 0 1 1\n", documents=DOCUMENTS + DOCUMENTS))


def test_a_folder_without_judgements_is_no_collection(tmp_path: Path) -> None:
    (write(tmp_path, "4 0 1 1\n") / "qrels.txt").unlink()
    with pytest.raises(InputError, match="1 files with topics and 0 with judgements"):
        load_dataset(tmp_path, format="trec")


@pytest.mark.slow
@pytest.mark.skipif(not CRANFIELD.exists(), reason="the shared data is not here")
def test_cranfield_has_225_queries_and_1400_documents_of_which_two_are_empty() -> None:
    dataset = load_dataset(CRANFIELD)
    assert len(dataset.items) == 225
    assert len(dataset.texts) == 1400 - 2
    assert len(dataset.judgements) == 1837
    assert dataset.items[2].metadata == {"topic": "4"}
    texts = {text.source: text.text for text in dataset.texts}
    # 1,612 judgements are relevant, one of them of an empty document.
    assert sum(len(question.references) for question in bind(dataset, texts, texts.get)) == 1611
    assert [item.id for item in dataset.items if "empty_documents" in item.metadata] == ["125"]
    assert len(bind_judgements(dataset, texts)) == 1837
