#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Expected values for tests/test_forgetting.c: the loss of tiny.gguf on the text of the project.

The bare model, and the same behind three virtual tokens, in float64 with transformers. Writes
tests/parity/fixtures/forgetting.json.
"""

import json
import re

import numpy
import torch

from smollm import FIXTURES, encode_plain
from tiny import WIDTH, load_tiny, tiny_tokenizer

TEXT = FIXTURES.parents[2] / "evaluators" / "forgetting.txt"
TOKENS = 40
VIRTUAL_TOKENS = 3


def passages():
    tokenizer = tiny_tokenizer()
    for passage in re.split(r"\n\n+", TEXT.read_text(encoding="utf-8").strip("\n")):
        yield encode_plain(tokenizer, passage)[:TOKENS]


def loss(model, sequences, virtual):
    """Mean nats over all tokens but the first of each sequence."""
    total, count = 0.0, 0
    for ids in sequences:
        ids = torch.tensor(ids)
        embedded = torch.cat([virtual, model.get_input_embeddings()(ids)])
        logits = model(inputs_embeds=embedded[None]).logits[0, len(virtual):]
        total += torch.nn.functional.cross_entropy(logits[:-1], ids[1:], reduction="sum").item()
        count += len(ids) - 1
    return total / count


def main():
    model = load_tiny(torch.float64)
    sequences = list(passages())
    generator = numpy.random.default_rng(17)
    values = generator.integers(-1024, 1025, (VIRTUAL_TOKENS, WIDTH)) / 4096
    with torch.no_grad():
        bare = loss(model, sequences, torch.zeros((0, WIDTH), dtype=torch.float64))
        behind = loss(model, sequences, torch.tensor(values))
    fixture = {
        "passages": len(sequences),
        "scored": sum(len(ids) - 1 for ids in sequences),
        "bare": bare,
        "virtual_tokens": values.tolist(),
        "behind_virtual_tokens": behind,
    }
    (FIXTURES / "forgetting.json").write_text(json.dumps(fixture) + "\n")


main()
