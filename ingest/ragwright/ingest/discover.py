"""Finding the files to ingest; what is not taken is listed, with a reason where one is needed."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

from ragwright.core.errors import InputError
from ragwright.ingest.sniff import SUPPORTED

_HEAD_BYTES = 4096
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")
# A byte that is not UTF-8, and what looks like the escape of one.
_TO_ESCAPE = re.compile(r"[\udc80-\udcff]|\\(?=x[0-9a-f]{2})")
_ESCAPE = re.compile(r"\\x([0-9a-f]{2})")


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file to ingest.

    Attributes:
        path: Its place on disk.
        source: Under which it is known.
        name: What whoever sent it calls it, where that is not its source; shown where it states no title.
    """

    path: Path
    source: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Discovery:
    """What was found under the given paths.

    Attributes:
        files: To ingest, ordered by source, each once.
        problems: Reason by source, for files and folders that could not be read.
        unsupported: Files of unknown type inside folders, by source.
        roots: The given paths, as sources: what is known below them and is not on the disk is deleted.
        unread: Folders that could not be listed, as sources: nothing below them counts as deleted.
        project: Folder that sources are relative to.
    """

    files: tuple[SourceFile, ...]
    problems: dict[str, str] = field(default_factory=dict)
    unsupported: tuple[str, ...] = ()
    roots: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    project: Path = Path()

    def deletes(self, source: str) -> bool:
        """Whether a known source is gone, as far as this discovery can tell.

        A file that is merely passed over now (hidden, excluded, of another type) is not gone.
        """
        below = any(_inside(source, root) for root in self.roots)
        unknown = any(_inside(source, folder) for folder in self.unread)
        return below and not unknown and not os.path.lexists(path_of(source, self.project))


def source_of(path: Path, project: Path) -> str:
    r"""The name under which a file is known: relative to the project folder when inside it, else absolute.

    It is text that every database, encoder and terminal takes: bytes of a file name that are not UTF-8 are
    written as escapes, from which `path_of` finds the file again.

    >>> print(source_of(Path("/project/caf\udce9.txt"), Path("/project")))
    caf\xe9.txt
    """
    absolute = Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow links
    inside = absolute.is_relative_to(project)
    name = absolute.relative_to(project).as_posix() if inside else absolute.as_posix()
    return _TO_ESCAPE.sub(lambda match: f"\\x{ord(match[0]) & 0xFF:02x}", name)


def path_of(source: str, project: Path) -> Path:
    """Where the file of a source lies: the inverse of `source_of`."""
    name = _ESCAPE.sub(lambda match: os.fsdecode(bytes([int(match[1], 16)])), source)
    return project / name


def document_id(source: str, tenant: str = "") -> str:
    """Names a source of a tenant: the same while its content changes, and another one for every tenant."""
    named = source.encode("utf-8", "surrogatepass")
    if tenant:  # digests of both, which no source can be called after
        parts = (tenant.encode("utf-8"), named)
        named = b"".join(hashlib.sha256(part).digest() for part in parts)
    return hashlib.sha256(named).hexdigest()[:24]


def discover(
    paths: Sequence[Path],
    *,
    project: Path,
    exclude: Sequence[str] = (),
    include_hidden: bool = False,
    workspace: Path | None = None,
) -> Discovery:
    """Find the files under paths; a file that is named itself is taken whatever it is called.

    Args:
        paths: Files and folders.
        project: Folder that sources are relative to.
        exclude: Patterns of file and folder names, or of sources, to leave out.
        include_hidden: Take names that begin with a dot as well.
        workspace: Folder to leave out whatever it is called: its models and logs are no documents.

    Raises:
        InputError: A path does not exist, or is a URL.
    """
    for path in paths:
        _check_path(path)
    walk = _Walk(project, tuple(exclude), include_hidden, workspace)
    folders = [path for path in paths if os.path.isdir(path)]  # noqa: PTH112 - Path.is_dir() can raise
    for path in paths:
        if path not in folders:
            walk.take(path)
    walk.walk(folders)
    files = sorted(walk.files.values(), key=lambda file: file.source)
    roots = tuple(source_of(path, project) for path in paths)
    unsupported = tuple(sorted(walk.unsupported))
    return Discovery(tuple(files), walk.problems, unsupported, roots, tuple(walk.unread), project)


