"""Citations reach every client: in the text, as annotations, and as lists, each at its exact place."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai import OpenAI
from tests.app.serve.openai_world import PUMP, World
from tests.app.serve.questions import ABOUT, NOWHERE, SCRIPTED, ask, chunks, content, said

from ragwright.app.serve.citing import (
    CitingText,
    Note,
    Style,
    footer,
    viewer_addresses,
    without_footer,
)
from ragwright.core.types import Answer, Citation, Delta, Mark, Span

STYLES: tuple[Style, ...] = ("markers", "links", "footer", "none")
ADDRESS = viewer_addresses("http://host", "law")


@pytest.fixture
def client(world: World) -> OpenAI:
    return world.client()


def citation(marker: int, *, title: str = "Pump") -> Citation:
    span = Span("d", 10 * marker, 10 * marker + 5)
    return Citation(marker, span, "quote", "exact", "docs/a b.md", title, ("Title", "Filter"), 3)


def written(deltas: list[Delta], style: Style) -> tuple[str, list[Note]]:
    """What is sent of an answer, without its footer."""
    citing, parts, notes = CitingText(style, ADDRESS), [], []
    for delta in deltas:
        text, found = citing.feed(delta)
        parts.append(text)
        notes += found
    parts.append(citing.finish(Answer("", (), (), refused=False)))
    return "".join(parts), notes


words = st.text(alphabet="ab 中👩‍🔧🔧\n.[]12()", max_size=12)


@given(st.lists(st.tuples(words, st.integers(1, 3)), max_size=8), st.data())
def test_notes_stand_where_their_markers_do_however_the_text_is_split(
    claims: list[tuple[str, int]], data: st.DataObject
) -> None:
    """The property of all styles: equal text, and each note covers its marker, link or claim."""
    pieces = [(text, marker) for text, marker in claims]
    deltas, seen = [], set()
    for text, marker in pieces:
        first = () if marker in seen else (citation(marker),)
        seen.add(marker)
        cut = data.draw(st.integers(0, len(text)))
        deltas += [Delta(text[:cut])] if cut else []
        rest = f"{text[cut:]}[{marker}]"
        deltas.append(Delta(rest, first, (Mark(len(rest) - 3, len(rest), marker),)))
    whole = "".join(f"{text}[{marker}]" for text, marker in pieces)
    for style in STYLES:
        text, notes = written(deltas, style)
        assert [note.citation.marker for note in notes] == [marker for _, marker in pieces]
        assert [note.index for note in notes] == list(range(len(notes)))
        covered = [text[note.start : note.end] for note in notes]
        if style in ("markers", "footer"):
            assert text == whole
            assert covered == [f"[{marker}]" for _, marker in pieces]
        elif style == "links":
            assert covered == [f"[{m}]({ADDRESS(citation(m).span)})" for _, m in pieces]
        else:
            assert all(not each or not each[0].isspace() for each in covered)
            assert all("\n" not in each for each in covered)


def test_without_markers_no_blank_is_left_before_a_full_stop() -> None:
    deltas = [Delta("Tighten to 35 Nm "), Delta("[1]. Then wait.", (citation(1),), (Mark(0, 3, 1),))]
    text, notes = written(deltas, "none")
    assert text == "Tighten to 35 Nm. Then wait."
    assert text[notes[0].start : notes[0].end] == "Tighten to 35 Nm"


def test_what_only_looks_like_a_marker_is_left_alone() -> None:
    """Text of a document that holds `[1]` itself is no citation."""
    delta = Delta("see [1] there [1]", (citation(1),), (Mark(14, 17, 1),))
    assert written([delta], "none")[0] == "see [1] there"
    assert written([delta], "links")[0].startswith("see [1] there [1](http://host/documents/d?start=10")


def test_a_title_cannot_write_markdown_into_the_list_of_sources() -> None:
    evil = "x](http://evil) ![a](http://evil/p.png) <img src=x>\n\n# *b* `c` snake_case _d_"
    lines = footer([citation(1, title=evil)], ADDRESS, title="**Sources**").splitlines()
    assert len(lines) == 5
    assert lines[4].startswith(r"1. [x\](http://evil) !\[a\](http://evil/p.png) \<img src=x\> # \*b\* \`c\`")
    assert lines[4].endswith("&collection=law): Filter, page 3")
    assert "snake_case" in lines[4]


@pytest.mark.parametrize("title", ["**Sources**", "**Nearest passages**"])
def test_a_list_of_sources_is_taken_off_an_earlier_answer(title: str) -> None:
    sources = footer([citation(1), citation(2, title="a] b")], ADDRESS, title=title)
    assert without_footer("an answer [1]" + sources) == "an answer [1]"
    assert (
        without_footer("an answer [1]" + sources + "\nand more") == "an answer [1]" + sources + "\nand more"
    )


@pytest.mark.parametrize("style", STYLES)
def test_offsets_count_characters_behind_emoji_and_ideographs(client: OpenAI, style: str) -> None:
    answer = ask(client, "say it", model=SCRIPTED, extra_body={"rag": {"citations": style}})
    text = content(answer)
    notes: Any = answer.choices[0].message.annotations
    places = [note.url_citation for note in notes]
    covered = [text[place.start_index : place.end_index] for place in places]
    expected = {
        "markers": ["[1]", "[2]", "[1]"],
        "footer": ["[1]", "[2]", "[1]"],
        "links": [f"[{place.marker}]({place.url})" for place in places],
        "none": ["🔧 Tighten to 35 Nm", ". 法兰螺栓 👩‍🔧", "Again"],
    }
    assert covered == expected[style]
    assert ("**Sources**" in text) == (style == "footer")


@pytest.mark.parametrize("style", STYLES)
def test_a_stream_has_the_same_notes_each_once(client: OpenAI, style: str) -> None:
    options: Any = {"model": SCRIPTED, "extra_body": {"rag": {"citations": style}}}
    streamed: list[Any] = []
    for chunk in chunks(client, "say it", **options):
        streamed += chunk.choices[0].delta.to_dict().get("annotations", [])  # type: ignore[arg-type]
    message: Any = ask(client, "say it", **options).choices[0].message.to_dict()
    assert streamed == message["annotations"]


def test_a_citation_leads_to_the_exact_characters_of_the_document(client: OpenAI, world: World) -> None:
    message: Any = ask(client, ABOUT).choices[0].message
    [note] = [each.url_citation for each in message.annotations]
    assert PUMP[note.start : note.end] == note.quote
    assert (note.title, note.filename, note.state, note.page) == ("Pump manual", "pump.md", "exact", None)
    address = urlsplit(note.url)
    assert f"{address.scheme}://{address.netloc}" == world.url
    assert parse_qs(address.query) == {
        "start": [str(note.start)],
        "end": [str(note.end)],
        "collection": ["documents"],
    }
    assert world.http.get(note.url).status_code == 200


def test_programs_find_citations_in_the_places_they_know(client: OpenAI) -> None:
    answer = ask(client, ABOUT)
    message: Any = answer.choices[0].message.to_dict()
    [azure] = message["context"]["citations"]
    assert azure["content"] == message["annotations"][0]["url_citation"]["quote"]
    assert azure["filepath"] == "docs/pump.md"
    assert azure["chunk_id"]
    assert message["context"]["intent"] == ABOUT
    assert said(answer, "citations") == [azure["url"]]
    [plain] = said(answer, "rag")["citations"]
    assert (plain["document_id"], plain["marker"]) == (azure["file_id"], 1)


def test_a_refusal_lists_the_nearest_passages_and_marks_nothing(client: OpenAI) -> None:
    answer = ask(client, NOWHERE)
    message: Any = answer.choices[0].message.to_dict()
    assert message["annotations"] == []
    assert message["context"]["citations"]
    assert content(answer).startswith("The documents do not answer this.\n\n**Nearest passages**\n\n1. [")
