"""The keys of a workspace, in a file that only its owner can read."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ragwright.app.serve.keys import RESERVED, Key, new_id
from ragwright.core.errors import InputError

FILE_NAME = "keys.json"


class KeyFile:
    """The keys of a workspace, each with what it may do."""

    def __init__(self, path: Path) -> None:
        """Nothing is read yet; a file that is not there holds no keys."""
        self.path = path

    @classmethod
    def in_folder(cls, workspace: Path) -> KeyFile:
        """The keys of a workspace folder."""
        return cls(workspace / FILE_NAME)

    def read(self) -> tuple[Key, ...]:
        """Every key, also the revoked ones, in the order in which they were made.

        Raises:
            InputError: The file cannot be read, or holds something else than keys.
        """
        try:
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return ()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"the keys in {self.path} cannot be read ({error}); check the file") from None
        try:
            return tuple(_key(entry) for entry in json.loads(text)["keys"])
        except (ValueError, KeyError, TypeError, AttributeError, InputError):
            raise InputError(
                f"{self.path} holds no list of keys; restore it, or delete it and make new keys"
            ) from None

    def add(self, key: Key) -> Key:
        """Keep a key; its name may have been that of a revoked one, which it is told from by its id.

        Returns:
            The key with its id, and the time.

        Raises:
            InputError: There is a key of this name, the name is the server's own, or the file cannot be read
                or written.
        """
        if key.name.casefold() in RESERVED:
            raise InputError(f"{key.name} is a name of the server's own; choose another name")
        kept = replace(key, id=new_id(), created=_now())
        with self._changing() as keys:
            if any(each.name == key.name and each.revoked is None for each in keys):
                raise InputError(
                    f"there is a key {key.name} already; revoke it first, or choose another name"
                )
            self._write([*keys, kept])
        return kept

    def revoke(self, name: str) -> None:
        """Let a key open nothing any more; servers that run notice at their next request.

        Raises:
            InputError: There is no such key, or the file cannot be read or written.
        """
        with self._changing() as keys:
            meant = [each for each in keys if each.name == name and each.revoked is None]
            if not meant:
                known = ", ".join(each.name for each in keys if each.revoked is None)
                raise InputError(f"there is no key {name!r}; there is: {known or 'none'}")
            self._write([replace(each, revoked=_now()) if each in meant else each for each in keys])

    @contextmanager
    def _changing(self) -> Iterator[tuple[Key, ...]]:
        from filelock import FileLock

        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with FileLock(str(self.path.with_suffix(".lock"))):
                yield self.read()
        except OSError as error:
            raise InputError(f"{self.path} cannot be written ({error.strerror}); check its owner") from None

    def _write(self, keys: Sequence[Key]) -> None:
        text = json.dumps({"version": 1, "keys": [asdict(key) for key in keys]}, indent=1)
        # mkstemp makes files that only their owner can read.
        handle, name = tempfile.mkstemp(dir=self.path.parent, prefix=".keys-")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text + "\n")
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(self.path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


def _key(entry: dict[str, Any]) -> Key:
    """A key of the file; whatever does not fit is one of the errors that `read` knows."""
    key = Key(**{**entry, "groups": tuple(entry["groups"])})
    texts = (key.digest, key.id, key.tenant, *key.groups)
    flags = (key.write, key.admin, key.users)
    if not all(isinstance(each, str) for each in texts) or not all(isinstance(each, bool) for each in flags):
        raise TypeError("a key holds a value of another type")
    if key.name.casefold() in RESERVED:
        raise ValueError("a key has a name of the server's own")
    rate = key.requests_per_minute
    if len(key.digest) != 64 or not (rate is None or (isinstance(rate, int) and rate > 0)):
        raise ValueError("a key has no digest, or may ask nothing")
    return key


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