def _check_path(path: Path) -> None:
    text = str(path)
    if os.path.lexists(path):
        return
    if scheme := _URL.match(text):
        # A path has lost the second slash of a URL.
        slashes = "//" if scheme[0].lower() == "file:/" else "/"
        text = scheme[0] + slashes + text[scheme.end() :]
        raise InputError(f"{text} is a URL; only files and folders can be ingested, so download it first")
    raise InputError(f"{text} does not exist; name a file or a folder")


class _Walk:
    """One pass over folders that visits each real folder once, so that link loops end."""

    def __init__(
        self, project: Path, exclude: tuple[str, ...], include_hidden: bool, workspace: Path | None
    ) -> None:
        self.files: dict[str, SourceFile] = {}
        self.problems: dict[str, str] = {}
        self.unsupported: list[str] = []
        self.unread: list[str] = []
        self._project = project
        self._exclude = exclude
        self._include_hidden = include_hidden
        self._workspace = None if workspace is None else source_of(workspace, project)
        self._folders: list[Path] = []
        self._links: list[Path] = []
        self._visited: set[tuple[int, int]] = set()

    def walk(self, folders: Sequence[Path]) -> None:
        """Visit folders; links to folders come last, so that a file is known by its real place."""
        self._folders.extend(folders)
        while self._folders or self._links:
            self._visit(self._folders.pop() if self._folders else self._links.pop())

    def take(self, path: Path) -> None:
        source = source_of(path, self._project)
        self.files.setdefault(source, SourceFile(path, source))

    def _visit(self, folder: Path) -> None:
        """Take the files of one folder and note its folders."""
        source = source_of(folder, self._project)
        try:
            facts = folder.stat()
            if (facts.st_dev, facts.st_ino) in self._visited:
                return
            self._visited.add((facts.st_dev, facts.st_ino))
            with os.scandir(folder) as listing:
                entries = sorted(listing, key=lambda entry: entry.name, reverse=True)
        except OSError as error:
            self.problems[source] = f"the folder cannot be read: {error.strerror}"
            self.unread.append(source)
            return
        for entry in entries:
            self._sort_in(folder / entry.name, entry)

    def _sort_in(self, path: Path, entry: os.DirEntry[str]) -> None:
        source = source_of(path, self._project)
        if source in self.files or self._left_out(entry.name, source):
            return
        try:
            status = path.stat()
        except OSError as error:
            self.problems[source] = f"the file cannot be read: {error.strerror}"
            return
        if stat.S_ISDIR(status.st_mode):
            (self._links if entry.is_symlink() else self._folders).append(path)
        elif stat.S_ISREG(status.st_mode) and (path.suffix.lower() in SUPPORTED or _is_text(path)):
            self.take(path)
        else:
            self.unsupported.append(source)

    def _left_out(self, name: str, source: str) -> bool:
        if source == self._workspace or (name.startswith(".") and not self._include_hidden):
            return True
        return any(fnmatch(name, pattern) or fnmatch(source, pattern) for pattern in self._exclude)


def _is_text(path: Path) -> bool:
    """Whether a file has no suffix, such as README, and begins like text."""
    if path.suffix:
        return False
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError:
        return True  # taken, so that the reason is reported
    return bool(head) and b"\0" not in head and not any(byte < 9 for byte in head)


def _inside(source: str, root: str) -> bool:
    if root == ".":  # the project folder, outside which sources are absolute
        return not source.startswith("/")
    return source == root or source.startswith(root.rstrip("/") + "/")
