"""Documents that are gone leave the traces that quote them, whoever removed the documents.

The server does so at once, by its route (`Observations.forget`), and when it begins, for what went while it
did not run (`forget_gone`); a command, or Python, when it lets go of the workspace (`traces_follow`). Until
then nothing is shown or exported but what the catalog still holds (`visible_part`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from ragwright.app.serve.observations import FILE_NAME, Observations
from ragwright.app.serve.trace_record import documents_of, may_quote_any, without_documents, without_history
from ragwright.core.errors import InputError, ServiceError

if TYPE_CHECKING:
    from ragwright.app.serve.collections import Collections
    from ragwright.app.serve.trace_record import Record
    from ragwright.app.workspace import Workspace
    from ragwright.core.types import Scope
    from ragwright.ingest.catalog import Catalog

CatalogOf = Callable[[str], "Catalog | None"]
"""The catalog of the collection that is called so; None where nobody can tell."""

_LOGGER = logging.getLogger("ragwright.serve")


def visible_part(record: Record, scope: Scope, catalog_of: CatalogOf) -> Record:
    """A trace's record without the text of documents that a scope does not allow, or that are gone.

    Where the collection is not known, nobody can tell which these are, and no text is left.
    """
    catalog = catalog_of(record["collection"])
    if catalog is None:
        left = without_documents(record, documents_of(record))
        return without_history(left) if may_quote_any(left) else left
    hidden = {each for each in documents_of(record) if catalog.visible(each, scope) is None}
    return without_documents(record, hidden)


def served_catalogs(collections: Collections) -> CatalogOf:
    """The catalogs of what is served."""

    def catalog_of(name: str) -> Catalog | None:
        try:
            workspace = collections.get(name).workspace
        except InputError:
            return None
        return workspace.catalog if workspace.exists() else None

    return catalog_of


def forget_gone(kept: Observations, collections: Collections) -> None:
    """Remove from traces the text of documents that went while nobody could do so.

    A catalog that holds no document at all is rather another one than one that lost all of them, and is not
    believed; what its traces quote is not shown in any case.
    """
    for each in collections:
        try:
            mentioned = kept.mentioned(each.name)
            there = each.workspace.catalog.names() if mentioned and each.workspace.exists() else {}
            if there:
                kept.forget(mentioned - there.keys())
        except ServiceError as error:  # a catalog that is not up yet may come up later
            _LOGGER.warning("traces of %s are not looked through: %s", each.name, error)


@contextmanager
def traces_follow(workspace: Workspace) -> Iterator[None]:
    """What is removed from a workspace meanwhile, is afterwards in none of the traces that it keeps, either.

    Raises:
        ServiceError, IndexDamaged: The traces cannot be read; at the beginning, before anything is removed.
    """
    file = workspace.folder / FILE_NAME
    if not file.is_file():
        yield
        return
    with closing(Observations(file, traces=0)) as kept:
        before = workspace.catalog.names()
        try:
            yield
        finally:
            kept.forget(before.keys() - workspace.catalog.names().keys())
