# SPDX-License-Identifier: Apache-2.0
"""Tiny llama and qwen2 models with a byte-level BPE tokenizer, and logits of them in float64."""

import json

import numpy
import torch
from gguf import GGUFWriter
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import AutoModelForCausalLM

from smollm import FIXTURES, encode_plain, smollm_pre_tokenizer
from tiny import (
    CONTEXT,
    FEED_FORWARD,
    HEADS,
    KV_HEADS,
    LAYERS,
    LLAMA,
    QWEN2,
    WIDTH,
    load_tiny,
    tiny_tokenizer,
)

CONTROL_TOKENS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
NORMAL, CONTROL = 1, 3
MERGES = 60
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou are a helpful AI assistant named SmolLM, "
    "trained by Hugging Face<|im_end|>\n' }}{% endif %}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
CORPUS = """
system
user
assistant
Classify the text. Answer with one of these labels: negative, positive.
The film was a pleasant surprise: warm, funny and over too soon.
The plot was dull, the actors were tired and the ending made no sense at all.
A rather good story, well told, with a few weak moments in the middle.
I would not watch it again, and I would not wish it on anyone.
positive negative positive negative neutral
There is nothing wrong with the music; the rest is another matter.
"""


def train_tokenizer():
    """Tokens and merges of a byte-level BPE trained on the little text above."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=len(alphabet) + MERGES, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = smollm_pre_tokenizer()
    tokenizer.train_from_iterator([CORPUS], trainer)
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    tokens = CONTROL_TOKENS + alphabet + ["".join(pair) for pair in merges]
    return tokens, [" ".join(pair) for pair in merges]


def make_weights(tiny, vocabulary_size):
    """Tensors by name, in PyTorch order; rows of q and k mean what the GGUF order says."""
    generator = numpy.random.default_rng(1234 if tiny is LLAMA else 1235)
    head_size = WIDTH // HEADS
    shapes = {
        "attn_q": (WIDTH, WIDTH), "attn_k": (KV_HEADS * head_size, WIDTH),
        "attn_v": (KV_HEADS * head_size, WIDTH), "attn_output": (WIDTH, WIDTH),
        "ffn_gate": (FEED_FORWARD, WIDTH), "ffn_up": (FEED_FORWARD, WIDTH),
        "ffn_down": (WIDTH, FEED_FORWARD), "attn_norm": (WIDTH,), "ffn_norm": (WIDTH,),
    }  # fmt: skip
    names = {"token_embd.weight": (vocabulary_size, WIDTH), "output_norm.weight": (WIDTH,)}
    if not tiny.tied:
        names["output.weight"] = (vocabulary_size, WIDTH)
    for layer in range(LAYERS):
        names |= {f"blk.{layer}.{part}.weight": shape for part, shape in shapes.items()}
        names |= {f"blk.{layer}.{part}.bias": shapes[part][:1] for part in tiny.biased}

    def draw(name, shape):
        centre, spread = (1.0, 0.1) if "norm" in name else (0.0, 0.25)
        return generator.normal(centre, spread, shape).astype(numpy.float32)

    return {name: draw(name, shape) for name, shape in names.items()}


def write_model(tiny):
    """The keys are those that llama.cpp's converter writes for the architecture."""
    tokens, merges = train_tokenizer()
    writer = GGUFWriter(tiny.path, tiny.architecture)
    writer.add_name(tiny.path.stem)
    writer.add_file_type(0)
    writer.add_block_count(LAYERS)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_rope_freq_base(tiny.rope_base)
    if tiny is LLAMA:
        writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_layer_norm_rms_eps(tiny.epsilon)
    if tiny is LLAMA:
        writer.add_vocab_size(len(tokens))
    writer.add_add_space_prefix(False)
    writer.add_add_bos_token(False)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(tiny.pre)
    writer.add_token_list(tokens)
    writer.add_token_types([CONTROL if t in CONTROL_TOKENS else NORMAL for t in tokens])
    writer.add_token_merges(merges)
    writer.add_bos_token_id(tokens.index("<|im_start|>"))
    writer.add_eos_token_id(tokens.index("<|im_end|>"))
    writer.add_unk_token_id(tokens.index("<|endoftext|>"))
    writer.add_pad_token_id(tokens.index("<|im_end|>"))
    writer.add_chat_template(CHAT_TEMPLATE)
    for name, data in make_weights(tiny, len(tokens)).items():
        writer.add_tensor(name, data)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def id_sequences():
    """A short sequence, a text with its tokens, and forty random ids."""
    text = encode_plain(tiny_tokenizer(), "user\nThe film was dull and the ending positive: 3.5/10")
    generator = numpy.random.default_rng(99)
    return [[1, 88, 300, 2, 318], [1] + text, generator.integers(0, 319, 40).tolist()]


def write_logits(tiny):
    exact = load_tiny(torch.float64, tiny)
    single = AutoModelForCausalLM.from_pretrained(
        tiny.path.parent, gguf_file=tiny.path.name, dtype=torch.float32
    )  # reads names and the order of rows by its own lights
    assert type(single) is type(exact)
    rows = []
    for ids in id_sequences():
        with torch.no_grad():
            logits = exact(torch.tensor([ids])).logits[0]
            difference = (single(torch.tensor([ids])).logits[0] - logits).abs().max().item()
        assert difference < 1e-4, difference
        last_two = [[float(f"{v:.9g}") for v in row] for row in logits[-2:].tolist()]
        rows.append({"ids": ids, "positions": [len(ids) - 2, len(ids) - 1], "logits": last_two})
        print(f"{tiny.architecture}: {len(ids)} ids; float32 differs by {difference:.1e}")
    text = json.dumps({"sequences": rows}, separators=(",", ":"))
    (FIXTURES / f"{tiny.path.stem}_logits.json").write_text(text + "\n")


def main():
    for tiny in (LLAMA, QWEN2):
        write_model(tiny)
        write_logits(tiny)


if __name__ == "__main__":
    main()
