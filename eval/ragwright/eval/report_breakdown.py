"""Where a run is strong or weak: by slice, by question against the baseline, and under perturbation."""

from __future__ import annotations

from collections.abc import Sequence

from ragwright.eval.compare import Change, Difference, changes
from ragwright.eval.measures import measure_of
from ragwright.eval.perturb import Drop, drops
from ragwright.eval.report_facts import Facts
from ragwright.eval.report_html import (
    Markup,
    element,
    head,
    joined,
    number,
    question_link,
    row,
    section,
    table,
)
from ragwright.eval.report_numbers import change, count, fraction, interval
from ragwright.eval.report_plots import interval_bar, share_bar
from ragwright.eval.slices import Slice, slice_tables
from ragwright.eval.statistics import Estimate

_SHOWN_CHANGES = 8
_SHOWN_SLICES = 24


def slices_section(facts: Facts) -> Markup | None:
    """A table for each dimension in which the questions differ; None where they differ in none."""
    measures = facts.leading[:2]
    tables = [
        _slice_table(dimension, parts, measures)
        for dimension, parts in slice_tables(facts.run, measures).items()
    ]
    return section("slices", "Slices", element("div", *tables, class_="cards")) if tables else None


def _slice_table(dimension: str, parts: Sequence[Slice], measures: Sequence[str]) -> Markup:
    heads = [head(dimension), head("n", number=True)]
    for measure in measures:
        heads.append(head(f"{measure}, 95 % interval"))
    caption = f"By {dimension}"
    if len(parts) > _SHOWN_SLICES:
        caption += f": the first {_SHOWN_SLICES} of {len(parts)}"
    rows = [_slice_row(part, measures) for part in parts[:_SHOWN_SLICES]]
    return table(heads, [element("tbody", *rows)], caption=caption, hide_caption=False)


def _slice_row(part: Slice, measures: Sequence[str]) -> Markup:
    cells = [_estimate_cell(part.estimates.get(measure)) for measure in measures]
    return row(part.value, number(count(part.n)), *cells)


def _estimate_cell(found: Estimate | None) -> Markup:
    if found is None:
        return element("td", "no values", class_="muted")
    bar = interval_bar(found.mean, found.low, found.high, width=96)
    ends = element("small", interval(found.low, found.high))
    return element("td", element("b", fraction(found.mean)), bar, ends, class_="slice")


def changes_section(facts: Facts) -> Markup | None:
    """Wins and losses against the baseline; None without one."""
    difference = facts.difference(facts.main) if facts.main else None
    if facts.baseline is None or facts.comparison is None or difference is None:
        return None
    found = changes(facts.run, facts.baseline, difference.measure)
    known = measure_of(difference.measure)
    sign = -1 if known and known.better == "lower" else 1
    wins = [each for each in found if each.difference * sign > 0]
    losses = [each for each in found if each.difference * sign < 0]
    measure = difference.measure
    lists = [
        _change_table(facts, wins, f"Largest wins in {measure}"),
        _change_table(facts, losses, f"Largest losses in {measure}"),
    ]
    return section("changes", "Wins and losses", _tally(facts), element("div", *lists, class_="cards two"))


def _tally(facts: Facts) -> Markup:
    """How many questions each leading measure won and lost."""
    heads = [head("Measure"), head("Share")]
    heads += [head(name, number=True) for name in ("Wins", "Equal", "Losses")]
    found = [difference for name in facts.leading if (difference := facts.difference(name))]
    body = element("tbody", *(_tally_row(each) for each in found))
    return table(heads, [body], caption="Questions won and lost", classes="small")


def _tally_row(found: Difference) -> Markup:
    parts = ((found.wins, "win"), (found.unchanged, "even"), (found.losses, "loss"))
    bar = share_bar([(n / max(found.n, 1), style) for n, style in parts], width=150)
    return row(found.measure, element("td", bar), *(number(count(n)) for n, _ in parts))


def _change_table(facts: Facts, found: Sequence[Change], caption: str) -> Markup:
    if not found:
        return element("p", f"{caption}: none.", class_="note")
    texts = {each.question.id: each.question.text for each in facts.outcomes}
    heads = [head("Question"), *(head(name, number=True) for name in ("Change", "Run", "Baseline"))]
    rows = [
        row(
            question_link(each.question_id, texts.get(each.question_id) or each.question_id),
            number(change(each.difference)),
            number(fraction(each.value)),
            number(fraction(each.baseline)),
        )
        for each in found[:_SHOWN_CHANGES]
    ]
    rest = f", {_SHOWN_CHANGES} of {count(len(found))}" if len(found) > _SHOWN_CHANGES else ""
    body = element("tbody", *rows)
    return table(heads, [body], caption=caption + rest, classes="questions-table", hide_caption=False)


def robustness_section(facts: Facts) -> Markup | None:
    """How much each measure drops when the questions are changed by rule; None without such rows."""
    found = drops(facts.run.rows)
    if not found:
        return None
    leading = [each for each in found if each.measure in facts.leading]
    others = [each for each in found if each.measure not in facts.leading]
    folded = (
        element("details", element("summary", "All other measures"), _robustness_table(others))
        if others and leading
        else None
    )
    note = "The same questions, changed by rule; the drop is paired by question."
    return section(
        "robustness",
        "Robustness",
        element("p", note, class_="note"),
        _robustness_table(leading or others),
        folded,
    )


def _robustness_table(found: Sequence[Drop]) -> Markup:
    heads = [head("Measure"), head("Questions changed by"), head("Original", number=True)]
    heads += [head("Changed", number=True), head("Drop", number=True), head("95 % interval", number=True)]
    heads.append(head("n", number=True))
    rows = joined(_robustness_row(each) for each in found)
    return table(heads, [element("tbody", rows)], caption="Drop under perturbation")


def _robustness_row(drop: Drop) -> Markup:
    return row(
        drop.measure,
        element("td", drop.perturbation),
        number(fraction(drop.original)),
        number(fraction(drop.perturbed)),
        number(change(drop.drop)),
        number(interval(drop.low, drop.high, signed=True)),
        number(count(drop.n)),
    )
