# SPDX-License-Identifier: Apache-2.0
"""Loss, gradients and ten AdamW steps of the techniques on the tiny models in float64.

LoRA, IA3, prompt tuning, prefix tuning and P-tuning run in peft; the bottleneck adapters, BitFit,
norm tuning and full fine-tuning are plain PyTorch.
"""

import json

import numpy
import torch
from peft import IA3Config, LoraConfig, PrefixTuningConfig, PromptEncoderConfig
from peft import PromptTuningConfig, get_peft_model

from make_lora_tiny import OPTIMISER, STEPS, batch_loss, digits, draw, make_sequences
from smollm import FIXTURES
from tiny import HEADS, KV_HEADS, LAYERS, LLAMA, MODULE_NAMES, QWEN2, WIDTH
from tiny import gguf_to_hf, hf_name, hf_to_gguf, load_tiny

VIRTUAL_TOKENS, HIDDEN, LSTM_HIDDEN, BOTTLENECK, RANK, ALPHA = 5, 16, 5, 6, 3, 5
HEAD_SIZE = WIDTH // HEADS
KEY_WIDTH = KV_HEADS * HEAD_SIZE
KEYS = "blk.0.attn_k.weight"  # whose rows are the features of keys


class Parameter:
    """A trained tensor, or rows and columns of one, under the name and in the order of the C side.

    `part` picks what belongs to `name` from the tensor. Rows are brought into GGUF's order as those
    of the weight `rows` are, which is `name` unless given, and columns as the rows of `columns`.
    Initial values get `mean` added when it is given.
    """

    def __init__(self, name, tensor, part=lambda tensor: tensor, rows=None, columns="", mean=None):
        self.name, self.tensor, self.part, self.mean = name, tensor, part, mean
        self.rows, self.columns = name if rows is None else rows, columns
        if columns:
            self.rows = ""

    def read(self, tensor):
        array = self.part(tensor.detach()).numpy()
        array = array.reshape(1, -1) if array.ndim == 1 else array
        return hf_to_gguf(self.columns, hf_to_gguf(self.rows, array).T).T

    def values(self):
        return self.read(self.tensor)

    def gradient(self):
        return self.read(self.tensor.grad)

    def set(self, array):
        array = gguf_to_hf(self.rows, gguf_to_hf(self.columns, array.T).T)
        part = self.part(self.tensor.data)
        part.copy_(torch.tensor(array).reshape(part.shape))


def lora(modules, **options):
    """LoRA on `modules`, by their names in GGUF."""

    def attach(model):
        names = [MODULE_NAMES[module].rsplit(".", 1)[1] for module in modules]
        config = LoraConfig(
            r=RANK, lora_alpha=ALPHA, target_modules=names, task_type="CAUSAL_LM", **options
        )
        model = get_peft_model(model, config).double()
        parameters = []
        for layer in range(LAYERS):
            for module in modules:
                name = f"blk.{layer}.{module}"
                path = f"base_model.model.model.layers.{layer}.{MODULE_NAMES[module]}"
                site = model.get_submodule(path)
                a, b = site.lora_A["default"].weight, site.lora_B["default"].weight
                parameters.append(Parameter(name + ".lora_a", a, rows=""))
                parameters.append(Parameter(name + ".lora_b", b))
                if "use_dora" in options:
                    length = site.lora_magnitude_vector["default"].weight
                    columns = name + ".weight"
                    parameters.append(
                        Parameter(name + ".lora_magnitude", length, columns=columns, mean=1)
                    )
        return model, parameters

    return attach


def ia3(modules, **options):
    def attach(model):
        model = get_peft_model(model, IA3Config(task_type="CAUSAL_LM", **options)).double()
        parameters = []
        for layer in range(LAYERS):
            for name in modules:
                path = f"base_model.model.model.layers.{layer}.{MODULE_NAMES[name]}"
                vector = model.get_submodule(path).ia3_l["default"]
                columns = f"blk.{layer}.{name}.weight"
                parameters.append(
                    Parameter(f"blk.{layer}.{name}.ia3", vector, torch.flatten, columns=columns)
                )
        return model, parameters

    return attach


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
        parameters.append(Parameter(f"blk.{layer}.prefix_k", weight, keys, columns=KEYS))
        parameters.append(Parameter(f"blk.{layer}.prefix_v", weight, values))
    return model, parameters


def prefix_projection(model):
    config = PrefixTuningConfig(
        task_type="CAUSAL_LM", num_virtual_tokens=VIRTUAL_TOKENS, prefix_projection=True,
        encoder_hidden_size=HIDDEN,
    )  # fmt: skip
    model = get_peft_model(model, config).double()
    encoder = model.prompt_encoder["default"]
    first, last = encoder.transform[0], encoder.transform[2]
    assert last.weight.shape == (2 * LAYERS * KEY_WIDTH, HIDDEN)
    parameters = [
        Parameter("embedding.weight", encoder.embedding.weight),
        Parameter("transform.0.weight", first.weight),
        Parameter("transform.0.bias", first.bias),
    ]

    def features(index):
        return lambda tensor: tensor[index * KEY_WIDTH : (index + 1) * KEY_WIDTH]

    for index in range(2 * LAYERS):
        name, order = f"blk.{index // 2}.prefix_{'kv'[index % 2]}", "" if index % 2 else KEYS
        parameters.append(
            Parameter(name + ".weight", last.weight, features(index), rows=order)
        )
        parameters.append(Parameter(name + ".bias", last.bias, features(index), columns=order))
    return model, parameters


