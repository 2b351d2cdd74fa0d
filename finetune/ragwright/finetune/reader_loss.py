"""What a reader is taught: the odds of sentences and passages, and the right passage among a question's.

Three losses are added. Sentences learn how much of them is evidence, and passages whether they answer, both
by cross-entropy, so that log-odds mean the same for every question and that there is no answer can be told.
The passages of one question also learn their order, by the listwise loss of Cao et al. 2007, "Learning to
Rank: From Pairwise Approach to Listwise Approach" (ListNet, top one).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Part = tuple[Mapping[str, Any], Any, Any]
"""Arrays of `Pairs`, log-odds of the passages (b,), and of their sentences (b, s)."""

SENTENCES, PASSAGES, ORDER = 1.0, 0.5, 0.5
"""Weights of the three losses."""


def reader_loss(parts: Sequence[Part]) -> Any:
    """The loss of a batch, a scalar; means over questions, so that no question counts by its length."""
    import torch

    passages = torch.cat([passage for _, passage, _ in parts])
    answers = torch.cat([part["answers"] for part, _, _ in parts])
    questions = torch.cat([part["questions"] for part, _, _ in parts])
    entropy = torch.nn.functional.binary_cross_entropy_with_logits
    number = int(questions.max()) + 1
    taught = sum(
        (entropy(odds, part["shares"], reduction="none") * part["sentences"]).sum() for part, _, odds in parts
    )
    return (
        SENTENCES * taught / len(passages)
        + PASSAGES * entropy(passages, answers)
        + ORDER * order_loss(passages, answers, questions, number=number)
    )


def order_loss(passages: Any, answers: Any, questions: Any, *, number: int) -> Any:
    """Cross-entropy between the passages that answer and the softmax over each question's passages.

    Args:
        passages: Log-odds, shape (p,).
        answers: 1 for a passage that answers, else 0; shape (p,).
        questions: Number of each passage's question, from 0, shape (p,).
        number: How many questions there are.

    Returns:
        The mean over the questions that have both kinds of passages; 0 where none has.
    """
    import torch

    own = questions[None, :] == torch.arange(number, device=questions.device)[:, None]
    right = own & (answers > 0)
    both = right.any(1) & (own & (answers == 0)).any(1)
    if not both.any():
        return passages.sum() * 0.0
    scores = passages[None, :].masked_fill(~own, float("-inf")).log_softmax(1)
    counts = right.sum(1).clamp(min=1)
    losses = -(scores.masked_fill(~right, 0.0)).sum(1) / counts
    return losses[both].mean()
