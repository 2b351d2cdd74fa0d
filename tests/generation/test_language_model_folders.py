"""Folders of models and adapters: only data is loaded, and nothing is fetched."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.generation.local_models import model_of

from ragwright.core.errors import ModelError
from ragwright.core.model_folder import check_folder


@pytest.fixture
def bare_model(tmp_path: Path) -> Path:
    """A folder that looks like a model's: it is refused or accepted before its weights are read."""
    settings = ("config", "generation_config", "tokenizer_config", "tokenizer")
    return _folder(tmp_path / "model", "model.safetensors", **{name: {} for name in settings})


@pytest.fixture
def bare_adapter(tmp_path: Path) -> Path:
    return _folder(tmp_path / "adapter", "adapter_model.safetensors", adapter_config={"peft_type": "LORA"})


def _folder(folder: Path, weights: str, **settings: Any) -> Path:
    folder.mkdir()
    (folder / weights).write_bytes(b"\x08\x00\x00\x00\x00\x00\x00\x00{}      ")
    for name, values in settings.items():
        (folder / f"{name}.json").write_text(json.dumps(values))
    return folder


class _Canary:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Path.touch, (self.path,)


def _settings(name: str, **values: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / name
        path.write_text(json.dumps({**(json.loads(path.read_text()) if path.is_file() else {}), **values}))

    return change


def _file(name: str, content: bytes = b"") -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)

    return change


def _pickled(name: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).write_bytes(pickle.dumps(_Canary(folder.parent / "canary")))

    return change


def _code(folder: Path) -> None:
    line = f"import pathlib; pathlib.Path({str(folder.parent / 'canary')!r}).touch()"
    (folder / "modeling_x.py").write_text(line)
    _settings("config.json", auto_map={"AutoModelForCausalLM": "modeling_x.Model"})(folder)