def p_tuning(kind, hidden):
    def attach(model):
        config = PromptEncoderConfig(
            task_type="CAUSAL_LM", num_virtual_tokens=VIRTUAL_TOKENS, encoder_hidden_size=hidden,
            encoder_reparameterization_type=kind,
        )  # fmt: skip
        model = get_peft_model(model, config).double()
        encoder = model.prompt_encoder["default"]
        return model, [Parameter(name, tensor) for name, tensor in encoder.named_parameters()]

    return attach


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
    tied = model.lm_head.weight is model.model.embed_tokens.weight
    outside = ["token_embd", "output_norm", "output"]
    blocks = [part for part in MODULE_NAMES if part not in outside]
    names = [part + ".weight" for part in outside[: 2 if tied else 3]]
    names += [f"blk.{layer}.{part}.weight" for layer in range(LAYERS) for part in blocks]
    names += [f"blk.{layer}.{part}.bias" for layer in range(LAYERS) for part in blocks]
    tensors = dict(model.named_parameters())
    assert set(tensors) <= {hf_name(name) for name in names}
    parameters = []
    for name in filter(wanted, names):
        if (tensor := tensors.get(hf_name(name))) is not None:
            parameters.append(Parameter(name, tensor.requires_grad_(True)))
    return model, parameters


def full_finetune(model):
    return weights(model)


def norm_tuning(model):
    return weights(model, lambda name: name.endswith("_norm.weight"))


def bitfit(model):
    return weights(model, lambda name: name.endswith(".bias"))


# Name, technique, setting, what makes it, spread and mean of the initial values (None: the model's
# own), first position of the sequences.
CASES = [
    ("ia3", "ia3", "", ia3(["attn_k", "attn_v", "ffn_down"]), 0.3, 1, 0),
    ("prompt_tuning", "prompt_tuning", f"num_virtual_tokens={VIRTUAL_TOKENS}", prompt_tuning,
     0.3, 0, 0),
    ("prefix_tuning", "prefix_tuning", f"num_virtual_tokens={VIRTUAL_TOKENS}", prefix_tuning,
     0.7, 0, VIRTUAL_TOKENS),
    ("p_tuning", "p_tuning", f"num_virtual_tokens={VIRTUAL_TOKENS};encoder_hidden_size={HIDDEN}",
     p_tuning("MLP", HIDDEN), 0.5, 0, 0),
    ("houlsby", "adapter", f"adapter_dim={BOTTLENECK};adapter_form=houlsby",
     adapter(["attn", "ffn"]), 0.3, 0, 0),
    ("pfeiffer", "adapter", f"adapter_dim={BOTTLENECK};adapter_form=pfeiffer",
     adapter(["ffn"]), 0.3, 0, 0),
    ("parallel", "adapter", f"adapter_dim={BOTTLENECK};adapter_form=parallel",
     adapter(["ffn"], parallel=True), 0.3, 0, 0),
    ("norm_tuning", "norm_tuning", "", norm_tuning, 0.3, 1, 0),
    ("full_finetune", "full_finetune", "", full_finetune, None, None, 0),
    ("rslora", "lora",
     f"r={RANK};lora_alpha={ALPHA};use_rslora=true;target_modules=q_proj,v_proj",
     lora(["attn_q", "attn_v"], use_rslora=True), 0.3, 0, 0),
    ("dora", "lora",
     f"r={RANK};lora_alpha={ALPHA};use_dora=true;target_modules=q_proj,k_proj,v_proj,down_proj",
     lora(["attn_q", "attn_k", "attn_v", "ffn_down"], use_dora=True), 0.3, 0, 0),
    ("rsdora", "lora",
     f"r={RANK};lora_alpha={ALPHA};use_dora=true;use_rslora=true;target_modules=o_proj,up_proj",
     lora(["attn_output", "ffn_up"], use_dora=True, use_rslora=True), 0.3, 0, 0),
    ("p_tuning_lstm", "p_tuning",
     f"num_virtual_tokens={VIRTUAL_TOKENS};encoder_hidden_size={LSTM_HIDDEN};"
     "encoder_reparameterization_type=LSTM", p_tuning("LSTM", LSTM_HIDDEN), 0.5, 0, 0),
    ("prefix_projection", "prefix_tuning",
     f"num_virtual_tokens={VIRTUAL_TOKENS};prefix_projection=true;init_weights=random;"
     f"encoder_hidden_size={HIDDEN}", prefix_projection, 0.5, 0, VIRTUAL_TOKENS),
]  # fmt: skip
QWEN2_CASES = [
    ("bitfit", "bitfit", "", bitfit, None, None, 0),
    ("lora", "lora", f"r={RANK};lora_alpha={ALPHA};target_modules=q_proj,k_proj,v_proj",
     lora(["attn_q", "attn_k", "attn_v"]), 0.3, 0, 0),
    ("dora", "lora",
     f"r={RANK};lora_alpha={ALPHA};use_dora=true;target_modules=q_proj,k_proj,v_proj,down_proj",
     lora(["attn_q", "attn_k", "attn_v", "ffn_down"], use_dora=True), 0.3, 0, 0),
    ("ia3", "ia3", "target_modules=q_proj,k_proj,v_proj,down_proj",
     ia3(["attn_q", "attn_k", "attn_v", "ffn_down"],
         target_modules=["q_proj", "k_proj", "v_proj", "down_proj"],
         feedforward_modules=["down_proj"]), 0.3, 1, 0),
    ("prompt_tuning", "prompt_tuning", f"num_virtual_tokens={VIRTUAL_TOKENS}", prompt_tuning,
     0.3, 0, 0),
    ("prefix_tuning", "prefix_tuning", f"num_virtual_tokens={VIRTUAL_TOKENS}", prefix_tuning,
     0.7, 0, VIRTUAL_TOKENS),
    ("norm_tuning", "norm_tuning", "", norm_tuning, 0.3, 1, 0),
    ("full_finetune", "full_finetune", "", full_finetune, None, None, 0),
]  # fmt: skip
STORED_WHOLE = 2100  # gradients of larger tensors are stored as a norm and some rows


