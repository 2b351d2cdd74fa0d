"""The workspace opens the reranker that a search asks for, and none where none is asked for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.small_models import folder_without_weights

from ragwright.app.workspace import Workspace
from ragwright.core.config import load_config
from ragwright.core.errors import InputError, ModelError
from ragwright.core.types import Chunk, Span

CHUNKS = [
    Chunk(str(number), Span("d", 0, len(text)), text, "", (), None, (), 8)
    for number, text in enumerate(["The office is closed on Sundays.", "Torque the bolts to 35 Nm."])
]


def _workspace(project: Path, cache: Path, **flags: Any) -> Workspace:
    own = {key.replace("__", "."): value for key, value in flags.items()}
    own |= {"workspace": project / ".ragwright", "encoder.cache": cache}
    return Workspace(load_config(flags=own, file=None, environ={}).config)


def test_late_interaction_takes_the_encoders_own_model_by_default(project: Path, model_cache: Path) -> None:
    workspace = _workspace(project, model_cache)
    late = workspace.reranker("late")
    assert workspace.reranker("late") is late
    (scores,) = late.rerank(["how tight are the bolts?"], [CHUNKS])
    assert scores[1] > scores[0]
    opened = workspace.rerankers._late_interaction()
    assert opened._forward() is workspace.encoder.forward, "the weights are loaded once"
    cut = _workspace(project, model_cache, encoder__dimension=128)
    assert (
        cut.rerankers._late_interaction().fingerprint
        == cut.encoder.fingerprint
        != workspace.encoder.fingerprint
    )


def test_a_cross_encoder_must_be_named_and_be_one(project: Path, model_cache: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"reranker\.model is not set; set it to a CrossEncoder folder"):
        _workspace(project, model_cache).reranker("cross")
    folder = folder_without_weights(tmp_path / "model", architectures=["BertModel"])
    with pytest.raises(ModelError, match="wanted one that ends in ForSequenceClassification"):
        _workspace(project, model_cache, reranker__model=str(folder)).reranker("cross")


def test_one_model_serves_the_method_it_is_made_for(project: Path, model_cache: Path, tmp_path: Path) -> None:
    settings = {"architectures": ["BertForSequenceClassification"], "id2label": {"0": "score"}}
    folder = str(folder_without_weights(tmp_path / "model", **settings))
    crossing = _workspace(project, model_cache, search__rerank="cross", reranker__model=folder)
    crossing.reranker("cross")
    assert crossing.rerankers._late_interaction().fingerprint == crossing.encoder.fingerprint
    with pytest.raises(ModelError, match=r"is a cross-encoder.*set search\.rerank=cross, or reranker\.model"):
        _workspace(project, model_cache, search__rerank="late", reranker__model=folder).reranker("late")


def test_a_search_is_reranked_by_what_it_asks_for_whatever_is_configured(
    project: Path, model_cache: Path
) -> None:
    workspace, query = _workspace(project, model_cache, search__rerank="evidence"), "who keeps the key?"
    try:
        options = workspace.search_options()
        late = workspace.retriever.search(query, options=replace(options, rerank="late"))
        (expected,) = workspace.reranker("late").rerank([query], [[hit.chunk for hit in late]])
        assert [hit.score for hit in late] == pytest.approx(expected.tolist(), abs=1e-3)
        assert late[0].score != workspace.retriever.search(query)[0].score
        with pytest.raises(InputError, match=r"reranker\.model is not set"):
            workspace.retriever.search(query, options=replace(options, rerank="cross"))
    finally:
        workspace.close()
