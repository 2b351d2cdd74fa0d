"""The measures by name: what each means, its range, and which direction is better."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Group = Literal["evidence", "chunks", "published", "ranking", "answers", "refusal", "judged"]


@dataclass(frozen=True, slots=True)
class Measure:
    """What a measure's name stands for.

    Attributes:
        name: As rows, gates and tables write it.
        group: Measures of one group are shown together.
        meaning: In one sentence; all values lie between 0 and 1.
        better: Which direction is an improvement.
    """

    name: str
    group: Group
    meaning: str
    better: Literal["higher", "lower"] = "higher"


_KNOWN = (
    Measure("recall", "evidence", "share of the reference units that the evidence covers"),
    Measure("precision", "evidence", "share of the evidence's units that are reference, each counted once"),
    Measure("iou", "evidence", "units in both evidence and references over units in either"),
    Measure("precision_penalised", "evidence", "precision, units found twice counted twice"),
    Measure("iou_penalised", "evidence", "IoU, units found twice counted twice"),
    Measure("chunk_recall", "chunks", "share of the reference units that the found chunks cover"),
    Measure("chunk_precision", "chunks", "share of the chunks' units that are reference, each counted once"),
    Measure("chunk_iou", "chunks", "units in both chunks and references over units in either"),
    Measure("chunk_precision_penalised", "chunks", "chunk precision, units found twice counted twice"),
    Measure("chunk_iou_penalised", "chunks", "chunk IoU, units found twice counted twice"),
    Measure("precision_omega", "chunks", "IoU if exactly the chunks that touch a reference were found"),
    Measure("compat_recall", "published", "chunk recall as the published code computes it"),
    Measure("compat_precision", "published", "chunk precision as the published code computes it"),
    Measure("compat_iou", "published", "chunk IoU as the published code computes it"),
    Measure("compat_omega", "published", "Precision Omega as the published code computes it"),
    Measure("exact_match", "answers", "whether the normalised answer equals the reference answer"),
    Measure("token_f1", "answers", "harmonic mean of word precision and recall against the reference answer"),
    Measure("rouge_l", "answers", "F-measure of the longest common subsequence with the reference answer"),
    Measure("quote_fidelity", "answers", "share of quotes that stand verbatim in the cited document"),
    Measure("citation_precision", "answers", "share of citations that touch a reference"),
    Measure("citation_recall", "answers", "share of references that a citation touches"),
    Measure("answered_unanswerable", "refusal", "share of unanswerable questions answered", "lower"),
    Measure("refused_answerable", "refusal", "share of answerable questions refused", "lower"),
    Measure("faithfulness", "judged", "share of the answer's statements that the context supports"),
    Measure("answer_relevancy", "judged", "likeness of the question and questions made from the answer"),
    Measure("context_precision", "judged", "average precision of the context's useful passages"),
    Measure("context_recall", "judged", "share of the reference answer's statements in the context"),
    Measure("factual_correctness", "judged", "F1 of the answer's claims against the reference answer's"),
)
MEASURES: Mapping[str, Measure] = {each.name: each for each in _KNOWN}

PERTURBED = "~"
"""Between a measure and a perturbation: `recall~typos` is the recall of questions with typing errors."""

_RANKING = re.compile(r"(nDCG|RR|AP|R|P|Judged)(@\d+)?")
_RANKING_MEANING = {
    "nDCG": "normalised discounted cumulative gain",
    "RR": "reciprocal rank of the first relevant result",
    "AP": "average precision",
    "R": "share of the relevant results that were found",
    "P": "share of the results that are relevant",
    "Judged": "share of the results that were judged at all",
}


def measure_of(name: str) -> Measure | None:
    """What a name stands for; None for a name that no measure has.

    >>> measure_of("nDCG@10").group, measure_of("recall~typos").better, measure_of("speed")
    ('ranking', 'higher', None)
    """
    plain, _, perturbation = name.partition(PERTURBED)
    known = MEASURES.get(plain)
    found = _RANKING.fullmatch(plain)
    if known is None and found:
        depth = f" among the first {found[2][1:]}" if found[2] else ""
        known = Measure(plain, "ranking", _RANKING_MEANING[found[1]] + depth)
    if known is None or not perturbation:
        return known
    return Measure(name, known.group, f"{known.meaning}; questions changed by {perturbation}", known.better)
