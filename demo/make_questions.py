"""Turns the quotes of `questions.toml` into offsets and writes `questions.jsonl`.

    python demo/make_questions.py

To be run again after a change of a document, a question or a parser.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from ragwright.core.errors import InputError
from ragwright.ingest.parse import parse

HERE = Path(__file__).parent
DOCUMENTS = HERE / "documents"


@cache
def canonical_text(source: str) -> str:
    """The canonical text of `documents/<source>`.

    Raises:
        InputError: The file is absent or cannot be parsed.
    """
    path = DOCUMENTS / source
    if not path.is_file():
        raise InputError(f"demo/documents/{source} is not there; correct the source in questions.toml")
    return parse(path.read_bytes(), path.name).text


def locate(quote: str, text: str, *, where: str) -> tuple[int, int]:
    """Start and end of the only place where the text has the quote.

    Args:
        quote: What to find, to the letter.
        text: The canonical text of one document.
        where: Names question and source, for the message.

    Raises:
        InputError: The quote is absent or stands there more than once.

    >>> locate("b", "abc", where="q01")
    (1, 2)
    """
    start = text.find(quote) if quote else -1
    if start < 0:
        raise InputError(f"{where}: {quote!r} is not in the canonical text; copy the quote from there")
    if text.find(quote, start + 1) >= 0:
        raise InputError(f"{where}: {quote!r} stands there more than once; quote more of the sentence")
    return start, start + len(quote)


def reference(entry: Mapping[str, str], *, question: str) -> dict[str, Any]:
    """The reference of a quote: `source` below the demo folder, `start`, `end` and `text`."""
    source, quote = entry["source"], entry["quote"]
    start, end = locate(quote, canonical_text(source), where=f"{question}, {source}")
    return {"source": f"documents/{source}", "start": start, "end": end, "text": quote}


def row(question: Mapping[str, Any]) -> dict[str, Any]:
    """One line of `questions.jsonl`."""
    references = [reference(entry, question=question["id"]) for entry in question["references"]]
    return {
        "id": question["id"],
        "question": question["text"],
        "answer": question["answer"],
        "answerable": bool(references),
        "kind": question["kind"],
        "references": references,
    }


def rows() -> Sequence[dict[str, Any]]:
    """Every question of `questions.toml` with offsets under the current parser, in the order of the file.

    Raises:
        InputError: A quote is absent from its document or not unique; the message names the question.
    """
    questions = tomllib.loads((HERE / "questions.toml").read_text(encoding="utf-8"))["questions"]
    return [row(question) for question in questions]


def main() -> None:
    """Write `questions.jsonl`."""
    lines = [json.dumps(line, ensure_ascii=False) + "\n" for line in rows()]
    (HERE / "questions.jsonl").write_text("".join(lines), encoding="utf-8")
    print(f"wrote {len(lines)} questions")


if __name__ == "__main__":
    main()
