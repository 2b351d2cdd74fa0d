"""Model folders: only whole ones of a known kind are read, and nothing is downloaded."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from ragwright.core.errors import ModelError
from ragwright.retrieval import model as module
from ragwright.retrieval.layers import read_dense
from ragwright.retrieval.model import DEFAULT_MODEL, open_model


def _write(folder: Path, name: str, value: object) -> None:
    (folder / name).write_text(json.dumps(value), encoding="utf-8")


def test_the_default_model_is_what_its_package_says() -> None:
    model = open_model(DEFAULT_MODEL)
    assert (model.dimension, model.max_tokens, model.pooling) == (384, 256, "mean")
    assert (model.query_prompt, model.passage_prompt) == ("", "")
    assert open_model(f"sentence-transformers/{DEFAULT_MODEL}").fingerprint == model.fingerprint


def test_a_copy_has_the_same_fingerprint_and_every_setting_that_changes_vectors_changes_it(
    model_copy: Path,
) -> None:
    seen = {open_model(DEFAULT_MODEL).fingerprint}
    assert open_model(str(model_copy)).fingerprint in seen
    _write(model_copy, "sentence_bert_config.json", {"max_seq_length": 128})
    seen.add(open_model(str(model_copy)).fingerprint)
    _write(model_copy, "1_Pooling/config.json", {"pooling_mode_cls_token": True})
    seen.add(open_model(str(model_copy)).fingerprint)
    for prompts in ({"query": "ask: "}, {"query": "ask: ", "passage": "text: "}):
        _write(model_copy, "config_sentence_transformers.json", {"prompts": prompts})
        seen.add(open_model(str(model_copy)).fingerprint)
    with (model_copy / "tokenizer.json").open("a", encoding="utf-8") as file:
        file.write("\n")
    seen.add(open_model(str(model_copy)).fingerprint)
    assert len(seen) == 6


def test_prompts_pooling_and_length_are_read(light_copy: Path) -> None:
    prompts = {"query": "ask: ", "document": "text: ", "passage": "unused"}
    _write(light_copy, "config_sentence_transformers.json", {"prompts": prompts})
    _write(light_copy, "1_Pooling/config.json", {"pooling_mode_cls_token": True})
    _write(light_copy, "sentence_bert_config.json", {"max_seq_length": 9_999})
    model = open_model(str(light_copy))
    assert (model.query_prompt, model.passage_prompt) == ("ask: ", "text: ")
    assert model.pooling == "cls"
    assert model.max_tokens == 512, "never more than the model has positions"


def test_weights_with_one_flipped_byte_are_refused_under_the_default_models_name(
    model_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = model_copy / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[50_000_000] ^= 1
    weights.unlink()
    weights.write_bytes(content)
    monkeypatch.setattr(module, "DEFAULT_MODEL", str(model_copy))
    with pytest.raises(ModelError, match=r"have SHA-256 \w{64}, wanted 53aa51.*reinstall"):
        open_model(str(model_copy))


def test_a_folder_with_pickled_weights_only_is_refused(light_copy: Path) -> None:
    (light_copy / "model.safetensors").rename(light_copy / "pytorch_model.bin")
    with pytest.raises(ModelError, match="only safetensors weights are loaded"):
        open_model(str(light_copy))


@pytest.mark.parametrize("name", ["tokenizer.json", "config.json"])
def test_a_folder_that_lacks_a_file_names_it(light_copy: Path, name: str) -> None:
    (light_copy / name).unlink()
    with pytest.raises(ModelError, match=f"has no {name}"):
        open_model(str(light_copy))


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("config.json", b"{", "is not valid JSON"),
        ("config.json", b"\xff\xfe", "is not valid JSON"),
        ("config.json", b"[]", "holds a list, wanted an object"),
        ("config.json", b"{}", "states no hidden_size"),
        ("config.json", b'{"hidden_size": "many"}', "states no hidden_size"),
        ("1_Pooling/config.json", b'{"pooling_mode_max_tokens": true}', r"pools by \['max_tokens'\]"),
        (
            "1_Pooling/config.json",
            b'{"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": true}',
            "supported are mean_tokens, cls_token and lasttoken",
        ),
        ("sentence_bert_config.json", b'"x"', "holds a str, wanted an object"),
    ],
)
def test_settings_that_make_no_sense_are_told(
    light_copy: Path, name: str, content: bytes, complaint: str
) -> None:
    (light_copy / name).write_bytes(content)
    with pytest.raises(ModelError, match=complaint):
        open_model(str(light_copy))


def test_a_plain_transformers_folder_is_pooled_by_the_mean(light_copy: Path) -> None:
    shutil.rmtree(light_copy / "1_Pooling")
    for name in ("sentence_bert_config.json", "config_sentence_transformers.json", "modules.json"):
        (light_copy / name).unlink()
    model = open_model(str(light_copy))
    assert (model.pooling, model.max_tokens) == ("mean", 512)


def _layers(*types: str, pooling: str = "1_Pooling") -> list[dict[str, object]]:
    return [
        {"idx": place, "name": str(place), "path": pooling if name.endswith("Pooling") else "", "type": name}
        for place, name in enumerate(types)
    ]


OLD, NEW = "sentence_transformers.models.", "sentence_transformers.base.modules.transformer."


@pytest.mark.parametrize("types", [
    (OLD + "Transformer", OLD + "Pooling"),
    (OLD + "Transformer", OLD + "Pooling", OLD + "Normalize"),
    (NEW + "Transformer", "sentence_transformers.sentence_transformer.modules.pooling.Pooling"),
])  # fmt: skip
def test_a_transformer_with_pooling_is_read_under_its_old_and_new_names(
    model_copy: Path, types: tuple[str, ...]
) -> None:
    _write(model_copy, "modules.json", _layers(*types))
    assert open_model(str(model_copy)).fingerprint == open_model(DEFAULT_MODEL).fingerprint


@pytest.mark.parametrize(("names", "complaint"), [
    (("Transformer", "Pooling", "LSTM"), "has the layer LSTM; supported are"),
    (("Transformer", "Dense", "Pooling"), "has the layers Transformer, Dense, Pooling"),
    (("StaticEmbedding",), "has the layer StaticEmbedding"),
    (("Transformer",), "has the layers Transformer; supported are"),
    (("Pooling", "Transformer"), "has the layers Pooling, Transformer"),
    (("Transformer", "Pooling", "Pooling"), "has the layers Transformer, Pooling, Pooling"),
    ((), "has the layers none"),
])  # fmt: skip
def test_a_model_with_a_layer_that_is_not_computed_is_refused(
    light_copy: Path, names: tuple[str, ...], complaint: str
) -> None:
    _write(light_copy, "modules.json", _layers(*(OLD + name for name in names)))
    with pytest.raises(ModelError, match=complaint):
        open_model(str(light_copy))


@pytest.mark.parametrize("content", ["{", '{"a": 1}', "[1]", "7", "null", '[{"type": "Transformer"}]'])
def test_a_list_of_layers_that_makes_no_sense_is_told(light_copy: Path, content: str) -> None:
    (light_copy / "modules.json").write_text(content, encoding="utf-8")
    with pytest.raises(ModelError, match=r"modules\.json is no list of layers"):
        open_model(str(light_copy))


def test_pooling_is_read_where_the_list_of_layers_says_and_in_its_newer_form(light_copy: Path) -> None:
    (light_copy / "1_Pooling").rename(light_copy / "pool")
    _write(light_copy, "modules.json", _layers(OLD + "Transformer", OLD + "Pooling", pooling="pool"))
    assert open_model(str(light_copy)).pooling == "mean"
    _write(light_copy, "pool/config.json", {"pooling_mode": "cls", "include_prompt": True})
    assert open_model(str(light_copy)).pooling == "cls"
    _write(light_copy, "pool/config.json", {"pooling_mode": ["lasttoken"], "include_prompt": False})
    model = open_model(str(light_copy))
    assert (model.pooling, model.pools_prompt) == ("lasttoken", False)
    for settings in ({"pooling_mode": ["cls", "mean"]}, {"pooling_mode": "cls", "include_prompt": False}):
        _write(light_copy, "pool/config.json", settings)
        with pytest.raises(ModelError, match=r"pools by (\['cls', 'mean'\]|the first token behind)"):
            open_model(str(light_copy))
    (light_copy / "pool" / "config.json").unlink()
    with pytest.raises(ModelError, match=r"has no config\.json"):
        open_model(str(light_copy))


@pytest.mark.parametrize(
    ("settings", "positions"),
    [
        ({"model_type": "bert", "pad_token_id": 0}, 514),
        ({"model_type": "roberta", "pad_token_id": 1}, 512),
        ({"model_type": "xlm-roberta"}, 512),
        ({"model_type": "camembert", "pad_token_id": 3}, 510),
        ({"model_type": "mpnet", "pad_token_id": 0}, 512),
    ],
)
def test_positions_that_a_family_keeps_for_padding_are_not_counted(
    light_copy: Path, settings: dict[str, object], positions: int
) -> None:
    _write(light_copy, "config.json", {"hidden_size": 384, "max_position_embeddings": 514, **settings})
    _write(light_copy, "sentence_bert_config.json", {"max_seq_length": 9_999})
    model = open_model(str(light_copy))
    assert (model.max_tokens, model.positions) == (positions, positions)


@pytest.mark.parametrize("name", ["no/such-model", "not a name at all", "/no/such/folder", ".."])
def test_a_model_that_is_not_there_is_named_with_what_to_do(name: str) -> None:
    with pytest.raises(ModelError, match=r"no model|has no model\.safetensors"):
        open_model(name)


def _dense(folder: Path, *, dtype: Any = np.float32, **settings: Any) -> None:
    """A linear layer from 384 to 8 numbers."""
    folder.mkdir(exist_ok=True)
    weight: Any = np.random.default_rng(0).normal(size=(8, 384)).astype(dtype)
    save_file({"linear.weight": weight}, str(folder / "model.safetensors"))
    _write(folder, "config.json", {"in_features": 384, "out_features": 8, "bias": False, **settings})


def _with_dense(folder: Path) -> None:
    layers = _layers(OLD + "Transformer", OLD + "Pooling", OLD + "Dense")
    layers[2]["path"] = "2_Dense"
    _write(folder, "modules.json", layers)


def test_a_dense_layer_gives_the_dimension_and_its_weights_and_activation_count(light_copy: Path) -> None:
    seen = {open_model(str(light_copy)).fingerprint}
    _with_dense(light_copy)
    for dtype, kind in (
        (np.float32, "linear.Identity"),
        (np.float16, "linear.Identity"),
        (np.float32, "activation.Tanh"),
    ):
        _dense(light_copy / "2_Dense", dtype=dtype, activation_function=f"torch.nn.modules.{kind}")
        model = open_model(str(light_copy))
        seen.add(model.fingerprint)
        (projection,) = model.projections
        assert model.dimension == 8
        assert projection(np.ones((3, 384), np.float32)).shape == (3, 8)
    assert len(seen) == 4


@pytest.mark.parametrize(("settings", "complaint"), [
    ({"activation_function": "torch.nn.modules.activation.PReLU"},
     "has the activation .*PReLU; supported are"),
    ({"activation_function": "mine.Tanh"}, "has the activation mine.Tanh"),
    ({"use_residual": True}, "asks for a residual connection"),
    ({"module_input_name": "token_embeddings"}, "asks for token_embeddings"),
])  # fmt: skip
def test_a_dense_layer_that_does_more_is_refused(
    light_copy: Path, settings: dict[str, Any], complaint: str
) -> None:
    _with_dense(light_copy)
    _dense(light_copy / "2_Dense", **settings)
    with pytest.raises(ModelError, match=complaint):
        open_model(str(light_copy))


def test_damaged_dense_weights_are_told(light_copy: Path) -> None:
    _with_dense(light_copy)
    _dense(light_copy / "2_Dense")
    weights = light_copy / "2_Dense" / "model.safetensors"
    save_file({"other": np.zeros(3, np.float32)}, str(weights))
    with pytest.raises(ModelError, match=r"holds no matrix linear\.weight"):
        open_model(str(light_copy))
    weights.write_bytes(b"\x08\x00\x00\x00\x00\x00\x00\x00{}garbage")
    with pytest.raises(ModelError, match="cannot be read"):
        open_model(str(light_copy))
    weights.unlink()
    with pytest.raises(ModelError, match=r"has no model\.safetensors; only safetensors"):
        open_model(str(light_copy))


def test_bfloat16_weights_are_read_as_the_numbers_they_are(tmp_path: Path) -> None:
    numbers = np.array([[1.5, -2.0], [0.0, 3.140625]], np.float32)  # all have bfloat16 forms
    upper = (numbers.view(np.uint32) >> 16).astype(np.uint16)
    header = json.dumps(
        {"linear.weight": {"dtype": "BF16", "shape": [2, 2], "data_offsets": [0, 8]}}
    ).encode()
    content = len(header).to_bytes(8, "little") + header + upper.tobytes()
    (tmp_path / "model.safetensors").write_bytes(content)
    _write(tmp_path, "config.json", {"activation_function": "torch.nn.modules.linear.Identity"})
    np.testing.assert_array_equal(read_dense(tmp_path).weight, numbers)


def test_a_vector_is_cut_where_the_folder_or_the_setting_says(light_copy: Path) -> None:
    whole = open_model(str(light_copy))
    asked = open_model(str(light_copy), dimension=64)
    assert (asked.dimension, open_model(str(light_copy), dimension=384)) == (64, whole)
    _write(light_copy, "config_sentence_transformers.json", {"truncate_dim": 64})
    declared = open_model(str(light_copy))
    assert declared == asked, "both say the same"
    assert open_model(str(light_copy), dimension=384).fingerprint == whole.fingerprint
    assert (
        len({whole.fingerprint, asked.fingerprint, open_model(str(light_copy), dimension=65).fingerprint})
        == 3
    )
    with pytest.raises(ModelError, match=r"encoder\.dimension is 385 and .* gives vectors of 384"):
        open_model(str(light_copy), dimension=385)


@pytest.mark.parametrize(("declared", "query", "passage"), [
    ({"prompts": {"query": "q: ", "passage": "p: "}}, "q: ", "p: "),
    ({"prompts": {"query": "q: ", "document": "", "passage": "p: "}}, "q: ", "p: "),
    ({"prompts": {"query": "q: ", "all": "a: "}, "default_prompt_name": "all"}, "q: ", "a: "),
    ({"prompts": {"all": "a: "}, "default_prompt_name": "all"}, "a: ", "a: "),
    ({"prompts": {"query": "", "document": "", "all": "a: "}, "default_prompt_name": "all"}, "", ""),
    ({"prompts": {"all": "a: "}, "default_prompt_name": None}, "", ""),
    ({"prompts": None}, "", ""),
])  # fmt: skip
def test_the_models_own_prompts_are_read(
    light_copy: Path, declared: dict[str, object], query: str, passage: str
) -> None:
    _write(light_copy, "config_sentence_transformers.json", declared)
    model = open_model(str(light_copy))
    assert (model.query_prompt, model.passage_prompt) == (query, passage)


def test_weights_in_several_files_are_found_and_each_counts(light_copy: Path) -> None:
    (light_copy / "model.safetensors").unlink()
    names = [f"model-0000{number}-of-00002.safetensors" for number in (1, 2)]
    for name in names:
        (light_copy / name).write_bytes(name.encode())
    _write(
        light_copy,
        "model.safetensors.index.json",
        {"weight_map": {"a": names[0], "b": names[1], "c": names[0]}},
    )
    before = open_model(str(light_copy)).fingerprint
    (light_copy / names[1]).write_bytes(b"other")
    assert open_model(str(light_copy)).fingerprint != before
    (light_copy / names[1]).unlink()
    with pytest.raises(ModelError, match=f"lacks {names[1]}, a part of its weights"):
        open_model(str(light_copy))
    _write(light_copy, "model.safetensors.index.json", {})
    with pytest.raises(ModelError, match="has no weight_map"):
        open_model(str(light_copy))
