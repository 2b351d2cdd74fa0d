"""Lines on a page become rows, columns, tables, paragraphs and headings; no PDF is needed for it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ragwright.ingest.pdf_blocks import blocks_of
from ragwright.ingest.pdf_facts import iso_date, sensible_title
from ragwright.ingest.pdf_furniture import split_furniture
from ragwright.ingest.pdf_layout import Line, Page, join_row, reading_order, rows_of
from ragwright.ingest.pdf_paragraphs import Compounds, join_lines, paragraphs
from ragwright.ingest.pdf_table import Table, split_tables
from ragwright.ingest.pdf_titles import Entry

BOUNDS = (0.0, 0.0, 600.0, 800.0)


def line(
    text: str, left: float, baseline: float, *, size: float = 10, bold: bool = False, order: int = 0
) -> Line:
    """A line whose glyphs are half as wide as high."""
    return Line(text, left, left + 0.5 * size * len(text), baseline, size, bold, order)


def column(word: str, left: float, *, count: int, order: int, top: float = 700) -> list[Line]:
    """Lines of equal length, one below the other."""
    return [
        line(f"{word} {number:02} " + "x" * 40, left, top - 12 * number, order=order + number)
        for number in range(count)
    ]


lines_anywhere = st.lists(
    st.builds(
        line,
        st.text("ab c.-1", min_size=1, max_size=30).map(lambda text: text.strip() or "a"),
        st.floats(0, 500),
        st.floats(0, 780),
        size=st.sampled_from([6.0, 10.0, 18.0]),
        order=st.integers(0, 1000),
    ),
    max_size=40,
)


@given(lines_anywhere)
def test_reading_order_keeps_every_line_once(lines: list[Line]) -> None:
    ordered = [one for region in reading_order(lines) for one in region]
    assert sorted(map(repr, ordered)) == sorted(map(repr, lines))


@given(lines_anywhere)
def test_rows_tables_and_paragraphs_lose_nothing(lines: list[Line]) -> None:
    rows = rows_of(lines)
    assert sum(map(len, rows)) == len(lines)
    parts = split_tables(rows)
    cells = sum(len(" ".join(row).split()) for part in parts if isinstance(part, Table) for row in part.rows)
    words = sum(len(one.text.split()) for part in parts if not isinstance(part, Table) for one in part)
    assert cells + words == sum(len(one.text.split()) for one in lines)
    joined = [join_row(row) for row in rows]
    assert [one for group in paragraphs(joined) for one in group] == joined


@given(lines_anywhere, lines_anywhere)
def test_every_block_has_its_page_and_a_box(first: list[Line], second: list[Line]) -> None:
    pieces = blocks_of([Page(1, BOUNDS, tuple(first)), Page(2, BOUNDS, tuple(second))])
    assert [piece.page for piece in pieces] == sorted(piece.page for piece in pieces)
    assert all(piece.box[0] <= piece.box[2] and piece.box[1] < piece.box[3] for piece in pieces)


def test_columns_are_read_one_after_the_other_and_a_title_across_them_first() -> None:
    title = line("A title that spans both of the columns below it", 150, 740, order=0)
    left, right = column("left", 50, count=10, order=1), column("right", 320, count=10, order=20)
    assert reading_order([title, *right, *left]) == [[title], left, right]


def test_three_columns_are_read_one_after_the_other() -> None:
    sides = [
        [line("word " * 6 + "end", left, 700 - 12 * n, size=9, order=100 * left + n) for n in range(9)]
        for left in (20, 220, 420)
    ]
    assert reading_order([one for side in sides for one in side]) == sides


def test_prose_in_three_columns_is_no_table() -> None:
    rows = [
        [line("words that fill a line of text", left, 700 - 12 * n) for left in (20, 220, 420)]
        for n in range(9)
    ]
    assert not any(isinstance(part, Table) for part in split_tables(rows))


def test_a_cell_of_two_lines_is_one_cell() -> None:
    rows = [[line(text, 50 + 150 * at, 700 - 12 * n) for at, text in enumerate(texts) if text]
            for n, texts in enumerate([("Part", "Nm", "Note"), ("Head", "85", "oil the"), ("", "", "thread"),
                                       ("Sump", "12", "dry"), ("Plug", "30", "ring")])]  # fmt: skip
    (table,) = split_tables(rows)
    assert isinstance(table, Table)
    assert table.header_rows == 1
    assert table.rows == (
        ("Part", "Nm", "Note"),
        ("Head", "85", "oil the thread"),
        ("Sump", "12", "dry"),
        ("Plug", "30", "ring"),
    )


def test_a_head_that_changes_is_furniture_when_it_counts_the_pages() -> None:
    names = ["Oil", "Fuel", "Air", "Water", "Brakes", "Tyres"]
    pages = [
        Page(number, BOUNDS, (line(f"{number + 10} {name}", 50, 770), line(f"{name} matters", 50, 400)))
        for number, name in enumerate(names, start=1)
    ]
    heads = [[one.text for one in head] for head, _, _ in split_furniture(pages)]
    assert heads == [[f"{number + 10} {name}"] for number, name in enumerate(names, start=1)]


def test_a_line_that_comes_back_far_away_is_no_furniture() -> None:
    texts = {3: "From the same book", 40: "From the same book", 90: "From the same book"}
    pages = [
        Page(n, BOUNDS, (line(texts.get(n, f"Start {'abc'[n % 3] * n}"), 50, 770),)) for n in range(1, 100)
    ]
    assert not any(head for head, _, _ in split_furniture(pages))


def sheets(*heads: str, step: float = 12, top: float = 770) -> list[Page]:
    """Pages that begin with a row and go on, after a step, with ten lines."""
    return [
        Page(
            number,
            BOUNDS,
            (line(head, 50, top), *column(f"body {number}", 50, count=10, order=1, top=top - step)),
        )
        for number, head in enumerate(heads, start=1)
    ]


def furniture(pages: list[Page]) -> list[list[str]]:
    """Texts of the head and the foot of each page."""
    return [[one.text for one in head + foot] for head, _, foot in split_furniture(pages)]


def test_rows_that_differ_in_digits_only_stay_in_the_body() -> None:
    numbers = range(4711, 4717)
    for step in (12, 40):
        assert not any(furniture(sheets(*(f"Serial no. {number * 7}" for number in numbers), step=step)))
        assert not any(furniture(sheets(*(f"Serial no. {number}" for number in numbers), step=step)))
        assert not any(furniture(sheets(*(f"Form {number - 4710}" for number in numbers), step=step)))


def test_a_row_that_comes_back_without_a_gap_to_the_body_stays_there() -> None:
    assert not any(furniture(sheets(*["Inspection record of the depot"] * 6)))
    assert furniture(sheets(*["Inspection record"] * 6, step=30)) == [["Inspection record"]] * 6


def test_small_rows_that_come_back_are_furniture_without_a_gap() -> None:
    pages = [
        Page(page.number, BOUNDS, (line("Edition 3", 50, 781, size=7), *page.lines))
        for page in sheets("One", "Two", "Three")
    ]
    assert furniture(pages) == [["Edition 3"]] * 3


def test_running_heads_may_stand_on_every_other_page() -> None:
    heads = ["Pump manual", "The oil circuit"] * 4
    assert furniture(sheets(*heads, step=40)) == [[head] for head in heads]


def test_a_head_with_the_number_of_its_page_is_furniture_and_three_rows_are_not_all() -> None:
    pages = [
        Page(page.number, BOUNDS, (
            line("Pump manual", 50, 794), line(f"Page {page.number} of 5", 400, 794),
            line("ACME", 50, 782), *page.lines,
        ))
        for page in sheets(*["Depot north"] * 5, step=40)
    ]  # fmt: skip
    assert furniture(pages) == [[f"Pump manual Page {number} of 5", "ACME"] for number in range(1, 6)]


def test_a_lone_number_at_the_edge_of_a_short_document_is_its_page_number() -> None:
    for count in (1, 2):
        pages = [
            Page(page.number, BOUNDS, (*page.lines, line(f"{page.number + 56}", 300, 40)))
            for page in sheets(*["A first line"] * count)
        ]
        assert furniture(pages) == [[str(number + 57)] for number in range(count)]
    one = sheets("A first line")[0]
    assert furniture([Page(1, BOUNDS, (*one.lines, line("471105", 300, 40)))]) == [[]]
    assert furniture([Page(1, BOUNDS, (*one.lines, line("42", 50, one.lines[-1].baseline - 12)))]) == [[]]


def test_a_sentence_that_goes_on_in_the_next_column_is_one_paragraph() -> None:
    left = [line("left " + "x" * 40, 50, 700 - 12 * n, order=n) for n in range(8)]
    note = line("1 A note below the column", 50, 590, size=8, order=9)
    right = [line("notice.", 320, 700, order=10), *column("Right", 335, count=8, order=11, top=688)]
    pieces = blocks_of([Page(1, BOUNDS, (*left, note, *right))])
    assert [piece.text[-7:] for piece in pieces] == ["notice.", " column", "x" * 7]
    full = [*left[:-1], line("left " + "x" * 39 + ".", 50, 616, order=8)]
    assert len(blocks_of([Page(1, BOUNDS, (*full, note, *right))])) == 4


def kinds_of(*lines: Line, body: int = 8) -> list[str]:
    """Kinds of the blocks of a page with these lines and a paragraph below them."""
    return [
        piece.kind
        for piece in blocks_of(
            [Page(1, BOUNDS, (*lines, *column("body", 50, count=body, order=99, top=400)))]
        )
    ]


def test_more_than_three_large_lines_in_a_row_are_a_display() -> None:
    sizes = [18.0, 30.0, 16.0, 22.0]
    shown = [line(f"Large words {at}", 50, 740 - 60 * at, size=size) for at, size in enumerate(sizes)]
    assert kinds_of(*shown) == ["paragraph", "title", "paragraph", "paragraph", "paragraph"]
    assert kinds_of(*shown[:3]) == ["title", "title", "title", "paragraph"]


def test_lines_of_authors_and_addresses_are_no_titles() -> None:
    for text in ("Ada King, Alan M. Turing, Grace Hopper", "Ada King†, Alan Turing‡", "ada@example.org"):
        assert kinds_of(line(text, 50, 740, size=14)) == ["paragraph", "paragraph"]
    assert kinds_of(line("Torque, Wear, Tension", 50, 740, size=14)) == ["title", "paragraph"]


def test_a_large_line_at_the_end_of_the_last_page_heads_nothing() -> None:
    first = Page(1, BOUNDS, tuple(column("body", 50, count=8, order=1)))
    last = Page(2, BOUNDS, (*column("body", 50, count=8, order=1), line("The end", 50, 300, size=20)))
    assert [piece.kind for piece in blocks_of([first, last])] == ["paragraph"] * 3


def test_an_indented_line_and_a_full_stop_before_the_margin_part_paragraphs() -> None:
    texts = [("First line of a paragraph that is long", 50), ("and its end.", 50),
             ("Second one begins here and is long too", 50), ("with one more line that is long as well", 50),
             ("Third one is indented, as in a novel", 65)]  # fmt: skip
    lines = [line(text, left, 700 - 12 * n) for n, (text, left) in enumerate(texts)]
    assert [len(group) for group in paragraphs(lines)] == [2, 2, 1]


def test_a_hyphen_stays_in_chains_numbers_capitals_and_known_compounds() -> None:
    compounds = Compounds(["a dual-encoder model"])
    assert join_lines(["state-of-the-", "art"], compounds) == "state-of-the-art"
    assert join_lines(["a 72-", "hectare site"], compounds) == "a 72-hectare site"
    assert join_lines(["the Lucene-", "BM25 system"], compounds) == "the Lucene-BM25 system"
    assert join_lines(["a Dual-", "encoder"], compounds) == "a Dual-encoder"
    assert join_lines(["pre-", "sentation"], compounds) == "presentation"
    assert join_lines(["lub\u00ad", "ricant"], compounds) == "lubricant"
    assert join_lines(["from 1990 -", "at least"], compounds) == "from 1990 - at least"


def test_a_bookmark_turns_a_plain_line_into_a_heading_of_its_level() -> None:
    lines = (line("2.1 Filters", 50, 700), *column("body", 50, count=5, order=1, top=660))
    pieces = blocks_of([Page(1, BOUNDS, lines)], [Entry("Filters", 2, 1), Entry("2.1 Filters", 2, 1)])
    assert [(piece.kind, piece.level) for piece in pieces] == [("title", 2), ("paragraph", None)]


def test_titles_that_say_nothing_are_left_out() -> None:
    stated = [
        "untitled",
        "Microsoft Word - Torque.docx",
        "scan001.jpg",
        "Document1",
        "Table of Contents",
        "Contents of oil",
    ]
    assert [sensible_title(one) for one in stated] == ["", "Torque", "", "", "", "Contents of oil"]


def test_dates_are_as_precise_as_stated() -> None:
    assert iso_date("D:20230621080837Z") == "2023-06-21T08:08:37Z"
    assert iso_date("20230621") == "2023-06-21"
    assert iso_date("") == ""
