"""A language model of two layers with made-up weights, written as transformers and peft write them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content']"
    " + '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
_WORDS = "the cat sat on a mat and was not seen for days so they looked where it had been before"


def small_language_model(folder: Path, *, template: str | None = TEMPLATE, **settings: Any) -> Path:
    """A folder with safetensors, a byte-level tokenizer and a chat template.

    Args:
        folder: Where to; made when absent.
        template: None: none.
        settings: Of the configuration.
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = _tokenizer(template)
    shape = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
    ends = {"bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 0}
    window = {"max_position_embeddings": 100_000}
    torch.manual_seed(5)
    module = LlamaForCausalLM(
        LlamaConfig(**{"vocab_size": len(tokenizer), **shape, **ends, **window, **settings})
    )
    for weights in module.parameters():
        if weights.dim() == 2:  # else every prompt is continued in the same way
            weights.data *= 8
    module.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def small_adapter(folder: Path, model: Path) -> Path:
    """A LoRA adapter for a model, with made-up weights."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    module = AutoModelForCausalLM.from_pretrained(str(model))
    with peft_may_warn():
        adapted = get_peft_model(module, LoraConfig(r=4, target_modules=["q_proj"], task_type="CAUSAL_LM"))
    torch.manual_seed(7)
    for name, weights in adapted.named_parameters():
        if "lora_" in name:
            weights.data = torch.randn_like(weights)
    adapted.save_pretrained(str(folder))
    return folder


@contextmanager
def peft_may_warn() -> Iterator[None]:
    """It uses names that transformers will take away one day."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        yield


def _tokenizer(template: str | None) -> Any:
    from tokenizers import Tokenizer, decoders, pre_tokenizers
    from tokenizers.models import BPE
    from tokenizers.trainers import BpeTrainer
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = BpeTrainer(
        vocab_size=300, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator([_WORDS] * 4, trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=SPECIAL[0], eos_token=SPECIAL[2], pad_token=SPECIAL[0]
    )
    fast.add_special_tokens({"additional_special_tokens": SPECIAL[1:2]})
    fast.chat_template = template
    return fast
