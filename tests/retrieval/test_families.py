"""Model families: the vectors are those of SentenceTransformer on the same folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file
from tests.small_models import WIDTH, layer_norm, small_transformer, write_json

from ragwright.core.types import Passage
from ragwright.retrieval.encoder import load_encoder
from ragwright.retrieval.forward import Compute

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]

TEXTS = ["torque the bolts", "pump", "how tight is the seal of the lower pump? " * 8, "", "naïve 漢字 (4711)"]
_PACKAGE = "sentence_transformers.models."


def _family(folder: Path, *layers: str, pooling: dict[str, Any], **settings: Any) -> Path:
    """A small model with these layers behind the transformer."""
    small_transformer(folder, **settings)
    names = ["Transformer", *layers]
    listed = [
        {"idx": n, "name": str(n), "path": f"{n}_{name}" if n else "", "type": _PACKAGE + name}
        for n, name in enumerate(names)
    ]
    write_json(folder / "modules.json", listed)
    write_json(folder / "sentence_bert_config.json", {"max_seq_length": 64, "do_lower_case": False})
    write_json(folder / "1_Pooling" / "config.json", {"word_embedding_dimension": WIDTH, **pooling})
    for number, name in enumerate(names):
        if name == "Dense":
            _dense(folder / f"{number}_Dense", WIDTH, 24)
        elif name == "LayerNorm":
            layer_norm(folder / f"{number}_LayerNorm")
    return folder


def _dense(folder: Path, width: int, out: int) -> None:
    random = np.random.default_rng(out)
    tensors = {"linear.weight": random.normal(size=(out, width)), "linear.bias": random.normal(size=out)}
    write_json(folder / "config.json", {
        "in_features": width, "out_features": out, "bias": True,
        "activation_function": "torch.nn.modules.activation.Tanh",
    })  # fmt: skip
    save_file({k: v.astype(np.float32) for k, v in tensors.items()}, str(folder / "model.safetensors"))


def _assert_same(folder: Path, **options: Any) -> None:
    """Our vectors of questions and passages are those of sentence-transformers, made unit vectors."""
    from sentence_transformers import SentenceTransformer

    theirs = SentenceTransformer(
        str(folder), device="cpu", local_files_only=True, truncate_dim=options.get("dimension")
    )
    for backend in ("openvino", "torch"):
        compute = Compute(folder.parent / "cache", backend=backend, precision="fp32", threads=1)
        ours = load_encoder(str(folder), compute, **options)
        asked = theirs.encode_query(TEXTS, normalize_embeddings=True)
        np.testing.assert_allclose(ours.encode_queries(TEXTS), asked, atol=2e-5)
        read = np.stack([each.vector for each in ours.encode_passages([Passage(text) for text in TEXTS[:2]])])
        np.testing.assert_allclose(
            read, theirs.encode_document(TEXTS[:2], normalize_embeddings=True), atol=2e-5
        )
    assert np.linalg.norm(asked[0] - asked[1]) > 0.05, "the texts are told apart"


@pytest.mark.parametrize("pooling", [
    {"pooling_mode_lasttoken": True},
    {"pooling_mode": "lasttoken"},
    {"pooling_mode_cls_token": True},
    {"pooling_mode": "mean"},
    {},
])  # fmt: skip
def test_every_pooling_in_both_layouts(tmp_path: Path, pooling: dict[str, Any]) -> None:
    _assert_same(_family(tmp_path / "model", "Pooling", pooling=pooling))


@pytest.mark.parametrize("layers", [
    ("Pooling", "Dense"),
    ("Pooling", "Dense", "Normalize"),
    ("Pooling", "Normalize", "Dense"),
    ("Pooling", "LayerNorm"),
])  # fmt: skip
def test_dense_layers_behind_the_pooling(tmp_path: Path, layers: tuple[str, ...]) -> None:
    _assert_same(_family(tmp_path / "model", *layers, pooling={"pooling_mode": "mean"}))


@pytest.mark.parametrize("include", [True, False])
def test_prompts_that_are_pooled_or_left_out(tmp_path: Path, include: bool) -> None:
    folder = _family(
        tmp_path / "model", "Pooling", pooling={"pooling_mode": "mean", "include_prompt": include}
    )
    prompts = {"query": "Represent the question: ", "document": "text: "}
    write_json(folder / "config_sentence_transformers.json", {"prompts": prompts})
    _assert_same(folder)


def test_vectors_cut_by_the_folder_and_by_the_setting(tmp_path: Path) -> None:
    folder = _family(tmp_path / "model", "Pooling", "Normalize", pooling={"pooling_mode": "mean"})
    _assert_same(folder, dimension=8)
    write_json(folder / "config_sentence_transformers.json", {"truncate_dim": 12})
    _assert_same(folder)


@pytest.mark.parametrize(("family", "settings"), [
    ("Roberta", {"pad_token_id": 0, "max_position_embeddings": 130}),
    ("Electra", {"embedding_size": 16}),
    ("ModernBert", {"local_attention": 8, "bos_token_id": 1, "eos_token_id": 2}),
    ("Qwen3", {"num_key_value_heads": 1, "head_dim": 16}),
])  # fmt: skip
def test_other_architectures(tmp_path: Path, family: str, settings: dict[str, Any]) -> None:
    pooling = {"pooling_mode": "lasttoken" if family == "Qwen3" else "mean"}
    _assert_same(_family(tmp_path / "model", "Pooling", pooling=pooling, family=family, **settings))


def test_weights_in_several_files(tmp_path: Path) -> None:
    from transformers import AutoModel

    folder = _family(tmp_path / "model", "Pooling", pooling={"pooling_mode": "mean"})
    module = AutoModel.from_pretrained(folder)
    (folder / "model.safetensors").unlink()
    module.save_pretrained(folder, max_shard_size="1MB")
    assert (folder / "model.safetensors.index.json").is_file()
    _assert_same(folder)
