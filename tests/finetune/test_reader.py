"""A reader learns which sentence answers, and is served as it was trained."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragwright.core.errors import InputError, ModelError
from ragwright.core.types import Chunk, Span
from ragwright.finetune.reader import average_precision, make_pairs, read_row, train_reader
from ragwright.finetune.reader_data import covered, reader_rows
from ragwright.finetune.reader_model import (
    ReaderLearner,
    ReaderStart,
    load_reader_learner,
    parts_of,
    settle,
)
from ragwright.finetune.reader_rules import PLAIN_ANSWER, PLAIN_EVIDENCE
from ragwright.finetune.training import Training
from ragwright.finetune.values import Example, TrainingPassage

torch = pytest.importorskip("torch")
pytest.importorskip("accelerate")

from tests.small_models import small_transformer  # noqa: E402 - needs torch

from ragwright.core.reader_folder import ReaderRules  # noqa: E402
from ragwright.finetune.reader_loss import order_loss, reader_loss  # noqa: E402

COLOURS = ("green", "blue", "black")
RULES = ReaderRules(96, PLAIN_EVIDENCE, PLAIN_ANSWER)


def sentences(text: str) -> list[tuple[int, int]]:
    return [found.span() for found in re.finditer(r"[^.\s][^.]*\.", text)]


def passage(key: str, text: str, evidence: str = "") -> TrainingPassage:
    start = text.find(evidence) if evidence else -1
    return TrainingPassage(key, "d.md", text, ((start, start + len(evidence)),) if evidence else ())


def example(number: int, *, seed: int) -> Example:
    """A question whose answer is what is red."""
    chance = random.Random(seed * 1000 + number)
    colours = ("red", chance.choice(COLOURS))
    names = [f"The {chance.choice(['pump', 'bolt', 'valve'])} is {each}." for each in colours]
    right, wrong = [names[0], "It runs well."], [names[1], "It runs well."]
    chance.shuffle(right)
    chance.shuffle(wrong)
    return Example(
        question_id=f"q{number}",
        query=chance.choice(["what leaks?", "which one is broken?"]),
        task="",
        positives=(passage(f"p{number}", " ".join(right), names[0]),),
        negatives=(passage(f"n{number}", " ".join(wrong)),),
        scores=(1.0, 0.5),
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_transformer(tmp_path_factory.mktemp("encoder"))


def learner_of(folder: Path) -> ReaderLearner:
    return load_reader_learner(ReaderStart(folder, "small", "0123"))


def test_the_shares_of_sentences_are_what_the_evidence_covers() -> None:
    made = reader_rows([example(0, seed=1)], sentences)[0]
    shares = {each.text[a:b]: share for each in made.passages for (a, b), share in _pairs(each)}
    assert "is red" in next(text for text, share in shares.items() if share == 1.0)
    assert sum(shares.values()) == 1.0
    assert [each.answers for each in made.passages] == [True, False]


def _pairs(each: Any) -> Sequence[tuple[tuple[int, int], float]]:
    return list(zip(each.sentences, each.shares.tolist(), strict=True))


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), max_size=4), st.integers(0, 40))
def test_a_share_counts_every_covered_character_of_the_sentence(
    drawn: list[tuple[int, int]], start: int
) -> None:
    ends = sorted({each for pair in drawn for each in pair})
    evidence = list(zip(ends[::2], ends[1::2], strict=False))
    held = sum(any(a <= place < b for a, b in evidence) for place in range(start, start + 10))
    assert covered((start, start + 10), evidence) == pytest.approx(held / 10)


def test_a_batch_holds_every_pair_once_with_its_sentences(folder: Path) -> None:
    learner = learner_of(folder)
    pairs = make_pairs(learner)
    rows = reader_rows([example(n, seed=2) for n in range(5)], sentences)
    parts = list(parts_of(pairs(rows)))
    assert sum(len(part["input_ids"]) for part in parts) == 10
    assert sorted(int(q) for part in parts for q in part["questions"]) == sorted([*range(5)] * 2)
    for part in parts:
        sums = part["means"].sum(2)
        assert torch.allclose(sums, part["sentences"]), "every sentence's weights are a mean's"
        assert not part["means"][part["token_type_ids"].unsqueeze(1).expand_as(part["means"]) == 0].any()
    tokens = sum(int(part["attention_mask"].sum()) for part in parts)
    assert tokens == sum(pairs.tokens_of(row) for row in rows)


def test_the_order_loss_is_that_of_the_softmax_over_each_questions_passages() -> None:
    odds = torch.tensor([2.0, 0.0, 1.0, 5.0])
    loss = order_loss(odds, torch.tensor([1.0, 0, 0, 1]), torch.tensor([0, 0, 0, 1]), number=2)
    own = torch.tensor([2.0, 0.0, 1.0]).log_softmax(0)
    assert float(loss) == pytest.approx(-float(own[0])), "a question without a wrong passage has no order"
    none = order_loss(odds, torch.zeros(4), torch.tensor([0, 0, 1, 1]), number=2)
    assert float(none) == 0.0


def test_padding_changes_no_loss(folder: Path) -> None:
    learner = learner_of(folder)
    rows = reader_rows([example(n, seed=3) for n in range(3)], sentences)
    learner.model.eval()
    with torch.no_grad():
        whole = learner.model(**make_pairs(learner)(rows))["loss"]
        lone = make_pairs(learner)
        lone._part_tokens = 1  # every pair is a part of its own
        parts = list(parts_of(lone(rows)))
        assert len(parts) == 6
        alone = reader_loss([(part, *learner.model.odds(part)) for part in parts])
    assert float(whole) == pytest.approx(float(alone), abs=1e-5)


@given(st.lists(st.floats(-3, 3, width=16), min_size=1, max_size=8), st.data())
def test_average_precision_is_1_only_where_all_evidence_stands_first(odds: list[float], data: Any) -> None:
    right = data.draw(st.lists(st.booleans(), min_size=len(odds), max_size=len(odds)).filter(any))
    shares, scores = np.array(right, np.float32), np.array(odds, np.float32)
    found = average_precision(scores, shares)
    assert 0.0 < found <= 1.0
    ordered = shares[np.argsort(-scores, kind="stable")]
    assert (found == pytest.approx(1.0)) == bool((ordered[: int(shares.sum())] == 1).all())


def test_new_heads_begin_around_the_share_of_what_is_evidence(folder: Path) -> None:
    learner = learner_of(folder)
    rows = reader_rows([example(n, seed=4) for n in range(24)], sentences)
    parts = list(parts_of(make_pairs(learner)(rows)))
    settle(learner.model, parts)
    with torch.no_grad():
        found = [(learner.model.odds(part), part["sentences"] > 0) for part in parts]
    passages = torch.cat([odds for (odds, _), _ in found])
    every = torch.cat([odds[real] for (_, odds), real in found])
    assert float(passages.mean()) == pytest.approx(0.0, abs=1e-3), "half of them answer"
    assert float(every.mean()) == pytest.approx(float(np.log(0.25 / 0.75)), abs=0.05)
    assert float(every.std()) == pytest.approx(1.5, abs=0.01)


def test_without_evidence_nothing_is_trained(folder: Path, tmp_path: Path) -> None:
    bare = Example("q", "what?", "", (passage("p", "The pump is red."),), (), (1.0,))
    with pytest.raises(InputError, match="where the answer stands"):
        train_reader(learner_of(folder), [bare], [], tmp_path, training=Training(), sentences=sentences)


def test_a_folder_that_is_no_encoder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be loaded for training"):
        load_reader_learner(ReaderStart(tmp_path, "empty", "0"))


@pytest.fixture(scope="module")
def trained(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[ReaderLearner, Path, Any]:
    """A small reader that has learnt colours, and its folder."""
    learner, run = learner_of(folder), tmp_path_factory.mktemp("run")
    settings = Training(epochs=12, batch=8, learning_rate=3e-3, checkpoints=3, precision="fp32", seed=3)
    done = train_reader(
        learner,
        [example(n, seed=5) for n in range(64)],
        [example(n, seed=6) for n in range(12)],
        run,
        training=settings,
        sentences=sentences,
    )
    into = run / "model"
    into.mkdir()
    learner.save(into, RULES)
    return learner, into, done


def test_a_reader_learns_which_sentence_answers(trained: tuple[ReaderLearner, Path, Any]) -> None:
    _, _, done = trained
    assert done.dev["evidence"] > max(0.9, done.start["evidence"])
    assert done.dev["passage"] > 0.9


def test_what_was_trained_is_what_serves(trained: tuple[ReaderLearner, Path, Any], tmp_path: Path) -> None:
    from ragwright.retrieval.forward import Compute
    from ragwright.retrieval.reader import load_reader

    learner, folder, _ = trained
    asked = example(3, seed=6)
    row = reader_rows([asked], sentences)[0]
    served = load_reader(str(folder), Compute(tmp_path, backend="torch", precision="fp32", threads=1))
    chunks = [_chunk(each.text, each.sentences) for each in row.passages]
    found = served.read([asked.query], [chunks])[0]
    passages, odds, _, _ = read_row(learner.model, row, pairs=make_pairs(learner))
    assert sorted(each.passage for each in found) == pytest.approx(sorted(passages.tolist()), abs=1e-4)
    ours = np.sort(np.concatenate([each.sentences for each in found]))
    np.testing.assert_allclose(ours, np.sort(odds), atol=1e-4)
    assert served.rules == RULES
    best = max(found, key=lambda each: each.passage)
    answer = best.answer
    assert answer is not None, "the words that answer are marked"
    assert "red" in chunks[found.index(best)].text[slice(*answer)]


def _chunk(text: str, ranges: Sequence[tuple[int, int]]) -> Chunk:
    spans = tuple(Span("d", *each) for each in ranges)
    return Chunk(text, Span("d", 0, len(text)), text, "", (), None, spans, 9)


def test_a_reader_goes_on_learning_from_where_it_stands(trained: tuple[ReaderLearner, Path, Any]) -> None:
    learner, folder, _ = trained
    again = load_reader_learner(ReaderStart(folder, "reader", "0123"))
    assert torch.equal(again.model.weight, learner.model.weight)
    assert torch.equal(again.model.offset, learner.model.offset)