def watch_positions(model, seen):
    """Records the positions that the rotation is asked for."""
    for module in model.modules():
        if type(module).__name__.endswith("RotaryEmbedding"):
            module.register_forward_pre_hook(
                lambda module, args, kwargs: seen.append(
                    (args[1] if len(args) > 1 else kwargs["position_ids"])[0].tolist()
                ),
                with_kwargs=True,
            )


def case_loss(model, sequences, technique):
    """The loss, with the virtual tokens that stand before the logits cut off."""
    virtual = VIRTUAL_TOKENS if technique in ("prompt_tuning", "p_tuning") else 0

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


def run_case(row, tiny, sequences, generator):
    name, technique, setting, make, spread, mean, first_position = row
    model, parameters = make(load_tiny(torch.float64, tiny))
    for parameter in parameters if not tiny.permuted else []:
        parameter.rows = parameter.columns = ""
    trained = [p for p in model.parameters() if p.requires_grad]
    trained += [p.tensor for p in parameters if not any(p.tensor is t for t in trained)]
    unique = {id(p.tensor) for p in parameters}
    assert {id(t) for t in trained} == unique and all(t.dtype == torch.float64 for t in trained)
    assert sum(p.values().size for p in parameters) == sum(t.numel() for t in trained)
    for parameter in parameters if spread else []:
        start = mean if parameter.mean is None else parameter.mean
        parameter.set(draw(generator, spread, parameter.values().shape) + start)
    seen = []
    watch_positions(model, seen)

    optimiser = torch.optim.AdamW(trained, **OPTIMISER)
    losses, norms, described = [], [], {}
    for step in range(STEPS):
        optimiser.zero_grad()
        loss = case_loss(model, sequences, technique)
        loss.backward()
        losses.append(loss.item())
        norms.append(sum(t.grad.pow(2).sum() for t in trained).sqrt().item())
        if step == 0:
            described = {p.name: describe(p, spread is None) for p in parameters}
        optimiser.step()
    for parameter in parameters:
        if parameter.name.endswith(".lora_magnitude"):
            described[parameter.name]["final"] = digits(parameter.values())
    assert {positions[0] for positions in seen} == {first_position}
    assert all(b == a + 1 for positions in seen for a, b in zip(positions, positions[1:]))
    return {
        "name": name,
        "technique": technique,
        "setting": setting,
        "loss": digits(losses[:1])[0],
        "losses": digits(losses),
        "grad_norms": digits(norms),
        "final_loss": digits([case_loss(model, sequences, technique).item()])[0],
        "parameters": described,
    }


def write_cases(rows, tiny, seed):
    sequences = make_sequences(numpy.random.default_rng(4321))  # those of lora_tiny.json
    generator = numpy.random.default_rng(seed)
    cases = []
    for row in rows:
        case = run_case(row, tiny, sequences, generator)
        cases.append(case)
        print(case["name"], case["losses"], case["grad_norms"], case["final_loss"])
        for name, p in case["parameters"].items():
            assert p["grad_norm"] > 1e-3, (name, p["grad_norm"])
    document = {
        "steps": STEPS, "optimiser": OPTIMISER, "no_target": -1,
        "sequences": sequences, "cases": cases,
    }  # fmt: skip
    path = FIXTURES / f"peft_{tiny.path.stem}.json"
    text = json.dumps(document, separators=(",", ":"))
    for mark in ('"blk.', '"losses', '"name'):
        text = text.replace(mark, "\n" + mark)
    path.write_text(text + "\n")


def main():
    write_cases(CASES, LLAMA, 8765)
    write_cases(QWEN2_CASES, QWEN2, 8768)


if __name__ == "__main__":
    main()
