"""A transformers folder with an optional LoRA adapter: checked, then loaded; the only importer of peft."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ragwright.core.errors import MissingExtra, ModelError
from ragwright.core.model_folder import check_folder, read_json, weight_files
from ragwright.generation.chat_template import chat_template

_EXTRA = "local-llm"
_ADAPTER = "adapter_config.json"

# Parts of an adapter's settings that make peft import modules, or read files, that they name.
_FOREIGN = ("auto_mapping", "megatron_config", "loftq_config", "eva_config", "corda_config", "lora_ga_config")
_MARKUP = re.compile(r"[<\[].*[>\]]", re.DOTALL)
_CPU_BF16 = ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16")


@dataclass(frozen=True, slots=True)
class LocalWeights:
    """A model in memory.

    Attributes:
        folder: Where it comes from.
        module: The `transformers` model, in evaluation mode on its device.
        tokenizer: Its tokenizer.
        template: Its chat template; None where it has none.
        window: Most tokens of a prompt and its answer; None where it has no limit.
    """

    folder: Path
    module: Any
    tokenizer: Any
    template: str | None
    window: int | None

    def special_tokens(self) -> frozenset[str]:
        """Texts that the tokenizer turns into one token with a meaning of its own."""
        added = self.tokenizer.added_tokens_decoder.values()
        marked = (each.content for each in added if each.special or _MARKUP.fullmatch(each.content))
        return frozenset(marked) | frozenset(self.tokenizer.all_special_tokens)


def load_weights(folder: Path, adapter: Path | None) -> LocalWeights:
    """Load a model folder, on a card in bf16 where there is one.

    Nothing is fetched and no code of the folders is run.

    Args:
        folder: Holds safetensors, settings and a fast tokenizer.
        adapter: Holds a LoRA adapter for it; None: none.

    Raises:
        ModelError: A folder is absent, damaged, of an unsupported kind, or holds more than data.
        MissingExtra: transformers or peft is not installed.
    """
    template = _checked_model(folder)
    if adapter is not None:
        _check_adapter(adapter)
    with _quiet():
        module, tokenizer = _load(folder)
        if adapter is not None:
            module = _adapted(module, adapter)
    tokenizer.backend_tokenizer.no_truncation()
    tokenizer.backend_tokenizer.no_padding()
    tokenizer.model_max_length = (
        1 << 62
    )  # its own warning would go to the terminal; the window is ours to watch
    window = getattr(module.config.get_text_config(), "max_position_embeddings", None)
    return LocalWeights(folder, module.eval(), tokenizer, template, window)


def _checked_model(folder: Path) -> str | None:
    """Refuse a folder that is no model of ours; its chat template."""
    check_folder(folder, setting="generator.model")
    if (folder / _ADAPTER).is_file():
        raise ModelError(
            f"{folder} holds an adapter; set generator.adapter to it, and generator.model to the folder of "
            "the model that it is for"
        )
    config = read_json(folder / "config.json")
    if config.get("quantization_config"):
        raise ModelError(
            f"the model in {folder} is quantised, which is not loaded here; serve it by an engine such as "
            "vLLM and set generator.kind=openai, or use the plain model"
        )
    if not (folder / "tokenizer.json").is_file():
        raise ModelError(f"model folder {folder} has no tokenizer.json; save its fast tokenizer there")
    weight_files(folder)
    return chat_template(folder)


def _check_adapter(folder: Path) -> None:
    check_folder(folder, setting="generator.adapter")
    settings = read_json(folder / _ADAPTER)
    if settings.get("peft_type") != "LORA":
        raise ModelError(
            f"the adapter in {folder} is of kind {str(settings.get('peft_type'))[:40]!r}, wanted LORA; set "
            "generator.adapter to a LoRA adapter"
        )
    for name in _FOREIGN:
        if settings.get(name):
            raise ModelError(f"{folder / _ADAPTER} has {name}, which names code or files; remove it there")
    if not (folder / "adapter_model.safetensors").is_file():
        raise ModelError(f"adapter folder {folder} has no adapter_model.safetensors; save it as safetensors")


def _load(folder: Path) -> tuple[Any, Any]:
    try:
        import torch
        from safetensors import SafetensorError
        from transformers import AutoModelForCausalLM, AutoTokenizer
    except ImportError:
        raise MissingExtra("transformers", _EXTRA) from None
    device, dtype = _place(torch)
    own = {"trust_remote_code": False, "local_files_only": True}
    how = {"dtype": dtype, "device_map": device, "use_safetensors": True}
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(folder), use_fast=True, **own)
        module = AutoModelForCausalLM.from_pretrained(str(folder), **how, **own)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, ImportError, SafetensorError) as error:
        raise ModelError(f"model folder {folder} cannot be loaded: {_first_line(error)}") from None
    return module, tokenizer


def _place(torch: Any) -> tuple[str | None, Any]:
    """Where to compute, as transformers' `device_map`, and in which numbers."""
    if torch.cuda.is_available():
        native = torch.cuda.is_bf16_supported(including_emulation=False)
        return "auto", torch.bfloat16 if native else torch.float16
    if torch.backends.mps.is_available():
        return "mps", torch.bfloat16
    # before torch 2.8 the processor cannot be asked
    asked: Mapping[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return None, torch.bfloat16 if any(asked.get(name) for name in _CPU_BF16) else torch.float32


def _adapted(module: Any, folder: Path) -> Any:
    """A model with an adapter's layers beside its own; merged into them they would be rounded to bf16."""
    try:
        from peft import PeftModel
    except ImportError:
        raise MissingExtra("peft", _EXTRA) from None
    from safetensors import SafetensorError

    try:
        return PeftModel.from_pretrained(module, str(folder), is_trainable=False).get_base_model()
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, ImportError, SafetensorError) as error:
        raise ModelError(
            f"the adapter in {folder} does not fit the model in {module.name_or_path}: {_first_line(error)}"
        ) from None


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the load report and progress bars that transformers writes to the terminal."""
    try:
        from transformers import logging
    except ImportError:
        raise MissingExtra("transformers", _EXTRA) from None
    level = logging.get_verbosity()
    bars = logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
