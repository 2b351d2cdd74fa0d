"""PDF files become text with headings, paragraphs, lists, tables and furniture, each with page and box."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragwright.core.errors import InputError
from ragwright.core.types import Parsed
from ragwright.ingest.pdf import parse_pdf

canvas = pytest.importorskip("reportlab.pdfgen.canvas")
pdfencrypt = pytest.importorskip("reportlab.lib.pdfencrypt")

DOCUMENTS = Path(__file__).resolve().parents[3] / "shared" / "data" / "documents"
WIDTH, HEIGHT = 595, 842
PROSE = (
    "The oil pump delivers oil at a pressure that rises with the speed of the engine. A valve in the housing "
    "opens when the pressure exceeds the limit, and the oil flows back to the sump. The filter stands "
    "between the pump and the gallery. Change it with every second oil change, or sooner in dusty places. "
)

Sheet = Any  # reportlab ships no types
Draw = Callable[[Sheet], None]


def make(*pages: Draw, encrypt: object = None, **info: str) -> bytes:
    """A PDF with one page per drawing function."""
    buffer = io.BytesIO()
    sheet = canvas.Canvas(buffer, pagesize=(WIDTH, HEIGHT), encrypt=encrypt)
    for name, value in info.items():
        getattr(sheet, f"set{name}")(value)
    for draw in pages:
        draw(sheet)
        sheet.showPage()
    sheet.save()
    return buffer.getvalue()


def write(
    sheet: Sheet, lines: list[str], *, x: float, y: float, size: float = 10, font: str = "Helvetica"
) -> None:
    """Put lines below one another from `y` down."""
    sheet.setFont(font, size)
    for number, line in enumerate(lines):
        sheet.drawString(x, y - 1.2 * size * number, line)


def wrapped(text: str, characters: int) -> list[str]:
    """The text in lines of about that many characters."""
    lines = [""]
    for word in text.split():
        if len(lines[-1]) + len(word) > characters:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


def kinds(parsed: Parsed, kind: str) -> list[str]:
    """Texts of all blocks of a kind."""
    return [parsed.text[block.start : block.end] for block in parsed.blocks if block.kind == kind]


def assert_sound(parsed: Parsed) -> None:
    """Blocks lie in order inside the text, have visible ends, page and box."""
    end = 0
    for block in parsed.blocks:
        assert 0 <= block.start < block.end <= len(parsed.text)
        text = parsed.text[block.start : block.end]
        assert text == text.strip()
        assert block.page is not None
        assert block.page >= 1
        if block.kind in ("table_header", "table_row"):
            assert block.end <= end
            continue
        assert block.start >= end
        assert block.box is not None
        assert block.box[0] <= block.box[2]
        assert block.box[1] <= block.box[3]
        end = block.end


def test_two_columns_below_a_title_are_read_one_after_the_other() -> None:
    def page(sheet: Sheet) -> None:
        write(sheet, ["Lubrication of the engine and its maintenance"], x=120, y=780, size=18)
        write(sheet, wrapped("LEFT " + PROSE * 2, 45), x=60, y=740)
        write(sheet, wrapped("RIGHT " + PROSE * 2, 45), x=310, y=740)

    parsed = parse_pdf(make(page))
    assert_sound(parsed)
    assert parsed.title == "Lubrication of the engine and its maintenance"
    assert kinds(parsed, "title") == [parsed.title]
    assert kinds(parsed, "paragraph") == [f"LEFT {PROSE * 2}".strip(), f"RIGHT {PROSE * 2}".strip()]


def test_heading_levels_follow_size_and_captions_are_marked() -> None:
    def page(sheet: Sheet) -> None:
        write(sheet, ["Engine manual"], x=60, y=780, size=24)
        write(sheet, ["1 Lubrication"], x=60, y=740, size=16)
        write(sheet, wrapped(PROSE, 90), x=60, y=715)
        write(sheet, ["1.1 Filter"], x=60, y=640, font="Helvetica-Bold")
        write(sheet, wrapped(PROSE, 90), x=60, y=620)
        write(sheet, ["Figure 3: The oil circuit"], x=60, y=540)

    parsed = parse_pdf(make(page))
    titles = [(b.level, parsed.text[b.start : b.end]) for b in parsed.blocks if b.kind == "title"]
    assert titles == [(1, "Engine manual"), (2, "1 Lubrication"), (3, "1.1 Filter")]
    assert kinds(parsed, "caption") == ["Figure 3: The oil circuit"]
    assert kinds(parsed, "paragraph") == [PROSE.strip()] * 2


def test_bookmarks_give_headings_their_levels() -> None:
    def page(sheet: Sheet) -> None:
        for level, (title, y) in enumerate([("Lubrication", 780), ("Filter", 700)]):
            sheet.bookmarkPage(title)
            sheet.addOutlineEntry(title, title, level)
            write(sheet, [title], x=60, y=y)
            write(sheet, wrapped(PROSE, 90), x=60, y=y - 20)

    parsed = parse_pdf(make(page))
    assert [block.level for block in parsed.blocks if block.kind == "title"] == [1, 2]


def test_running_heads_and_page_numbers_are_furniture() -> None:
    def page(number: int) -> Draw:
        def draw(sheet: Sheet) -> None:
            write(sheet, ["Engine manual, edition of 2024"], x=60, y=810, size=8)
            write(sheet, wrapped(f"Section {number} begins. " + PROSE, 90), x=60, y=600)
            write(sheet, [f"Page {number} of 5"], x=270, y=30, size=8)

        return draw

    parsed = parse_pdf(make(*(page(number) for number in range(1, 6))))
    assert_sound(parsed)
    assert kinds(parsed, "furniture")[:2] == ["Engine manual, edition of 2024", "Page 1 of 5"]
    assert len(kinds(parsed, "furniture")) == 10
    assert [block.page for block in parsed.blocks if block.kind == "paragraph"] == [1, 2, 3, 4, 5]
    assert parsed.metadata["pages"] == "5"


def test_words_divided_at_a_line_end_are_joined_and_compounds_keep_their_hyphen() -> None:
    lines = ["The high-speed shaft is lubri-", "cated by the pump, and the high-",
             "speed bearing by spray oil", "as well, which the SAE-",
             "API classes describe in full."]  # fmt: skip
    parsed = parse_pdf(make(lambda sheet: write(sheet, lines, x=60, y=700)))
    assert parsed.text == (
        "The high-speed shaft is lubricated by the pump, and the high-speed bearing by spray oil as well, "
        "which the SAE-API classes describe in full."
    )


def test_a_table_keeps_its_rows_and_cells() -> None:
    rows = [["Part", "Torque", "Note"], ["Cylinder head", "85 Nm", "oiled"], ["Sump", "12 Nm", "dry"],
            ["Drain plug", "30 Nm", "new ring"]]  # fmt: skip

    def page(sheet: Sheet) -> None:
        write(sheet, wrapped(PROSE, 90), x=60, y=780)
        for number, row in enumerate(rows):
            for column, cell in enumerate(row):
                write(sheet, [cell], x=60 + 150 * column, y=700 - 14 * number)
        write(sheet, wrapped(PROSE, 90), x=60, y=600)

    parsed = parse_pdf(make(page))
    assert_sound(parsed)
    assert kinds(parsed, "table_header") == ["Part | Torque | Note"]
    assert kinds(parsed, "table_row") == [" | ".join(row) for row in rows[1:]]
    assert kinds(parsed, "paragraph") == [PROSE.strip()] * 2


def test_list_items_are_parted_and_their_second_lines_joined() -> None:
    def page(sheet: Sheet) -> None:
        write(sheet, wrapped(PROSE, 90), x=60, y=780)
        write(sheet, ["• Drain the oil while"], x=70, y=710)
        write(sheet, ["it is warm"], x=79, y=698)
        write(sheet, ["• Change the filter", "• Fill in new oil"], x=70, y=686)

    parsed = parse_pdf(make(page))
    assert kinds(parsed, "list_item") == [
        "• Drain the oil while it is warm", "• Change the filter", "• Fill in new oil",
    ]  # fmt: skip


def test_text_on_a_page_drawn_sideways_is_read_upright() -> None:
    def page(sheet: Sheet) -> None:
        sheet.rotate(90)
        sheet.translate(0, -WIDTH)
        write(sheet, wrapped(PROSE, 120), x=60, y=500)

    parsed = parse_pdf(make(page))
    assert parsed.text == PROSE.strip()
    box = parsed.blocks[0].box
    assert box is not None
    assert 0 <= box[0] < box[2] <= WIDTH
    assert box[3] - box[1] > box[2] - box[0]


def test_metadata_and_title_come_from_the_document_information() -> None:
    data = make(lambda sheet: write(sheet, ["Text"], x=60, y=700), Title="Microsoft Word - Torque values.doc",
                Author="A. Smith", Subject="Engines")  # fmt: skip
    parsed = parse_pdf(data)
    assert parsed.title == "Torque values"
    assert parsed.media_type == "application/pdf"
    assert {"author": "A. Smith", "subject": "Engines"}.items() <= parsed.metadata.items()
    assert parsed.metadata["date"][:2] == "20"


def test_a_password_is_named_as_the_reason() -> None:
    locked = pdfencrypt.StandardEncryption("secret", ownerPassword="owner", canPrint=0)
    data = make(lambda sheet: write(sheet, ["Text"], x=60, y=700), encrypt=locked)
    with pytest.raises(InputError, match=r"^is password-protected; save it without a password$"):
        parse_pdf(data)


def test_a_copy_protected_file_that_opens_is_read() -> None:
    guarded = pdfencrypt.StandardEncryption("", ownerPassword="owner", canCopy=0)
    data = make(lambda sheet: write(sheet, ["Open to readers"], x=60, y=700), encrypt=guarded)
    assert parse_pdf(data).text == "Open to readers"


@pytest.mark.parametrize("data", [b"", b"%PDF-1.7\n", b"not a PDF at all"])
def test_broken_bytes_are_an_input_error(data: bytes) -> None:
    with pytest.raises(InputError, match=r"^is not a readable PDF \([\w ]+\); export or download it again$"):
        parse_pdf(data)


def test_a_page_without_text_gives_an_empty_text() -> None:
    parsed = parse_pdf(make(lambda sheet: sheet.rect(10, 10, 100, 100)))
    assert (parsed.text, parsed.blocks) == ("", ())


def test_a_broken_page_is_counted_and_the_others_are_read() -> None:
    data = make(*(lambda sheet, n=n: write(sheet, [f"Page body {n}"], x=60, y=500) for n in range(3)))
    broken = data.replace(b"\n3 0 obj\n<<", b"\n3 0 obj\n[[", 1)  # the first page object
    assert broken != data
    parsed = parse_pdf(broken)
    assert parsed.metadata["unreadable_pages"] == "1"
    assert [(block.page, parsed.text[block.start : block.end]) for block in parsed.blocks] == [
        (2, "Page body 1"), (3, "Page body 2"),
    ]  # fmt: skip


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.text("abc DEF 12.-•\xad:", min_size=1, max_size=40),
            st.integers(20, 500),
            st.integers(20, 800),
            st.sampled_from([6, 10, 10, 24]),
        ),
        max_size=25,
    )
)
def test_blocks_are_sound_wherever_text_stands(items: list[tuple[str, int, int, int]]) -> None:
    def page(sheet: Sheet) -> None:
        for text, x, y, size in items:
            write(sheet, [text], x=x, y=y, size=size)

    assert_sound(parse_pdf(make(page, page)))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2000), st.binary(max_size=8))
def test_damaged_bytes_raise_nothing_but_input_errors(at: int, noise: bytes) -> None:
    data = make(lambda sheet: write(sheet, wrapped(PROSE, 60), x=60, y=700))
    damaged = data[:at] + noise + data[at + len(noise) :] if noise else data[:at]
    try:
        assert_sound(parse_pdf(damaged))
    except InputError as error:
        assert str(error).startswith(("is not a readable PDF (", "is password-protected;"))


@pytest.mark.slow
@pytest.mark.skipif(not DOCUMENTS.is_dir(), reason="the shared documents are not here")
@pytest.mark.parametrize("path", sorted(DOCUMENTS.glob("*.pdf")), ids=lambda path: str(path.name))
def test_real_files_give_sound_blocks_within_their_time(path: Path) -> None:
    begin = time.perf_counter()
    try:
        parsed = parse_pdf(path.read_bytes())
    except InputError:
        assert path.name == "password.pdf"
        return
    assert time.perf_counter() - begin < 20
    assert_sound(parsed)
    assert "\ufffe" not in parsed.text
    assert "\x00" not in parsed.text
    if path.name == "multi-column-2p.pdf":
        left, right = (
            parsed.text.index("needs of improving retrieval"),
            parsed.text.index("Retrieval in open"),
        )
        assert left < right
