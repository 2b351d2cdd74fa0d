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


@pytest.mark.parametrize("name", ["no/such-model", "not a name at all", "/no/such/folder", ".."])
def test_a_model_that_is_not_there_is_named_with_what_to_do(name: str) -> None:
    with pytest.raises(ModelError, match=r"no model|has no model\.safetensors"):
        open_model(name)
