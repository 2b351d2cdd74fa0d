"""A passage supports a sentence when it holds its numbers and half of its words."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.generation.manual import documents, hit

from ragwright.generation.passages import Numbered
from ragwright.generation.supporting import Support

TEXT = (
    "Tighten the cover bolts to 1,215 Nm. Die Schrauben der Deckel werden mit 35,5 Nm angezogen. "
    "The pump must not run dry. 水泵不得空转。"
)
FOUND = [TEXT[:36], TEXT[37:91], TEXT[92:118], TEXT[119:]]
STORE = documents(manual=TEXT)
HIT = hit(STORE["manual"], *((text, 0.5) for text in FOUND))
HIT = replace(HIT, chunk=replace(HIT.chunk, headings=("Kestrel 310", "4.2 Wheels")))
SUPPORT = Support([Numbered(1, HIT)])


@pytest.mark.parametrize(
    ("claim", "place"),
    [
        ("The bolts of the cover are tightened with 1215 Nm.", 0),
        ("Bolts: 1,215 Nm", 0),
        ("The bolts of the cover are tightened with 1216 Nm.", None),
        ("The four bolts of the cover are tightened with 1,215 Nm in 2 passes.", None),
        ("The cover is painted yellow, once a year.", None),
        ("Deckelschrauben zieht man mit 35.5 Nm an, jede Schraube.", 1),
        ("The pump runs dry.", 2),  # the rule looks for words
        ("水泵不得空转", 3),
        ("The Kestrel 310 Manual", None),  # the title and headings alone
        ("The pump of the Kestrel 310", 2),
        ("The pump of the Kestrel 330", None),
        ("The 4.2 pump of the Kestrel", None),  # the number of a section
        ("1,215", 0),
        ("", None),
        ("So it is.", None),
    ],
)
def test_the_rule(claim: str, place: int | None) -> None:
    found = [passage.evidence.text for passage in SUPPORT.passages(claim, 1)]
    assert found == ([] if place is None else [FOUND[place]])


def test_passages_are_enough_together_in_text_order() -> None:
    found = SUPPORT.passages("The pump must not run dry, and bolts get 1,215 Nm.", 1)
    assert [passage.evidence.text for passage in found] == [FOUND[0], FOUND[2]]


def test_a_document_that_there_is_not_supports_nothing() -> None:
    assert SUPPORT.passages("Tighten the cover bolts to 1,215 Nm.", 2) == []
