# SPDX-License-Identifier: Apache-2.0
"""Train one technique with transformers and peft on a CSV of texts and labels; report accuracy."""

import csv
import json
import math
import random
import resource
import time
from pathlib import Path

import torch
from peft import (
    IA3Config,
    LoraConfig,
    PrefixTuningConfig,
    PromptEncoderConfig,
    PromptTuningConfig,
    TaskType,
    get_peft_model,
)
from transformers import get_linear_schedule_with_warmup

from smollm import argument_parser, encode_plain, load_model, transformers_tokenizer

IGNORED = -100
EVALUATION_BATCH = 32


def parse_arguments():
    parser = argument_parser(__doc__)
    parser.add_argument("--train", type=Path, required=True, help="CSV with text,label")
    parser.add_argument("--test", type=Path, required=True, help="CSV with text,label")
    parser.add_argument("--technique", choices=TECHNIQUES, default="lora")
    parser.add_argument("--rows", type=int, default=512, help="training rows taken")
    parser.add_argument("--in-order", action="store_true", help="the first rows, not shuffled ones")
    parser.add_argument("--test-rows", type=int, help="test rows taken from the top; default all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("-r", "--rank", type=int, default=8)
    parser.add_argument("--alpha", type=float, default=8)
    parser.add_argument("--modules", default="all-linear", help="or names, as q_proj,v_proj")
    parser.add_argument("--virtual-tokens", type=int, default=20)
    parser.add_argument("--warmup", type=float, default=0.1, help="share of the steps")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def read_csv(path):
    with path.open(newline="", encoding="utf-8") as file:
        return [(row["text"], row["label"]) for row in csv.DictReader(file)]


class Frame:
    """Puts a text into the chat frame; only the frame's own markers become special ids."""

    def __init__(self, tokenizer, labels):
        self.tokenizer = tokenizer
        instruction = "Classify the text."
        self.before = self.special(
            f"<|im_start|>system\n{instruction}<|im_end|>\n<|im_start|>user\n"
        )
        self.after = self.special("<|im_end|>\n<|im_start|>assistant\n")
        end = self.special("<|im_end|>")
        self.targets = [encode_plain(tokenizer, label) + end for label in labels]

    def special(self, text):
        return self.tokenizer.encode(text, add_special_tokens=False)

    def prompt(self, text):
        return self.before + encode_plain(self.tokenizer, text) + self.after


def pad(rows, value):
    width = max(map(len, rows))
    return torch.tensor([row + [value] * (width - len(row)) for row in rows])


def padded_batch(rows):
    """Ids padded at the right, and the mask of what is real."""
    return pad(rows, 0), pad([[1] * len(row) for row in rows], 0)


class LabelTrie:
    """The labels' tokens as a tree; a label's probability is the product over its forks."""

    def __init__(self, targets):
        self.targets = targets
        self.children = {}
        for target in targets:
            for length, token in enumerate(target):
                self.children.setdefault(tuple(target[:length]), set()).add(token)
        self.forks = {p: sorted(c) for p, c in self.children.items() if len(c) > 1}

    def label_scores(self, log_probabilities):
        """Log probability of every label, from {fork: {child: log probability}}."""

        def score(target):
            prefixes = [(tuple(target[:i]), token) for i, token in enumerate(target)]
            return sum(log_probabilities[p][t] for p, t in prefixes if p in log_probabilities)

        return [score(target) for target in self.targets]


def last_logits(model, rows):
    """Logits after the last id of every row, through whatever peft has put around the model."""
    ids, mask = padded_batch(rows)
    lengths = [len(row) for row in rows]
    kept = max(lengths) - min(lengths) + 1
    logits = model(input_ids=ids, attention_mask=mask, logits_to_keep=kept).logits
    last = torch.tensor([kept - 1 - (max(lengths) - length) for length in lengths])
    return logits[torch.arange(len(rows)), last]


@torch.no_grad()
def label_scores(logits_of, prompts, trie):
    """Log probability of every label for each prompt; `logits_of` rows is as last_logits."""
    scores = [{} for _ in prompts]
    order = sorted(range(len(prompts)), key=lambda index: len(prompts[index]))
    for start in range(0, len(order), EVALUATION_BATCH):
        batch = order[start : start + EVALUATION_BATCH]
        for prefix, tokens in trie.forks.items():
            logits = logits_of([prompts[index] + list(prefix) for index in batch])
            for index, row in zip(batch, torch.log_softmax(logits[:, tokens], dim=-1).tolist()):
                scores[index][prefix] = dict(zip(tokens, row))
    return [trie.label_scores(score) for score in scores]


def likeliest(scores):
    """Index of the best label of each prompt."""
    return [max(range(len(row)), key=row.__getitem__) for row in scores]


def predict(model, prompts, trie):
    """Index of the label that the model answers to each prompt."""
    model.eval()
    return likeliest(label_scores(lambda rows: last_logits(model, rows), prompts, trie))


def accuracy(model, prompts, answers, trie):
    found = predict(model, prompts, trie)
    return sum(one == answer for one, answer in zip(found, answers)) / len(prompts)


def batch_loss(model, rows):
    """Mean cross-entropy over the target tokens of the batch; output layer only where they are."""
    ids, mask = padded_batch([prompt + target for prompt, target in rows])
    labels = pad([[IGNORED] * len(prompt) + target for prompt, target in rows], IGNORED)
    kept = labels.shape[1] - min(len(prompt) for prompt, _ in rows) + 1
    logits = model(input_ids=ids, attention_mask=mask, logits_to_keep=kept).logits[:, :-1]
    labels = labels[:, 1 - kept :]
    wanted = labels != IGNORED
    return torch.nn.functional.cross_entropy(logits[wanted], labels[wanted])


def labels_as_ids(tokenizer, labels, count):
    """What the virtual tokens start as: the labels' tokens, repeated."""
    ids = encode_plain(tokenizer, ", ".join(labels))
    return [ids[index % len(ids)] for index in range(count)]


@torch.no_grad()
def start_prompt(peft_model, ids):
    embedding = peft_model.get_base_model().get_input_embeddings().weight
    peft_model.prompt_encoder["default"].embedding.weight.copy_(embedding[ids])


@torch.no_grad()
def start_prefix(peft_model, ids):
    """The model's own keys and values of these tokens, layer by layer, keys first."""
    model = peft_model.get_base_model()
    cache = model(input_ids=torch.tensor([ids]), use_cache=True).past_key_values
    parts = []
    for layer in cache.layers:
        for part in (layer.keys, layer.values):  # (1, heads, tokens, width)
            parts.append(part[0].transpose(0, 1).reshape(len(ids), -1))
    peft_model.prompt_encoder["default"].embedding.weight.copy_(torch.cat(parts, dim=1))


def make_lora(model, arguments, start):
    modules = arguments.modules
    config = LoraConfig(
        r=arguments.rank,
        lora_alpha=arguments.alpha,
        lora_dropout=0.0,
        target_modules=modules if modules == "all-linear" else modules.split(","),
        task_type=TaskType.CAUSAL_LM,
    )
    return get_peft_model(model, config)


def make_ia3(model, arguments, start):
    config = IA3Config(
        target_modules=["k_proj", "v_proj", "down_proj"],
        feedforward_modules=["down_proj"],
        task_type=TaskType.CAUSAL_LM,
    )
    return get_peft_model(model, config)


def make_prompt_tuning(model, arguments, start):
    config = PromptTuningConfig(
        num_virtual_tokens=arguments.virtual_tokens, task_type=TaskType.CAUSAL_LM
    )
    peft_model = get_peft_model(model, config)
    start_prompt(peft_model, start["labels"])
    return peft_model


def make_p_tuning(model, arguments, start):
    config = PromptEncoderConfig(
        num_virtual_tokens=arguments.virtual_tokens, task_type=TaskType.CAUSAL_LM
    )
    return get_peft_model(model, config)


def make_prefix_tuning(model, arguments, start):
    config = PrefixTuningConfig(
        num_virtual_tokens=arguments.virtual_tokens, task_type=TaskType.CAUSAL_LM
    )
    peft_model = get_peft_model(model, config)
    start_prefix(peft_model, start["instruction"])
    return peft_model


def make_full_finetune(model, arguments, start):
    return model.requires_grad_(True)


TECHNIQUES = {
    "lora": make_lora,
    "ia3": make_ia3,
    "prompt_tuning": make_prompt_tuning,
    "p_tuning": make_p_tuning,
    "prefix_tuning": make_prefix_tuning,
    "full_finetune": make_full_finetune,
}


def train(model, rows, arguments):
    """Returns the loss of every step, the tokens seen and the processor's seconds."""
    trainable = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(
        trainable, lr=arguments.learning_rate, betas=(0.9, 0.999), weight_decay=0.01
    )
    steps = arguments.epochs * math.ceil(len(rows) / arguments.batch)
    schedule = get_linear_schedule_with_warmup(
        optimiser, math.ceil(arguments.warmup * steps), steps
    )
    generator = random.Random(arguments.seed)
    model.train()
    losses, tokens, started = [], 0, time.process_time()
    for _ in range(arguments.epochs):
        order = generator.sample(rows, len(rows))
        for start in range(0, len(order), arguments.batch):
            batch = order[start : start + arguments.batch]
            loss = batch_loss(model, batch)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(trainable, 1.0)
            optimiser.step()
            schedule.step()
            optimiser.zero_grad()
            losses.append(loss.item())
            tokens += sum(len(prompt) + len(target) for prompt, target in batch)
    return losses, tokens, time.process_time() - started


def peak_rss_mib():
    """The most memory the process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def main():
    arguments = parse_arguments()
    tokenizer = transformers_tokenizer(arguments.model)
    model = load_model(arguments.model, torch.float32)
    peaks = {"loading": peak_rss_mib()}
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(arguments.seed)

    train_rows = read_csv(arguments.train)
    test_rows = read_csv(arguments.test)[: arguments.test_rows]
    labels = sorted({label for _, label in train_rows})
    if not arguments.in_order:
        random.Random(arguments.seed).shuffle(train_rows)
    train_rows = train_rows[: arguments.rows]

    frame = Frame(tokenizer, labels)
    trie = LabelTrie(frame.targets)
    target_of = dict(zip(labels, frame.targets))
    rows = [(frame.prompt(text), target_of[label]) for text, label in train_rows]
    prompts = [frame.prompt(text) for text, _ in test_rows]
    answers = [labels.index(label) for _, label in test_rows]

    start = {
        "labels": labels_as_ids(tokenizer, labels, arguments.virtual_tokens),
        "instruction": [
            frame.before[index % len(frame.before)] for index in range(arguments.virtual_tokens)
        ],
    }
    model = TECHNIQUES[arguments.technique](model, arguments, start)
    losses, tokens, seconds = train(model, rows, arguments)
    peaks["training"] = peak_rss_mib()
    trained = accuracy(model, prompts, answers, trie)
    report = {
        "technique": arguments.technique,
        "rows": len(rows),
        "test_rows": len(test_rows),
        "labels": labels,
        "steps": len(losses),
        "seed": arguments.seed,
        "learning_rate": arguments.learning_rate,
        "epochs": arguments.epochs,
        "threads": arguments.threads,
        "accuracy": trained,
        "first_loss": losses[0],
        "last_loss": losses[-1],
        "training_tokens": tokens,
        "training_seconds": round(seconds, 2),
        "tokens_per_second": round(tokens / seconds, 1),
        "peak_rss_mib": peak_rss_mib(),
        "peak_rss_mib_until": peaks,
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
