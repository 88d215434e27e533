# SPDX-License-Identifier: Apache-2.0
"""The tiny models of the fixtures: their weights, their tokenizer and a true float64 forward."""

import types
from dataclasses import dataclass
from pathlib import Path

import numpy
import torch
from gguf import GGUFReader
from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

from smollm import FIXTURES, bpe_tokenizer, smollm_pre_tokenizer

LAYERS, WIDTH, HEADS, KV_HEADS, FEED_FORWARD, CONTEXT = 2, 32, 4, 2, 64, 256
HEADS_OF = {"attn_q": HEADS, "attn_k": KV_HEADS}
MODULE_NAMES = {
    "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj", "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm", "token_embd": "model.embed_tokens",
    "output_norm": "model.norm", "output": "lm_head",
}  # fmt: skip


@dataclass(frozen=True)
class Tiny:
    """What the tiny models differ in."""

    architecture: str
    path: Path
    rope_base: float
    epsilon: float
    tied: bool  # the output head is the embedding
    biased: tuple  # projections with a bias
    permuted: bool  # GGUF has the rows of q and k in another order than Hugging Face
    pre: str  # pre-tokenizer
    make: tuple  # of transformers: configuration, model


LLAMA = Tiny(
    "llama", FIXTURES / "tiny.gguf", 10000.0, 1e-5, tied=True, biased=(), permuted=True,
    pre="smollm", make=(LlamaConfig, LlamaForCausalLM),
)  # fmt: skip
QWEN2 = Tiny(
    "qwen2", FIXTURES / "tiny_qwen2.gguf", 1000000.0, 1e-6, tied=False,
    biased=("attn_q", "attn_k", "attn_v"), permuted=False,
    pre="qwen2", make=(Qwen2Config, Qwen2ForCausalLM),
)  # fmt: skip


def hf_row_order(tensor_name):
    """Index array p with HF rows = GGUF rows[p] for q and k; None for every other tensor."""
    heads = next((n for part, n in HEADS_OF.items() if f".{part}." in tensor_name), None)
    if heads is None:
        return None
    size = WIDTH // HEADS
    gguf_row = numpy.arange(heads * size).reshape(heads, size // 2, 2)  # h, i, s
    return gguf_row.swapaxes(1, 2).ravel()  # h, s, i


def hf_name(tensor_name):
    """'blk.0.attn_q.weight' -> 'model.layers.0.self_attn.q_proj.weight'"""
    parts = tensor_name.split(".")
    if parts[0] == "blk":
        return f"model.layers.{parts[1]}.{MODULE_NAMES[parts[2]]}.{parts[3]}"
    return f"{MODULE_NAMES[parts[0]]}.{parts[1]}"


def gguf_to_hf(tensor_name, rows):
    order = hf_row_order(tensor_name)
    return rows if order is None else rows[order]


def hf_to_gguf(tensor_name, rows):
    order = hf_row_order(tensor_name)
    return rows if order is None else rows[numpy.argsort(order)]


def rms_norm(self, hidden):
    scale = torch.rsqrt(hidden.pow(2).mean(-1, keepdim=True) + self.variance_epsilon)
    return self.weight * hidden * scale


def rotary(self, hidden, position_ids):
    size = WIDTH // HEADS
    base = self.config.rope_parameters["rope_theta"]
    frequency = base ** (-torch.arange(0, size, 2, dtype=hidden.dtype) / size)
    angle = position_ids[..., None].to(hidden.dtype) * frequency
    angle = torch.cat([angle, angle], dim=-1)
    return angle.cos(), angle.sin()


def load_tiny(dtype, tiny=LLAMA):
    """LlamaForCausalLM, or Qwen2ForCausalLM, with the weights of the tiny model in HF order.

    In float64 the norms and the rotation, which transformers always computes in float32, are
    replaced by the same formulas in float64.
    """
    torch.set_num_threads(1)
    tensors = {t.name: t.data for t in GGUFReader(tiny.path).tensors}
    make_config, make_model = tiny.make
    config = make_config(
        vocab_size=len(tensors["token_embd.weight"]), hidden_size=WIDTH, num_hidden_layers=LAYERS,
        intermediate_size=FEED_FORWARD, num_attention_heads=HEADS, num_key_value_heads=KV_HEADS,
        max_position_embeddings=CONTEXT, rms_norm_eps=tiny.epsilon, tie_word_embeddings=tiny.tied,
        rope_parameters={"rope_type": "default", "rope_theta": tiny.rope_base},
        attn_implementation="sdpa", bos_token_id=1, eos_token_id=2, pad_token_id=2,
    )  # fmt: skip
    model = make_model(config)
    if tiny.permuted:
        tensors = {name: gguf_to_hf(name, data) for name, data in tensors.items()}
    state = {hf_name(name): torch.tensor(data) for name, data in tensors.items()}
    if tiny.tied:
        state["lm_head.weight"] = state["model.embed_tokens.weight"]
    model.load_state_dict(state)
    model = model.to(dtype).eval()
    if dtype == torch.float64:
        for module in model.modules():
            if type(module).__name__.endswith("RMSNorm"):
                module.forward = types.MethodType(rms_norm, module)
            if type(module).__name__.endswith("RotaryEmbedding"):
                module.forward = types.MethodType(rotary, module)
    return model


def tiny_tokenizer():
    fields = GGUFReader(LLAMA.path).fields
    tokens = fields["tokenizer.ggml.tokens"].contents()
    merges = fields["tokenizer.ggml.merges"].contents()
    return bpe_tokenizer(tokens, merges, smollm_pre_tokenizer())
