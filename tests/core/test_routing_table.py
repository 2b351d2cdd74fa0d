"""The table of experts: written whole, read back, changed by one at a time."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ragwright.core.errors import InputError, ModelError
from ragwright.core.routing_table import (
    Expert,
    RoutingTable,
    held_routing_table,
    read_routing_table,
    write_routing_table,
)

EMPTY = RoutingTable("some-model", "abc")


def expert(name: str, *, seed: int = 0, dimension: int = 8) -> Expert:
    rows = np.random.default_rng(seed).normal(size=(3, dimension)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return Expert(name, "adapter", f"{name}/model", rows, 0.25)


def test_a_table_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    table = EMPTY.with_expert(expert("law")).with_expert(replace(expert("finance", seed=1), kind="encoder"))
    write_routing_table(tmp_path / "router.json", table)
    found = read_routing_table(tmp_path / "router.json")
    assert (found.base, found.base_fingerprint, found.names) == ("some-model", "abc", ("law", "finance"))
    for mine, theirs in zip(found.experts, table.experts, strict=True):
        np.testing.assert_allclose(mine.centroids, theirs.centroids, atol=1e-6)
        np.testing.assert_allclose(np.linalg.norm(mine.centroids, axis=1), 1.0, atol=1e-6)
        assert (mine.kind, mine.folder, mine.floor) == (theirs.kind, theirs.folder, theirs.floor)


def test_adding_and_removing_leaves_the_others_alone() -> None:
    table = EMPTY.with_expert(expert("law")).with_expert(expert("finance"))
    assert table.without("law").experts == table.experts[1:]
    with pytest.raises(InputError, match="there is no expert wiki; there are: law, finance"):
        table.without("wiki")


@pytest.mark.parametrize("name", ["base", "", "a b", "../x", "-x", "x" * 101])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="cannot name an expert"):
        EMPTY.with_expert(expert(name))


def test_a_name_that_is_taken_and_another_dimension_are_refused() -> None:
    table = EMPTY.with_expert(expert("law"))
    with pytest.raises(InputError, match="already"):
        table.with_expert(expert("law"))
    with pytest.raises(InputError, match="4 dimensions"):
        table.with_expert(expert("finance", dimension=4))


@pytest.mark.parametrize(
    "changed",
    [
        {"kind": "x"},
        {"base": None, "experts": None},
        {"experts": [{"name": "a"}]},
        {"experts": [{"name": "a", "kind": "adapter", "folder": "", "floor": 0, "centroids": [[0, 0]]}]},
        {"experts": [{"name": "a", "kind": "adapter", "folder": "", "floor": 0, "centroids": []}]},
        {"experts": [{"name": "a", "kind": "reader", "folder": "", "floor": 0, "centroids": [[1, 0]]}]},
    ],
)
def test_a_file_that_is_no_table_is_refused(tmp_path: Path, changed: dict[str, object]) -> None:
    path = tmp_path / "router.json"
    write_routing_table(path, EMPTY)
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **changed}), encoding="utf-8")
    with pytest.raises(ModelError, match="no routing table that can be read"):
        read_routing_table(path)


def test_no_file_is_no_table(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="tune routing add"):
        read_routing_table(tmp_path / "router.json")


def test_changes_from_several_threads_are_all_kept(tmp_path: Path) -> None:
    path = tmp_path / "tuned" / "router.json"

    def add(number: int) -> None:
        with held_routing_table(path):
            table = read_routing_table(path) if path.is_file() else EMPTY
            write_routing_table(path, table.with_expert(expert(f"expert-{number}")))

    threads = [threading.Thread(target=add, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(read_routing_table(path).names) == [f"expert-{number}" for number in range(8)]