def _only_pickled(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    _pickled("pytorch_model.bin")(folder)


def _linked(folder: Path) -> None:
    (folder / "more").symlink_to(folder.parent)


def _in_parts(name: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / "model.safetensors").rename(folder / "other.safetensors")
        _settings("model.safetensors.index.json", weight_map={"a": "other.safetensors", "b": name})(folder)

    return change


BAD_FOLDERS = {
    "pickled weights": (_only_pickled, r"holds pytorch_model\.bin"),
    "pickle": (_pickled("state.pkl"), r"holds state\.pkl"),
    "torch file": (_pickled("x.pt"), r"holds x\.pt"),
    "checkpoint below": (_file("original/consolidated.00.pth"), r"holds original/consolidated\.00\.pth"),
    "own code": (_code, r"holds modeling_x\.py"),
    "code elsewhere": (_settings("config.json", auto_map={"AutoModel": "a/b--c.D"}), "auto_map"),
    "code for tokens": (_settings("tokenizer_config.json", auto_map={"AutoTokenizer": "a/b--c.D"}), "auto"),
    "nested": (_settings("config.json", text_config={"x": [{"trust_remote_code": True}]}), "trust_remote"),
    "own generate": (_settings("generation_config.json", custom_generate="a/b"), "custom_generate"),
    "attention": (_settings("config.json", _attn_implementation="a/b"), "other attention than"),
    "quantised": (_settings("config.json", quantization_config={"quant_method": "x"}), "quantised"),
    "an adapter": (_settings("adapter_config.json", base_model_name_or_path="a/b"), "holds an adapter"),
    "library": (_file("libevil.so"), r"holds libevil\.so"),
    "many": (lambda folder: [_file(f"{n}.py")(folder) for n in range(9)], "and 4 more"),
    "link": (_linked, "is a link to a folder"),
    "pipe": (lambda folder: os.mkfifo(folder / "x.json"), r"holds x\.json"),
    "huge settings": (_file("more_config.json", b" " * (17 << 20)), "larger than 16 MB"),
    "no JSON": (_file("config.json", b"{"), "not valid JSON"),
    "deep JSON": (_file("config.json", b'{"a":' + b"[" * 100_000), "not valid JSON"),
    "no tokenizer": (lambda folder: (folder / "tokenizer.json").unlink(), r"no tokenizer\.json"),
    "no weights": (lambda folder: (folder / "model.safetensors").unlink(), r"no model\.safetensors"),
    "a part of them elsewhere": (_in_parts("../model.safetensors"), "wanted the name of a safetensors"),
    "a part of them pickled": (_in_parts("x.bin"), "wanted the name of a safetensors"),
    "a part of them absent": (_in_parts("x.safetensors"), r"lacks x\.safetensors"),
    "no text": (_file("chat_template.jinja", b"\xff"), "no UTF-8"),
    "a long template": (_file("chat_template.jinja", b"x" * (2 << 20)), "larger than 1 MB"),
    "changed since": (_file("SHA256SUMS", b"00  model.safetensors\n"), "is not what .*SHA256SUMS says"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_FOLDERS)
def test_a_folder_that_holds_more_or_less_than_a_model_is_refused(bare_model: Path, name: str) -> None:
    change, says = BAD_FOLDERS[name]
    change(bare_model)
    with pytest.raises(ModelError, match=says):
        model_of(bare_model)
    assert not (bare_model.parent / "canary").exists()


@pytest.mark.slow  # each is given seconds before it is given up
@pytest.mark.parametrize(
    "template",
    [
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        "{% set x = 'a' * 99999999999 %}{{ x }}",
        "{% for a in range(99999) %}{{ 'word ' * 100 }}{% endfor %}",
        "{% set n = namespace(x='ab') %}{% for a in range(99) %}{% set n.x = n.x ~ n.x %}{% endfor %}",
    ],
)
def test_a_template_that_does_not_end_is_refused_before_anything_is_loaded(
    bare_model: Path, template: str
) -> None:
    (bare_model / "chat_template.jinja").write_text(template)
    started = time.monotonic()
    with pytest.raises(ModelError, match="does not end, or makes too much"):
        model_of(bare_model)
    assert time.monotonic() - started < 40


@pytest.mark.slow
def test_a_template_that_is_none_is_refused(bare_model: Path) -> None:
    (bare_model / "chat_template.jinja").write_text("{% if %}")
    with pytest.raises(ModelError, match="is not valid"):
        model_of(bare_model)


def test_files_are_held_to_their_manifest(bare_model: Path) -> None:
    files = sorted(path for path in bare_model.iterdir())
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  ./{path.name}\n" for path in files]
    (bare_model / "SHA256SUMS").write_text("".join(lines))
    (bare_model / "README.md").write_text("Written later.")
    check_folder(bare_model, setting="generator.model")
    (bare_model / "tokenizer.json").write_text("{} ")
    with pytest.raises(ModelError, match=r"tokenizer\.json is not what"):
        model_of(bare_model)
    (bare_model / "tokenizer.json").write_text("{}")
    (bare_model / "generation_config.json").unlink()
    with pytest.raises(ModelError, match=r"lacks generation_config\.json"):
        model_of(bare_model)
    (bare_model / "SHA256SUMS").write_text("".join(lines[1:]))
    with pytest.raises(ModelError, match=r"is not what .*SHA256SUMS says"):
        model_of(bare_model)


BAD_ADAPTERS = {
    "pickled": (_pickled("adapter_model.bin"), r"holds adapter_model\.bin"),
    "other kind": (_settings("adapter_config.json", peft_type="PROMPT_TUNING"), "TUNING', wanted LORA"),
    "modules": (_settings("adapter_config.json", megatron_config={"a": 1}, megatron_core="os"), "megatron_c"),
    "classes": (_settings("adapter_config.json", auto_mapping={"parent_library": "os"}), "auto_mapping"),
    "files": (_settings("adapter_config.json", corda_config={"cache_file": "/x"}), "corda_config"),
    "no weights": (lambda folder: (folder / "adapter_model.safetensors").unlink(), "has no adapter_model"),
    "no settings": (lambda folder: (folder / "adapter_config.json").unlink(), "has no adapter_config"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_ADAPTERS)
def test_an_adapter_that_is_more_or_less_than_one_is_refused(
    bare_model: Path, bare_adapter: Path, name: str
) -> None:
    change, says = BAD_ADAPTERS[name]
    change(bare_adapter)
    with pytest.raises(ModelError, match=says):
        model_of(bare_model, adapter=str(bare_adapter))
    assert not (bare_adapter.parent / "canary").exists()


def test_a_folder_that_is_not_there_is_named(tmp_path: Path, bare_model: Path) -> None:
    with pytest.raises(ModelError, match=r"generator\.model names .*nowhere, which is no folder"):
        model_of(tmp_path / "nowhere")
    with pytest.raises(ModelError, match=r"generator\.adapter names .*nowhere, which is no folder"):
        model_of(bare_model, adapter=str(tmp_path / "nowhere"))


@pytest.mark.parametrize("name", [".git/config.py", ".cache/x.bin", "README.md", "sub/LICENSE", "page.png"])
def test_what_nothing_loads_may_lie_there_too(bare_model: Path, name: str) -> None:
    _file(name)(bare_model)
    check_folder(bare_model, setting="generator.model")
