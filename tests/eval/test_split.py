"""Splits by document, and leaks."""

from __future__ import annotations

import random
import time
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragwright.core.errors import InputError
from ragwright.eval.datasets import load_dataset
from ragwright.eval.split import Leak, leaks, split
from ragwright.eval.values import Dataset, Item, Judgement, Reference, SourceText

SHARED = Path(__file__).parents[3] / "shared" / "data"
SHARES = {"train": 0.6, "dev": 0.2, "test": 0.2}


def dataset(*documents: list[str], texts: int = 0) -> Dataset:
    """A question on each list of documents; none: unanswerable."""
    items = tuple(
        Item(str(number), f"question {number}", tuple(map(Reference, sources)), answerable=bool(sources))
        for number, sources in enumerate(documents)
    )
    return Dataset("d", "native", items, tuple(SourceText(f"t{n}", f"text {n}") for n in range(texts)))


SOURCES = st.sampled_from(["a", "b", "c", "d", "x/a", "y/x/a", "x/e", "t0", "t1"])


@given(
    st.lists(st.lists(SOURCES, max_size=3), min_size=1, max_size=25),
    st.lists(st.tuples(st.integers(0, 24), SOURCES, st.integers(-1, 2)), max_size=8),
    st.integers(0, 3),
)
def test_no_document_is_in_two_parts_and_nothing_is_lost(
    documents: list[list[str]], judged: list[tuple[int, str, int]], seed: int
) -> None:
    whole = dataset(*documents, texts=4)
    judgements = tuple(Judgement(str(n % len(documents)), source, grade) for n, source, grade in judged)
    whole = replace(whole, judgements=judgements)
    try:
        parts = split(whole, SHARES, seed=seed)
    except InputError as error:
        assert "got none of" in str(error)
        return
    assert not [leak for leak in leaks(parts) if leak.kind == "document"]
    assert sorted(item.id for part in parts.values() for item in part.items) == sorted(
        item.id for item in whole.items
    )
    assert sorted(text.source for part in parts.values() for text in part.texts) == ["t0", "t1", "t2", "t3"]
    kept = [judgement for part in parts.values() for judgement in part.judgements]
    assert [each for each in judgements if each.grade >= 1 and each not in kept] == []


@given(st.lists(st.integers(0, 30), min_size=20, max_size=60), st.integers(0, 3))
def test_sizes_miss_the_wished_shares_by_less_than_the_largest_group(numbers: list[int], seed: int) -> None:
    whole = dataset(*([f"document {number}"] for number in numbers))
    largest = max(numbers.count(number) for number in numbers)
    try:
        parts = split(whole, {"train": 3, "test": 1}, seed=seed)
    except InputError:
        return
    assert abs(len(parts["train"].items) - 0.75 * len(numbers)) <= largest


def test_equal_seeds_give_equal_parts_and_others_differ() -> None:
    whole = dataset(*([f"document {number}"] for number in range(40)))
    assert split(whole, SHARES, seed=1) == split(whole, SHARES, seed=1)
    assert split(whole, SHARES, seed=1) != split(whole, SHARES, seed=2)
    train = split(whole, SHARES)["train"]
    assert train.name == "d-train"
    assert train.digest != split(whole, SHARES)["test"].digest
    assert [int(item.id) for item in train.items] == sorted(int(item.id) for item in train.items)


def test_unanswerable_questions_are_dealt_out_by_share() -> None:
    whole = dataset(*([f"document {number}"] for number in range(20)), *([] for _ in range(10)))
    parts = split(whole, SHARES)
    assert {name: sum(not item.answerable for item in part.items) for name, part in parts.items()} == {
        "train": 6,
        "dev": 2,
        "test": 2,
    }


def test_a_filter_and_a_looked_up_text_hold_questions_to_their_document() -> None:
    texts = (SourceText("a", "One fish."), SourceText("b", "Two birds."))
    items = (
        Item("1", "Which?", (Reference("", text="fish"),)),
        Item("2", "When?", answerable=False, filters={"source": "a"}),
        Item("3", "Who?", (Reference("b"),)),
    )
    parts = split(Dataset("d", "native", items, texts), {"one": 2, "two": 1})
    assert [item.id for item in parts["one"].items] == ["1", "2"]
    assert [text.source for text in parts["one"].texts] == ["a"]
    with pytest.raises(InputError, match="names no document"):
        split(Dataset("d", "native", items), {"one": 2, "two": 1})


