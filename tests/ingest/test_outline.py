"""Units: a document's parts in order, trimmed, with nothing visible left out."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragwright.core.profile import Profile, load_profile
from ragwright.core.types import Block, Document
from ragwright.ingest.markdown import parse_markdown
from ragwright.ingest.outline import Outliner, Unit, heading_text

LEGAL = load_profile("legal")


@pytest.mark.parametrize("profile", [Profile(), LEGAL], ids=["plain", "legal"])
@given(text=st.text(st.sampled_from(list("aB \n\t.\x0c")), max_size=80), cut=st.integers(0, 80))
def test_units_are_trimmed_ordered_and_hold_every_visible_character(
    profile: Profile, text: str, cut: int
) -> None:
    text = text.replace("B", "Article 5 ")
    document = Document("d", "a.txt", "", text, (Block("paragraph", 0, min(cut, len(text))),))
    units = Outliner(profile)(document)
    pieces = [text[unit.start : unit.end] for unit in units]
    assert all(piece == piece.strip() != "" for piece in pieces)
    assert all(one.end <= other.start for one, other in pairwise(units))
    assert "".join("".join(pieces).split()) == "".join(text.split())


def test_headings_found_by_pattern_stand_below_those_of_the_parser() -> None:
    text = "# Act\n\nArticle 5\nThe parties agree.\n\n# Next\n\nText."
    blocks = (Block("title", 0, 5, level=1), Block("paragraph", 7, 35), Block("title", 37, 43, level=1))
    units = Outliner(LEGAL)(Document("d", "a.md", "", text, blocks))
    assert [(unit.kind, len(unit.path)) for unit in units] == [
        ("heading", 1), ("heading", 2), ("paragraph", 2), ("heading", 1), ("paragraph", 1),
    ]  # fmt: skip


def _markdown(text: str) -> list[str]:
    parsed = parse_markdown(text.encode(), "a.md")
    units = Outliner(Profile())(Document("d", "a.md", "", parsed.text, parsed.blocks))
    return [text[unit.start : unit.end] for unit in units]


def test_a_headings_marks_belong_to_its_unit() -> None:
    assert _markdown("# A b #\n\nText.\n\nSetext\n======\n\nMore.\n\n> ## Quoted\n\n- # Item") == [
        "# A b #", "Text.", "Setext\n======", "More.", "> ## Quoted", "- # Item",
    ]  # fmt: skip


def test_a_rule_belongs_to_what_stands_before_it_or_to_the_first_unit() -> None:
    assert _markdown("---\n\n# Top\n\nText.\n\n***\n\n## Next\n\n---\n\nMore.") == [
        "---\n\n# Top", "Text.\n\n***", "## Next", "---\n\nMore.",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "heading", ["## Torque #", "---\n\n# Torque", "> # Torque", "Torque\n===", "---\n\nTorque\n---\n\n***"]
)
def test_a_headings_words_have_no_marks(heading: str) -> None:
    assert heading_text(heading, Unit("heading", 0, len(heading))) == "Torque"


def test_what_stands_between_two_rows_belongs_to_the_first() -> None:
    text = "| a |\n|---|\n| 1 |"
    blocks = (Block("table", 0, 17), Block("table_header", 0, 5), Block("table_row", 12, 17))
    header, row = Outliner(Profile())(Document("d", "a.md", "", text, blocks))
    assert text[header.start : header.end] == "| a |\n|---|"
    assert row.header == (header.start, header.end)
