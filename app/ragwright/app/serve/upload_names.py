"""Where an uploaded file lies, which its sender has no say in, and what its name is shown as."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from pathlib import PurePath

from ragwright.core.types import Access

LONGEST_NAME = 200
"""Characters of a name that are kept."""

_FOLDERS = re.compile(r"[/\\]")


def shown_name(given: str) -> str:
    r"""A file name as it is shown: without folders, on one line, with whatever cannot be seen escaped.

    >>> print(shown_name("../../etc/passwd"), shown_name("C:\\reports\\Q1 2026.pdf"))
    passwd Q1 2026.pdf
    >>> print(shown_name("invoice\u202efdp.exe"), shown_name("a\nb\0c.txt"), shown_name("///"))
    invoice\u202efdp.exe a b\u0000c.txt upload
    """
    name = " ".join(unicodedata.normalize("NFC", _FOLDERS.split(given.rstrip("/\\"))[-1]).split())
    visible = "".join(sign if sign.isprintable() else f"\\u{ord(sign):04x}" for sign in name)
    suffix = PurePath(visible).suffix[:LONGEST_NAME]
    if len(visible) > LONGEST_NAME:
        visible = visible[: LONGEST_NAME - len(suffix)] + suffix
    return visible or "upload"


def stored_name(access: Access, *, digest: str, name: str) -> str:
    """The name of a file in its tenant's folder: equal for equal bytes, rights and kind of text.

    Rights count, so that nobody who uploads a copy takes the other's away.

    Args:
        access: Who may see it.
        digest: SHA-256 of its bytes, in hex.
        name: As given; only a suffix that parsing knows is taken over.
    """
    from ragwright.ingest.sniff import SUPPORTED

    suffix = PurePath(shown_name(name)).suffix.lower()
    named = json.dumps([access.tenant, access.groups, digest]).encode()
    return hashlib.sha256(named).hexdigest()[:32] + (suffix if suffix in SUPPORTED else "")


def tenant_folder(tenant: str) -> str:
    """The name of a tenant's folder: sixteen hex digits."""
    return hashlib.sha256(tenant.encode("utf-8", "surrogatepass")).hexdigest()[:16]
