"""Format detection, names and digests."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from ragwright.core.errors import InputError
from ragwright.eval.datasets import FORMATS, digest_of, load_dataset
from ragwright.eval.values import Dataset, Item, Judgement, Reference, SourceText

DEMO = Path(__file__).parents[2] / "demo" / "questions.jsonl"
SET = Dataset("a", "native", (Item("1", "What?", (Reference("a", 0, 1),)),), (SourceText("a", "x"),))


def test_an_unknown_path_says_what_was_looked_for(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("Nothing here.", encoding="utf-8")
    for path in (tmp_path, tmp_path / "notes.txt"):
        with pytest.raises(InputError) as error:
            load_dataset(path)
        assert all(f"({name})" in str(error.value) for name in FORMATS)


def test_an_absent_path_and_an_unknown_format_are_errors(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no data set at"):
        load_dataset(tmp_path / "nowhere")
    with pytest.raises(InputError, match='"csv" is no data set format; wanted one of: chroma, beir'):
        load_dataset(DEMO, format="csv")


@pytest.mark.parametrize("name", FORMATS)
def test_every_reader_refuses_what_is_not_its_own_with_a_message(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError):
        load_dataset(tmp_path, format=name)
    (tmp_path / "notes.txt").write_text("Nothing here.", encoding="utf-8")
    with pytest.raises(InputError):
        load_dataset(tmp_path / "notes.txt", format=name)


def test_the_digest_does_not_depend_on_where_the_data_lies(tmp_path: Path) -> None:
    copied = Path(shutil.copy(DEMO, tmp_path / "mine.jsonl"))
    first, second = load_dataset(DEMO), load_dataset(copied, name="other")
    assert (first.name, second.name) == ("demo", "other")
    assert first.digest == second.digest
    assert len(first.digest) == 64


@pytest.mark.parametrize(
    "changed",
    [
        replace(SET, items=(replace(SET.items[0], text="Who?"),)),
        replace(SET, items=(replace(SET.items[0], references=(Reference("a", 0, 2),)),)),
        replace(SET, items=(replace(SET.items[0], filters={"a": "b"}),)),
        replace(SET, items=()),
        replace(SET, texts=(SourceText("a", "y"),)),
        replace(SET, texts=()),
        replace(SET, judgements=(Judgement("1", "a", 0),)),
    ],
)
def test_the_digest_changes_with_any_content(changed: Dataset) -> None:
    assert digest_of(changed) != digest_of(SET)
