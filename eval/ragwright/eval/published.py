"""Published figures that the report shows beside a run on the same data set."""

from __future__ import annotations

from dataclasses import dataclass

SOURCE = "Chroma, Evaluating Chunking Strategies for Retrieval (research.trychroma.com/evaluating-chunking)"
UNIT = (
    "Published figures: five chunks for each of 472 questions, counted in characters, and what was "
    "retrieved twice counts twice in the denominator of IoU."
)


@dataclass(frozen=True, slots=True)
class PublishedPoint:
    """A published mean over 472 questions.

    Attributes:
        model: The encoder.
        chunker: Its name, largest size in tokens and overlap in tokens.
        recall: 0..1.
        iou: 0..1.
    """

    model: str
    chunker: str
    recall: float
    iou: float


# Chunker, recall and IoU in percent, as the report prints them.
_PERCENT = {
    "all-MiniLM-L6-v2": (
        ("Recursive 250/125", 78.7, 4.9),
        ("TokenText 250/125", 82.4, 3.5),
        ("Recursive 250/0", 78.5, 5.4),
        ("TokenText 250/0", 77.1, 3.3),
        ("Recursive 200/0", 75.7, 6.5),
        ("TokenText 200/0", 76.6, 4.1),
        ("Cluster 250/0", 77.3, 6.0),
        ("Cluster 200/0", 75.2, 7.2),
    ),
    "text-embedding-3-large": (
        ("Recursive 800/400", 85.4, 1.5),
        ("TokenText 800/400", 87.9, 1.4),
        ("Recursive 400/200", 88.1, 3.3),
        ("TokenText 400/200", 88.6, 2.7),
        ("Recursive 400/0", 89.5, 3.6),
        ("TokenText 400/0", 89.2, 2.7),
        ("Recursive 200/0", 88.1, 6.9),
        ("TokenText 200/0", 87.0, 5.1),
        ("Kamradt", 83.6, 1.5),
        ("KamradtModified 300/0", 87.1, 2.1),
        ("Cluster 400/0", 91.3, 4.5),
        ("Cluster 200/0", 87.3, 8.0),
        ("LLM (GPT-4o)", 91.9, 3.9),
    ),
}


def published_points(dataset_format: str) -> list[PublishedPoint]:
    """What was published for a data set of this format, model by model; only `chroma` has any.

    >>> published_points("chroma")[7]
    PublishedPoint(model='all-MiniLM-L6-v2', chunker='Cluster 200/0', recall=0.752, iou=0.072)
    """
    if dataset_format != "chroma":
        return []
    return [
        PublishedPoint(model, chunker, round(recall / 100, 4), round(iou / 100, 4))
        for model, points in _PERCENT.items()
        for chunker, recall, iou in points
    ]
