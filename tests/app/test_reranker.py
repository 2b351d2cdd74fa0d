"""The workspace builds the reranker that search.rerank asks for, and none where none is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.small_models import folder_without_weights

from ragwright.app.workspace import Workspace
from ragwright.core.config import load_config
from ragwright.core.errors import ConfigError, ModelError
from ragwright.core.types import Chunk, Span

CHUNKS = [
    Chunk(str(number), Span("d", 0, len(text)), text, "", (), None, (), 8)
    for number, text in enumerate(["The office is closed on Sundays.", "Torque the bolts to 35 Nm."])
]


def _workspace(project: Path, cache: Path, **flags: Any) -> Workspace:
    own = {key.replace("__", "."): value for key, value in flags.items()}
    own |= {"workspace": project / ".ragwright", "encoder.cache": cache}
    return Workspace(load_config(flags=own, file=None, environ={}).config)


@pytest.mark.parametrize("kind", ["none", "evidence"])
def test_no_model_is_looked_for_where_none_is_needed(project: Path, model_cache: Path, kind: str) -> None:
    assert _workspace(project, model_cache, search__rerank=kind, reranker__model="no/such").reranker is None


def test_late_interaction_takes_the_encoders_own_model_by_default(project: Path, model_cache: Path) -> None:
    workspace = _workspace(project, model_cache, search__rerank="late")
    assert workspace.reranker is not None
    (scores,) = workspace.reranker.rerank(["how tight are the bolts?"], [CHUNKS])
    assert scores[1] > scores[0]
    late = workspace._late_interaction()
    assert late._forward() is workspace.encoder.forward, "the weights are loaded once"
    cut = _workspace(project, model_cache, search__rerank="late", encoder__dimension=128)
    assert cut._late_interaction().fingerprint == cut.encoder.fingerprint != workspace.encoder.fingerprint


def test_a_cross_encoder_must_be_named_and_be_one(project: Path, model_cache: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"reranker\.model is not set; set it to a CrossEncoder folder"):
        _ = _workspace(project, model_cache, search__rerank="cross").reranker
    folder = folder_without_weights(tmp_path / "model", architectures=["BertModel"])
    with pytest.raises(ModelError, match="wanted one that ends in ForSequenceClassification"):
        _ = _workspace(project, model_cache, search__rerank="cross", reranker__model=str(folder)).reranker
