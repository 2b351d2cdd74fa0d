"""Write docs/results.md from the rows in bench/results.

python bench/results.py
"""

from __future__ import annotations

import json
from typing import Any

from rows import RESULTS, ROOT

HEAD = """# Results

Made by `make results` from the rows in `bench/results`; do not edit. What is compared was measured in one
run, as a ratio; absolute figures hold for the machine named. Intervals are 95 % bootstrap intervals over
questions for quality, and the range of the repeats for speed.
"""


NEEDS_A_CARD = """## gpu

`python bench/gpu.py` has not been run yet: it needs a machine with an NVIDIA card, and no figure is guessed.
"""


def section(document: dict[str, Any]) -> str:
    """One benchmark as a table."""
    versions = ", ".join(
        f"{name} {number}" for name, number in document["versions"].items() if number != "absent"
    )
    lines = [
        f"## {document['name']}",
        "",
        f"`{document['command']}`, {document['date']}, commit {document['commit']}, "
        f"{document['cores']} cores of {document['cpu']}, Python {document['python']}.",
        "",
        "| what | value | range or interval | n | wanted | note |",
        "|---|---|---|---|---|---|",
        *(line(row) for row in document["rows"]),
        "",
        f"Versions: {versions}.",
        *(["", document["remark"]] if "remark" in document else []),
    ]
    return "\n".join(lines)


def line(row: dict[str, Any]) -> str:
    """One figure."""
    span = f"{_number(row['low'])} to {_number(row['high'])}" if row["low"] is not None else ""
    wanted = f"{row['bar']}, {'met' if row['met'] else '**missed**'}" if row["bar"] else ""
    value = f"{_number(row['value'])} {row['unit']}".strip()
    return f"| {row['what']} | {value} | {span} | {row['repeats']} | {wanted} | {row['note']} |"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.5g}"


def main() -> None:
    """Write docs/results.md."""
    documents = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(RESULTS.glob("*.json"))]
    sections = [section(document) for document in documents]
    if not (RESULTS / "gpu.json").is_file():
        sections.append(NEEDS_A_CARD.rstrip())
    text = "\n\n".join([HEAD.rstrip(), *sections]) + "\n"
    (ROOT / "docs" / "results.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
