"""What a PDF states about itself: title, author, subject, date."""

from __future__ import annotations

import re
from collections.abc import Mapping

_DATE = re.compile(r"(?:D:)?(\d{4})(\d\d)?(\d\d)?(?:(\d\d)(\d\d)(\d\d)?(?:(Z)|([+-])(\d\d)'?(\d\d)?)?)?")
_PROGRAM = re.compile(r"^(?:microsoft (?:office )?(?:word|powerpoint|excel))\s*-\s*", re.IGNORECASE)
_ENDING = re.compile(r"\.(?:docx?|pptx?|xlsx?|odt|rtf|tex|dvi|indd|qxd|pdf|txt|ps)$", re.IGNORECASE)
_IMAGE = re.compile(r"\.(?:jpe?g|png|tiff?|bmp|gif|eps)$", re.IGNORECASE)
_SAYS_NOTHING = re.compile(
    r"(?:untitled|unbenannt|sans titre|unknown|(?:(?:table of )?contents|inhalt(?:sverzeichnis)?"
    r"|sommaire|índice|document|title|slide|presentation|abstract)(?=[\W\d_]*$))?[\W\d_]*",
    re.IGNORECASE,
)
_LONGEST_TITLE = 300


def sensible_title(stated: str) -> str:
    """The title a PDF states, without the program and file ending it was made from, or "".

    >>> sensible_title("Microsoft Word - Annual report.doc"), sensible_title("Untitled-1")
    ('Annual report', '')
    """
    title = _ENDING.sub("", _PROGRAM.sub("", " ".join(stated.split())))
    if _IMAGE.search(title) or _SAYS_NOTHING.fullmatch(title) or len(title) > _LONGEST_TITLE:
        return ""
    return title


def iso_date(stated: str) -> str:
    """A PDF date in ISO 8601, as precise as it was stated, or "" when it is none.

    >>> iso_date("D:20230227044202+11'00'"), iso_date("D:2023"), iso_date("yesterday")
    ('2023-02-27T04:42:02+11:00', '2023', '')
    """
    match = _DATE.match(stated.strip())
    if match is None:
        return ""
    year, month, day, hour, minute, second, zulu, sign, zone_hours, zone_minutes = match.groups()
    date = "-".join(part for part in (year, month, day) if part)
    if not (month and day and hour):
        return date
    zone = "Z" if zulu else f"{sign}{zone_hours}:{zone_minutes or '00'}" if sign else ""
    return f"{date}T{hour}:{minute}:{second or '00'}{zone}"


def metadata_of(facts: Mapping[str, str], *, pages: int, unreadable: int) -> dict[str, str]:
    """Flat facts under our names.

    Args:
        facts: The document information dictionary.
        pages: How many the file has.
        unreadable: How many of them could not be read.

    Returns:
        `pages`, and where known `author`, `subject`, `date`; `unreadable_pages` when there are any.
    """
    metadata = {
        "author": _stated(facts, "Author"),
        "subject": _stated(facts, "Subject"),
        "date": iso_date(facts.get("CreationDate", "")),
        "pages": str(pages),
        "unreadable_pages": str(unreadable) if unreadable else "",
    }
    return {key: value for key, value in metadata.items() if value}


def _stated(facts: Mapping[str, str], key: str) -> str:
    """The fact on one line, or "" for what programs fill in when nobody stated it."""
    value = " ".join(facts.get(key, "").split())
    return "" if value.casefold() in ("anonymous", "unspecified", "unknown") else value
