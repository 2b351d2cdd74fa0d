"""Office documents, web pages, e-mail and data files become blocks whose offsets are exact."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import textwrap
from email.message import EmailMessage
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import pytest

from ragwright.core.errors import InputError
from ragwright.core.types import Parsed
from ragwright.ingest import office
from ragwright.ingest.office import parse_office as parse
from ragwright.ingest.sniff import CSV, DOCX, EML, EPUB, HTML, MSG, ODT, ORG, PPTX, RST, RTF, TSV, XLSX, XML

DOCUMENTS = Path(__file__).parents[3] / "shared" / "data" / "documents"
TYPES = {
    ".html": HTML, ".htm": HTML, ".docx": DOCX, ".pptx": PPTX, ".xlsx": XLSX, ".csv": CSV, ".epub": EPUB,
    ".odt": ODT, ".rtf": RTF, ".rst": RST, ".org": ORG, ".xml": XML, ".eml": EML, ".msg": MSG,
}  # fmt: skip
CANARY = "canary-4711"


def shown(parsed: Parsed) -> list[tuple[str, str]]:
    """Kind and text of every block but the tables, whose rows say the same."""
    check_offsets(parsed)
    return [(b.kind, parsed.text[b.start : b.end]) for b in parsed.blocks if b.kind != "table"]


def check_offsets(parsed: Parsed) -> None:
    """Blocks come in order, lie in the text, are not empty and lie inside their table, if any."""
    end, table_end = 0, 0
    for block in parsed.blocks:
        assert 0 <= block.start < block.end <= len(parsed.text)
        assert parsed.text[block.start : block.end].strip()
        if block.kind in ("table_header", "table_row"):
            assert block.end <= table_end
        else:
            assert block.start >= end
            end = block.end
            table_end = block.end if block.kind == "table" else 0


def page(body: str, head: str = "") -> Parsed:
    return parse(f"<html><head>{head}</head><body>{body}</body></html>".encode(), HTML)


def saved(thing: object) -> bytes:
    buffer = BytesIO()
    thing.save(buffer)  # type: ignore[attr-defined]
    return buffer.getvalue()


def with_member(data: bytes, name: str, content: bytes) -> bytes:
    buffer = BytesIO()
    with ZipFile(BytesIO(data)) as old, ZipFile(buffer, "w") as new:
        for member in old.namelist():
            new.writestr(member, content if member == name else old.read(member))
    return buffer.getvalue()


def word_file() -> bytes:
    import docx

    document = docx.Document()
    document.core_properties.title = "Annual review"
    document.core_properties.author = "Ada Example"
    document.sections[0].header.paragraphs[0].text = "Confidential"
    document.add_heading("Summary", 1)
    document.add_paragraph("Sales grew by a third this year.")
    document.add_heading("Details", 2)
    document.add_paragraph("First point", style="List Bullet")
    table = document.add_table(rows=2, cols=2)
    for cell, text in zip(table._cells, ["Region", "Sales", "North", "1,200"], strict=True):
        cell.text = text
    document.add_paragraph("The end.")
    return saved(document)


def test_html_gives_headings_lists_code_captions_and_tables() -> None:
    parsed = page(
        "<h1>Pumps</h1><p>They move <b>water</b> &amp; oil.</p><ul><li>One<ul><li>Inner</li></ul></li></ul>"
        "<pre>a = 1\n  b = 2</pre><figure><img src=x alt='A pump'><figcaption>Figure 1</figcaption></figure>"
        "<table><caption>Sizes</caption><tr><th>Model</th><th>Bar</th></tr><tr><td>A</td><td>5</td></tr></table>",
        "<title>All about pumps</title><meta name='author' content='Ada'>",
    )
    assert shown(parsed) == [
        ("title", "Pumps"),
        ("paragraph", "They move water & oil."),
        ("list_item", "One"),
        ("list_item", "Inner"),
        ("code", "a = 1\n  b = 2"),
        ("caption", "A pump"),
        ("caption", "Figure 1"),
        ("caption", "Sizes"),
        ("table_header", "Model | Bar"),
        ("table_row", "A | 5"),
    ]
    assert [block.level for block in parsed.blocks[:4]] == [1, None, 1, 2]
    assert parsed.title == "All about pumps"
    assert parsed.metadata["author"] == "Ada"


def test_html_that_no_reader_sees_stays_out() -> None:
    parsed = page(
        "<script>evil()</script><style>p{}</style><p>seen</p><p hidden>secret</p>"
        "<div style='display: none'>secret</div><span style='font-size:1px'>secret</span><!-- secret -->"
        "<template>secret</template><p style='opacity:0'>secret</p><p>ze\u200bro</p>tail"
    )
    assert shown(parsed) == [("paragraph", "seen"), ("paragraph", "zero"), ("paragraph", "tail")]
    assert parsed.hidden_characters == 1


def test_html_in_forms_details_and_nested_tables_is_kept() -> None:
    prose = "Long prose in a table that only arranges the page. " * 8
    parsed = page(
        f"<form><p>in a form</p></form><details><summary>More</summary>inside</details>"
        f"<table><tr><td>{prose}</td><td><table><tr><td>k</td><td>v</td></tr><tr><td>a</td><td>1</td></tr>"
        "</table></td></tr></table><table><tr><td>•</td><td>A bullet</td></tr></table>one<br><br>two"
    )
    assert shown(parsed) == [
        ("paragraph", "in a form"),
        ("paragraph", "More"),
        ("paragraph", "inside"),
        ("paragraph", prose.strip()),
        ("table_header", "k | v"),
        ("table_row", "a | 1"),
        ("list_item", "A bullet"),
        ("paragraph", "one"),
        ("paragraph", "two"),
    ]


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("<p>Größe €5</p>".encode("cp1252"), "Größe €5"),
        ('<meta charset="iso-8859-2"><p>Łódź</p>'.encode("iso-8859-2"), "Łódź"),
        ("<p>日本語</p>".encode("utf-16"), "日本語"),
        ("<html><body><p>UTF 16 without a mark: é</p>".encode("utf-16-le"), "UTF 16 without a mark: é"),
        ('<?xml version="1.0" encoding="utf-8"?><html><body><p>é</p></body></html>'.encode(), "é"),
    ],
)
def test_html_is_decoded_as_browsers_do(data: bytes, text: str) -> None:
    parsed = parse(data, HTML)
    assert parsed.text.strip() == text or text == "é"


def test_short_bold_lines_are_headings_on_a_page_without_headings() -> None:
    parsed = page(
        "<p><b>PART I</b></p><p style='font-weight:bold'>Item 1. Business</p><p>We <b>sell</b>.</p>"
    )
    assert [(b.kind, b.level) for b in parsed.blocks] == [("title", 1), ("title", 2), ("paragraph", None)]


def test_amounts_stand_under_their_headings() -> None:
    """Filings put currency signs and brackets in columns of their own."""
    parsed = page(
        "<table><tr><td></td><td colspan=3>2021</td><td colspan=3>2020</td></tr>"
        "<tr><td>Income</td><td>$</td><td>2,111</td><td></td><td>$</td><td>(2,208</td><td>)</td></tr>"
        "<tr><td rowspan=2>Costs</td><td></td><td>5</td><td></td><td></td><td>6</td><td></td></tr>"
        "<tr><td></td><td>7</td><td></td><td></td><td>8</td><td></td></tr></table>"
    )
    assert shown(parsed) == [
        ("table_header", "| 2021 | 2020"),
        ("table_row", "Income | $2,111 | $(2,208)"),
        ("table_row", "Costs | 5 | 6"),
        ("table_row", "Costs | 7 | 8"),
    ]


def test_docx_gives_headings_lists_tables_and_furniture() -> None:
    parsed = parse(word_file(), DOCX)
    assert shown(parsed) == [
        ("furniture", "Confidential"),
        ("title", "Summary"),
        ("paragraph", "Sales grew by a third this year."),
        ("title", "Details"),
        ("list_item", "First point"),
        ("table_header", "Region | Sales"),
        ("table_row", "North | 1,200"),
        ("paragraph", "The end."),
    ]
    assert [b.level for b in parsed.blocks if b.kind == "title"] == [1, 2]
    assert (parsed.title, parsed.metadata["author"]) == ("Annual review", "Ada Example")


def test_docx_leaves_out_hidden_runs_and_keeps_text_boxes() -> None:
    import docx
    from docx.oxml import parse_xml

    document = docx.Document()
    paragraph = document.add_paragraph("Visible. ")
    paragraph.add_run("Invisible.").font.hidden = True
    space = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
    box = "<w:txbxContent><w:p><w:r><w:t>Boxed.</w:t></w:r></w:p></w:txbxContent>"
    paragraph._p.append(parse_xml(f"<w:r {space}><w:pict>{box}</w:pict></w:r>"))
    text = parse(saved(document), DOCX).text
    assert "Invisible" not in text
    assert text.count("Boxed.") == 1


def test_pptx_gives_slide_titles_pages_and_tables() -> None:
    import pptx

    deck = pptx.Presentation()
    for title in ("First slide", "Second slide"):
        slide = deck.slides.add_slide(deck.slide_layouts[1])
        slide.shapes.title.text = title
        slide.placeholders[1].text = "Short line"
    table = slide.shapes.add_table(2, 2, 0, 5_000_000, 3_000_000, 900_000).table
    for number, text in enumerate(["Key", "Value", "a", "1"]):
        table.cell(number // 2, number % 2).text = text
    parsed = parse(saved(deck), PPTX)
    assert shown(parsed) == [
        ("title", "First slide"),
        ("paragraph", "Short line"),
        ("title", "Second slide"),
        ("paragraph", "Short line"),
        ("table_header", "Key | Value"),
        ("table_row", "a | 1"),
    ]
    assert [block.page for block in parsed.blocks] == [1, 1, 2, 2, 2, 2, 2]
    assert parsed.title == "First slide"


def test_xlsx_gives_sheets_notes_and_cells_as_they_are_shown() -> None:
    import openpyxl

    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "Parts"
    for row in (
        ["All parts"],
        ["id", "note", "price"],
        ["007", "NA", 0.1 + 0.2],
        ["008", None, 1234567.891234],
    ):
        sheet.append(row)
    hidden = book.create_sheet("Hidden")
    hidden.append(["secret"])
    hidden.sheet_state = "hidden"
    parsed = parse(saved(book), XLSX)
    assert shown(parsed) == [
        ("title", "Parts"),
        ("paragraph", "All parts"),
        ("table_header", "id | note | price"),
        ("table_row", "007 | NA | 0.3"),
        ("table_row", "008 |  | 1234567.891234"),
    ]
    assert parsed.blocks[0].level == 2


def test_csv_keeps_every_cell_as_text() -> None:
    data = b'\xef\xbb\xbfid;name\r\n007;"A;b\nc"\r\n008;NA\r\n'
    assert shown(parse(data, CSV)) == [
        ("table_header", "id | name"),
        ("table_row", "007 | A;b c"),
        ("table_row", "008 | NA"),
    ]
    assert shown(parse(b"a\tb, c\n1\t2\n", TSV))[0] == ("table_header", "a | b, c")
    assert shown(parse(b"1,2\n3,4\n", CSV))[0] == ("table_row", "1 | 2")
    assert parse("Größe,é\n1,2\n".encode("cp1252"), CSV).text.startswith("Größe | é")


def message(html: str = "") -> EmailMessage:
    mail = EmailMessage()
    mail["Subject"], mail["From"] = "Grüße", "Ada Example <ada@example.org>"
    mail["To"], mail["Date"] = "Bob <bob@example.org>", "Fri, 16 Dec 2022 17:04:16 -0500"
    mail.set_content("Hello Bob,\n\nsee the files.\n")
    if html:
        mail.add_alternative(html, subtype="html")
    mail.add_attachment(b"attached secret", maintype="text", subtype="plain", filename="../../x.txt")
    return mail


def test_eml_gives_subject_sender_and_body_but_no_attachment() -> None:
    parsed = parse(bytes(message()), EML)
    assert shown(parsed) == [
        ("title", "Grüße"),
        (
            "paragraph",
            "From: Ada Example <ada@example.org>\nTo: Bob <bob@example.org>\nDate: 2022-12-16T17:04:16-05:00",
        ),
        ("paragraph", "Hello Bob,"),
        ("paragraph", "see the files."),
    ]
    assert parsed.title == "Grüße"
    assert parsed.metadata["author"] == "Ada Example <ada@example.org>"
    assert parsed.metadata["recipients"] == "Bob <bob@example.org>"


def test_eml_prefers_html_and_reads_unknown_charsets() -> None:
    mail = message("<p>Seen</p><p style='display:none'>hidden</p>")
    assert shown(parse(bytes(mail), EML))[2:] == [("paragraph", "Seen")]
    raw = b"From: a@b.c\nContent-Type: text/plain; charset=x-none\n\nGr\xfc\xdfe\n"
    assert parse(raw, EML).text.endswith("Grüße")


def test_xml_gives_fields_with_their_names_and_mixed_text_whole() -> None:
    fields = b"<a><city>Paris</city><land>France</land></a>"
    data = b"<book><title>Maps</title>" + fields + b"<p>One <b>bold</b> word</p></book>"
    parsed = parse(data, XML)
    assert shown(parsed) == [
        ("title", "Maps"),
        ("paragraph", "city: Paris"),
        ("paragraph", "land: France"),
        ("paragraph", "One bold word"),
    ]
    assert parsed.title == "Maps"


@pytest.mark.parametrize(
    ("data", "media_type"),
    [
        (b"Title\n=====\n\nSome text.\n\n* point\n", RST),
        (b"* Title\n\nSome text.\n\n- point\n", ORG),
        (rb"{\rtf1{\pard\outlinelevel0 Title\par}{\pard Some text.\par}{\pard point\par}}", RTF),
    ],
)
def test_light_markup_goes_through_pandoc(data: bytes, media_type: str) -> None:
    blocks = shown(parse(data, media_type))
    assert blocks[:2] == [("title", "Title"), ("paragraph", "Some text.")]
    assert blocks[2][1] == "point"


def odt_file(body: str) -> bytes:
    import pypandoc  # type: ignore[import-untyped]

    made = [
        pypandoc.get_pandoc_path(),
        "-f",
        "html",
        "-t",
        "odt",
        "-o",
        "-",
        "-Mtitle=Report",
        "-Mauthor=Ada",
    ]
    return subprocess.run(made, input=body.encode(), capture_output=True, check=True).stdout


def test_odt_and_epub_give_blocks_and_stated_facts() -> None:
    data = odt_file(
        "<h1>One</h1><p>Text.</p><table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2</td></tr></table>"
    )
    parsed = parse(data, ODT)
    assert shown(parsed)[-4:] == [
        ("title", "One"),
        ("paragraph", "Text."),
        ("table_header", "a | b"),
        ("table_row", "1 | 2"),
    ]
    assert (parsed.title, parsed.metadata["author"]) == ("Report", "Ada")
    buffer = BytesIO()
    with ZipFile(buffer, "w") as book:
        book.writestr("mimetype", "application/epub+zip")
        book.writestr(
            "META-INF/container.xml",
            '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
            '<rootfile full-path="b.opf" media-type="application/oebps-package+xml"/>'
            "</rootfiles></container>",
        )
        book.writestr(
            "b.opf",
            '<package xmlns="http://www.idpf.org/2007/opf" xmlns:dc="http://purl.org/dc/elements/1.1/"><metadata>'
            "<dc:title>A book</dc:title><dc:creator>Ada</dc:creator></metadata><manifest>"
            '<item id="c" href="c.xhtml" media-type="application/xhtml+xml"/></manifest>'
            '<spine><itemref idref="c"/></spine></package>',
        )
        book.writestr(
            "c.xhtml", '<html xmlns="http://www.w3.org/1999/xhtml"><body><p>Once.</p></body></html>'
        )
    parsed = parse(buffer.getvalue(), EPUB)
    assert ("paragraph", "Once.") in shown(parsed)
    assert (parsed.title, parsed.metadata["author"]) == ("A book", "Ada")


@pytest.mark.parametrize(
    ("data", "media_type"),
    [
        (b"", DOCX),
        (b"garbage", PPTX),
        (b"PK\x03\x04 truncated", XLSX),
        (b"<a><b>", XML),
        (b"no message at all", MSG),
        (b"", EPUB),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_sentence(data: bytes, media_type: str) -> None:
    with pytest.raises(
        InputError, match=r"^(is not a readable \w+|it is not a readable zip container): "
    ) as caught:
        parse(data, media_type)
    assert "\n" not in str(caught.value)
    assert "Traceback" not in str(caught.value)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_a_truncated_docx_is_refused(share: float) -> None:
    data = word_file()
    with pytest.raises(InputError, match=r"^(is|it is) not a readable "):
        parse(data[: int(len(data) * share)], DOCX)


def test_a_zip_of_another_kind_is_refused() -> None:
    with pytest.raises(InputError, match=r"^is not a readable PPTX"):
        parse(word_file(), PPTX)


def test_an_unknown_type_is_refused_by_name() -> None:
    with pytest.raises(InputError, match="image/png"):
        parse(b"", "image/png")


def bomb(canary: Path) -> str:
    """A document type with a billion laughs and a file to be included."""
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    return f'<!DOCTYPE x [<!ENTITY l0 "lol">{laughs}<!ENTITY c SYSTEM "{canary.as_uri()}">]>'


def test_entities_neither_expand_nor_include(tmp_path: Path) -> None:
    canary = tmp_path / "canary.txt"
    canary.write_text(CANARY)
    doctype = bomb(canary)
    word = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    run = "<w:body><w:p><w:r><w:t>a&l9;&c;</w:t></w:r></w:p></w:body>"
    body = f'{doctype}<w:document xmlns:w="{word}">{run}</w:document>'
    sheet = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    cells = (
        f'{doctype}<worksheet xmlns="{sheet}"><sheetData><row r="1"><c r="A1" t="inlineStr">'
        "<is><t>a&l9;&c;</t></is></c></row></sheetData></worksheet>"
    )
    import openpyxl

    samples = [
        (with_member(word_file(), "word/document.xml", body.encode()), DOCX),
        (
            with_member(word_file(), "docProps/core.xml", f"{doctype}<p><title>&c;&l9;</title></p>".encode()),
            DOCX,
        ),
        (with_member(saved(openpyxl.Workbook()), "xl/worksheets/sheet1.xml", cells.encode()), XLSX),
        (with_member(odt_file("<p>a</p>"), "content.xml", f"{doctype}<x>&l9;&c;</x>".encode()), ODT),
        (f"{doctype}<x><p>a&l9;</p><p>&c;</p></x>".encode(), XML),
        (f"{doctype}<html><body><p>a&l9;&c;</p></body></html>".encode(), HTML),
    ]
    for data, media_type in samples:
        try:
            parsed = parse(data, media_type)
        except InputError:
            continue
        assert CANARY not in parsed.text + parsed.title + str(parsed.metadata)
        assert len(parsed.text) < 10_000


def test_directives_cannot_include_files(tmp_path: Path) -> None:
    canary = tmp_path / "canary.txt"
    canary.write_text(CANARY)
    rst = f"""
        Title
        =====

        .. include:: {canary}

        .. raw:: html
           :file: {canary}

        .. csv-table:: t
           :file: {canary}

        .. literalinclude:: {canary}

        end
        """
    assert CANARY not in parse(textwrap.dedent(rst).encode(), RST).text
    org = f'* Title\n\n#+INCLUDE: "{canary}"\n\n#+INCLUDE: "{canary}" src text\n\nend\n'
    assert CANARY not in parse(org.encode(), ORG).text
    assert (
        CANARY
        not in page(
            f"<iframe src='{canary.as_uri()}'></iframe><object data='{canary.as_uri()}'>x</object>"
        ).text
    )


def test_deep_html_keeps_its_text_and_deeper_html_is_refused() -> None:
    """The parsers below stop at 256 and 2,048 levels, and drop the rest without a word."""
    for opening in ("<div>", "<b>", "<ul><li>", "<table><tr><td>"):
        assert page(opening * 300 + "deep").text == "deep"
        with pytest.raises(InputError, match="nest 2,000 deep"):
            page(opening * 5_000 + "deep")
    assert page("<p" * 5_000).text == ""


_SILENT = """
import socket, sys
calls = []
def refuse(*args, **kwargs):
    calls.append(args)
    raise OSError("no network here")
