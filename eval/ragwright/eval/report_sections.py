"""The top of the report: the verdict, the figures that say most, and the table of all measures."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from ragwright.eval.compare import Difference
from ragwright.eval.gate import GateResult, Verdict
from ragwright.eval.measures import PERTURBED, measure_of
from ragwright.eval.report_facts import Facts, is_certain
from ragwright.eval.report_html import Markup, element, escape, head, joined, number, row, section, table
from ragwright.eval.report_numbers import change, count, fraction, interval, probability
from ragwright.eval.report_plots import difference_bar, interval_bar
from ragwright.eval.statistics import Estimate

_GROUPS = {
    "evidence": "Evidence: what is shown and quoted",
    "chunks": "Chunks: what the search found",
    "ranking": "Ranking",
    "answers": "Answers",
    "refusal": "Refusal",
    "judged": "Judged by a language model",
    "published": "As the published code computes it",
    "other": "Other",
}
_SIGNS = {">=": "at least", "<=": "at most", ">": "above", "<": "below"}


def verdict_section(facts: Facts) -> Markup:
    """Whether the gate was passed, with every requirement in words, and what was evaluated."""
    words, state = _verdict(facts.gate)
    mark = {"passed": "✓", "failed": "✗", "open": "–"}[state]
    line = element(
        "p", element("span", mark, class_="mark", aria_hidden="true"), words, class_="verdict-line"
    )
    requirements = [_requirement(each) for each in facts.gate.verdicts] if facts.gate else []
    return element(
        "section",
        element("p", "Evaluation report", class_="eyebrow"),
        element("h1", name_of(facts.run.manifest)),
        element("p", _subject(facts), class_="subject"),
        element(
            "div",
            line,
            element("ul", *requirements, class_="requirements") if requirements else None,
            class_=f"verdict {state}",
        ),
        _comparison_notes(facts),
        _tiles(facts),
        id="verdict",
        aria_label="Verdict",
    )


def _comparison_notes(facts: Facts) -> Markup | None:
    """What must be known to read the comparison with the baseline."""
    notes = facts.comparison.notes if facts.comparison else ()
    words = f" {'; '.join(notes)}."
    return element("p", element("b", "On the comparison:"), words, class_="caution") if notes else None


def name_of(manifest: Any) -> str:
    """The run's name, or that of its data set."""
    dataset = manifest.get("dataset") or {}
    return str(manifest.get("name") or dataset.get("name") or "unnamed run")


def _verdict(gate: GateResult | None) -> tuple[str, str]:
    if gate is None or not gate.verdicts:
        return "No gate was asked for", "open"
    broken = sum(not each.passed for each in gate.verdicts)
    if gate.passed:
        return "Gate passed", "passed"
    return f"Gate failed: {broken} of {len(gate.verdicts)} requirements not met", "failed"


def _requirement(verdict: Verdict) -> Markup:
    """One requirement in words: what was wanted, what was seen, how sure that is."""
    if verdict.missing:
        sentence = verdict.sentence().partition(": ")[2]
        mark = element("span", "✗", class_="mark", aria_hidden="true")
        return element("li", mark, element("b", "failed"), f" {sentence}", class_="failed")
    wanted = verdict.requirement
    state = "passed" if verdict.passed else "failed"
    written = change if verdict.kind == "difference" else fraction
    subject = " compared with the baseline " if verdict.kind == "difference" else " itself "
    return element(
        "li",
        element("span", "✓" if verdict.passed else "✗", class_="mark", aria_hidden="true"),
        element("b", state),
        " ",
        element("code", wanted.measure),
        f"{subject}must be {_SIGNS[wanted.relation]} {written(wanted.bound)}; it is ",
        element("b", written(verdict.seen)),
        element("span", _basis(verdict), class_="muted"),
        class_=state,
    )


def _basis(verdict: Verdict) -> str:
    """Interval and number of questions."""
    ends = ""
    if verdict.low is not None and verdict.high is not None:
        signed = verdict.kind == "difference"
        ends = f"95 % {interval(verdict.low, verdict.high, signed=signed)}, "
    return f" ({ends}{count(verdict.n)} questions)"


def _subject(facts: Facts) -> Markup:
    """What was evaluated, in one line."""
    dataset, index = facts.manifest("dataset"), facts.manifest("index")
    total = len(facts.outcomes)
    without = sum(not each.question.references for each in facts.outcomes)
    parts = [
        f"data set {dataset.get('name') or 'unnamed'}",
        f"{count(total)} questions ({count(total - without)} answerable, {count(without)} unanswerable)",
        _counted(dataset.get("documents"), "documents"),
        _counted(index.get("chunks"), "chunks"),
        f"against {name_of(facts.baseline.manifest)}" if facts.baseline else None,
        _date(str(facts.run.manifest.get("created") or "")),
    ]
    return joined(element("span", part) for part in parts if part)


def _counted(value: object, noun: str) -> str | None:
    return f"{count(value)} {noun}" if isinstance(value, int) else None


def _date(created: str) -> str:
    """The date and time of an ISO date; what is not one as it is."""
    try:
        return f"{datetime.fromisoformat(created):%Y-%m-%d %H:%M %Z}".strip()
    except ValueError:
        return created


def _tiles(facts: Facts) -> Markup:
    return element("ul", *(_tile(facts, measure) for measure in facts.leading), class_="tiles")


