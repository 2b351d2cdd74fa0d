"""E-mail (EML and Outlook MSG): its headers and its body; attachments stay closed."""

from __future__ import annotations

import email
import email.policy
import re
from dataclasses import dataclass
from email.errors import MessageError
from email.message import EmailMessage
from email.utils import parsedate_to_datetime
from io import BytesIO

from ragwright.core.errors import InputError
from ragwright.ingest.charset import decode_markup, decode_text

MAX_RECIPIENTS = 50


@dataclass(frozen=True, slots=True)
class Message:
    """An e-mail.

    Attributes:
        subject: Its subject, or "".
        author: Who wrote it, or "".
        recipients: To whom, comma-separated, or "".
        date: When, as ISO 8601, or as the message says it, or "".
        html: The body as HTML; "" when there is only plain text.
        text: The body as plain text; "" when there is HTML.
    """

    subject: str
    author: str
    recipients: str
    date: str
    html: str
    text: str

    @property
    def summary(self) -> str:
        """One paragraph that says who wrote to whom and when."""
        parts = (("From", self.author), ("To", self.recipients), ("Date", self.date))
        return "\n".join(f"{label}: {value}" for label, value in parts if value)

    @property
    def metadata(self) -> dict[str, str]:
        """`author`, `recipients`, `date` and `subject`, as far as stated."""
        facts = {"author": self.author, "recipients": self.recipients, "date": self.date}
        return {key: value for key, value in {**facts, "subject": self.subject}.items() if value}


def read_eml(data: bytes) -> Message:
    """Read an RFC 5322 message.

    Raises:
        InputError: It has neither headers nor a body.
    """
    try:
        message = email.message_from_bytes(data, policy=email.policy.default)
        html, text = _body(message)
    except (MessageError, LookupError, ValueError, AttributeError, TypeError) as error:
        raise InputError(str(error)) from error
    if not message.keys():
        raise InputError("it has no headers")
    return Message(
        _header(message, "Subject"),
        _header(message, "From"),
        _shortened(_header(message, "To")),
        _date(_header(message, "Date")),
        html,
        text,
    )


def read_msg(data: bytes) -> Message:
    """Read an Outlook message.

    Raises:
        InputError: It is not one.
    """
    from oxmsg import Message as OutlookMessage
    from oxmsg.domain.model import UnrecognizedCodePageError, UnsupportedEncodingError

    try:
        message = OutlookMessage.load(BytesIO(data))
        headers = message.message_headers
        recipients = ", ".join(filter(None, map(_recipient, message.recipients)))
        sent = message.sent_date.isoformat() if message.sent_date else ""
        author = message.sender or headers.get("From", "")
        return Message(
            message.subject or "",
            _clean(author),
            _shortened(recipients),
            sent or _date(headers.get("Date", "")),
            message.html_body or "",
            "" if message.html_body else message.body or "",
        )
    except (LookupError, AttributeError, TypeError) as error:
        raise InputError("its contents are damaged") from error
    except (OSError, ValueError, EOFError, UnrecognizedCodePageError, UnsupportedEncodingError) as error:
        raise InputError(str(error)) from error


def paragraphs(text: str) -> list[str]:
    """Plain text parted at blank lines."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return [part.strip("\n") for part in re.split(r"\n[ \t\u00a0]*\n+", text) if part.strip()]


def _recipient(recipient: object) -> str:
    name = str(getattr(recipient, "name", "") or "")
    address = str(getattr(recipient, "email_address", "") or "")
    return f"{name} <{address}>" if name and address and name != address else name or address


def _body(message: EmailMessage) -> tuple[str, str]:
    """The body as HTML or as plain text, HTML first; one of both is ""."""
    part = message.get_body(preferencelist=("html", "plain"))
    if part is None:
        return "", ""
    payload = part.get_payload(decode=True)
    if not isinstance(payload, bytes):
        return "", ""
    charset = part.get_content_charset() or ""
    if part.get_content_type() == "text/html":
        known = decode_text(payload, declared=charset) if charset else decode_markup(payload)
        return known, ""
    return "", decode_text(payload, declared=charset)


def _header(message: EmailMessage, name: str) -> str:
    """A header, decoded; senders that break the standard by raw 8-bit text are read as well."""
    try:
        return _clean(str(message.get(name, "")))
    except (ValueError, IndexError, AttributeError, TypeError, MessageError, InputError):
        return ""


def _clean(value: str) -> str:
    raw = value.encode("ascii", "surrogateescape") if re.search("[\udc80-\udcff]", value) else b""
    return " ".join((decode_text(raw) if raw else value).split())


def _shortened(recipients: str) -> str:
    """At most fifty recipients."""
    parts = recipients.split(", ")
    rest = len(parts) - MAX_RECIPIENTS
    return recipients if rest <= 0 else ", ".join(parts[:MAX_RECIPIENTS]) + f" and {rest} more"


def _date(value: str) -> str:
    try:
        return parsedate_to_datetime(value).isoformat()
    except (ValueError, TypeError, IndexError):
        return value
