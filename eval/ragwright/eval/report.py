"""The evaluation report: one HTML file that needs nothing but itself."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from ragwright.core.errors import InputError
from ragwright.eval.gate import GateResult
from ragwright.eval.report_breakdown import changes_section, robustness_section, slices_section
from ragwright.eval.report_curves import frontier_section, risk_section
from ragwright.eval.report_facts import Facts, gather
from ragwright.eval.report_html import Markup, element, section
from ragwright.eval.report_judge import judge_section
from ragwright.eval.report_questions import payload, script_json
from ragwright.eval.report_record import ingest_section, latency_section, manifest_section, missing_section
from ragwright.eval.report_sections import headline_section, name_of, verdict_section
from ragwright.eval.values import Run

_FRAME_BYTES = 4_000  # of the page around its parts

_NAVIGATION = {
    "measures": "Measures",
    "frontier": "IoU and recall",
    "slices": "Slices",
    "changes": "Wins and losses",
    "risk": "Risk",
    "robustness": "Robustness",
    "questions": "Questions",
    "latency": "Latency",
    "ingest": "Ingest",
    "judge": "Judge",
    "missing": "Without result",
    "manifest": "Manifest",
}


def write_report(
    run: Run,
    path: Path,
    *,
    baseline: Run | None = None,
    gate: GateResult | None = None,
) -> Path:
    """Write the report of a run; the file is either there as a whole or not at all.

    Args:
        run: What is reported.
        path: Where; its folder is made.
        baseline: A run on the same data set to compare with.
        gate: What was required, and what came of it.

    Returns:
        The path.

    Raises:
        InputError: The file cannot be written, or the two runs cannot be compared.
    """
    page = report_page(gather(run, baseline=baseline, gate=gate))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.{os.getpid()}")
        part.write_text(page, encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise InputError(
            f"the report {path} cannot be written ({error.strerror}); name another file"
        ) from error
    return path


def report_page(facts: Facts) -> str:
    """The page as HTML."""
    style, script = Markup(_resource("report.css")), Markup(_resource("report.js"))
    sections = _sections(facts)
    rest = sum(len(part.encode()) for part in (style, script, *(part for _, part in sections)))
    data = script_json(payload(facts, rest=rest + _FRAME_BYTES))
    title = f"Evaluation of {name_of(facts.run.manifest)}"
    header = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_policy(style, script)),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="referrer", content="no-referrer"),
        element("title", title),
        element("style", style),
    )
    body = element(
        "body",
        element("a", "Skip to the content", href="#content", class_="skip"),
        _header(sections),
        element("main", *(part for _, part in sections), id="content", tabindex=-1),
        element("footer", "Written by ", element("b", "ragwright eval"), ". Nothing here leaves this file."),
        element("script", data, type="application/json", id="data"),
        element("script", script),
    )
    return f"<!doctype html>\n{element('html', header, body, lang='en')}\n"


def _sections(facts: Facts) -> list[tuple[str, Markup]]:
    """The parts that this run has, in the order in which they are shown."""
    parts = {
        "verdict": verdict_section(facts),
        "measures": headline_section(facts),
        "frontier": frontier_section(facts),
        "slices": slices_section(facts),
        "changes": changes_section(facts),
        "risk": risk_section(facts),
        "robustness": robustness_section(facts),
        "questions": _questions(),
        "latency": latency_section(facts),
        "ingest": ingest_section(facts),
        "judge": judge_section(facts),
        "missing": missing_section(facts),
        "manifest": manifest_section(facts),
    }
    return [(name, part) for name, part in parts.items() if part is not None]


def _header(sections: Sequence[tuple[str, Markup]]) -> Markup:
    links = [
        element("li", element("a", _NAVIGATION[name], href=f"#{name}"))
        for name, _ in sections
        if name in _NAVIGATION
    ]
    toggle = element("button", "Theme: system", type="button", id="theme", class_="script-only")
    return element(
        "header",
        element("nav", element("ul", *links), aria_label="Parts of the report"),
        toggle,
    )


def _questions() -> Markup:
    """Where the page's script shows the questions."""
    without = element(
        "p", "The list of questions needs JavaScript; everything else on this page does not.", class_="note"
    )
    place = element("div", id="browser")
    return section("questions", "Questions", element("noscript", without), place)


def _resource(name: str) -> str:
    return files("ragwright.eval").joinpath("report_assets", name).read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    """Only our own style and script may run, named by their digest; nothing may be loaded or sent."""
    return (
        f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; img-src 'none'; "
        "base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
