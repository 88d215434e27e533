# SPDX-License-Identifier: Apache-2.0
"""Loss, gradients and ten AdamW steps of LoRA on tiny.gguf, computed by peft in float64."""

import json

import numpy
import torch
from peft import LoraConfig, get_peft_model

from smollm import FIXTURES
from tiny import LAYERS, MODULE_NAMES, gguf_to_hf, hf_name, hf_to_gguf, load_tiny

RANK, ALPHA = 4, 8
STEPS = 10
OPTIMISER = {"lr": 1e-2, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.01}
NO_TARGET = -1
CASES = {
    "all": ["attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"],
    "attention": ["attn_q", "attn_v"],
}


def make_sequences(generator):
    """Two sequences of unlike length; targets are the next ids in the second half of each."""
    sequences = []
    for length in (24, 17):
        ids = generator.integers(3, 319, length).tolist()
        targets = [NO_TARGET] * length
        for position in range(length // 2 - 1, length - 1):
            targets[position] = ids[position + 1]
        sequences.append({"ids": ids, "targets": targets})
    return sequences


def draw(generator, spread, shape):
    """Normal values rounded to multiples of 2**-12: exact in text, float32 and float64."""
    return numpy.round(generator.normal(0, spread, shape) * 4096) / 4096


class Adapter:
    """The two LoRA matrices of one tensor, read and written in GGUF row order."""

    def __init__(self, model, tensor_name):
        self.name = tensor_name
        path = "base_model.model." + hf_name(tensor_name).removesuffix(".weight")
        module = model.get_submodule(path)
        self.a, self.b = module.lora_A["default"].weight, module.lora_B["default"].weight

    def initialise(self, generator):
        a = draw(generator, 0.3, self.a.shape)
        b = draw(generator, 0.1, self.b.shape)
        self.a.data.copy_(torch.tensor(a))
        self.b.data.copy_(torch.tensor(gguf_to_hf(self.name, b)))

    def export(self, what):
        a, b = what(self.a).detach().numpy(), what(self.b).detach().numpy()
        return a, hf_to_gguf(self.name, b)


def digits(array):
    return [float(f"{value:.12g}") for value in numpy.ravel(array)]


def batch_loss(model, sequences):
    """Mean cross-entropy over all target positions; the sequences do not see each other."""
    logits, targets = [], []
    for sequence in sequences:
        logits.append(model(torch.tensor([sequence["ids"]])).logits[0])
        targets += sequence["targets"]
    return torch.nn.functional.cross_entropy(
        torch.cat(logits), torch.tensor(targets), ignore_index=NO_TARGET
    )


def run_case(modules, sequences, generator):
    names = sorted({MODULE_NAMES[m].rsplit(".", 1)[1] for m in modules})
    config = LoraConfig(
        r=RANK, lora_alpha=ALPHA, lora_dropout=0.0, target_modules=names, task_type="CAUSAL_LM"
    )
    model = get_peft_model(load_tiny(torch.float64), config).double()
    tensors = [f"blk.{layer}.{m}.weight" for layer in range(LAYERS) for m in modules]
    adapters = [Adapter(model, name) for name in tensors]
    for adapter in adapters:
        adapter.initialise(generator)
    lora = {}
    for adapter in adapters:
        a, b = adapter.export(lambda weight: weight)
        lora[adapter.name] = {"in": a.shape[1], "out": b.shape[0], "a": digits(a), "b": digits(b)}

    trainable = [p for p in model.parameters() if p.requires_grad]
    assert len(trainable) == 2 * len(adapters)
    optimiser = torch.optim.AdamW(trainable, **OPTIMISER)
    losses, norms = [], []
    for step in range(STEPS):
        optimiser.zero_grad()
        loss = batch_loss(model, sequences)
        loss.backward()
        losses.append(loss.item())
        norms.append(sum(p.grad.pow(2).sum() for p in trainable).sqrt().item())
        if step == 0:
            for adapter in adapters:
                a, b = adapter.export(lambda weight: weight.grad)
                lora[adapter.name] |= {"grad_a": digits(a), "grad_b": digits(b)}
        optimiser.step()
    for adapter in adapters:
        a, b = adapter.export(lambda weight: weight)
        lora[adapter.name] |= {"final_a": digits(a), "final_b": digits(b)}
    return {
        "loss": digits(losses[:1])[0],
        "losses": digits(losses),
        "grad_norms": digits(norms),
        "final_loss": digits([batch_loss(model, sequences).item()])[0],
        "lora": lora,
    }


def main():
    generator = numpy.random.default_rng(4321)
    sequences = make_sequences(generator)
    cases = []
    for name, modules in CASES.items():
        case = run_case(modules, sequences, generator)
        cases.append({"name": name, **case})
        print(name, case["losses"], case["grad_norms"], case["final_loss"])
    document = {
        "rank": RANK, "alpha": ALPHA, "steps": STEPS, "optimiser": OPTIMISER,
        "no_target": NO_TARGET, "sequences": sequences, "cases": cases,
    }  # fmt: skip
    path = FIXTURES / "lora_tiny.json"
    text = json.dumps(document, separators=(",", ":")).replace('"blk.', '\n"blk.')
    path.write_text(text + "\n")


if __name__ == "__main__":
    main()
