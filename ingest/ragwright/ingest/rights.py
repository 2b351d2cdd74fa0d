"""Changing who may see documents that are stored already: no file is read, and nothing is encoded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ragwright.core.types import Access
from ragwright.ingest.catalog_values import KnownFile
from ragwright.ingest.discover import Discovery
from ragwright.ingest.writer import Target, parts_of

_DOCUMENTS_AT_ONCE = 100


def give_rights_of_run(
    discovery: Discovery, known: Mapping[str, KnownFile], target: Target, *, access: Access
) -> None:
    """Give the rights of an ingest to the stored documents of all files that it found.

    Those that cannot be read any more, or not be parsed, have them too: who takes a right away wants the
    version that goes on answering to follow.

    Args:
        discovery: The files.
        known: What is remembered of the tenant that `access` names.
        target: Where the documents are stored.
        access: Their rights from now on.
    """
    found = [*(file.source for file in discovery.files), *discovery.problems]
    stored = [source for source in found if source in known and known[source].domain]
    other = [source for source in stored if known[source].access != access]
    ids = target.catalog.sources(access.tenant) if other else {}
    give_rights([ids[source] for source in other], target, access=access)


def give_rights(document_ids: Sequence[str], target: Target, *, access: Access) -> None:
    """Let documents be seen by those whom `access` names, and by nobody else.

    What searches find follows at once, what the catalog says after it. A run that dies in between leaves the
    document with its former rights in the catalog, so that the next ingest does it again.

    Args:
        document_ids: Documents of the tenant that `access` names: a document never changes its tenant.
        target: Where they are stored.
        access: Their new rights.
    """
    for start in range(0, len(document_ids), _DOCUMENTS_AT_ONCE):
        part = document_ids[start : start + _DOCUMENTS_AT_ONCE]
        rows = target.catalog.ledger(target.version, part)
        target.catalog.set_settled(target.version, settled=False)
        for chunk_ids in parts_of([row.id for row in rows]):
            target.index.set_access(chunk_ids, access)
        target.catalog.set_access(part, access, version=target.version)
