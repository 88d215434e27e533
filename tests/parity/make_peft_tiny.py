# SPDX-License-Identifier: Apache-2.0
"""Loss, gradients and ten AdamW steps of further techniques on tiny.gguf in float64.

IA3, prompt tuning, prefix tuning and P-tuning run in peft; the bottleneck adapters, norm tuning and
full fine-tuning are plain PyTorch.
"""

import json

import numpy
import torch
from peft import IA3Config, PrefixTuningConfig, PromptEncoderConfig, PromptTuningConfig
from peft import get_peft_model

from make_lora_tiny import OPTIMISER, STEPS, batch_loss, digits, draw, make_sequences
from smollm import FIXTURES
from tiny import HEADS, KV_HEADS, LAYERS, MODULE_NAMES, WIDTH
from tiny import gguf_to_hf, hf_to_gguf, load_tiny

VIRTUAL_TOKENS, HIDDEN, BOTTLENECK = 5, 16, 6
HEAD_SIZE = WIDTH // HEADS
KEY_WIDTH = KV_HEADS * HEAD_SIZE
KEYS = "blk.0.attn_k.weight"  # whose rows are the features of keys


class Parameter:
    """A trained tensor, or rows and columns of one, under the name and in the order of the C side.

    `part` picks what belongs to `name` from the tensor. The rows of Q and K weights are brought
    into GGUF's order, and so are the columns of rows of key features (`keys`).
    """

    def __init__(self, name, tensor, part=lambda tensor: tensor, keys=False):
        self.name, self.tensor, self.part, self.keys = name, tensor, part, keys

    def read(self, tensor):
        array = self.part(tensor.detach()).numpy()
        array = array.reshape(1, -1) if array.ndim == 1 else array
        if self.keys:
            return hf_to_gguf(KEYS, array.T).T
        return hf_to_gguf(self.name, array)

    def values(self):
        return self.read(self.tensor)

    def gradient(self):
        return self.read(self.tensor.grad)

    def set(self, array):
        array = gguf_to_hf(KEYS, array.T).T if self.keys else gguf_to_hf(self.name, array)
        part = self.part(self.tensor.data)
        part.copy_(torch.tensor(array).reshape(part.shape))


def ia3(model):
    model = get_peft_model(model, IA3Config(task_type="CAUSAL_LM")).double()
    parameters = []
    for layer in range(LAYERS):
        for name in ("attn_k", "attn_v", "ffn_down"):
            path = f"base_model.model.model.layers.{layer}.{MODULE_NAMES[name]}"
            vector = model.get_submodule(path).ia3_l["default"]
            keys = name == "attn_k"
            parameters.append(Parameter(f"blk.{layer}.{name}.ia3", vector, torch.flatten, keys))
    return model, parameters


def prompt_tuning(model):
    config = PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=VIRTUAL_TOKENS)
    model = get_peft_model(model, config).double()
    encoder = model.prompt_encoder["default"]
    return model, [Parameter("prompt_embeddings", encoder.embedding.weight)]


def prefix_tuning(model):
    config = PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=VIRTUAL_TOKENS)
    model = get_peft_model(model, config).double()
    weight = model.prompt_encoder["default"].embedding.weight
    assert weight.shape == (VIRTUAL_TOKENS, 2 * LAYERS * KEY_WIDTH)

    def columns(index):
        return lambda tensor: tensor[:, index * KEY_WIDTH : (index + 1) * KEY_WIDTH]

    parameters = []
    for layer in range(LAYERS):
        keys, values = columns(2 * layer), columns(2 * layer + 1)
        parameters.append(Parameter(f"blk.{layer}.prefix_k", weight, keys, True))
        parameters.append(Parameter(f"blk.{layer}.prefix_v", weight, values))
    return model, parameters