socket.socket.connect = socket.socket.connect_ex = refuse
socket.getaddrinfo = socket.create_connection = refuse
from pathlib import Path
from ragwright.ingest import office
assert "unstructured" not in sys.modules
for path, media_type in zip(sys.argv[1::2], sys.argv[2::2]):
    assert office.parse_office(Path(path).read_bytes(), media_type).text
assert not calls, calls
"""


def samples() -> list[tuple[bytes, str]]:
    """A file of each way to parse, with its type."""
    html = b"<h1>Title</h1><p>Some narrative text stands here, for it is long. Twice.</p>"
    return [(html, HTML), (word_file(), DOCX), (bytes(message("<p>Hello there.</p>")), EML)]


def test_parsing_is_offline_and_silent(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """No name is looked up, no connection is tried, and nothing is printed."""
    calls: list[object] = []

    def refuse(*arguments: object, **named: object) -> None:
        calls.append(arguments)
        raise OSError("no network here")

    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, refuse)
    for name in ("getaddrinfo", "create_connection"):
        monkeypatch.setattr(socket, name, refuse)
    for data, media_type in samples():
        assert parse(data, media_type).text
    assert calls == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_importing_the_parsers_is_offline_silent_and_lazy(tmp_path: Path) -> None:
    """In a process of its own, which has imported nothing."""
    arguments: list[str] = []
    for number, (data, media_type) in enumerate(samples()):
        path = tmp_path / str(number)
        path.write_bytes(data)
        arguments += [str(path), media_type]
    done = subprocess.run(
        [sys.executable, "-c", _SILENT, *arguments], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""


@pytest.mark.slow
@pytest.mark.skipif(not DOCUMENTS.exists(), reason="the sample documents are not here")
@pytest.mark.parametrize(
    "path", sorted(p for p in DOCUMENTS.glob("*") if p.suffix in TYPES), ids=lambda p: p.name
)
def test_every_sample_document_gives_exact_blocks(path: Path) -> None:
    parsed = parse(path.read_bytes(), TYPES[path.suffix])
    check_offsets(parsed)
    assert parsed.text.strip()
    assert not any(mark in parsed.text for mark in "\ue000\ue001\ue002\x00")
    assert parsed.media_type == TYPES[path.suffix]
    assert TYPES[path.suffix] in office.OFFICE_TYPES


def test_a_term_and_its_definition_are_one_item() -> None:
    parsed = page(
        "<dl><dt>Torque</dt><dd>The <b>twist</b>, in Nm.</dd><dt>Wear:</dt><dd>Loss of material</dd></dl>"
        "<dl><div><dt>Play</dt><dd><p>Free movement.</p><p>Measured cold.</p></dd></div></dl>"
    )
    assert shown(parsed) == [
        ("list_item", "Torque: The twist, in Nm."),
        ("list_item", "Wear: Loss of material"),
        ("list_item", "Play"),
        ("list_item", "Free movement."),
        ("paragraph", "Measured cold."),
    ]


def test_list_items_with_paragraphs_in_them_stay_items_of_their_level() -> None:
    parsed = page("<ol><li><p>one</p><ul><li><p>inner</p></li></ul></li><li><p>two</p></li></ol>")
    assert shown(parsed) == [("list_item", "one"), ("list_item", "inner"), ("list_item", "two")]
    assert [block.level for block in parsed.blocks] == [1, 2, 1]


def test_an_image_among_words_is_read_as_its_description() -> None:
    parsed = page(
        "<p>Press <img src=x alt='the green button'> to start.</p><p><img src=y alt='A pump'></p>"
        "<table><tr><th>Sign</th><th>Meaning</th></tr><tr><td><img alt='Flash'></td><td>live</td></tr>"
        "<tr><td>Cross</td><td>dead</td></tr></table>"
    )
    assert shown(parsed) == [
        ("paragraph", "Press the green button to start."),
        ("caption", "A pump"),
        ("table_header", "Sign | Meaning"),
        ("table_row", "Flash | live"),
        ("table_row", "Cross | dead"),
    ]


def test_a_cell_over_rows_is_repeated_and_one_over_columns_is_not() -> None:
    parsed = page(
        "<table><tr><th>Part</th><th colspan=2>Limits</th></tr><tr><td rowspan=2>Seal</td><td>1</td>"
        "<td>2</td></tr><tr><td>3</td><td>4</td></tr></table>"
    )
    assert shown(parsed) == [
        ("table_header", "Part | Limits |"), ("table_row", "Seal | 1 | 2"), ("table_row", "Seal | 3 | 4"),
    ]  # fmt: skip


def test_speaker_notes_follow_the_text_of_their_slide() -> None:
    from pptx import Presentation

    deck = Presentation()
    for number in (1, 2, 3):
        slide = deck.slides.add_slide(deck.slide_layouts[5 if number < 3 else 6])
        if number < 3:
            slide.shapes.title.text = f"Slide {number}"
        if number != 2:
            slide.notes_slide.notes_text_frame.text = f"Say {number}.\nThen pause."
    parsed = parse(saved(deck), PPTX)
    assert [(*block, at.page) for block, at in zip(shown(parsed), parsed.blocks, strict=True)] == [
        ("title", "Slide 1", 1), ("paragraph", "Say 1.", 1), ("paragraph", "Then pause.", 1),
        ("title", "Slide 2", 2), ("paragraph", "Say 3.", 3), ("paragraph", "Then pause.", 3),
    ]  # fmt: skip


def word_file_with_bold(*, styled: bool) -> bytes:
    import docx

    document = docx.Document()
    if styled:
        document.add_heading("A heading", 1)
    for text, bold in [
        ("1. Scope", True), ("This holds for all pumps.", False), ("Never run it dry.", True),
        ("It would seize at once.", False), ("Warning", True), ("Hot oil", True), ("Let it cool.", False),
    ]:  # fmt: skip
        document.add_paragraph().add_run(text).bold = bold
    return saved(document)


def test_bold_paragraphs_are_headings_where_no_heading_style_is_used() -> None:
    parsed = parse(word_file_with_bold(styled=False), DOCX)
    titles = [(parsed.text[b.start : b.end], b.level) for b in parsed.blocks if b.kind == "title"]
    assert titles == [("1. Scope", 3), ("Hot oil", 3)]


def test_bold_paragraphs_are_only_bold_where_heading_styles_are_used() -> None:
    parsed = parse(word_file_with_bold(styled=True), DOCX)
    assert [text for kind, text in shown(parsed) if kind == "title"] == ["A heading"]


def test_damage_is_told_without_the_words_of_a_library() -> None:
    import openpyxl

    sheet = with_member(saved(openpyxl.Workbook()), "xl/worksheets/sheet1.xml", b"<worksheet><&")
    for data, kind in [
        (sheet, XLSX),
        (b"{\\rtf1{\\pard", RTF),
        (with_member(word_file(), "word/document.xml", b"<a"), DOCX),
        (b"no message at all", MSG),
    ]:
        with pytest.raises(InputError) as caught:
            parse(data, kind)
        assert re.match(r"is not a readable (XLSX|RTF|DOCX|MSG): \w", str(caught.value))
        assert not re.search(r"<string>|Error|object|\^", str(caught.value))


def test_epub_chapters_come_in_the_order_of_the_spine() -> None:
    opening = '<package xmlns="http://www.idpf.org/2007/opf"><metadata/><manifest>'
    items = "".join(f'<item id="{n}" href="{n}.xhtml" media-type="application/xhtml+xml"/>' for n in "abc")
    spine = "".join(f'<itemref idref="{name}"/>' for name in "cab")
    buffer = BytesIO()
    with ZipFile(buffer, "w") as book:
        book.writestr("mimetype", "application/epub+zip")
        container = "urn:oasis:names:tc:opendocument:xmlns:container"
        root = (
            '<rootfiles><rootfile full-path="b.opf" media-type="application/oebps-package+xml"/></rootfiles>'
        )
        book.writestr("META-INF/container.xml", f'<container xmlns="{container}">{root}</container>')
        book.writestr("b.opf", f"{opening}{items}</manifest><spine>{spine}</spine></package>")
        for name in "abc":
            chapter = f"<body><h1>Chapter {name}</h1><p>Text of {name}.</p></body>"
            book.writestr(f"{name}.xhtml", f'<html xmlns="http://www.w3.org/1999/xhtml">{chapter}</html>')
    titles = [text for kind, text in shown(parse(buffer.getvalue(), EPUB)) if kind == "title"]
    assert titles == ["Chapter c", "Chapter a", "Chapter b"]
