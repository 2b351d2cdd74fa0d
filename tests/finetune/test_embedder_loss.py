"""What an embedder is trained by."""

from __future__ import annotations

import math
from typing import Any

import pytest

from ragwright.finetune.embedder_loss import (
    Objective,
    contrast,
    cosines,
    distillation,
    evidence,
    make_loss,
    ranking,
)

torch = pytest.importorskip("torch")


def random(*shape: int) -> Any:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


def test_with_one_positive_the_contrast_is_the_cross_entropy() -> None:
    scores, answers = random(5, 9), torch.tensor([3, 0, 8, 1, 5])
    positive = torch.nn.functional.one_hot(answers, 9).bool()
    wanted = torch.nn.functional.cross_entropy(scores, answers)
    assert contrast(scores, positive).item() == pytest.approx(wanted.item(), rel=1e-5)


def test_positives_do_not_compete_with_each_other_and_nor_does_what_is_blocked() -> None:
    scores = torch.tensor([[2.0, 3.0, 1.0, 50.0]])
    positive = torch.tensor([[True, True, False, False]])
    blocked = torch.tensor([[False, False, False, True]])
    each = [-torch.log_softmax(torch.tensor([own, 1.0]), 0)[0] for own in (2.0, 3.0)]
    assert contrast(scores, positive, blocked=blocked).item() == pytest.approx((sum(each) / 2).item())


def test_questions_without_a_positive_or_without_a_negative_cost_nothing() -> None:
    scores = random(2, 3).requires_grad_()
    positive = torch.tensor([[False, False, False], [True, True, True]])
    loss = contrast(scores, positive)
    loss.backward()
    assert loss.item() == 0 and torch.isfinite(scores.grad).all()


def test_vectors_that_may_be_cut_are_compared_at_every_length() -> None:
    queries, passages = random(4, 8), random(6, 8)
    label = {"positive": torch.nn.functional.one_hot(torch.arange(4), 6).bool()}
    both = ranking(queries, passages, label, objective=Objective(lengths=(8, 2)))
    alone = [ranking(queries[:, :n], passages[:, :n], label, objective=Objective(lengths=())) for n in (8, 2)]
    assert both.item() == pytest.approx((sum(alone) / 2).item())


def test_a_student_that_orders_as_its_teacher_does_has_nothing_to_learn() -> None:
    teacher = torch.tensor([[4.0, 1.0, float("nan")], [float("nan"), float("nan"), 2.0]])
    same = torch.tensor([[5.0, 2.0, 90.0], [1.0, 2.0, 3.0]])
    other = torch.tensor([[1.0, 5.0, 90.0], [1.0, 2.0, 3.0]])
    assert distillation(same, teacher).item() == pytest.approx(0, abs=1e-6)
    assert distillation(other, teacher).item() > 1


def test_evidence_competes_with_the_rest_of_its_passage_and_not_with_other_answers() -> None:
    queries, objective = torch.eye(2), Objective(temperature=0.01)
    evidence_of_0, rest_of_0, evidence_of_1 = [0, 0, 1], [0, 0, 0], [1, 0, 1]
    label = {
        "pooled": torch.tensor([evidence_of_0, rest_of_0, evidence_of_1]),
        "positive": torch.tensor([[True], [True]]),  # one passage answers both
    }
    apart = torch.stack([queries[0], queries[1], queries[1]])
    assert evidence(queries, apart, label, objective=objective) < 1e-6
    alike = torch.stack([queries[0], queries[0], queries[0]])
    # the rest is as near as the evidence to question 0; nothing competes for question 1
    assert evidence(queries, alike, label, objective=objective).item() == pytest.approx(math.log(2) / 2)


@pytest.mark.slow
def test_computing_parts_again_gives_the_same_loss_and_the_same_gradients() -> None:
    class Model(torch.nn.Module):  # type: ignore[misc, name-defined, unused-ignore]
        def __init__(self) -> None:
            super().__init__()
            self.table = torch.nn.Parameter(random(11, 4))

        def forward(self, features: Any) -> Any:
            tokens = self.table[features["input_ids"]]
            return {"sentence_embedding": tokens.mean(1), "token_embeddings": tokens}

    parts = [
        {"input_ids": torch.tensor([[1, 2], [3, 4]]), "pools": torch.zeros(0, 4)},
        {"input_ids": torch.tensor([[5, 6, 7], [8, 9, 10]]), "pools": torch.eye(6)[[0, 5]]},
    ]
    label = {
        "queries": torch.tensor([0, 1]),
        "passages": torch.tensor([2, 3]),
        "positive": torch.eye(2).bool(),
        "pooled": torch.tensor([[0, 0, 1], [0, 0, 0]]),
    }
    results = []
    for recompute in (False, True):
        model = Model()
        loss = make_loss(model, Objective(evidence=0.5, recompute=recompute))(parts, label)
        loss.backward()
        results.append((loss.item(), model.table.grad))
    assert results[0][0] == results[1][0] and torch.equal(results[0][1], results[1][1])


def test_cosines_do_not_depend_on_length() -> None:
    left, right = random(3, 5), random(4, 5)
    assert torch.allclose(cosines(left * 7, right), cosines(left, right * 3))