def p_tuning(model):
    config = PromptEncoderConfig(
        task_type="CAUSAL_LM", num_virtual_tokens=VIRTUAL_TOKENS, encoder_hidden_size=HIDDEN
    )
    model = get_peft_model(model, config).double()
    encoder = model.prompt_encoder["default"]
    return model, [Parameter(name, tensor) for name, tensor in encoder.named_parameters()]


class Bottleneck(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.down = torch.nn.Linear(WIDTH, BOTTLENECK, dtype=torch.float64)
        self.up = torch.nn.Linear(BOTTLENECK, WIDTH, dtype=torch.float64)

    def forward(self, hidden):
        return self.up(torch.relu(self.down(hidden)))


def adapter(places, parallel=False):
    """Adds a bottleneck behind (or beside) the modules `places` of every block."""

    def attach(model):
        model.requires_grad_(False)
        parameters = []
        for layer, block in enumerate(model.model.layers):
            for place in places:
                module = {"attn": block.self_attn, "ffn": block.mlp}[place]
                bottleneck = Bottleneck()

                def hook(module, args, output, bottleneck=bottleneck):
                    if isinstance(output, tuple):
                        return (output[0] + bottleneck(output[0]), *output[1:])
                    return output + bottleneck(args[0] if parallel else output)

                module.register_forward_hook(hook)
                for half in ("down", "up"):
                    linear = getattr(bottleneck, half)
                    name = f"blk.{layer}.{place}.adapter_{half}"
                    parameters.append(Parameter(name, linear.weight))
                    parameters.append(Parameter(name + ".bias", linear.bias))
        return model, parameters

    return attach


def weights(model, wanted=lambda name: True):
    """Trains weights of the model, tied ones once, under their names in GGUF."""
    model.requires_grad_(False)
    assert model.lm_head.weight is model.model.embed_tokens.weight
    names = ["token_embd", "output_norm"]
    blocks = [part for part in MODULE_NAMES if part not in names]
    names += [f"blk.{layer}.{part}" for layer in range(LAYERS) for part in blocks]
    parameters = []
    for name in filter(wanted, names):
        path = MODULE_NAMES[name.split(".")[-1]]
        path = f"model.layers.{name.split('.')[1]}.{path}" if name.startswith("blk.") else path
        weight = model.get_submodule(path).weight.requires_grad_(True)
        parameters.append(Parameter(name + ".weight", weight))
    return model, parameters


def full_finetune(model):
    return weights(model)


def norm_tuning(model):
    return weights(model, lambda name: name.endswith("_norm"))


# Name, technique, setting, what makes it, spread and mean of the initial values (None: the model's
# own), first position of the sequences.
CASES = [
    ("ia3", "ia3", "", ia3, 0.3, 1, 0),
    ("prompt_tuning", "prompt_tuning", f"num_virtual_tokens={VIRTUAL_TOKENS}", prompt_tuning,
     0.3, 0, 0),
    ("prefix_tuning", "prefix_tuning", f"num_virtual_tokens={VIRTUAL_TOKENS}", prefix_tuning,
     0.7, 0, VIRTUAL_TOKENS),
    ("p_tuning", "p_tuning", f"num_virtual_tokens={VIRTUAL_TOKENS};encoder_hidden_size={HIDDEN}",
     p_tuning, 0.5, 0, 0),
    ("houlsby", "adapter", f"adapter_dim={BOTTLENECK};adapter_form=houlsby",
     adapter(["attn", "ffn"]), 0.3, 0, 0),
    ("pfeiffer", "adapter", f"adapter_dim={BOTTLENECK};adapter_form=pfeiffer",
     adapter(["ffn"]), 0.3, 0, 0),
    ("parallel", "adapter", f"adapter_dim={BOTTLENECK};adapter_form=parallel",
     adapter(["ffn"], parallel=True), 0.3, 0, 0),
    ("norm_tuning", "norm_tuning", "", norm_tuning, 0.3, 1, 0),
    ("full_finetune", "full_finetune", "", full_finetune, None, None, 0),
]  # fmt: skip
STORED_WHOLE = 2100  # gradients of larger tensors are stored as a norm and some rows


def watch_positions(model, seen):
    """Records the positions that the rotation is asked for."""
    for module in model.modules():
        if type(module).__name__ == "LlamaRotaryEmbedding":
            module.register_forward_pre_hook(
                lambda module, args, kwargs: seen.append(kwargs["position_ids"][0].tolist()),
                with_kwargs=True,
            )


def case_loss(model, sequences, case):
    """The loss, with the virtual tokens that stand before the logits cut off."""
    virtual = VIRTUAL_TOKENS if case in ("prompt_tuning", "p_tuning") else 0

    def forward(ids):
        output = model(ids)
        output.logits = output.logits[:, virtual:]
        return output

    return batch_loss(forward, sequences)


def describe(parameter, own_values):
    values, gradient = parameter.values(), parameter.gradient()
    row = {"rows": values.shape[0], "cols": values.shape[1]}
    if not own_values:
        row["values"] = digits(values)
    row["grad_norm"] = digits([numpy.linalg.norm(gradient)])[0]
    if gradient.size <= STORED_WHOLE:
        row["grad"] = digits(gradient)
    else:
        row["grad_step"] = 16  # every sixteenth row
        row["grad"] = digits(gradient[:: row["grad_step"]])
    return row


def run_case(row, sequences, generator):
    name, technique, setting, make, spread, mean, first_position = row
    model, parameters = make(load_tiny(torch.float64))
    trained = [p for p in model.parameters() if p.requires_grad]
    trained += [p.tensor for p in parameters if not any(p.tensor is t for t in trained)]
    unique = {id(p.tensor) for p in parameters}
    assert {id(t) for t in trained} == unique and all(t.dtype == torch.float64 for t in trained)
    assert sum(p.values().size for p in parameters) == sum(t.numel() for t in trained)
    for parameter in parameters if spread else []:
        parameter.set(draw(generator, spread, parameter.values().shape) + mean)
    seen = []
    watch_positions(model, seen)

    optimiser = torch.optim.AdamW(trained, **OPTIMISER)
    losses, norms, described = [], [], {}
    for step in range(STEPS):
        optimiser.zero_grad()
        loss = case_loss(model, sequences, name)
        loss.backward()
        losses.append(loss.item())
        norms.append(sum(t.grad.pow(2).sum() for t in trained).sqrt().item())
        if step == 0:
            described = {p.name: describe(p, spread is None) for p in parameters}
        optimiser.step()
    assert {positions[0] for positions in seen} == {first_position}
    assert all(b == a + 1 for positions in seen for a, b in zip(positions, positions[1:]))
    return {
        "name": name,
        "technique": technique,
        "setting": setting,
        "loss": digits(losses[:1])[0],
        "losses": digits(losses),
        "grad_norms": digits(norms),
        "final_loss": digits([case_loss(model, sequences, name).item()])[0],
        "parameters": described,
    }


def main():
    sequences = make_sequences(numpy.random.default_rng(4321))  # those of lora_tiny.json
    generator = numpy.random.default_rng(8765)
    cases = []
    for row in CASES:
        case = run_case(row, sequences, generator)
        cases.append(case)
        print(case["name"], case["losses"], case["grad_norms"], case["final_loss"])
        for name, p in case["parameters"].items():
            assert p["grad_norm"] > 1e-3, (name, p["grad_norm"])
    document = {
        "steps": STEPS, "optimiser": OPTIMISER, "no_target": -1,
        "sequences": sequences, "cases": cases,
    }  # fmt: skip
    path = FIXTURES / "peft_tiny.json"
    text = json.dumps(document, separators=(",", ":"))
    for mark in ('"blk.', '"losses', '"name'):
        text = text.replace(mark, "\n" + mark)
    path.write_text(text + "\n")


if __name__ == "__main__":
    main()
