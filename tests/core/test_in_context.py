"""Questions that are read together with like ones."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragwright.core.errors import ModelError
from ragwright.core.in_context import FILE, in_context_of, read_in_context

PAIRS = [
    ("Who checks the pump?", "The pump is checked by the day shift."),
    ("Where is the valve?", "The valve stands in the cellar."),
    ("Who repairs the pump in winter?", "In winter the night shift repairs it."),
]


def anything(text: str) -> bool:
    return True


def test_the_most_like_examples_stand_before_a_question_and_the_nearest_next_to_it() -> None:
    asked = in_context_of(PAIRS, count=2).read_with("Who repairs the valve?", fits=anything)
    assert asked == (
        "Query: Where is the valve?; Document: The valve stands in the cellar.; "
        "Query: Who repairs the pump in winter?; Document: In winter the night shift repairs it.; "
        "Query: Who repairs the valve?"
    )


def test_the_very_same_question_is_no_example_of_itself() -> None:
    asked = in_context_of(PAIRS, count=3).read_with("who checks the PUMP", fits=anything)
    assert "day shift" not in asked and "night shift" in asked


def test_examples_that_do_not_fit_are_left_out_the_least_like_ones_first() -> None:
    known = in_context_of(PAIRS, count=3)
    asked = known.read_with("Who repairs the pump?", fits=lambda text: len(text) < 120)
    assert "night shift" in asked and "day shift" not in asked
    assert known.read_with("Who repairs the pump?", fits=lambda text: False) == "Query: Who repairs the pump?"


def test_a_question_that_is_like_none_stands_alone() -> None:
    assert in_context_of(PAIRS, count=3).read_with("Wieviel?", fits=anything) == "Query: Wieviel?"


def test_examples_are_short_and_none_is_there_twice() -> None:
    known = in_context_of([("One?", "word " * 200), ("one", "other")], count=1)
    assert len(known.examples) == 1 and len(known.examples[0].passage) <= 240
    assert known.examples[0].passage.endswith("word")


@given(st.lists(st.tuples(st.text(), st.text()), max_size=5), st.text(), st.integers(1, 3))
def test_what_is_written_is_read_again_and_reads_questions_alike(
    tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[str, str]], question: str, count: int
) -> None:
    folder = tmp_path_factory.mktemp("shown")
    known = in_context_of(pairs, count=count)
    known.write(folder)
    found = read_in_context(folder)
    assert found == known
    assert found is not None
    assert found.read_with(question, fits=anything) == known.read_with(question, fits=anything)


def test_a_folder_may_have_none_and_a_damaged_file_is_refused(tmp_path: Path) -> None:
    assert read_in_context(tmp_path) is None
    (tmp_path / FILE).write_text('{"examples": [1]}', encoding="utf-8")
    with pytest.raises(ModelError, match="train the model again"):
        read_in_context(tmp_path)
