"""The ingest comparison counts what stores hold, and changes one file in a hundred."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

BENCH = Path(__file__).resolve().parents[2] / "bench"


@pytest.fixture(autouse=True, scope="module")
def _benchmarks() -> Iterator[None]:
    sys.path.insert(0, str(BENCH))
    yield
    sys.path.remove(str(BENCH))


class _Words:
    """A tokenizer whose tokens are letters, so that sizes are easily counted."""

    max_tokens = 6
    special_tokens = 2

    def starts(self, text: str) -> NDArray[np.int64]:
        return np.arange(len(text))


@given(text=st.text(alphabet="abc \n.#", min_size=1).filter(lambda text: any(map(str.isalnum, text))))
def test_a_text_cut_in_any_two_is_covered_whole(text: str) -> None:
    """White space and marks that a splitter drops are not missed."""
    from ingest_equality import audited

    cut = len(text) // 2
    stored = [("a.txt", text[:cut].strip(" \n.")), ("a.txt", text[cut:].strip(" \n."))]
    found = audited({"stored": stored, "nearest": []}, {"a.txt": text}, tokenizer=_Words())
    assert (found.covered, found.lost) == (1.0, 0)


def test_missing_strange_and_overlong_chunks_are_counted() -> None:
    """Half a file is half covered, a foreign text is lost, and tokens past the limit are unread."""
    from ingest_equality import audited

    stored = [("a.txt", "abcde"), ("a.txt", "zzz")]
    printed = {"stored": stored, "nearest": [("a.txt", "cd"), ("a.txt", "zzz")]}
    found = audited(printed, {"a.txt": "abcde fghij"}, tokenizer=_Words())
    assert (found.covered, found.lost, found.unread) == (0.5, 1, 1)
    assert found.nearest == (("a.txt", 2, 4), None)


def test_two_stores_agree_where_their_nearest_chunks_share_a_letter() -> None:
    """Neighbours and lost chunks do not agree."""
    from ingest_equality import Audit, agreement

    one = Audit(3, 9, 0, 1.0, 0, (("a.txt", 0, 5), ("a.txt", 0, 5), ("a.txt", 0, 5)))
    other = Audit(3, 9, 0, 1.0, 0, (("a.txt", 4, 8), ("a.txt", 5, 8), None))
    assert agreement(one, other) == [1.0, 0.0, 0.0]


@pytest.mark.parametrize(("files", "changed"), [(1, 1), (99, 1), (200, 2), (250, 2), (1000, 10)])
def test_one_file_in_a_hundred_is_changed(files: int, changed: int, tmp_path: Path) -> None:
    """And at least one; every other file stays as it was."""
    from ingest_corpus import ADDED, Piece, change, write

    pieces = [Piece(f"{number:04}.txt", "any", 0, f"One {number}. Two.") for number in range(files)]
    write(pieces, tmp_path / "corpus")
    paths = sorted((tmp_path / "corpus").iterdir())
    names = {path.name for path in change(paths)}
    assert len(names) == changed
    for piece, path in zip(pieces, paths, strict=True):
        text = path.read_text(encoding="utf-8")
        assert text.replace(ADDED, "") == piece.text
        assert (ADDED in text) == (piece.name in names)


def test_copies_differ_in_every_the(tmp_path: Path) -> None:
    """So that no vector of one copy serves another."""
    from ingest_corpus import Piece, write_varied

    write_varied([Piece("a.txt", "any", 0, "the cat on the mat, other")], tmp_path, copies=3)
    texts = [(tmp_path / f"copy-{number}" / "a.txt").read_text(encoding="utf-8") for number in range(3)]
    assert texts[:2] == ["the cat on the mat, other", "this cat on this mat, other"]
    assert len(set(texts)) == 3
