"""What the tests of ingest share."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.ingest.crashes import Crashes, crashing

if TYPE_CHECKING:
    from ragwright.core.protocols import Tokenizer


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    """The real WordPiece tokenizer of the default encoder."""
    path = Path(__file__).parent.parent / "tokenizer.py"
    spec = importlib.util.spec_from_file_location("real_tokenizer", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    made: Tokenizer = module.WordPieceTokenizer()
    return made


@pytest.fixture(scope="session")
def crashes() -> Iterator[Crashes]:
    """Lets runs die."""
    with crashing() as worker:
        yield worker