def test_a_judgement_of_another_parts_document_is_left_out() -> None:
    whole = replace(dataset(["a"], ["b"]), judgements=(Judgement("0", "a", 1), Judgement("0", "b", 0)))
    parts = split(whole, {"one": 1, "two": 1})
    assert [judgement for part in parts.values() for judgement in part.judgements] == [Judgement("0", "a", 1)]


@pytest.mark.parametrize(
    ("shares", "seen"), [({}, "no parts"), ({"a": 0.0}, "is 0.0"), ({"a": float("nan")}, "is nan")]
)
def test_shares_must_be_above_zero(shares: dict[str, float], seen: str) -> None:
    with pytest.raises(InputError, match=seen):
        split(dataset(["a"]), shares)


def test_a_part_without_questions_is_an_error_that_says_why() -> None:
    with pytest.raises(InputError, match=r"none of 5 questions: up to 5 hang together"):
        split(dataset(*(["a"] for _ in range(5))), SHARES)


def test_every_kind_of_leak_is_found() -> None:
    words = [f"word{number}" for number in range(100)]
    long, half, little = (
        " ".join(words),
        " ".join(["other", *words[30:]]),
        " ".join([*words[80:], *"abcdefgh"] * 9),
    )
    one = Dataset(
        "1", "native", (Item("1", "Who was it?", (Reference("x/a"),)),), (SourceText("long", long),)
    )
    other = Dataset(
        "2",
        "native",
        (Item("2", "who  WAS it", (Reference("a"),)), Item("3", "Who was it?")),
        (SourceText("half", half.upper()), SourceText("little", little)),
    )
    found = leaks({"one": one, "other": other})
    parts = ("one", "other")
    assert found[:2] == [Leak("document", parts, ("x/a", "a")), Leak("question", parts, ("1", "2"))]
    (near,) = found[2:]
    assert (near.kind, near.items) == ("text", ("long", "half"))
    assert near.share == pytest.approx(63 / 64)


def test_the_share_of_common_word_sequences_equals_a_count_by_hand() -> None:
    chance = random.Random(0)
    phrases = [" ".join(chance.choices("abcdefghij", k=12)) for _ in range(12)]
    texts = [" ".join(chance.choices(phrases, k=6)) for _ in range(12)]

    def sequences(text: str) -> set[tuple[str, ...]]:
        words = text.split()
        return {tuple(words[at : at + 8]) for at in range(len(words) - 7)}

    named = [SourceText(str(number), text) for number, text in enumerate(texts)]
    parts = {
        "one": Dataset("1", "native", (), tuple(named[:6])),
        "two": Dataset("2", "native", (), tuple(named[6:])),
    }
    found = {leak.items: leak.share for leak in leaks(parts)}
    for first in named[:6]:
        for second in named[6:]:
            a, b = sequences(first.text), sequences(second.text)
            share = len(a & b) / min(len(a), len(b))
            assert found.get((first.source, second.source), 0) == pytest.approx(share if share >= 0.5 else 0)


@pytest.mark.slow
@pytest.mark.skipif(not SHARED.exists(), reason="the shared data is not here")
@pytest.mark.parametrize("name", ["chroma", "policyqa", "cranfield"])
def test_real_sets_split_without_document_leaks_within_seconds(name: str) -> None:
    whole = load_dataset(SHARED / name)
    started = time.perf_counter()
    parts = split(whole, SHARES)
    found = leaks(parts)
    assert time.perf_counter() - started < 20
    assert "document" not in {leak.kind for leak in found}
    assert sum(len(part.items) for part in parts.values()) == len(whole.items)
    for (_, one), (_, other) in combinations(parts.items(), 2):
        assert not {text.source for text in one.texts} & {text.source for text in other.texts}
