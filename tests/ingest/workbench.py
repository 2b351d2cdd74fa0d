"""A small workspace for the tests of the pipeline: real catalog, index, chunker and parsers."""

from __future__ import annotations

import copy
import hashlib
import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.fakes import HashEncoder

from ragwright.core.errors import RagwrightError
from ragwright.core.profile import load_profile
from ragwright.core.protocols import ChunkIndex
from ragwright.core.types import OWNER, Hit, Scope
from ragwright.ingest.catalog import Catalog
from ragwright.ingest.catalog_values import Manifest
from ragwright.ingest.chunk import build_chunker
from ragwright.ingest.discover import Discovery, discover
from ragwright.ingest.doctor import examine
from ragwright.ingest.parse import parse
from ragwright.ingest.pipeline import IngestSettings, forget, ingest
from ragwright.ingest.report import IngestReport
from ragwright.ingest.sandbox import ParseLimits, ParseOutcome, Work
from ragwright.ingest.writer import Target
from ragwright.retrieval.edge import EdgeIndex
from ragwright.retrieval.search import HybridRetriever, SearchOptions
from ragwright.retrieval.terms import Terms

VERSION = "v1"
TOKENS = 40  # small chunks: many of them in little text
# fmt: off
WORDS = (
    "river", "bank", "stone", "water", "light", "winter", "engine", "paper", "copper", "signal", "garden",
    "harbour", "mirror", "planet", "thunder", "velvet", "walnut", "zinc", "amber", "basket", "candle",
    "desert", "ember", "falcon", "glacier", "hammer", "island", "jungle", "kettle", "lantern", "meadow",
    "needle", "orchard", "pebble", "quarry", "ribbon", "saddle", "timber", "urchin", "valley", "whisper",
)
# fmt: on


@dataclass
class Silent:
    """An observer that remembers outcomes."""

    outcomes: list[tuple[str, str]] = field(default_factory=list)
    total: int = 0

    def start(self, total_files: int) -> None:
        self.total = total_files

    def file_done(self, source: str, outcome: str) -> None:
        self.outcomes.append((source, outcome))

    def chunks_done(self, count: int, tokens: int) -> None:
        pass


