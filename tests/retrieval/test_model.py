"""Model folders: only whole ones of a known kind are read, and nothing is downloaded."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from ragwright.core.errors import ModelError
from ragwright.retrieval import model as module
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


def test_prompts_pooling_and_length_are_read(model_copy: Path) -> None:
    prompts = {"query": "ask: ", "document": "text: ", "passage": "unused"}
    _write(model_copy, "config_sentence_transformers.json", {"prompts": prompts})
    _write(model_copy, "1_Pooling/config.json", {"pooling_mode_cls_token": True})
    _write(model_copy, "sentence_bert_config.json", {"max_seq_length": 9_999})
    model = open_model(str(model_copy))
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


def test_a_folder_with_pickled_weights_only_is_refused(model_copy: Path) -> None:
    (model_copy / "model.safetensors").rename(model_copy / "pytorch_model.bin")
    with pytest.raises(ModelError, match="only safetensors weights are loaded"):
        open_model(str(model_copy))


@pytest.mark.parametrize("name", ["tokenizer.json", "config.json"])
def test_a_folder_that_lacks_a_file_names_it(model_copy: Path, name: str) -> None:
    (model_copy / name).unlink()
    with pytest.raises(ModelError, match=f"has no {name}"):
        open_model(str(model_copy))


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
            "supported are mean_tokens and cls_token",
        ),
        ("sentence_bert_config.json", b'"x"', "holds a str, wanted an object"),
    ],
)
def test_settings_that_make_no_sense_are_told(
    model_copy: Path, name: str, content: bytes, complaint: str
) -> None:
    (model_copy / name).write_bytes(content)
    with pytest.raises(ModelError, match=complaint):
        open_model(str(model_copy))


def test_a_plain_transformers_folder_is_pooled_by_the_mean(model_copy: Path) -> None:
    shutil.rmtree(model_copy / "1_Pooling")
    for name in ("sentence_bert_config.json", "config_sentence_transformers.json", "modules.json"):
        (model_copy / name).unlink()
    model = open_model(str(model_copy))
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
    (("Transformer", "Pooling", "Normalize", "Dense"), "has the layer Dense; supported are"),
    (("Transformer", "Pooling", "Dense"), "has the layer Dense"),
    (("StaticEmbedding",), "has the layer StaticEmbedding"),
    (("Transformer",), "has the layers Transformer; supported are"),
    (("Pooling", "Transformer"), "has the layers Pooling, Transformer"),
    (("Transformer", "Pooling", "Pooling"), "has the layers Transformer, Pooling, Pooling"),
    ((), "has the layers none"),
])  # fmt: skip
def test_a_model_with_a_layer_that_is_not_computed_is_refused(
    model_copy: Path, names: tuple[str, ...], complaint: str
) -> None:
    _write(model_copy, "modules.json", _layers(*(OLD + name for name in names)))
    with pytest.raises(ModelError, match=complaint):
        open_model(str(model_copy))


@pytest.mark.parametrize("content", ["{", '{"a": 1}', "[1]", "7", "null", '[{"type": "Transformer"}]'])
def test_a_list_of_layers_that_makes_no_sense_is_told(model_copy: Path, content: str) -> None:
    (model_copy / "modules.json").write_text(content, encoding="utf-8")
    with pytest.raises(ModelError, match=r"modules\.json is no list of layers"):
        open_model(str(model_copy))


def test_pooling_is_read_where_the_list_of_layers_says_and_in_its_newer_form(model_copy: Path) -> None:
    (model_copy / "1_Pooling").rename(model_copy / "pool")
    _write(model_copy, "modules.json", _layers(OLD + "Transformer", OLD + "Pooling", pooling="pool"))
    assert open_model(str(model_copy)).pooling == "mean"
    _write(model_copy, "pool/config.json", {"pooling_mode": "cls", "include_prompt": True})
    assert open_model(str(model_copy)).pooling == "cls"
    for settings in ({"pooling_mode": ["cls", "mean"]}, {"pooling_mode": "mean", "include_prompt": False}):
        _write(model_copy, "pool/config.json", settings)
        with pytest.raises(ModelError, match=r"pools (by \['cls', 'mean'\]|without its prompts)"):
            open_model(str(model_copy))
    (model_copy / "pool" / "config.json").unlink()
    with pytest.raises(ModelError, match=r"has no config\.json"):
        open_model(str(model_copy))


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
    model_copy: Path, settings: dict[str, object], positions: int
) -> None:
    _write(model_copy, "config.json", {"hidden_size": 384, "max_position_embeddings": 514, **settings})
    _write(model_copy, "sentence_bert_config.json", {"max_seq_length": 9_999})
    model = open_model(str(model_copy))
    assert (model.max_tokens, model.positions) == (positions, positions)


@pytest.mark.parametrize("name", ["no/such-model", "not a name at all", "/no/such/folder", ".."])
def test_a_model_that_is_not_there_is_named_with_what_to_do(name: str) -> None:
    with pytest.raises(ModelError, match=r"no model|has no model\.safetensors"):
        open_model(name)
