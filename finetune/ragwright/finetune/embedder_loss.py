"""What an embedder is trained by: its questions must lie nearer to what answers them than to the rest.

The main part is multiple-negatives ranking (Henderson et al. 2017, arXiv:1705.00652) with hard negatives, at
several lengths of the vectors where they are to be cut (Kusupati et al. 2022, "Matryoshka Representation
Learning", arXiv:2205.13147). Beside it may stand a reranker's order of the same passages (listwise
distillation by KL divergence), and the same contrast for evidence: a question must lie nearer to the
late-pooled vector of what answers it than to that of the rest of its passage, since evidence spans are found
by these vectors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_NEVER = -1e4  # below every score; minus infinity has no gradient


@dataclass(frozen=True, slots=True)
class Objective:
    """What counts.

    Attributes:
        temperature: Cosines are divided by it.
        lengths: Lengths of the vectors at which the contrast is taken, the whole one included.
        evidence: Weight of the contrast for evidence; 0 leaves it out.
        distil: Share of a reranker's order, between 0 and 1, of the contrast between passages.
        recompute: Whether parts are computed again in the backward pass instead of being kept: as Gao et al.
            2021 ("Scaling Deep Contrastive Learning Batch Size", arXiv:2101.06983) have it, for batches that
            do not fit into memory. Results are the same.
    """

    temperature: float = 0.05
    lengths: Sequence[int] = ()
    evidence: float = 0.0
    distil: float = 0.0
    recompute: bool = False


def make_loss(model: Any, objective: Objective) -> Any:
    """A module that is called with the features and the label of `Batches`, as sentence-transformers does."""
    import torch

    class Loss(torch.nn.Module):  # type: ignore[misc, unused-ignore]
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, features: Sequence[Mapping[str, Any]], label: Mapping[str, Any]) -> Any:
            parts = [_embed(self.model, part, recompute=objective.recompute) for part in features]
            vectors = torch.cat([vectors for vectors, _ in parts])
            queries = vectors[label["queries"]]
            passages = label["frozen"] if "frozen" in label else vectors[label["passages"]]
            loss = ranking(queries, passages, label, objective=objective)
            if objective.evidence and len(label.get("pooled", ())):
                pooled = torch.cat([means for _, means in parts])
                loss = loss + objective.evidence * evidence(queries, pooled, label, objective=objective)
            return loss

    return Loss()


def ranking(queries: Any, passages: Any, label: Mapping[str, Any], *, objective: Objective) -> Any:
    """Mean loss of the contrast between passages at every length, shape ().

    Args:
        queries: Shape (n, dim).
        passages: Shape (p, dim).
        label: See `Batches`.
        objective: What counts.
    """
    losses = []
    for length in objective.lengths or (queries.shape[1],):
        scores = cosines(queries[:, :length], passages[:, :length]) / objective.temperature
        loss = contrast(scores, label["positive"])
        if objective.distil:
            taught = distillation(scores, label["teacher"])
            loss = (1 - objective.distil) * loss + objective.distil * taught
        losses.append(loss)
    return sum(losses) / len(losses)


def evidence(queries: Any, pooled: Any, label: Mapping[str, Any], *, objective: Objective) -> Any:
    """Mean loss of the contrast for evidence, shape ().

    A question's negatives are the rest of its own passage, and evidence and rest of passages that do not
    answer it.

    Args:
        queries: Shape (n, dim).
        pooled: Means of token vectors, shape (k, dim).
        label: See `Batches`.
        objective: What counts.
    """
    import torch

    question, passage, is_evidence = label["pooled"].T
    own = question[None, :] == torch.arange(len(queries), device=question.device)[:, None]  # (n, k)
    positive = own & (is_evidence == 1)[None, :]
    blocked = label["positive"][:, passage] & ~own
    scores = cosines(queries, pooled) / objective.temperature
    return contrast(scores, positive, blocked=blocked)


def contrast(scores: Any, positive: Any, *, blocked: Any = None) -> Any:
    """Mean over questions of the mean over their positives of minus the log share of the positive, shape ().

    A positive competes with what is no positive; with one positive to a question this is the usual
    cross-entropy. Questions without any positive do not count.

    Args:
        scores: Shape (n, p).
        positive: Which of them are to be high, shape (n, p).
        blocked: Which of them do not compete, shape (n, p); None: all do.
    """
    from torch.nn.functional import softplus

    competing = ~positive if blocked is None else ~(positive | blocked)
    rest = scores.masked_fill(~competing, _NEVER).logsumexp(1, keepdim=True)  # (n, 1)
    counts = positive.sum(1)
    losses = (softplus(rest - scores) * positive).sum(1) / counts.clamp(min=1)
    return losses.sum() / (counts > 0).sum().clamp(min=1)


def distillation(scores: Any, teacher: Any) -> Any:
    """Mean KL divergence of the student's distribution over scored passages from the teacher's, shape ().

    Args:
        scores: The student's, shape (n, p).
        teacher: Logits of the same, shape (n, p); NaN where not scored.
    """
    import torch

    scored = ~torch.isnan(teacher)
    wanted = torch.where(scored, torch.nan_to_num(teacher), _NEVER).log_softmax(1)
    found = scores.masked_fill(~scored, _NEVER).log_softmax(1)
    losses = torch.where(scored, wanted.exp() * (wanted - found), 0.0).sum(1)
    counted = scored.sum(1) > 1
    return (losses * counted).sum() / counted.sum().clamp(min=1)


def cosines(left: Any, right: Any) -> Any:
    """Cosine of every row of one with every row of the other, shape (n, p)."""
    from torch.nn.functional import normalize

    return normalize(left, dim=-1) @ normalize(right, dim=-1).T


def _embed(model: Any, part: Mapping[str, Any], *, recompute: bool) -> tuple[Any, Any]:
    """Vectors of a part, shape (texts, dim), and its means of token vectors, shape (k, dim) or None."""
    from torch.utils.checkpoint import checkpoint

    names = [name for name in part if name != "pools"]

    def compute(*tensors: Any) -> tuple[Any, Any]:
        found = model(dict(zip(names, tensors, strict=True)))
        vectors = found["sentence_embedding"]
        if "pools" not in part:
            return vectors, None
        tokens = found["token_embeddings"]
        return vectors, part["pools"] @ tokens.reshape(-1, tokens.shape[-1])

    tensors = [part[name] for name in names]
    return checkpoint(compute, *tensors, use_reentrant=False) if recompute else compute(*tensors)
