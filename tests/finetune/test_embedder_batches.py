"""What one step of an embedder sees."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragwright.finetune.embedder_batches import Batches, Frozen, Row
from ragwright.finetune.embedder_texts import Reading, Texts, cut
from ragwright.finetune.values import TrainingPassage

torch = pytest.importorskip("torch")


class Letters:
    """A tokenizer with one token for each letter between a first and a last one."""

    def __call__(self, texts: list[str], *, truncation: bool, max_length: int, **_: Any) -> dict[str, Any]:
        assert truncation
        kept = [text[: max_length - 2] for text in texts]
        return {
            "input_ids": [[1, *(ord(letter) for letter in text), 2] for text in kept],
            "offset_mapping": [[(0, 0), *((at, at + 1) for at in range(len(text))), (0, 0)] for text in kept],
        }


def passage(name: str, text: str, *evidence: tuple[int, int]) -> TrainingPassage:
    return TrainingPassage(name, f"{name}.md", text, evidence)


def batches(*, part_tokens: int = 40, pools: bool = False, prompt: str = "", **more: Any) -> Batches:
    reading = Reading(longest=20, passage_prompt=prompt, part_tokens=part_tokens)
    return Batches(Texts(Letters(), reading), pools=pools, **more)


A, B, C = passage("a", "alpha beta", (6, 10)), passage("b", "gamma"), passage("c", "a much longer passage")


def texts_of(batch: dict[str, Any]) -> list[str]:
    """Every text of the parts one after the other, as far as it was read."""
    found = []
    number = 0
    while f"{number}_input_ids" in batch:
        pairs = zip(batch[f"{number}_input_ids"], batch[f"{number}_attention_mask"], strict=True)
        found += ["".join(chr(each) for each in ids[mask.bool()][1:-1]) for ids, mask in pairs]
        number += 1
    return found


def test_every_text_is_computed_once_and_found_where_the_label_says() -> None:
    batch = batches()([Row("who", (A,), (C,)), Row("what", (A,), (B,)), Row("who", (B,), ())])
    texts, label = texts_of(batch), batch["label"]
    assert sorted(texts) == sorted(["who", "what", "alpha beta", "a much longer pass", "gamma"])
    assert [texts[place] for place in label["queries"]] == ["who", "what", "who"]
    assert [texts[place] for place in label["passages"]] == ["alpha beta", "a much longer pass", "gamma"]
    assert label["positive"].tolist() == [[True, False, False], [True, False, False], [False, False, True]]


def test_whatever_a_question_knows_to_answer_it_is_none_of_its_negatives() -> None:
    twin = passage("twin", B.text)
    batch = batches()([Row("one", (A, C, B), ()), Row("two", (twin,), ())])
    # of three positives two are used; the third comes in by its twin, which reads the same
    assert batch["label"]["positive"].tolist() == [[True, True, True], [False, False, True]]


def test_what_else_answers_a_question_is_not_computed_for_it_and_is_no_negative_either() -> None:
    batch = batches()([Row("one", (A,), (), also=(B, C)), Row("two", (B,), ())])
    assert sorted(texts_of(batch)) == ["alpha beta", "gamma", "one", "two"]
    assert batch["label"]["positive"].tolist() == [[True, True], [False, True]]


def test_passages_that_keep_their_vectors_are_all_compared_and_none_is_computed() -> None:
    frozen = Frozen([A, B, C], np.eye(3, dtype=np.float32))
    batch = batches(frozen=frozen)([Row("who", (C,), (A,))])
    assert texts_of(batch) == ["who"] and batch["label"]["positive"].tolist() == [[False, False, True]]
    assert torch.equal(batch["label"]["frozen"], torch.eye(3))
    assert frozen.rows([C, A]).tolist() == [[0, 0, 1], [1, 0, 0]]
    assert frozen.among({"c.md"}).passages == [C]


def test_a_teachers_scores_stand_at_the_passages_that_it_read() -> None:
    batch = batches()([Row("one", (A,), (C,), (3.0, 1.0)), Row("two", (B,), ())])
    scores = batch["label"]["teacher"].numpy()
    assert scores[0].tolist()[:2] == [3.0, 1.0] and np.isnan(scores[0, 2]) and np.isnan(scores[1]).all()


@pytest.mark.parametrize("prompt", ["", "text: "])
def test_evidence_is_pooled_over_its_own_tokens_and_the_rest_over_the_others(prompt: str) -> None:
    batch = batches(pools=True, prompt=prompt)([Row("who", (A,), (C,)), Row("two", (B,), ())])
    assert batch["label"]["pooled"].tolist() == [[0, 0, 1], [0, 0, 0]]  # B has no evidence, C answers nothing
    texts = texts_of(batch)
    number = next(n for n in range(9) if f"{n}_pools" in batch and len(batch[f"{n}_pools"]))
    shape = batch[f"{number}_input_ids"].shape
    row = texts.index(prompt + "alpha beta") - sum(len(batch[f"{n}_input_ids"]) for n in range(number))
    evidence, rest = batch[f"{number}_pools"].reshape(2, *shape)[:, row]
    read = "\0" + prompt + "alpha beta" + "\0"
    assert "".join(read[at] for at in evidence.nonzero()[:, 0]) == "beta"
    assert "".join(read[at] for at in rest.nonzero()[:, 0]) == prompt + "alpha "
    assert evidence.sum() == pytest.approx(1) and rest.sum() == pytest.approx(1)


@given(st.lists(st.integers(1, 50), min_size=1, max_size=60), st.integers(1, 200))
def test_parts_hold_every_text_once_and_no_more_tokens_than_they_may(lengths: list[int], most: int) -> None:
    parts = cut(lengths, most)
    assert sorted(int(place) for part in parts for place in part) == list(range(len(lengths)))
    for part in parts:
        assert len(part) == 1 or len(part) * max(lengths[place] for place in part) <= most
