"""Late interaction: the scores are those of sentence-transformers' multi-vector models on the same folder."""

from __future__ import annotations

import json
import shutil
import string
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file
from tests.retrieval.test_cross_encoder import CHUNKS, QUERIES, chunk
from tests.small_models import WIDTH, folder_without_weights, small_transformer, write_json

from ragwright.core.errors import ModelError
from ragwright.core.types import Passage
from ragwright.retrieval.batches import ModelInput, Receive, make_batches, make_packed
from ragwright.retrieval.encoder import TransformerEncoder
from ragwright.retrieval.forward import Compute, Forward
from ragwright.retrieval.late_interaction import LateInteraction, load_late_interaction, max_sim
from ragwright.retrieval.layers import unit_rows
from ragwright.retrieval.model import DEFAULT_MODEL
from ragwright.retrieval.multi_vector import open_token_model

_ST = "sentence_transformers."
_TYPES = {
    "Transformer": _ST + "base.modules.transformer.Transformer",
    "Dense": _ST + "base.modules.dense.Dense",
    "MultiVectorMask": _ST + "multi_vector_encoder.modules.multi_vector_mask.MultiVectorMask",
    "Normalize": _ST + "base.modules.normalize.Normalize",
}
_TOKENS = {"module_input_name": "token_embeddings", "module_output_name": "token_embeddings"}
_SETTINGS = {
    "transformer_task": "feature-extraction",
    "modality_config": {"text": {"method": "forward", "method_output_name": "last_hidden_state"}},
    "module_output_name": "token_embeddings",
}


def _dense(folder: Path, width: int, out: int, **settings: Any) -> None:
    weight: Any = np.random.default_rng(out).normal(size=(out, width)).astype(np.float32)
    save_file({"linear.weight": weight}, str(folder / "model.safetensors"))
    write_json(folder / "config.json", {
        "in_features": width, "out_features": out, "bias": False,
        "activation_function": "torch.nn.modules.linear.Identity", **settings,
    })  # fmt: skip


def _multi_vector(
    folder: Path, *, mask: dict[str, Any] | None = None, computed: bool = True, **knobs: Any
) -> Path:
    """A small multi-vector model as sentence-transformers 6 writes it."""
    (small_transformer if computed else folder_without_weights)(folder)
    names = ["Transformer", "Dense", "MultiVectorMask", "Normalize"]
    write_json(folder / "modules.json", [
        {"idx": n, "name": str(n), "path": f"{n}_{name}" if n else "", "type": _TYPES[name]}
        for n, name in enumerate(names)
    ])  # fmt: skip
    write_json(folder / "sentence_bert_config.json", {**_SETTINGS, **knobs})
    write_json(
        folder / "2_MultiVectorMask" / "config.json", mask or {"skiplist_words": list(string.punctuation)}
    )
    write_json(folder / "3_Normalize" / "config.json", _TOKENS)
    write_json(folder / "config_sentence_transformers.json", {
        "model_type": "MultiVectorEncoder", "prompts": {"query": "[Q] ", "document": "[D] "},
    })  # fmt: skip
    (folder / "1_Dense").mkdir()
    _dense(folder / "1_Dense", WIDTH, 16, **_TOKENS)
    return folder


def _pylate(folder: Path, **knobs: Any) -> Path:
    """The same model as PyLate 1 writes it."""
    _multi_vector(folder)
    write_json(folder / "modules.json", [
        {"idx": 0, "name": "0", "path": "", "type": _ST + "models.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Dense", "type": "pylate.models.Dense.Dense"},
    ])  # fmt: skip
    write_json(folder / "sentence_bert_config.json", {"max_seq_length": 79, "do_lower_case": False})
    write_json(
        folder / "config_sentence_transformers.json", {"model_type": "ColBERT", "prompts": {}, **knobs}
    )
    _dense(folder / "1_Dense", WIDTH, 16)
    return folder


