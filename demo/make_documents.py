"""Builds the demo's DOCX and PDF documents from `sources/*.md`, the same bytes on every run.

    python demo/make_documents.py

Byte equality holds for one set of library versions; the text is the same under any.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal
from xml.sax.saxutils import escape

HERE = Path(__file__).parent
SOURCES = HERE / "sources"
DOCUMENTS = HERE / "documents"
COMPANY = "Marrowdale Rail Services"

TARGETS = {
    "door-system-manual": "manuals/door-system-manual.docx",
    "wp-131-high-voltage-isolation": "procedures/wp-131-high-voltage-isolation.docx",
    "occ-2024-047-door": "records/occ-2024-047-door.docx",
    "fenwater-service-contract": "commercial/fenwater-service-contract.docx",
    "quality-manual": "manuals/quality-manual.pdf",
    "occ-2025-008-hot-axlebox": "records/occ-2025-008-hot-axlebox.pdf",
    "purchase-specification-wheelsets": "commercial/purchase-specification-wheelsets.pdf",
}
FOOTERS = {
    "quality-manual": "Q-001 issue 14",
    "occ-2025-008-hot-axlebox": "OCC-2025-008",
    "purchase-specification-wheelsets": "PS-0062 issue 3",
}
MADE = datetime(2025, 3, 3, 8, 0)  # written into the files, since the time of the run may not be

Kind = Literal["heading", "paragraph", "numbered", "bulleted", "table", "layout"]


@dataclass(frozen=True, slots=True)
class Part:
    """One piece of a source file.

    Attributes:
        kind: What it is.
        lines: The text without its mark: one line, or one per list item.
        rows: The cells of a table, its header first.
        level: Of a heading, from 1.
    """

    kind: Kind
    lines: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = field(default=())
    level: int = 0


def read_parts(text: str) -> Iterator[Part]:
    r"""The pieces of a source, in order: headings, paragraphs, lists, tables and `<!-- layout -->` marks.

    >>> [part.kind for part in read_parts("# A\n\ntext\n\n1. one\n2. two")]
    ['heading', 'paragraph', 'numbered']
    """
    for piece in text.strip().split("\n\n"):
        lines = piece.strip().split("\n")
        first = lines[0]
        if first.startswith("#"):
            mark, _, title = first.partition(" ")
            yield Part("heading", (title,), level=len(mark))
        elif first.startswith("<!--"):
            yield Part("layout", (first.removeprefix("<!--").removesuffix("-->").strip(),))
        elif first.startswith("|"):
            yield Part("table", rows=tuple(_cells(line) for line in lines if not line.startswith("|---")))
        elif first.startswith("- "):
            yield Part("bulleted", tuple(line.removeprefix("- ") for line in lines))
        elif first.startswith("1. "):
            yield Part("numbered", tuple(line.partition(". ")[2] for line in lines))
        else:
            yield Part("paragraph", (" ".join(lines),))


def _cells(line: str) -> tuple[str, ...]:
    return tuple(cell.strip() for cell in line.strip("|").split("|"))


def docx_bytes(parts: list[Part]) -> bytes:
    """A Word file of the parts; layout marks have no meaning there."""
    import docx

    document = docx.Document()
    properties = document.core_properties
    properties.title, properties.author = parts[0].lines[0], COMPANY
    properties.created = properties.modified = MADE
    for part in parts:
        _write_docx(document, part)
    saved = io.BytesIO()
    document.save(saved)
    return _fixed_times(saved.getvalue())


def _write_docx(document: Any, part: Part) -> None:
    if part.kind == "heading":
        document.add_heading(part.lines[0], level=part.level)
    elif part.kind == "paragraph":
        document.add_paragraph(part.lines[0])
    elif part.kind == "bulleted":
        for line in part.lines:
            document.add_paragraph(line, style="List Bullet")
    elif part.kind == "numbered":
        number = _new_list(document)
        for line in part.lines:
            paragraph = document.add_paragraph(line, style="List Number")
            numbering = paragraph._p.get_or_add_pPr().get_or_add_numPr()
            numbering.get_or_add_numId().val = number
            numbering.get_or_add_ilvl().val = 0
    elif part.kind == "table":
        table = document.add_table(rows=0, cols=len(part.rows[0]), style="Table Grid")
        for row in part.rows:
            for cell, text in zip(table.add_row().cells, row, strict=True):
                cell.text = text


def _new_list(document: Any) -> int:
    """The id of a numbered list that begins at 1; the style alone would count on through the document."""
    style = document.styles["List Number"].element
    used = style.pPr.numPr.numId.val
    numbering = document.part.numbering_part.element
    abstract = numbering.num_having_numId(used).abstractNumId.val
    number = numbering.add_num(abstract)
    number.add_lvlOverride(ilvl=0).add_startOverride(1)
    return int(number.numId)


def _fixed_times(data: bytes) -> bytes:
    """The same archive with every entry dated 1 January 1980."""
    fixed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(fixed, "w") as new:
        for entry in old.infolist():
            info = zipfile.ZipInfo(entry.filename, date_time=(1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            info.create_system = 3
            new.writestr(info, old.read(entry))
    return fixed.getvalue()


def pdf_bytes(parts: list[Part], *, footer: str) -> bytes:
    """An A4 PDF of the parts with a running header and footer, and two columns where the source says so."""
    from reportlab.lib.pagesizes import A4  # type: ignore[import-untyped]
    from reportlab.platypus import BaseDocTemplate, Frame, PageTemplate  # type: ignore[import-untyped]

    title = parts[0].lines[0]
    saved = io.BytesIO()
    document = BaseDocTemplate(saved, pagesize=A4, invariant=1, title=title, author=COMPANY)

    def furniture(canvas: Any, page: Any) -> None:
        canvas.setFont("Helvetica", 8)
        canvas.drawString(60, 805, COMPANY)
        canvas.drawRightString(535, 805, title.split(":")[0])
        canvas.drawString(60, 35, footer)
        canvas.drawRightString(535, 35, f"Page {page.page}")

    wide = [Frame(54, 60, 487, 725)]
    columns = [Frame(54, 375, 236, 410), Frame(305, 375, 236, 410)]  # low enough that both fill
    document.addPageTemplates([
        PageTemplate(id="one column", frames=wide, onPage=furniture),
        PageTemplate(id="two columns", frames=columns, onPage=furniture),
    ])  # fmt: skip
    document.build([flowable for part in parts for flowable in _flowables(part)])
    return saved.getvalue()


def _flowables(part: Part) -> Iterator[Any]:
    from reportlab.lib.styles import getSampleStyleSheet  # type: ignore[import-untyped]
    from reportlab.platypus import NextPageTemplate, PageBreak, Paragraph

    styles = getSampleStyleSheet()
    body = styles["BodyText"]
    if part.kind == "layout":
        yield NextPageTemplate(part.lines[0])
        yield PageBreak()
    elif part.kind == "heading":
        yield Paragraph(escape(part.lines[0]), styles["Title" if part.level == 1 else f"Heading{part.level}"])
    elif part.kind == "table":
        yield _table(part)
    else:
        for number, line in enumerate(part.lines, start=1):
            mark = {"numbered": f"{number}. ", "bulleted": "• "}.get(part.kind, "")
            yield Paragraph(mark + escape(line), body)


def _table(part: Part) -> Any:
    from reportlab.lib import colors  # type: ignore[import-untyped]
    from reportlab.platypus import Table, TableStyle

    table = Table(part.rows, hAlign="LEFT", spaceBefore=6, spaceAfter=10, repeatRows=1)
    table.setStyle(
        TableStyle([
            ("FONT", (0, 0), (-1, 0), "Helvetica-Bold", 9),
            ("FONT", (0, 1), (-1, -1), "Helvetica", 9),
            ("GRID", (0, 0), (-1, -1), 0.5, colors.grey),
        ])
    )  # fmt: skip
    return table


def build(source: str) -> bytes:
    """The document made from `sources/<source>.md`, in the format that its target's name says."""
    parts = list(read_parts((SOURCES / f"{source}.md").read_text(encoding="utf-8")))
    if TARGETS[source].endswith(".pdf"):
        return pdf_bytes(parts, footer=FOOTERS[source])
    return docx_bytes(parts)


def main() -> None:
    """Write every target."""
    for source, target in TARGETS.items():
        (DOCUMENTS / target).write_bytes(build(source))
        print(f"wrote {target}")


if __name__ == "__main__":
    main()
