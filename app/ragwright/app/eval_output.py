"""What the command line says of evaluations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ragwright.app.console import Console, Styled, escape_control
from ragwright.app.layout import shortened
from ragwright.eval.measures import PERTURBED, measure_of

if TYPE_CHECKING:
    from ragwright.eval.compare import Change, Comparison, Difference
    from ragwright.eval.values import Run

_MISSING_SHOWN = 5
_DIAL_SHOWN = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
_MAIN = (
    "recall", "precision", "iou", "chunk_recall", "precision_omega", "compat_recall", "compat_iou", "nDCG@10",
    "RR@10", "R@10", "token_f1", "quote_fidelity", "citation_precision", "citation_recall",
    "answered_unanswerable", "refused_answerable", "faithfulness", "answer_relevancy", "context_precision",
    "context_recall", "factual_correctness",
)  # fmt: skip
_PERTURBED_SHOWN = ("iou", "recall", "nDCG@10", "citation_recall", "quote_fidelity")
_CHANGES_SHOWN = 20
_QUESTION_CHARACTERS = 90


def figure(value: float) -> str:
    """A measure's value as tables show it."""
    return f"{value:.3f}"


def tell_estimates(run: Run, console: Console, *, everything: bool) -> None:
    """A table of the main measures, or of all, with their intervals, and one of what perturbations cost."""
    from ragwright.eval.perturb import drops
    from ragwright.eval.statistics import estimates

    plain = [row for row in run.rows if PERTURBED not in row.measure]
    found = estimates(plain)
    rows = [
        (name, figure(each.mean), f"{figure(each.low)} to {figure(each.high)}", f"{each.n:,}")
        for name, each in found.items()
        if everything or name in _MAIN
    ]
    console.table(["measure", "mean", "95 % interval", "questions"], rows)
    lost = [each for each in drops(run.rows) if each.measure in _PERTURBED_SHOWN]
    if lost:
        console.out("")
        cells = [
            (each.perturbation, each.measure, figure(each.original), figure(each.perturbed), f"{each.n:,}")
            for each in sorted(lost, key=lambda each: _PERTURBED_SHOWN.index(each.measure))
        ]
        console.table(["changed by", "measure", "before", "after", "questions"], cells)


def tell_frontier(run: Run, console: Console, *, everything: bool) -> None:
    """A table of the evidence dial: what its positions would give."""
    points = run.manifest["frontier"]
    shown = points if everything else [each for each in points if each["share"] in _DIAL_SHOWN]
    if shown:
        rows = [
            (f"{each['share']:.2f}", *(figure(each[name]) for name in ("recall", "iou", "precision")))
            for each in shown
        ]
        console.out("")
        console.table(["evidence dial", "recall", "iou", "precision"], rows)


def tell_missing(run: Run, console: Console) -> None:
    """Name the questions without a result; they scored zero."""
    missing = [outcome for outcome in run.outcomes if outcome.error or not outcome.found]
    for outcome in missing[:_MISSING_SHOWN]:
        identity = escape_control(outcome.question.id, keep="")
        word = Styled("failed " if outcome.error else "empty ", "red")
        console.complain(word, f"question {identity}: {outcome.error or 'nothing was found'}")
    if len(missing) > _MISSING_SHOWN:
        console.complain(
            f"and {len(missing) - _MISSING_SHOWN:,} more without a result; the report lists each"
        )


def tell_comparison(comparison: Comparison, console: Console) -> None:
    """A table of every measure in both runs, with the paired test; what else is unlike as remarks."""
    rows = [_difference_row(each) for each in comparison.differences]
    console.table(
        [
            "measure",
            comparison.run,
            comparison.baseline,
            "difference",
            "95 % interval",
            "p adj.",
            "won",
            "lost",
            "same",
        ],
        rows,
    )
    for note in comparison.notes:
        console.note(note)
    for name, reason in comparison.left_out.items():
        console.note(Styled("left out ", "dim"), f"{name}: {reason}")


def _difference_row(each: Difference) -> tuple[str | Styled, ...]:
    known = measure_of(each.measure)
    better = (each.difference > 0) == (known is None or known.better == "higher")
    text = f"{each.difference:+.3f}"
    certain = each.p_adjusted < 0.05 and each.difference != 0
    return (
        each.measure,
        figure(each.value),
        figure(each.baseline),
        Styled(text, "green" if better else "red") if certain else text,
        f"{each.low:+.3f} to {each.high:+.3f}",
        f"{each.p_adjusted:.4f}",
        f"{each.wins:,}",
        f"{each.losses:,}",
        f"{each.unchanged:,}",
    )


def tell_changes(measure: str, changed: Sequence[Change], run: Run, console: Console) -> None:
    """The questions whose value changed most, both ways."""
    texts = {outcome.question.id: outcome.question.text for outcome in run.outcomes}
    console.out(f"\n{measure}: {len(changed):,} questions changed")
    rows = [
        (
            f"{each.difference:+.3f}",
            figure(each.baseline),
            figure(each.value),
            each.question_id,
            shortened(texts.get(each.question_id, ""), _QUESTION_CHARACTERS),
        )
        for each in changed[:_CHANGES_SHOWN]
    ]
    if rows:
        console.table(["change", "before", "now", "id", "question"], rows)
