"""The answer where the documents hold none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ragwright.core.types import Answer, AnswerEvent, AnswerRequest, Delta, Usage
from ragwright.generation.passages import Standing, cited

REFUSAL = "The documents do not answer this."
"""The whole text of a refusal. A model is told to write it, and it is recognised when it does."""


def refusal(
    request: AnswerRequest,
    found: Sequence[Standing],
    *,
    nearest: int,
    usage: Usage,
    dropped: tuple[str, ...] = (),
) -> Iterator[AnswerEvent]:
    """A refusal with the nearest passages, as the end of a stream.

    Args:
        request: What was asked.
        found: Best first.
        nearest: How many of them are listed.
        usage: What it cost to find out.
        dropped: Quotes that stand nowhere.
    """
    yield Delta(REFUSAL)
    yield Answer(
        text=REFUSAL,
        citations=cited(found[:nearest]),
        hits=request.hits,
        refused=True,
        support=found[0].evidence.score if found else 0.0,
        usage=usage,
        dropped=dropped,
    )
