"""What the language model that judges was asked, what it did not judge, and where it failed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ragwright.eval.report_facts import Facts
from ragwright.eval.report_html import Markup, element, head, number, question_link, row, section, table
from ragwright.eval.report_numbers import count

_SHOWN = 200


def judge_section(facts: Facts) -> Markup | None:
    """Calls, verdicts that were not asked for and verdicts that failed; None where nothing was judged."""
    record = facts.manifest("judge")
    if not record:
        return None
    return section(
        "judge",
        "Judge",
        element("p", _tally(record)),
        _skipped(record.get("skipped") or {}),
        _failed(record.get("failed") or [], facts),
    )


def _tally(record: Mapping[str, Any]) -> str:
    asked = _counted(int(record.get("calls") or 0), "request was", "requests were")
    kept = _counted(int(record.get("cached") or 0), "verdict was", "verdicts were")
    failed = _counted(len(record.get("failed") or []), "verdict", "verdicts")
    return f"{asked} sent; {kept} taken from the cache; {failed} failed. What failed is in no mean."


def _counted(value: int, one: str, many: str) -> str:
    return f"{count(value)} {one if value == 1 else many}"


def _skipped(skipped: Mapping[str, Mapping[str, int]]) -> Markup | None:
    """How many questions each measure does not apply to, by reason."""
    rows = [
        row(measure, element("td", reason), number(count(questions)))
        for measure, reasons in skipped.items()
        for reason, questions in reasons.items()
    ]
    heads = [head("Measure"), head("Reason"), head("Questions", number=True)]
    caption = "Not judged"
    body = element("tbody", *rows)
    return table(heads, [body], caption=caption, hide_caption=False, classes="small") if rows else None


def _failed(failed: Sequence[Mapping[str, str]], facts: Facts) -> Markup | None:
    """The verdicts that were asked for and not given, each with a link to its question."""
    if not failed:
        return None
    texts = {each.question.id: each.question.text for each in facts.outcomes}
    rows = [_failed_row(each, texts) for each in failed[:_SHOWN]]
    heads = [head("Question"), head("Measure"), head("Reason")]
    caption = "Failed verdicts"
    if len(failed) > _SHOWN:
        caption += f", {count(_SHOWN)} of {count(len(failed))}"
    body = element("tbody", *rows)
    return table(heads, [body], caption=caption, hide_caption=False, classes="questions-table")


def _failed_row(call: Mapping[str, str], texts: Mapping[str, str]) -> Markup:
    key = call["question_id"]
    link = question_link(key, texts.get(key) or key)
    return row(link, element("td", call["measure"]), element("td", call["reason"]))
