"""The documents that an evaluation asks: those of the workspace, of a folder, or of the data set."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ragwright.app.access import reading
from ragwright.app.console import Console
from ragwright.app.indexing import discover_paths, index_documents, index_texts, ingest_files
from ragwright.app.progress import Progress
from ragwright.app.workspace import Workspace
from ragwright.core.errors import InputError

if TYPE_CHECKING:
    from ragwright.app.version_models import Models, Parts
    from ragwright.core.config import Config
    from ragwright.core.types import Document
    from ragwright.eval.values import Dataset
    from ragwright.ingest.report import IngestReport

Kind = Literal["present", "copy", "folder", "texts"]


@dataclass(frozen=True, slots=True)
class Material:
    """Which documents are asked.

    Attributes:
        kind: `present`: the workspace as it is. The others are put into a temporary one: `copy`, the texts of
            the workspace cut and encoded anew; `folder`, files; `texts`, what the data set brings.
        folder: The files, for that kind.
        dataset: The texts, for that kind.
    """

    kind: Kind
    dataset: Dataset
    folder: Path | None = None

    @classmethod
    def of(
        cls, dataset: Dataset, *, folder: Path | None, present: bool = False, apart: bool = False
    ) -> Material:
        """What the options of a command mean.

        Args:
            dataset: The data set.
            folder: Files that were named.
            present: Whether the present workspace was asked for, whatever the data set brings.
            apart: Whether the present workspace will not do, since its index would have to be another one.

        Raises:
            InputError: Files and the present workspace were both asked for.
        """
        if folder is not None and present:
            raise InputError("--documents and --present exclude each other; give one of them")
        if folder is not None:
            return cls("folder", dataset, folder)
        if dataset.texts and not present:
            return cls("texts", dataset)
        return cls("copy" if apart else "present", dataset)


@dataclass(frozen=True, slots=True)
class Place:
    """The workspace that is asked, and the ingest that made it, if it is a temporary one."""

    workspace: Workspace
    ingest: IngestReport | None


@contextmanager
def evaluated_workspace(
    config: Config, material: Material, *, console: Console, promoted: bool = True
) -> Iterator[Place]:
    """The workspace to ask; a temporary one has the models that were promoted in the configured one.

    Args:
        config: Every setting.
        material: Which documents.
        console: Told how far an ingest is.
        promoted: Whether these models count; else a temporary workspace has those that the settings name.

    Raises:
        InputError: The present workspace holds no documents or was cut by other settings, or the files do not
            exist.
    """
    if material.kind == "present":
        with reading(config, purpose="ragwright eval", console=console) as workspace:
            _refuse_other_cut(workspace)
            yield Place(workspace, None)
        return
    copied = _present_documents(config) if material.kind == "copy" else []
    project = None if material.folder is None else material.folder.resolve().parent
    with closing(Workspace(config)) as home:
        parts = home.models.parts if promoted else {}
        registry = home.registry
    with temporary_workspace(config, registry, parts, project=project) as workspace:
        with Progress(console) as progress:
            report = _fill(workspace, material, copied, progress)
        if not report.added:
            raise InputError("no document could be taken in, so there is nothing to ask")
        yield Place(workspace, report)


@contextmanager
def temporary_workspace(
    config: Config, registry: Models, parts: Parts, *, project: Path | None = None
) -> Iterator[Workspace]:
    """An empty workspace that is gone afterwards.

    Args:
        config: Every setting; what is stored has another place.
        registry: Models of the workspace that is configured.
        parts: Those of them that were tuned and answer here, by the part that they play.
        project: See `Workspace`.
    """
    with tempfile.TemporaryDirectory(prefix="ragwright-eval-") as folder:
        apart = _temporary(config, Path(folder))
        workspace = Workspace(apart, project=project, registry=registry, parts=parts)
        with closing(workspace), workspace.catalog.held():
            yield workspace


def documents_digest(config: Config, material: Material) -> str:
    """Names the documents by source and content, before any of them is read into a workspace.

    Raises:
        InputError: There are none.
    """
    if material.kind == "texts":
        return material.dataset.digest
    workspace = Workspace(config)
    try:
        if material.folder is None:
            workspace.live()
            return digest_of(workspace)
        files = discover_paths(workspace, [material.folder]).files
        return _digest((file.source, hashlib.sha256(file.path.read_bytes()).hexdigest()) for file in files)
    finally:
        workspace.close()


def digest_of(workspace: Workspace) -> str:
    """Names the documents of a workspace by source and content."""
    catalog = workspace.catalog
    known = {tenant: catalog.known_files(tenant) for tenant in catalog.tenants()}
    return _digest(
        (f"{tenant}:{source}" if tenant else source, each.digest)
        for tenant, files in known.items()
        for source, each in files.items()
    )


def _digest(pairs: Iterable[tuple[str, str]]) -> str:
    told = "\n".join(f"{digest} {source}" for source, digest in sorted(pairs))
    return hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()


def _refuse_other_cut(workspace: Workspace) -> None:
    """Settings of chunks that the index was not made with would be recorded and not be true."""
    version, manifest = workspace.live()
    domain = workspace.config.domain
    then, now = manifest.chunkers.get(domain), workspace.chunker(domain).fingerprint
    if then is not None and then != now:
        raise InputError(
            f"index {version} was cut as {then}, and the settings say {now}; set them back, run: ragwright "
            "ingest --rebuild, or name the files with --documents, which are then cut anew"
        )


def _present_documents(config: Config) -> list[Document]:
    workspace = Workspace(config)
    try:
        workspace.live()
        return [each.document for each in workspace.catalog.documents()]
    finally:
        workspace.close()


def _temporary(config: Config, folder: Path) -> Config:
    """The settings with everything that is stored in a folder of its own, but for converted models."""
    models = config.encoder.cache or config.workspace / "models"
    return config.model_copy(
        update={
            "workspace": folder / ".ragwright",
            "encoder": config.encoder.model_copy(update={"cache": models.absolute()}),
            "index": type(config.index)(),
            "catalog": type(config.catalog)(),
        }
    )


def _fill(
    workspace: Workspace, material: Material, copied: list[Document], progress: Progress
) -> IngestReport:
    if material.folder is not None:
        return ingest_files(workspace, discover_paths(workspace, [material.folder]), progress)
    if material.kind == "copy":
        return index_documents(workspace, copied, total=len(copied), observer=progress)
    return index_texts(workspace, material.dataset.texts, progress)
