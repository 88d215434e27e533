# SPDX-License-Identifier: Apache-2.0
"""What the parity scripts share: the default model file and how it is read."""

import argparse
import os
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers

MODEL_NAME = "SmolLM2-135M-Instruct.Q4_1.gguf"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
DEFAULT_MODEL = CACHE / "advisor" / "models" / MODEL_NAME
FIXTURES = Path(__file__).resolve().parent / "fixtures"


def argument_parser(description):
    """A parser that already knows --model."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--model", type=Path, default=DEFAULT_MODEL, help="GGUF file of SmolLM2")
    return parser


def smollm_pre_tokenizer():
    """Every digit on its own, then the GPT-2 expression."""
    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    )


def bpe_tokenizer(tokens, merges, pre_tokenizer, ignore_merges=False):
    """A bare byte-level BPE tokenizer: no normalizer, no special tokens, nothing added."""
    vocabulary = {token: index for index, token in enumerate(tokens)}
    pairs = [tuple(merge.split(" ")) for merge in merges]
    tokenizer = Tokenizer(models.BPE(vocabulary, pairs, ignore_merges=ignore_merges))
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def transformers_tokenizer(model_path):
    """The tokenizer that transformers makes from the GGUF, with the digit split it leaves out.

    That of qwen2 is whole already.
    """
    from transformers import AutoTokenizer

    wrapper = AutoTokenizer.from_pretrained(model_path.parent, gguf_file=model_path.name)
    backend = wrapper.backend_tokenizer
    assert isinstance(backend.model, models.BPE) and backend.normalizer is None
    if type(wrapper).__name__ != "Qwen2Tokenizer":
        backend.pre_tokenizer = smollm_pre_tokenizer()
    return wrapper


def encode_plain(tokenizer, text):
    """Token ids of user text: '<|im_start|>' in it is ordinary text."""
    backend = getattr(tokenizer, "backend_tokenizer", tokenizer)
    backend.encode_special_tokens = True
    try:
        return backend.encode(text, add_special_tokens=False).ids
    finally:
        backend.encode_special_tokens = False


def load_model(model_path, dtype):
    """LlamaForCausalLM on the weights dequantised from the GGUF."""
    import torch
    from transformers import AutoModelForCausalLM

    torch.set_num_threads(1)
    model = AutoModelForCausalLM.from_pretrained(
        model_path.parent, gguf_file=model_path.name, dtype=dtype
    )
    return model.eval()