def _assert_same(folder: Path) -> None:
    from sentence_transformers import MultiVectorEncoder

    peer = MultiVectorEncoder(
        str(folder), device="cpu", local_files_only=True, similarity_fn_name="meanmaxsim"
    )
    documents = [each.context + each.text for each in CHUNKS]
    expected = peer.similarity(peer.encode_query(QUERIES), peer.encode_document(documents)).cpu().numpy()
    assert expected.std() > 0.005, "the chunks are told apart"
    for backend in ("openvino", "torch"):
        compute = Compute(folder.parent / "cache", backend=backend, precision="fp32", threads=1)
        ours = load_late_interaction(str(folder), compute)
        np.testing.assert_allclose(np.stack(ours.rerank(QUERIES, [CHUNKS] * 3)), expected, atol=1e-5)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("knobs", [
    {"query_expansion": {"strategy": "fixed", "attend": False, "token": None, "length": 32}},
    {"query_expansion": {"strategy": "min", "attend": True, "token": "[SEP]", "length": 24},
     "document_length": 60},
    {"query_length": 12, "document_length": 48, "mask": {"skiplist_words": [".", "4711"],
     "skiplist_tasks": ["query", "document"]}},
])  # fmt: skip
def test_scores_are_those_of_sentence_transformers_under_every_rule(
    tmp_path: Path, knobs: dict[str, Any]
) -> None:
    _assert_same(_multi_vector(tmp_path / "model", **knobs))


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("knobs", [
    {"query_prefix": "[Q] ", "document_prefix": "[D] ", "query_length": 20, "document_length": 70,
     "attend_to_expansion_tokens": True},
    {"query_prefix": "", "document_prefix": "", "do_query_expansion": False, "skiplist_words": ["of"]},
])  # fmt: skip
def test_scores_of_a_folder_of_pylate_are_those_of_sentence_transformers(
    tmp_path: Path, knobs: dict[str, Any]
) -> None:
    _assert_same(_pylate(tmp_path / "model", **knobs))


def test_tokens_that_the_others_do_not_see_are_masked_and_never_packed() -> None:
    ids = np.arange(5)
    hidden = ModelInput(ids, np.array([[4, 5]]), attended=3)
    (batch,) = make_batches([hidden, ModelInput(ids, np.array([[0, 5]]))], budget=64)
    assert batch.mask.sum(axis=1).tolist() == [3, 5]
    with pytest.raises(ModelError, match="packed batches cannot hold"):
        list(make_packed([hidden], budget=64))


UNITS = st.integers(0, 2**32 - 1).map(
    lambda seed: unit_rows(np.random.default_rng(seed).normal(size=(seed % 9 + 1, 8)).astype(np.float32))
)


@given(UNITS, st.lists(UNITS, max_size=5))
def test_max_sim_is_the_mean_of_the_greatest_cosines(query: np.ndarray, passages: list[np.ndarray]) -> None:
    found = max_sim(query, passages)
    expected = [np.mean([max(float(q @ p) for p in each) for q in query]) for each in passages]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert ((found >= -1.000_01) & (found <= 1.000_01)).all()
    if passages:
        np.testing.assert_allclose(max_sim(query, [np.concatenate([*passages, query])]), 1.0, atol=1e-6)


class Counting:
    """The default model's forward, which notes how many inputs it was given."""

    def __init__(self, forward: Forward) -> None:
        self._forward = forward
        self.inputs = 0

    def run(self, inputs: Sequence[ModelInput], receive: Receive) -> None:
        self.inputs += len(inputs)
        self._forward.run(inputs, receive)


def _counted(encoder: TransformerEncoder, megabytes: float = 64) -> tuple[LateInteraction, Counting]:
    counting = Counting(encoder.forward)
    rules = open_token_model(DEFAULT_MODEL)
    return LateInteraction(rules, lambda: counting, cache_megabytes=megabytes), counting


def test_a_chunk_is_computed_once_for_all_queries_of_a_call_and_for_the_next_ones(
    exact_encoder: TransformerEncoder,
) -> None:
    late, counting = _counted(exact_encoder)
    first = late.rerank(QUERIES, [CHUNKS, CHUNKS[:3], CHUNKS[3:]])
    assert counting.inputs == len(QUERIES) + len(CHUNKS)
    again = late.rerank(QUERIES[:1], [CHUNKS])
    assert counting.inputs == len(QUERIES) + len(CHUNKS) + 1
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], late.rerank(QUERIES[1:2], [CHUNKS[:3]])[0])


@pytest.mark.slow
def test_a_small_cache_changes_the_work_and_not_the_scores(exact_encoder: TransformerEncoder) -> None:
    late, counting = _counted(exact_encoder, megabytes=0)
    expected = _counted(exact_encoder)[0].rerank(QUERIES, [CHUNKS] * 3)
    for found, wanted in zip(late.rerank(QUERIES, [CHUNKS] * 3), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)
    assert counting.inputs == 3 * (1 + len(CHUNKS))


