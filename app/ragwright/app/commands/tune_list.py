"""`ragwright tune list`: the tuned models, and what became of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ragwright.app.console import Styled, escape_control, plain
from ragwright.app.session import Options, open_session
from ragwright.app.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ragwright.ingest.catalog_values import Switch

_METRICS_SHOWN = 2


def list_tuned(options: Options) -> int:
    """List the tuned models, and what was promoted when.

    For each one it says whether it answers, and what its last exam said.
    """
    session = open_session(options)
    workspace = Workspace(session.config)
    try:
        live = workspace.existing_live()
        parts = dict(live[1].parts) if live else {}
        switches = workspace.catalog.switches() if workspace.exists() else []
        models = _models(workspace, parts)
    finally:
        workspace.close()
    if options.json:
        session.console.emit_json({"models": models, "answering": parts, "history": switches})
    if not models:
        session.console.out("no model has been tuned; next: ragwright tune questions")
        return 0
    session.console.table(["name", "kind", "made", "measured", "state"], [_row(each) for each in models])
    _tell_history(switches, session.console.out)
    return 0


def _models(workspace: Workspace, parts: Mapping[str, str]) -> list[dict[str, Any]]:
    from ragwright.app.tuning.comparing import read_verdict
    from ragwright.app.version_models import ROUTER
    from ragwright.finetune.tuned_model import tuned_models

    folder = workspace.registry.tuned
    plays = {name: part for part, name in parts.items()}
    found = [
        {**plain(tuned), "answers_as": plays.get(tuned.name), "exam": read_verdict(place)}
        for place, tuned in tuned_models(folder)
    ]
    if (folder / f"{ROUTER}.json").is_file():
        facts = {"name": ROUTER, "kind": "router", "made": "", "metrics": {}}
        exam = read_verdict(folder / ROUTER)
        found.append({**facts, "answers_as": plays.get(ROUTER), "exam": exam})
    return found


def _row(model: Mapping[str, Any]) -> tuple[str | Styled, ...]:
    measured = [f"{name} {value:.3f}" for name, value in list(model["metrics"].items())[:_METRICS_SHOWN]]
    name = escape_control(model["name"], keep="")
    return name, model["kind"], model["made"][:16].replace("T", " "), ", ".join(measured), _state(model)


def _state(model: Mapping[str, Any]) -> str | Styled:
    if model["answers_as"]:
        return Styled(f"answers as the {model['answers_as']}", "green")
    exam = model["exam"]
    if exam is None:
        return "not asked yet"
    day = str(exam["at"])[:10]
    return f"passed on {day}, answers no more" if exam["passed"] else Styled(f"refused on {day}", "red")


def _tell_history(switches: Sequence[Switch], out: Any) -> None:
    if switches:
        out("")
    for each in switches:
        done = "promoted" if each.action == "promote" else "rolled back"
        out(
            Styled(each.at[:16].replace("T", " "), "dim"),
            f"  {done} {escape_control(each.name, keep='')}, index {each.version}",
        )