class Workbench:
    """A project folder with its catalog and one index version."""

    def __init__(
        self,
        project: Path,
        *,
        version: str = VERSION,
        catalog: Callable[[Path], Catalog] = Catalog.in_folder,
        wrap: Callable[[ChunkIndex], ChunkIndex] = lambda index: index,
        strategy: str | None = None,
    ) -> None:
        self.project = project
        self.folder = project / ".ragwright"
        self.version = version
        self.encoder = HashEncoder()
        self.terms = Terms("en")
        self.catalog = catalog(self.folder)
        profile = load_profile("general")
        self.chunker = build_chunker(
            profile, self.encoder.tokenizer, encoder=self.encoder, strategy=strategy, tokens=TOKENS, overlap=0
        )
        shard = self.folder / "indexes" / version
        # As the command does: the index first, then its name in the catalog.
        if self.catalog.live_version() is None:
            index = EdgeIndex.create(shard, dimension=HashEncoder.dimension, terms=self.terms)
            self.catalog.save_version(version, self.manifest, live=True)
        else:
            index = EdgeIndex.open(shard, terms=self.terms)
        self.plain_index: ChunkIndex = index
        self.index = wrap(index)
        self.observer = Silent()

    @classmethod
    def beside(cls, other: Workbench, version: str) -> Workbench:
        """An empty index version beside that of another workbench, in the same catalog."""
        made = copy.copy(other)
        made.version, made.encoder, made.observer = version, HashEncoder(), Silent()
        shard = other.folder / "indexes" / version
        made.plain_index = made.index = EdgeIndex.create(
            shard, dimension=HashEncoder.dimension, terms=other.terms
        )
        other.catalog.save_version(version, other.manifest, live=False)
        return made

    @property
    def manifest(self) -> Manifest:
        return Manifest(1, "hash", "hash", HashEncoder.dimension, "en", {"general": self.chunker.fingerprint})

    @property
    def target(self) -> Target:
        return Target(self.catalog, self.index, self.encoder, self.version, self.folder, free_bytes=0)

    def settings(self, **changes: object) -> IngestSettings:
        return IngestSettings(**{"domain": "general", "jobs": 2, "limits": ParseLimits(), **changes})  # type: ignore[arg-type]

    def discover(self, *paths: Path) -> Discovery:
        return discover(list(paths) or [self.project], project=self.project, workspace=self.folder)

    def ingest(self, *paths: Path, **changes: object) -> IngestReport:
        """Ingest the project, or paths of it."""
        self.observer = Silent()
        self.encoder.encoded.clear()
        return ingest(
            self.discover(*paths),
            self.target,
            chunker=self.chunker,
            settings=self.settings(**changes),
            observer=self.observer,
        )

    def forget(self, *sources: str) -> int:
        return forget([self.catalog.sources()[source] for source in sources], self.target)

    def search(self, query: str, limit: int = 10, *, scope: Scope = OWNER) -> list[Hit]:
        options = SearchOptions()
        retriever = HybridRetriever(self.encoder, self.plain_index, self.terms, scope=scope, options=options)
        return retriever.search(query, limit=limit)

    def found(self, query: str) -> list[str]:
        """Texts that a query finds."""
        return [hit.chunk.text for hit in self.search(query)]

    def ranking(self, queries: Iterable[str]) -> list[list[tuple[str, float]]]:
        """For each query the first ten chunks with their scores, as a process that starts now finds them."""
        self.plain_index.close()
        self.plain_index = self.index = EdgeIndex.open(
            self.folder / "indexes" / self.version, terms=self.terms
        )
        return [[(hit.chunk.id, round(hit.score, 5)) for hit in self.search(query)] for query in queries]

    def chunk_ids(self) -> list[str]:
        """Ids of the ledger; the index is shown to hold the same."""
        ledger = sorted(row.id for row in self.catalog.ledger(self.version))
        assert ledger == sorted(stored.chunk.id for batch in self.plain_index.scan() for stored in batch)
        return ledger

    def check(self) -> None:
        """Nothing is damaged, and nothing is left over."""
        assert list(examine(self.catalog, self.plain_index, self.version)) == []
        assert self.catalog.strays(self.version) == []
        self.chunk_ids()

    def close(self) -> None:
        self.plain_index.close()
        self.catalog.close()


def counts(report: IngestReport) -> tuple[int, int, int, int, int]:
    """Added, updated, skipped, deleted, failed."""
    return report.added, report.updated, report.skipped, report.deleted, report.failed


def prose(seed: int, sentences: int = 6) -> str:
    """Sentences of random words, equal for equal seeds."""
    chance = random.Random(seed)
    lines = [" ".join(chance.choices(WORDS, k=chance.randint(5, 12))).capitalize() for _ in range(sentences)]
    return ". ".join(lines) + ".\n"


def write_files(folder: Path, number: int, *, seed: int = 0, sentences: int = 12) -> None:
    """Write `number` text files."""
    folder.mkdir(parents=True, exist_ok=True)
    for place in range(number):
        text = f"Report {place}. " + prose(seed * 1000 + place, sentences=1 + place % sentences)
        (folder / f"file{place:03}.md").write_text(text, encoding="utf-8")


def parse_here(
    paths: Iterable[Path],
    *,
    jobs: int,
    limits: ParseLimits,
    heavy: bool,
    stopped: Callable[[], bool] = lambda: False,
    work: Work = parse,
) -> Iterator[ParseOutcome]:
    """What `parse_files` yields, without its child processes: for runs by the hundred."""
    for path in paths:
        digest, size, parsed, failure = "", 0, None, None
        try:
            data = path.read_bytes()
            digest, size = hashlib.sha256(data).hexdigest(), len(data)
            parsed = work(data, path.name)
        except (OSError, RagwrightError) as error:
            failure = str(error)
        yield ParseOutcome(path, digest, size, parsed, failure, 0.0)


@contextmanager
def bench_in(project: Path, **options: Any) -> Iterator[Workbench]:
    """A workbench that is closed in the end."""
    bench = Workbench(project, **options)
    try:
        yield bench
    finally:
        bench.close()
