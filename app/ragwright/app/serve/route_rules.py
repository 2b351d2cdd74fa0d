"""What each route asks of a request before it runs; one that nothing is said of asks for a key."""

from __future__ import annotations

from dataclasses import dataclass

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_READ_ONLY = frozenset({"GET", "HEAD"})

# The page's files hold no word of a document: what it shows, it fetches with a key.
_PUBLIC = frozenset({"/", "/favicon.ico", "/healthz", "/readyz"})
_PUBLIC_FOLDERS = ("/page/", "/documents/", "/traces/")
_LIGHT = frozenset({"/openapi.json", "/v1/models"})
_METRICS = "/metrics"
_HEALTH = frozenset({"/healthz", "/readyz"})
_ANSWERS = frozenset({"/v1/chat/completions"})
_DOCUMENTS = "/v1/documents"
_TUNING = "/v1/tune/"


@dataclass(frozen=True, slots=True)
class Rule:
    """What a route asks.

    Attributes:
        public: No key is needed, and none is looked at.
        works: It takes one of the places of `server.concurrency`, and waits for one.
        answers: It counts among the answers of its key, of which there are `server.streams` at once.
        uploads: Its body may be a file: it is passed on as it comes, up to `server.upload_megabytes`.
        writes: It changes documents, or what answers: no page of another origin may call it, however it is
            configured.
        local: Whoever asks from this machine itself needs no key.
        drains: It answers also while the server ends.
    """

    public: bool = False
    works: bool = True
    answers: bool = False
    uploads: bool = False
    writes: bool = False
    local: bool = False
    drains: bool = False


def rule_for(method: str, path: str) -> Rule:
    """The rule of a request.

    Args:
        method: In capitals.
        path: Decoded, as routes are matched with.
    """
    if method in _READ_ONLY and (path in _PUBLIC or path.startswith(_PUBLIC_FOLDERS)):
        return Rule(public=True, works=False, drains=path in _HEALTH)
    if method in _READ_ONLY and path == _METRICS:
        return Rule(works=False, local=True, drains=True)
    if method in _READ_ONLY and path in _LIGHT:
        return Rule(works=False)
    if path == _DOCUMENTS or path.startswith(_DOCUMENTS + "/"):
        changes = method not in SAFE
        return Rule(uploads=changes, writes=changes)
    if path.startswith(_TUNING):
        return Rule(writes=method not in SAFE)
    return Rule(answers=path in _ANSWERS)
