"""Whatever happens in whatever order, an ingest ends with exactly what the files say (R-10)."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from tests.ingest.workbench import Workbench, parse_here, prose

from ragwright.core.types import OPEN, Access
from ragwright.ingest import pipeline, writer

NAMES = st.sampled_from(["a.md", "b.md", "c.md", "folder/a.md", "folder/d.md"])
TEXTS = st.builds(
    lambda title, seeds: f"# {title}\n\n" + "\n\n".join(prose(seed, sentences=3) for seed in seeds),
    st.sampled_from(["Alpha", "Beta"]),
    st.lists(st.integers(0, 5), min_size=1, max_size=5),
)


class Stopped(BaseException):
    """The process ends here, as far as the ingest can tell."""


class Stopping:
    """An index or catalog that ends the process before or after one of its calls."""

    def __init__(self, inner: Any, calls: list[int], names: tuple[str, ...]) -> None:
        self._inner = inner
        self._calls = calls
        self._names = names

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name not in self._names:
            return found

        def call(*arguments: Any, **options: Any) -> Any:
            self._step()
            answer = found(*arguments, **options)
            self._step()
            return answer

        return call

    def _step(self) -> None:
        self._calls[0] -= 1
        if self._calls[0] < 0:
            raise Stopped


class Folder(RuleBasedStateMachine):
    """A folder of files, its workspace, and a dict that says what the files hold."""

    def __init__(self) -> None:
        super().__init__()
        memory = Path("/dev/shm")
        self.project = Path(tempfile.mkdtemp(dir=memory if memory.is_dir() else None))
        self.files: dict[str, str] = {}
        self.access = OPEN
        self.bench = Workbench(self.project)

    def teardown(self) -> None:
        self.end_as_the_files_say()
        self.bench.close()
        shutil.rmtree(self.project)

    @initialize(texts=st.lists(TEXTS, min_size=2, max_size=2))
    def begin(self, texts: list[str]) -> None:
        for name, text in zip(("a.md", "b.md"), texts, strict=True):
            self.write(name, text)
        self.end_as_the_files_say()

    @rule(name=NAMES, text=TEXTS)
    def write(self, name: str, text: str) -> None:
        path = self.project / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        self.files[name] = text

    @precondition(lambda self: self.files)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.files)))
        (self.project / name).unlink()
        del self.files[name]

    @precondition(lambda self: self.files)
    @rule(data=st.data(), name=NAMES)
    def rename(self, data: st.DataObject, name: str) -> None:
        former = data.draw(st.sampled_from(sorted(self.files)))
        (self.project / name).parent.mkdir(exist_ok=True)
        (self.project / former).replace(self.project / name)
        self.files[name] = self.files.pop(former)

    @rule(groups=st.sampled_from([(), ("hr",), ("board", "hr")]))
    def change_rights(self, groups: tuple[str, ...]) -> None:
        """The next ingest gives other rights."""
        self.access = Access("", groups)

    @rule(calls=st.integers(0, 40))
    def stop_somewhere(self, calls: int) -> None:
        """An ingest ends early, and the next one opens what it left."""
        left = [calls]
        index, catalog = self.bench.index, self.bench.catalog
        self.bench.index = Stopping(index, left, ("upsert", "delete", "set_access", "optimize"))
        self.bench.catalog = Stopping(  # type: ignore[assignment]
            catalog, left, ("declare", "commit", "drop_strays", "forget", "set_settled", "set_access")
        )
        try:
            self.bench.ingest(access=self.access)
        except Stopped:
            pass
        finally:
            self.bench.index, self.bench.catalog = index, catalog
            self.bench.close()
        self.bench = Workbench(self.project)

    @rule()
    def end_as_the_files_say(self) -> None:
        report = self.bench.ingest(access=self.access)
        assert report.failures == {}
        self.bench.check()
        held = {each.document.source: each.document.text for each in self.bench.catalog.documents()}
        assert held == self.files
        assert {each.document.access for each in self.bench.catalog.documents()} <= {self.access}
        self.bench.ingest(access=self.access)
        assert self.bench.encoder.encoded == []
        for rows in self.bench.index.fetch(self.bench.chunk_ids()).values():
            assert rows.access == self.access
            title = self.files[rows.source][2:].split("\n")[0]
            assert title in rows.chunk.context + rows.chunk.text


def _machine(examples: int) -> Any:
    case = Folder.TestCase
    case.settings = settings(
        max_examples=examples,
        stateful_step_count=8,
        deadline=None,
        phases=[Phase.reuse, Phase.generate],  # shrinking repeats whole ingests, for minutes
        suppress_health_check=list(HealthCheck),
    )
    return case("runTest")


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "_MOST_CHUNKS", 4)
    monkeypatch.setattr(pipeline, "parse_files", parse_here)


@pytest.mark.parametrize("examples", [3, pytest.param(120, marks=pytest.mark.slow)])
def test_any_order_of_edits_and_stops_ends_as_the_files_say(examples: int) -> None:
    _machine(examples).runTest()
