# SPDX-License-Identifier: Apache-2.0
"""Logits of SmolLM2-135M-Instruct, dequantised from the GGUF, for eight prompts in float32."""

import json
import random

import torch

from smollm import FIXTURES, argument_parser, load_model, transformers_tokenizer

TOP = 16
SAMPLED = 64
PLAIN_PROMPTS = [
    "The old harbour master kept a diary for forty years. Most of the entries were about the "
    "weather, a few were about ships, and exactly one, written in pencil on a Sunday, was about "
    "a letter that he had never sent. When his daughter found it, she read it twice, put it back "
    "and went out to the pier to look at the water. It was cold, and the lights of the ferry",
    'def median(values):\n    """Return the middle value of a list of numbers."""\n    if not '
    "values:\n        raise ValueError('empty list')\n    ordered = sorted(values)\n    middle = "
    "len(ordered) // 2\n    if len(ordered) % 2 == 1:\n        return ordered[middle]\n    return",
    "Question: A baker sells 12 loaves in the morning, 27 loaves at noon and 9 loaves in the "
    "evening. Each loaf costs 3 euros. How much money does the baker take in a day?\n"
    "Answer: In the morning he takes 36 euros, at noon 81 euros and in the evening 27 euros. "
    "Together that makes",
    "H\u00e6 ho! Zwei K\u00f6che, tres gatos y un caf\u00e9 \u2014 \u4e09\u4e2a\u82f9\u679c, "
    "\u041f\u0440\u0438\u0432\u0435\u0442 \U0001f600\U0001f680. Mixed   spaces,\ttabs\n\n\nand "
    "lines; numbers 1234567890, 3.14159 and 2^10 = 1024.",
]
CHAT_PROMPTS = [
    [
        {
            "role": "system",
            "content": "Classify the text. Answer with one of these labels: negative, positive.",
        },
        {
            "role": "user",
            "content": "The first hour drags, the jokes are older than the cast, and yet by the "
            "end I was oddly fond of the whole noisy, overstuffed thing.",
        },
    ],
    [
        {
            "role": "user",
            "content": "Explain in two sentences why bread rises. Please mention yeast, warmth "
            "and time, and do not use the word 'magic'. My nephew is seven and asks about "
            "everything twice.",
        },
    ],
    [
        {"role": "system", "content": "You are a terse librarian."},
        {"role": "user", "content": "Do you have any books about bees?"},
        {"role": "assistant", "content": "Yes: shelf 638, second floor, by the window."},
        {"role": "user", "content": "And about the people who keep them in cities, on roofs?"},
    ],
    [
        {
            "role": "system",
            "content": "Classify the text. Answer with one of these labels: billing, delivery, "
            "other, returns, technical.",
        },
        {
            "role": "user",
            "content": "Parcel 4471 was due on the 3rd; it's now the 19th & nobody answers!!! "
            "Where is it?",
        },
    ],
]


def read_prompts(tokenizer):
    for text in PLAIN_PROMPTS:
        yield text, tokenizer.encode(text, add_special_tokens=False)
    for messages in CHAT_PROMPTS:
        text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        yield text, tokenizer.encode(text, add_special_tokens=False)


def short(value):
    return float(f"{value:.9g}")


def describe(position, logits, sampled_ids):
    top = torch.topk(logits, TOP)
    return {
        "position": position,
        "top": [[i, short(v)] for i, v in zip(top.indices.tolist(), top.values.tolist())],
        "sampled": [short(logits[i].item()) for i in sampled_ids],
        "logsumexp": short(torch.logsumexp(logits.double(), dim=-1).item()),
    }


def main():
    arguments = argument_parser(__doc__).parse_args()
    model = load_model(arguments.model, torch.float32)
    tokenizer = transformers_tokenizer(arguments.model)
    sampled_ids = sorted(random.Random(64).sample(range(model.config.vocab_size), SAMPLED))
    prompts = []
    for text, ids in read_prompts(tokenizer):
        assert len(ids) >= 64, len(ids)
        with torch.no_grad():
            logits = model(torch.tensor([ids])).logits[0]
        positions = [len(ids) // 2, len(ids) - 1]
        rows = [describe(p, logits[p], sampled_ids) for p in positions]
        prompts.append({"text": text, "ids": ids, "positions": rows})
        print(f"{len(ids)} ids, then {tokenizer.decode(rows[-1]['top'][0][0])!r}")
    text = json.dumps({"sampled_ids": sampled_ids, "prompts": prompts}, separators=(",", ":"))
    path = FIXTURES / "smollm_logits.json"
    path.write_text(text.replace('{"text"', '\n{"text"') + "\n")


if __name__ == "__main__":
    main()
