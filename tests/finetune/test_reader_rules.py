"""A reader's odds are made to hold on questions that it did not learn from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ragwright.core.errors import ModelError
from ragwright.core.reader_folder import RULES, ReaderRules, read_rules, write_rules
from ragwright.finetune.reader_rules import (
    LEAST_QUESTIONS,
    PLAIN_ANSWER,
    PLAIN_EVIDENCE,
    SIGNS,
    Observed,
    fit_rules,
    logistic,
)


def _observed(count: int, *, seed: int = 0, boldness: float = 3.0) -> list[Observed]:
    """Questions about which a reader is right, but speaks too boldly; meaning helps, words do not."""
    random = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        odds = random.normal(-1.0, 1.5, size=30)
        meaning = random.uniform(0, 1, size=30)
        chances = 1 / (1 + np.exp(-(odds + 2 * meaning)))
        shares = (random.uniform(size=30) < chances).astype(float)
        signs = np.c_[boldness * odds, np.zeros(30), meaning, random.uniform(size=(30, 2))]
        answered = bool(random.uniform() < 0.8)
        best = (2.0 if answered else -2.0) + float(random.normal())
        made.append(Observed(signs, shares, (best, 0.5), (float(random.normal(-2.0)), 0.4), answered))
    return made


def test_bold_odds_are_drawn_back_and_signs_that_help_are_weighed() -> None:
    rules = fit_rules(_observed(400), max_tokens=256)
    assert rules.max_tokens == 256
    assert rules.evidence.sentence == pytest.approx(1 / 3, rel=0.1)
    assert rules.evidence.meaning == pytest.approx(2.0, rel=0.15)
    assert abs(rules.evidence.words) < 0.2 and abs(rules.evidence.chunk_words) < 0.2
    assert rules.evidence.passage == 0.0, "what is the same everywhere says nothing"


def test_probabilities_hold_on_other_questions() -> None:
    rules, others = fit_rules(_observed(400), max_tokens=256), _observed(400, seed=1)
    weights = np.array([getattr(rules.evidence, name) for name in SIGNS])
    chances = 1 / (1 + np.exp(-(np.concatenate([o.signs for o in others]) @ weights + rules.evidence.bias)))
    shares = np.concatenate([each.shares for each in others])
    for low in (0.0, 0.2, 0.4, 0.6, 0.8):
        inside = (chances >= low) & (chances < low + 0.2)
        assert shares[inside].mean() == pytest.approx(chances[inside].mean(), abs=0.05)


def test_no_answer_is_told_from_one() -> None:
    rules, others = fit_rules(_observed(200), max_tokens=256), _observed(200, seed=2)

    def chance(best: tuple[float, float]) -> float:
        odds = rules.answer.bias + rules.answer.passage * best[0] + rules.answer.support * best[1]
        return float(1 / (1 + np.exp(-odds)))

    known = [(chance(each.best), each.answered) for each in others]
    known += [(chance(each.without), False) for each in others if each.without]
    assert np.mean([(found > 0.5) == answered for found, answered in known]) > 0.9


def test_with_few_questions_the_readers_odds_are_taken_as_they_are() -> None:
    rules = fit_rules(_observed(LEAST_QUESTIONS - 1), max_tokens=128)
    assert rules == ReaderRules(128, PLAIN_EVIDENCE, PLAIN_ANSWER)


def test_a_column_that_tells_everything_gets_a_finite_weight() -> None:
    features = np.array([[-1.0], [1.0]] * 20)
    weight, bias = logistic(features, (features[:, 0] > 0).astype(float))
    assert 1.0 < weight < 20.0 and bias == pytest.approx(0.0, abs=1e-3)


def test_rules_are_read_as_they_were_written(tmp_path: Path) -> None:
    rules = fit_rules(_observed(50), max_tokens=200)
    write_rules(tmp_path, rules)
    assert read_rules(tmp_path) == rules
    (tmp_path / RULES).write_text('{"format": 1, "max_tokens": 9, "evidence": {}}', encoding="utf-8")
    with pytest.raises(ModelError, match="train the reader again"):
        read_rules(tmp_path)
