"""What an ingest did: honest counts, and every failure with its reason."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class IngestReport:
    """Counts of one run. `added + updated + skipped + failed` is the number of files found.

    Attributes:
        added: Documents that were new.
        updated: Documents whose content, domain or rights had changed.
        skipped: Files that had not changed.
        deleted: Documents whose file is gone.
        failures: Reason by source; for folders that could not be read too.
        unsupported: Files of unknown type that were left alone.
        chunks: Chunks written to the index.
        reused: How many of these took their vectors from an earlier version or an equal text.
        tokens: Tokens of the chunks that were encoded, special tokens included.
        hidden_characters: Invisible characters that were removed from texts.
        seconds: By stage, how long it was busy. The stages overlap, so that they add up to more than `total`,
            the whole run. `parse` adds up the children, which work side by side. Of the encoder, `encode` is
            the time in which it had work, `encode_start` that before the first piece of it, and `encode_wait`
            that between two. Then `chunk`, `index`, `commit`, `optimize`.
    """

    added: int = 0
    updated: int = 0
    skipped: int = 0
    deleted: int = 0
    failures: dict[str, str] = field(default_factory=dict)
    unsupported: list[str] = field(default_factory=list)
    chunks: int = 0
    reused: int = 0
    tokens: int = 0
    hidden_characters: int = 0
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def failed(self) -> int:
        """How many files and folders failed."""
        return len(self.failures)


@dataclass(frozen=True, slots=True)
class IngestPlan:
    """What an ingest would do, by source, found without parsing anything.

    Attributes:
        add: New files.
        update: Files whose content, domain or rights have changed.
        skip: Files that have not changed.
        delete: What is known and whose file is gone.
        failed_before: Reason by source, for files that failed before and have not changed.
        problems: Reason by source, for what could not be read.
        unsupported: Files of unknown type.
        rights: Of `update`, the files that are not read again, since only their rights have changed.
    """

    add: tuple[str, ...]
    update: tuple[str, ...]
    skip: tuple[str, ...]
    delete: tuple[str, ...]
    failed_before: dict[str, str]
    problems: dict[str, str]
    unsupported: tuple[str, ...]
    rights: tuple[str, ...] = ()
