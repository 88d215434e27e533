# SPDX-License-Identifier: Apache-2.0
"""The straightforward script that study.py compares with: one technique with transformers and peft.

    study_peer.py MODEL THREADS REQUEST

MODEL is a GGUF file, REQUEST the JSON file that study.py writes. Answers `ready` on standard input
when the model is loaded, and `measure` with a line of JSON: the technique trained on all rows, and
the test texts answered. What trains, pads and scores is tests/parity/peft_trial.py; adapters and
the gains of the norms, which peft does not have, are plain PyTorch. Prompts have what they share,
the instruction and the worked examples, in the cache; what is trained reads its prompt anew.
"""

import argparse
import copy
import json
import sys
import time
from pathlib import Path

from workers import PARITY, serve

sys.path.insert(0, str(PARITY))

import torch  # noqa: E402
from peft_trial import (  # noqa: E402
    TECHNIQUES,
    Frame,
    LabelTrie,
    label_scores,
    labels_as_ids,
    last_logits,
    likeliest,
    peak_rss_mib,
    predict,
    train,
)
from smollm import encode_plain, load_model, transformers_tokenizer  # noqa: E402

CONTENT_FREE = ("N/A", "", "[MASK]")

# What this script does whatever the setting says: another value cannot be compared.
FIXED = {
    "adapter_form": "pfeiffer",
    "calibration": "contextual",
    "encoder_hidden_size": 0,
    "encoder_reparameterization_type": "MLP",
    "init_weights": "text",
    "instruction": "",
    "lr_scheduler_type": "linear",
    "max_grad_norm": 1.0,
    "orders": 1,
    "prefix_projection": "false",
    "prompt_tuning_init": "TEXT",
    "prompt_tuning_init_text": "",
    "selection": "balanced",
    "system_prompt": "",
    "use_dora": "false",
    "use_rslora": "false",
    "weight_decay": 0.01,
}


# ---- What peft does not have --------------------------------------------------------------------


class Bottleneck(torch.nn.Module):
    def __init__(self, width, inner):
        super().__init__()
        self.down, self.up = torch.nn.Linear(width, inner), torch.nn.Linear(inner, width)
        torch.nn.init.xavier_uniform_(self.down.weight)
        for start in (self.down.bias, self.up.weight, self.up.bias):
            torch.nn.init.zeros_(start)

    def forward(self, hidden):
        return self.up(torch.relu(self.down(hidden)))


def make_adapter(model, arguments, start):
    model.requires_grad_(False)
    for block in model.model.layers:
        block.mlp.adapter = Bottleneck(model.config.hidden_size, arguments.adapter_dim)
        block.mlp.register_forward_hook(lambda mlp, _, output: output + mlp.adapter(output))
    return model


def make_norm_tuning(model, arguments, start):
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name.endswith("norm.weight"))
    return model


MAKERS = {**TECHNIQUES, "adapter": make_adapter, "norm_tuning": make_norm_tuning}


# ---- Prompts ------------------------------------------------------------------------------------


def behind(model, prefix):
    """The model as last_logits calls it, for ids behind a prefix that is computed once."""
    start = model(input_ids=torch.tensor([prefix]), use_cache=True, logits_to_keep=1)

    def call(input_ids, attention_mask, logits_to_keep):
        cache = copy.deepcopy(start.past_key_values)
        cache.batch_repeat_interleave(len(input_ids))
        seen = attention_mask.new_ones(len(input_ids), len(prefix))
        return model(
            input_ids=input_ids,
            attention_mask=torch.cat([seen, attention_mask], dim=1),
            past_key_values=cache,
            logits_to_keep=logits_to_keep,
        )

    return call


@torch.no_grad()
def answer_prompts(model, tokenizer, frame, trie, prompt, texts):
    """Labels with contextual calibration, behind the exact prompt of the other side."""
    model.eval()
    cached = behind(model, frame.special(prompt["before"]))
    after = frame.special(prompt["after"])

    def scores(inputs):
        requests = [encode_plain(tokenizer, text) + after for text in inputs]
        return torch.tensor(label_scores(lambda rows: last_logits(cached, rows), requests, trie))

    return likeliest((scores(texts) - scores(CONTENT_FREE).logsumexp(dim=0)).tolist())


# ---- Training -----------------------------------------------------------------------------------


def read_setting(setting, rows):
    """A setting as peft_trial.py knows it. Passes and batches are those of techniques/trainer.h:
    about 64 steps, of 4 to 16 examples, in 2 to 10 passes."""
    for name, value in FIXED.items():
        if setting.get(name, value) != value:
            raise ValueError(f"{name}={setting[name]}: only {value} can be compared")
    epochs, batch = setting.get("num_epochs", 0), setting.get("batch_size", 0)
    batch_size = batch or min(max(rows * (epochs or 4) // 64, 4), 16)
    return argparse.Namespace(
        learning_rate=setting.get("learning_rate"),
        epochs=epochs or min(max(-(-64 // -(-rows // batch_size)), 2), 10),
        batch=batch_size,
        warmup=setting.get("warmup_ratio"),
        rank=setting.get("r"),
        alpha=setting.get("lora_alpha"),
        modules=setting.get("target_modules"),
        virtual_tokens=setting.get("num_virtual_tokens", 1),
        adapter_dim=setting.get("adapter_dim"),
        seed=1,
    )


def repeat(ids, count):
    return [ids[index % len(ids)] for index in range(count)]


class Peer:
    def __init__(self, model, threads, request):
        self.request = json.loads(request.read_text())
        self.tokenizer = transformers_tokenizer(model)
        self.model = load_model(model, torch.float32)
        torch.set_num_threads(threads)

    def train(self, frame):
        request = self.request
        arguments = read_setting(request["setting"], len(request["train"]))
        torch.manual_seed(arguments.seed)
        target_of = dict(zip(request["labels"], frame.targets))
        rows = [(frame.prompt(text), target_of[label]) for text, label in request["train"]]
        count = arguments.virtual_tokens
        start = {
            "labels": labels_as_ids(self.tokenizer, request["labels"], count),
            "instruction": repeat(frame.before, count),
        }
        model = MAKERS[request["technique"]](self.model, arguments, start)
        trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
        losses, tokens, _ = train(model, rows, arguments)
        facts = {"steps": len(losses), "tokens": tokens, "losses": [losses[0], losses[-1]]}
        facts["trainable_parameters"] = trained
        return model, {**facts, "epochs": arguments.epochs, "batch": arguments.batch}

    def measure(self):
        begun, request = time.perf_counter(), self.request
        texts = [text for text, _ in request["test"]]
        frame = Frame(self.tokenizer, request["labels"])
        trie = LabelTrie(frame.targets)
        if request["prompt"]:
            facts, trained = {}, begun
            found = answer_prompts(
                self.model, self.tokenizer, frame, trie, request["prompt"], texts
            )
        else:
            model, facts = self.train(frame)
            trained = time.perf_counter()
            found = predict(model, [frame.prompt(text) for text in texts], trie)
        ended = time.perf_counter()
        return {
            **facts,
            "seconds": ended - begun,
            "train_seconds": trained - begun,
            "answers": [request["labels"][index] for index in found],
            "peak_mib": peak_rss_mib(),
        }


def main():
    model, threads, request = sys.argv[1:]
    peer = Peer(Path(model), int(threads), Path(request))
    serve({"ready": lambda: True, "measure": peer.measure})


if __name__ == "__main__":
    main()
