"""The folder of a workspace that holds uploaded files, under names that are made here."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Collection as Values
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ragwright.app.serve.upload_names import stored_name, tenant_folder
from ragwright.core.types import Access

FOLDER_NAME = "uploads"
_INCOMING = ".incoming-"


@dataclass(frozen=True, slots=True)
class Incoming:
    """A file that is being received.

    Attributes:
        path: Where its bytes go.
        file: Open for writing.
    """

    path: Path
    file: BinaryIO


class UploadFiles:
    """One folder for each tenant, which only the server's user can read."""

    def __init__(self, folder: Path) -> None:
        """Nothing is made yet.

        Args:
            folder: Holds the tenants' folders.
        """
        self.folder = folder

    @contextmanager
    def incoming(self) -> Iterator[Incoming]:
        """A place for a file that is being received; what was not moved away from it is deleted."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=_INCOMING, dir=self.folder)  # readable by its owner alone
        try:
            with os.fdopen(descriptor, "wb") as file:
                yield Incoming(Path(name), file)
        finally:
            Path(name).unlink(missing_ok=True)

    def keep(self, incoming: Incoming, *, access: Access, digest: str, name: str) -> Path:
        """Give a received file its place; equal bytes of equal rights have the same.

        Args:
            incoming: All its bytes are written.
            access: Who may see it.
            digest: SHA-256 of its bytes, in hex.
            name: As given by its sender.

        Returns:
            Its path, of which the sender chose nothing but a known suffix.
        """
        incoming.file.flush()
        os.fsync(incoming.file.fileno())
        folder = self.folder / tenant_folder(access.tenant)
        folder.mkdir(mode=0o700, exist_ok=True)
        path = folder / stored_name(access, digest=digest, name=name)
        try:
            incoming.path.replace(path)
        except OSError:  # it was received beside another workspace, on another disk
            with tempfile.NamedTemporaryFile(prefix=_INCOMING, dir=self.folder, delete=False) as copy:
                copied = Path(copy.name)
            shutil.copyfile(incoming.path, copied)
            copied.replace(path)
        return path

    def holds(self, path: Path) -> bool:
        """Whether a file lies in a tenant's folder."""
        return path.parent.parent == self.folder

    def remove(self, path: Path) -> bool:
        """Delete a file, if it is one of these; whether it was there."""
        if not self.holds(path):
            return False
        try:
            path.unlink()
        except FileNotFoundError:
            return False
        return True

    def clean(self, known: Values[Path], *, older_than: float = 0.0) -> list[Path]:
        """Delete what no document was made of: left by a server that was killed.

        Args:
            known: Files of documents.
            older_than: Seconds since it was written.

        Returns:
            What was deleted.
        """
        gone, latest = [], time.time() - older_than
        for path in [*self.folder.glob(f"{_INCOMING}*"), *self.folder.glob("*/*")]:
            if path not in known and path.is_file() and path.stat().st_mtime <= latest:
                path.unlink()
                gone.append(path)
        return gone

    def free_bytes(self) -> int:
        """Room on the disk."""
        place = self.folder if self.folder.is_dir() else self.folder.parent
        return shutil.disk_usage(place).free
