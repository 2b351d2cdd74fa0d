"""A run on disk: a folder with its manifest, its outcomes and its rows, all readable text.

manifest.json    what was run on what, with which settings, models, code, seeds, times and memory
outcomes.jsonl   one question a line: what was found, what was answered, how long it took
rows.jsonl       one value a line: question, measure, value; every aggregate is made from these
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ragwright.core.errors import InputError
from ragwright.core.types import Citation, Evidence, Place, Question, Span, Usage
from ragwright.eval.values import Found, Outcome, Ranked, Reply, Row, Run

MANIFEST, OUTCOMES, ROWS, REPORT = "manifest.json", "outcomes.jsonl", "rows.jsonl", "report.html"


def write_run(run: Run, folder: Path) -> None:
    """Write a run; the manifest comes last, so that a folder with one is complete.

    Raises:
        InputError: The folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / OUTCOMES, _lines(_outcome_fields(each) for each in run.outcomes))
        write_text(folder / ROWS, _lines(asdict(row) for row in run.rows))
        write_text(folder / MANIFEST, json.dumps(run.manifest, ensure_ascii=False, indent=1) + "\n")
    except OSError as error:
        raise InputError(f"the run folder {folder} cannot be written ({error.strerror})") from error


def write_text(path: Path, text: str) -> None:
    """Write a file that is either there as a whole or not at all."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.write_text(text, encoding="utf-8", errors="surrogatepass")
    part.replace(path)


def read_run(folder: Path) -> Run:
    """A run as it was written, but for the dial.

    Raises:
        InputError: The folder holds no complete run.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8", errors="surrogatepass"))
        outcomes = tuple(_outcome(line) for line in _read_lines(folder / OUTCOMES))
        rows = tuple(Row(**line) for line in _read_lines(folder / ROWS))
    except OSError as error:
        raise InputError(
            f"{folder} holds no complete run ({error.filename}: {error.strerror}); "
            "name the folder of a run, or make one: ragwright eval run DATASET"
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{folder} holds a run that cannot be read ({error}); run the evaluation again"
        ) from error
    return Run(manifest, outcomes, rows)


def _lines(values: Iterable[Mapping[str, Any]]) -> str:
    return "".join(json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n" for value in values)


def _read_lines(path: Path) -> Iterable[dict[str, Any]]:
    with path.open(encoding="utf-8", errors="surrogatepass") as file:
        for line in file:
            yield json.loads(line)


def _outcome_fields(outcome: Outcome) -> dict[str, Any]:
    """Everything but the dial, whose spans are many and whose means stand in the manifest."""
    fields = asdict(outcome)
    del fields["dial"]
    fields["ranked"] = [
        [each.chunk_id, each.span.document_id, each.span.start, each.span.end, each.score]
        for each in outcome.ranked
    ]
    return fields


def _outcome(fields: Mapping[str, Any]) -> Outcome:
    question, reply = fields["question"], fields["reply"]
    references = tuple(Span(**each) for each in question["references"])
    return Outcome(
        question=Question(**{**question, "references": references}),
        gold=tuple(fields["gold"]),
        around=tuple((before, after) for before, after in fields["around"]),
        found=tuple(map(_found, fields["found"])),
        ranked=tuple(Ranked(key, Span(source, a, b), score) for key, source, a, b, score in fields["ranked"]),
        reply=None if reply is None else _reply(reply),
        seconds=fields["seconds"],
        error=fields["error"],
    )


def _found(fields: Mapping[str, Any]) -> Found:
    evidence = (Evidence(Span(**each["span"]), each["text"], each["score"]) for each in fields["evidence"])
    places = (Place(Span(**each["span"]), each["source"]) for each in fields["places"])
    changed = {
        "span": Span(**fields["span"]),
        "headings": tuple(fields["headings"]),
        "evidence": tuple(evidence),
        "places": tuple(places),
    }
    return Found(**{**fields, **changed})


def _reply(fields: Mapping[str, Any]) -> Reply:
    citations = (
        Citation(**{**each, "span": Span(**each["span"]), "headings": tuple(each["headings"])})
        for each in fields["citations"]
    )
    return Reply(**{**fields, "citations": tuple(citations), "usage": Usage(**fields["usage"])})
