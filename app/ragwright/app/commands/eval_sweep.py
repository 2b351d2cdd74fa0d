"""`ragwright eval sweep`: measure a grid of configurations and write the best one."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ragwright.app.commands.eval_run import DatasetPath, Documents, Format, Sample, Seed, load
from ragwright.app.console import escape_control
from ragwright.app.eval_output import figure
from ragwright.app.progress import Counter
from ragwright.app.session import Options, Session, open_session
from ragwright.core.errors import InputError

if TYPE_CHECKING:
    from ragwright.app.evaluated import Material
    from ragwright.app.sweeping import Sweep
    from ragwright.eval.gate import Requirement
    from ragwright.eval.selection import Candidate
    from ragwright.eval.values import Dataset

_SHOWN = 10
_PLACES = ("workspace", "encoder.cache", "index.api_key", "judge.api_key")


@dataclass(frozen=True, slots=True)
class _Choice:
    """What the choice looks at, and what it is told on."""

    objective: str
    rules: tuple[Requirement, ...]
    tune: frozenset[str]
    test: frozenset[str]


_Varied = Annotated[
    list[str] | None,
    typer.Option("--vary", metavar="KEY=A,B", help="A setting and its values; repeatable."),
]
_Objective = Annotated[
    str, typer.Option("--objective", metavar="MEASURE", help="What the best configuration is best at.")
]
_Rules = Annotated[
    list[str] | None,
    typer.Option("--rule", metavar="RULE", help="What it must reach, such as 'recall>=0.75'."),
]
_HeldOut = Annotated[
    float,
    typer.Option(
        "--held-out", min=0.0, max=0.9, metavar="SHARE", help="Share of questions the choice never sees."
    ),
]


def eval_sweep(
    options: Options,
    dataset: DatasetPath,
    *,
    format: Format = None,  # noqa: A002 - the option's name
    documents: Documents = None,
    sample: Sample = None,
    vary: _Varied = None,
    objective: _Objective = "iou",
    rule: _Rules = None,
    held_out: _HeldOut = 0.5,
    seed: Seed = 0,
) -> int:
    """Measure a grid of configurations and write the best one.

    Questions are parted by document: the choice is made on one part, and what it is worth is told on the
    other. The same command goes on where a stopped sweep ended. The best configuration is written as TOML.
    Where chunks or the encoder vary, the documents are cut and encoded anew, in temporary workspaces.
    """
    from ragwright.app.evaluated import Material
    from ragwright.app.sweeping import (
        DEFAULT_AXES,
        Sweep,
        needs_other_indexes,
        parse_axes,
        points,
        sweep,
    )

    session = open_session(options)
    loaded = load(dataset, format=format, sample=sample, seed=seed)
    axes = parse_axes(vary) if vary else DEFAULT_AXES
    choice = _choice(loaded, objective, rule or (), held_out=held_out, seed=seed)
    material = Material.of(loaded, folder=documents, apart=needs_other_indexes(axes))
    folder = _folder(session, material)
    task = Sweep(session.config, loaded, axes, material, folder / "results.jsonl")
    with Counter(session.console, "configurations", points(axes)) as counter:
        candidates = sweep(task, console=session.console, done=counter.advance_to)
    return _tell(session, task, candidates, choice, folder / f"best-{_digest(choice, axes)}.toml")


def _choice(dataset: Dataset, objective: str, rules: Sequence[str], *, held_out: float, seed: int) -> _Choice:
    from ragwright.eval.gate import parse_requirement
    from ragwright.eval.measures import measure_of
    from ragwright.eval.split import split

    if measure_of(objective) is None:
        raise InputError(f'--objective "{objective}" is no measure; choose one, such as iou or nDCG@10')
    kept = tuple(map(parse_requirement, rules))
    everything = frozenset(item.id for item in dataset.items if item.answerable)
    if held_out == 0.0:
        return _Choice(objective, kept, everything, everything)
    try:
        parts = split(dataset, {"tune": 1.0 - held_out, "test": held_out}, seed=seed)
    except InputError as error:
        raise InputError(f"{error}; or choose and tell on the same questions: --held-out 0") from error
    ids = {name: frozenset(item.id for item in part.items) & everything for name, part in parts.items()}
    return _Choice(objective, kept, ids["tune"], ids["test"])


def _folder(session: Session, material: Material) -> Path:
    """Where measured points are kept: the same for the same questions, documents, settings and code."""
    from ragwright.app.evaluated import documents_digest
    from ragwright.app.run_manifest import config_facts
    from ragwright.core.profile import load_profile
    from ragwright.eval.machine import code_facts

    config, dataset = session.config, material.dataset
    facts = {key: value for key, value in config_facts(config).items() if key != "workspace"}
    profile = load_profile(config.domain)
    told = (
        dataset.digest,
        material.kind,
        documents_digest(config, material),
        sorted(facts.items(), key=str),
        (profile.digest, dict(profile.glossary)),
        code_facts(),
    )
    return config.workspace / "sweeps" / f"{dataset.name}-{_short(told)}"


def _digest(choice: _Choice, axes: Mapping[str, Sequence[Any]]) -> str:
    """Names a grid and what is wanted of it, so that another choice overwrites nothing."""
    wanted = (choice.objective, [str(rule) for rule in choice.rules], sorted(choice.tune))
    return _short((wanted, {key: list(values) for key, values in axes.items()}))


def _short(told: object) -> str:
    return hashlib.sha256(repr(told).encode("utf-8", "surrogatepass")).hexdigest()[:10]


def _tell(
    session: Session, task: Sweep, candidates: Sequence[Candidate], choice: _Choice, best_file: Path
) -> int:
    from ragwright.core.config import default_toml
    from ragwright.eval.runs import write_text
    from ragwright.eval.selection import choose

    console = session.console
    best = choose(candidates, objective=choice.objective, rules=choice.rules, questions=choice.tune)
    if best is not None:
        write_text(best_file, default_toml(_chosen(session, best)))
    if console.json:
        told = [{"settings": each.settings, "means": _means(each, choice.tune)} for each in candidates]
        document = {"results": task.results, "best": best and best.settings, "candidates": told}
        console.emit_json({**document, "held_out": _held_out(best, choice), "written": best and best_file})
    if best is None:
        rules = " and ".join(map(str, choice.rules))
        console.complain(f"none of {len(candidates):,} configurations keeps the rule {rules}")
        return 1
    _tell_table(session, candidates, choice)
    _tell_best(session, best, choice, best_file)
    return 0


def _means(candidate: Candidate, questions: Collection[str]) -> dict[str, float]:
    measured = [name for name, values in candidate.values.items() if values.keys() & set(questions)]
    return {name: candidate.mean(name, questions) for name in measured}


def _chosen(session: Session, best: Candidate) -> dict[str, Any]:
    """What the written file sets: everything that is set now, and the best values."""
    now = {
        key: session.config.value(key) for key, origin in session.origins.items() if origin.layer == "file"
    }
    return {key: value for key, value in {**now, **best.settings}.items() if value is not None}


def _tell_table(session: Session, candidates: Sequence[Candidate], choice: _Choice) -> None:
    """The best configurations, by what the choice saw."""
    from ragwright.eval.measures import measure_of

    names = list(dict.fromkeys((choice.objective, *(rule.measure for rule in choice.rules), "recall", "iou")))
    names = [name for name in names if any(name in each.values for each in candidates)]
    known = measure_of(choice.objective)
    sign = 1.0 if known is not None and known.better == "lower" else -1.0
    allowed = [each for each in candidates if each.meets(choice.rules, choice.tune)]
    allowed.sort(key=lambda each: sign * each.mean(choice.objective, choice.tune))
    axes = list(candidates[0].settings)
    rows = [
        (
            *(str(each.settings[axis]) for axis in axes),
            *(figure(each.mean(name, choice.tune)) for name in names),
            f"{each.seconds * 1e3:.1f}",
        )
        for each in allowed[:_SHOWN]
    ]
    session.console.table([*(axis.rpartition(".")[2] for axis in axes), *names, "ms"], rows)
    if len(allowed) > _SHOWN:
        session.console.note(f"and {len(allowed) - _SHOWN:,} more, in the results file")


def _tell_best(session: Session, best: Candidate, choice: _Choice, best_file: Path) -> None:
    console = session.console
    told = ", ".join(f"{key} = {value}" for key, value in best.settings.items())
    console.out(f"\nbest on {len(choice.tune):,} questions: {told}")
    where = "questions, the same" if choice.test == choice.tune else "held-out questions"
    for name, each in _held_out(best, choice).items():
        low, high = figure(each["low"]), figure(each["high"])
        console.out(f"{name} {figure(each['mean'])} ({low} to {high}) on {each['n']:,} {where}")
    console.out("written to ", escape_control(str(best_file), keep=""))


def _held_out(best: Candidate | None, choice: _Choice) -> Mapping[str, Mapping[str, Any]]:
    """The objective and the ruled measures of the best candidate, on the questions the choice never saw."""
    from dataclasses import asdict

    from ragwright.eval.statistics import estimate

    if best is None:
        return {}
    names = dict.fromkeys((choice.objective, *(rule.measure for rule in choice.rules)))
    found = {}
    for name in names:
        values = [value for key, value in sorted(best.values[name].items()) if key in choice.test]
        if values:
            found[name] = asdict(estimate(values, measure=name))
    return found