def test_nothing_gives_nothing(exact_encoder: TransformerEncoder) -> None:
    late, _ = _counted(exact_encoder)
    assert late.rerank([], []) == []
    empty, one = late.rerank(["pump", "pump"], [[], CHUNKS[:1]])
    assert empty.shape == (0,) and one.shape == (1,)


def test_an_embedder_compares_the_tokens_of_the_texts_alone(exact_encoder: TransformerEncoder) -> None:
    late, _ = _counted(exact_encoder)
    same, other = late.rerank(["torque the bolt"], [[chunk("torque the bolt"), chunk("a seal of rubber")]])[0]
    assert same == pytest.approx(1.0, abs=1e-5)
    assert other < 0.6
    words = ((0, 6), (7, 10), (11, 15))  # each is one token
    (encoding,) = exact_encoder.encode_passages([Passage("torque the bolt", words)])
    expected = max_sim(encoding.sentences, [encoding.sentences[:1]])
    found = max_sim(encoding.sentences, [late._encode(["torque the bolt"], set())[0][0][:1]])
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize(("name", "changed", "complaint"), [
    ("modules.json", [{"type": "a.Transformer", "path": ""}], "has the layers Transformer; supported are"),
    ("modules.json", [{"type": t, "path": ""} for t in ("a.Transformer", "a.LambdaTokenPooling")],
     "has the layers Transformer, LambdaTokenPooling"),
    ("2_MultiVectorMask/config.json", {"keep_only_token_ids": [7]}, "scores chosen tokens only"),
    ("2_MultiVectorMask/config.json", {"skiplist_words": ["."], "skiplist_tasks": ["query"]},
     "skips words in"),
    ("sentence_bert_config.json", {"query_expansion": {"strategy": "new"}}, "expands questions by"),
    ("sentence_bert_config.json", {"query_expansion": {"strategy": "min", "length": 8, "token": "[no]"}},
     r"fills questions up with \[no\]"),
    ("1_Dense/config.json", {"module_input_name": "sentence_embedding"}, "asks for sentence_embedding"),
])  # fmt: skip
def test_what_is_not_computed_here_is_refused_by_name(
    multi_vector: Path, tmp_path: Path, name: str, changed: object, complaint: str
) -> None:
    copy = shutil.copytree(multi_vector, tmp_path / "copy")
    write_json(copy / name, changed)
    with pytest.raises(ModelError, match=complaint):
        load_late_interaction(str(copy), Compute(tmp_path))


@pytest.fixture(scope="module")
def multi_vector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _multi_vector(tmp_path_factory.mktemp("multi") / "model", computed=False)


def test_older_layouts_that_are_not_read_say_what_to_do(multi_vector: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(multi_vector, tmp_path / "copy")
    (copy / "config_sentence_transformers.json").unlink()
    config = json.loads((copy / "config.json").read_text(encoding="utf-8"))
    write_json(copy / "config.json", {**config, "architectures": ["HF_ColBERT"]})
    with pytest.raises(ModelError, match=r"Stanford's ColBERT layout.*save it once with"):
        open_token_model(str(copy))
    markers = {"model_type": "ColBERT", "query_prefix": "[unused0] ", "document_prefix": "[unused1] "}
    write_json(copy / "config_sentence_transformers.json", markers)
    with pytest.raises(
        ModelError, match=r"does not read the marker '\[unused0\]' as one token; load and save"
    ):
        load_late_interaction(str(copy), Compute(tmp_path))


def test_every_rule_that_changes_scores_changes_the_fingerprint(multi_vector: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(multi_vector, tmp_path / "copy")
    seen = {open_token_model(str(multi_vector)).model.fingerprint}
    assert open_token_model(str(copy)).model.fingerprint in seen
    write_json(copy / "sentence_bert_config.json", {"query_length": 30})
    seen.add(open_token_model(str(copy)).model.fingerprint)
    write_json(copy / "2_MultiVectorMask" / "config.json", {"skiplist_words": ["."]})
    seen.add(open_token_model(str(copy)).model.fingerprint)
    _dense(copy / "1_Dense", WIDTH, 12, **_TOKENS)
    seen.add(open_token_model(str(copy)).model.fingerprint)
    assert len(seen) == 4