def _tile(facts: Facts, measure: str) -> Markup:
    found, difference = facts.estimates[measure], facts.difference(measure)
    return element(
        "li",
        element("span", measure, class_="tile-name", title=_meaning(measure)),
        element("span", fraction(found.mean), class_="tile-value"),
        element(
            "span", interval_bar(found.mean, found.low, found.high, baseline=_base(difference), width=220)
        ),
        element("span", interval(found.low, found.high), class_="muted"),
        _change_line(difference) if difference else None,
    )


def _change_line(difference: Difference) -> Markup:
    return element("span", f"{change(difference.difference)} ", badge(difference), class_="tile-change")


def headline_section(facts: Facts) -> Markup:
    """All measures but the perturbed ones, grouped, with interval, baseline, difference, p and n."""
    plain = [each for name, each in facts.estimates.items() if PERTURBED not in name]
    heads = [head("Measure"), head("Value", number=True), head("95 % interval")]
    if facts.comparison:
        heads += [
            head("Baseline", number=True),
            head("Difference", number=True),
            head("95 % interval"),
            head("p adj.", number=True, title="Paired randomisation test, Holm's correction over the table"),
            head("Finding"),
        ]
    heads.append(head("n", number=True, title="Questions with a value"))
    classes = "headline sticky" if facts.comparison else "headline sticky alone"
    bodies = [_group(facts, group, plain, len(heads)) for group in _GROUPS]
    return section(
        "measures",
        "Measures",
        _headline_note(facts),
        table(heads, bodies, caption="Measures with 95 % intervals", classes=classes),
        _left_out(facts),
    )


def _headline_note(facts: Facts) -> Markup:
    note = "Mean over questions, with the 95 % bootstrap interval."
    if facts.baseline:
        note += (
            " Differences are paired by question; a finding is named when the randomisation test, corrected "
            "for the number of measures, gives p below 0.05. The hollow diamond marks the baseline; the "
            "bars of differences share a scale within each group."
        )
    return element("p", note, class_="note")


def _differences(facts: Facts) -> Iterable[Difference]:
    return facts.comparison.differences if facts.comparison else ()


def _group(facts: Facts, group: str, plain: list[Estimate], columns: int) -> Markup | None:
    members = [each for each in plain if group_of(each.measure) == group]
    if not members:
        return None
    found = [each for each in _differences(facts) if group_of(each.measure) == group]
    reach = max((abs(end) for each in found for end in (each.low, each.high)), default=0.0)
    title = element("th", _GROUPS[group], colspan=columns, scope="rowgroup")
    return element(
        "tbody",
        element("tr", title, class_="group"),
        *(_headline_row(facts, each, reach) for each in members),
    )


def group_of(measure: str) -> str:
    """The group a measure is shown in."""
    known = measure_of(measure)
    return known.group if known else "other"


def _headline_row(facts: Facts, found: Estimate, reach: float) -> Markup:
    difference = facts.difference(found.measure)
    name = joined(
        [
            element("span", *_breakable(found.measure), class_="measure"),
            element("small", _meaning(found.measure)),
        ]
    )
    cells = [number(fraction(found.mean)), bar_cell(found, baseline=_base(difference))]
    if facts.comparison:
        cells += _difference_cells(difference, reach)
    return row(name, *cells, number(count(found.n)))


def _breakable(name: str) -> list[Markup]:
    """A name that may be broken after its underscores."""
    first, *rest = name.split("_")
    return [escape(first), *(joined(["_", element("wbr"), part]) for part in rest)]


def bar_cell(found: Estimate, *, baseline: float | None = None) -> Markup:
    """A cell with an interval, drawn and written."""
    bar = interval_bar(found.mean, found.low, found.high, baseline=baseline)
    return element("td", bar, element("small", interval(found.low, found.high)), class_="interval")


def _difference_cells(found: Difference | None, reach: float) -> list[Markup]:
    if found is None:
        return [element("td", "not compared", class_="muted", colspan=5)]
    bar = difference_bar(found.difference, found.low, found.high, reach=reach, verdict=_direction(found))
    written = element("small", interval(found.low, found.high, signed=True))
    return [
        number(fraction(found.baseline)),
        number(change(found.difference)),
        element("td", bar, written, class_="interval"),
        number(probability(found.p_adjusted), title=f"p {probability(found.p)} before the correction"),
        element("td", badge(found)),
    ]


def badge(difference: Difference) -> Markup:
    """Better, worse or not clear, in a word and a sign."""
    state = _direction(difference)
    words = {"better": "▲ better", "worse": "▼ worse", "unclear": "not clear", "same": "same"}
    return element("span", words[state], class_=f"badge {state}")


def _direction(found: Difference) -> str:
    if found.difference == 0 and found.wins == found.losses == 0:
        return "same"
    if not is_certain(found):
        return "unclear"
    known = measure_of(found.measure)
    gain = -found.difference if known and known.better == "lower" else found.difference
    return "better" if gain > 0 else "worse"


def _base(difference: Difference | None) -> float | None:
    return difference.baseline if difference else None


def _meaning(measure: str) -> str:
    known = measure_of(measure)
    if known is None:
        return ""
    return f"{known.meaning}; lower is better" if known.better == "lower" else known.meaning


def _left_out(facts: Facts) -> Markup | None:
    """What could not be compared, and why."""
    if facts.comparison is None:
        return None
    words = [f"{name}: {why}" for name, why in facts.comparison.left_out.items()]
    for ids, where in (
        (facts.comparison.only_in_run, "this run"),
        (facts.comparison.only_in_baseline, "the baseline"),
    ):
        if ids:
            words.append(f"{count(len(ids))} questions only in {where}")
    return element("p", f"Not compared: {'; '.join(words)}.", class_="note") if words else None
