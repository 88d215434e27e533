# SPDX-License-Identifier: Apache-2.0
"""Repeat the steps of make_steps with peft, from the same starting values on the same rows."""

import json
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch

import peft_trial
from smollm import argument_parser, load_model, transformers_tokenizer

# Losses agree to float32 rounding, until it has been blown up: by gradients of norm 40 at once.
CHECKED = {"lora": (8, 1e-4), "p_tuning": (2, 1e-5)}


def parameter(model, name):
    """peft's parameter of one of ours."""
    if found := re.fullmatch(r"blk\.(\d+)\.attn_(\w)\.lora_(\w)", name):
        layer, projection, part = found.groups()
        attention = model.base_model.model.model.layers[int(layer)].self_attn
        return getattr(getattr(attention, f"{projection}_proj"), f"lora_{part.upper()}").default.weight
    return model.prompt_encoder["default"].get_parameter(name)


@torch.no_grad()
def start(model, parameters, values):
    at = 0
    for name, rows, columns in parameters:
        target = parameter(model, name)
        target.copy_(torch.tensor(values[at : at + rows * columns]).view(target.shape))
        at += rows * columns
    assert at == len(values), "start.bin holds other parameters"


def make_rows(tokenizer, path, count):
    rows = peft_trial.read_csv(path)
    labels = sorted({label for _, label in rows})
    frame = peft_trial.Frame(tokenizer, labels)
    target_of = dict(zip(labels, frame.targets))
    return [(frame.prompt(text), target_of[label]) for text, label in rows[:count]]


def main():
    parser = argument_parser(__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--train", type=Path, required=True, help="the CSV that make_steps read")
    given = parser.parse_args()
    ours = json.loads((given.folder / "steps.json").read_text())
    model = load_model(given.model, torch.float32)
    settings = SimpleNamespace(rank=8, alpha=8, modules="all-linear", virtual_tokens=20)
    model = peft_trial.TECHNIQUES[ours["technique"]](model, settings, None)
    start(model, ours["parameters"], np.fromfile(given.folder / "start.bin", dtype=np.float32))
    rows = make_rows(transformers_tokenizer(given.model), given.train, ours["rows"])
    trained = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(trained, betas=(0.9, 0.999), weight_decay=0.01)
    count, tolerance = CHECKED[ours["technique"]]
    good = True
    for number, step in enumerate(ours["steps"][:count], 1):
        optimiser.param_groups[0]["lr"] = step["rate"]
        loss = peft_trial.batch_loss(model, rows)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimiser.step()
        optimiser.zero_grad()
        off = abs(loss.item() / step["loss"] - 1)
        good &= off <= tolerance
        print(
            f"step {number}: loss {step['loss']:.6f} {loss.item():.6f}, "
            f"gradient norm {step['grad_norm']:.5f} {norm.item():.5f}, off by {off:.1e}"
        )
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
