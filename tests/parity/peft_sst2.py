# SPDX-License-Identifier: Apache-2.0
"""Train LoRA with transformers and peft on a CSV of texts and labels; report the accuracy."""

import csv
import json
import math
import random
import resource
import time
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from transformers import get_linear_schedule_with_warmup

from smollm import argument_parser, encode_plain, load_model, transformers_tokenizer

IGNORED = -100
EVALUATION_BATCH = 32


def parse_arguments():
    parser = argument_parser(__doc__)
    parser.add_argument("--train", type=Path, required=True, help="CSV with text,label")
    parser.add_argument("--test", type=Path, required=True, help="CSV with text,label")
    parser.add_argument("--rows", type=int, default=512, help="training rows taken")
    parser.add_argument("--test-rows", type=int, help="test rows taken from the top; default all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("-r", "--rank", type=int, default=8)
    parser.add_argument("--alpha", type=float, default=8)
    parser.add_argument("--modules", default="q_proj,v_proj")
    parser.add_argument("--warmup", type=float, default=0.1, help="share of the steps")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--target-logits-only",
        action="store_true",
        help="output layer at target positions only; default is the usual labels= call",
    )
    return parser.parse_args()


def read_csv(path):
    with path.open(newline="", encoding="utf-8") as file:
        return [(row["text"], row["label"]) for row in csv.DictReader(file)]


class Frame:
    """Puts a text into the chat frame; only the frame's own markers become special ids."""

    def __init__(self, tokenizer, labels):
        self.tokenizer = tokenizer
        instruction = f"Classify the text. Answer with one of these labels: {', '.join(labels)}."
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

    def best_label(self, log_probabilities):
        """Index of the likeliest label, from {fork: {child: log probability}}."""

        def score(target):
            prefixes = [(tuple(target[:i]), token) for i, token in enumerate(target)]
            return sum(log_probabilities[p][t] for p, t in prefixes if p in log_probabilities)

        return max(range(len(self.targets)), key=lambda index: score(self.targets[index]))


def last_logits(model, rows):
    """Logits after the last id of every row."""
    ids, mask = padded_batch(rows)
    hidden = model.model(input_ids=ids, attention_mask=mask).last_hidden_state
    last = torch.tensor([len(row) - 1 for row in rows])
    return model.lm_head(hidden[torch.arange(len(rows)), last])


@torch.no_grad()
def accuracy(model, prompts, answers, trie):
    model.eval()
    scores = [{} for _ in prompts]
    order = sorted(range(len(prompts)), key=lambda index: len(prompts[index]))
    for start in range(0, len(order), EVALUATION_BATCH):
        batch = order[start : start + EVALUATION_BATCH]
        for prefix, tokens in trie.forks.items():
            logits = last_logits(model, [prompts[index] + list(prefix) for index in batch])
            for index, row in zip(batch, torch.log_softmax(logits[:, tokens], dim=-1).tolist()):
                scores[index][prefix] = dict(zip(tokens, row))
    right = sum(trie.best_label(score) == answer for score, answer in zip(scores, answers))
    return right / len(prompts)


def batch_loss(peft_model, rows, target_logits_only):
    """Mean cross-entropy over the target tokens of the batch."""
    ids, mask = padded_batch([prompt + target for prompt, target in rows])
    labels = pad([[IGNORED] * len(prompt) + target for prompt, target in rows], IGNORED)
    if not target_logits_only:
        return peft_model(input_ids=ids, attention_mask=mask, labels=labels).loss
    model = peft_model.get_base_model()
    hidden = model.model(input_ids=ids, attention_mask=mask).last_hidden_state[:, :-1]
    labels = labels[:, 1:]
    wanted = labels != IGNORED
    return torch.nn.functional.cross_entropy(model.lm_head(hidden[wanted]), labels[wanted])


def train(peft_model, rows, arguments):
    """Returns the loss of every step, the tokens seen and the seconds taken."""
    trainable = [p for p in peft_model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(
        trainable, lr=arguments.learning_rate, betas=(0.9, 0.999), weight_decay=0.01
    )
    steps = arguments.epochs * math.ceil(len(rows) / arguments.batch)
    schedule = get_linear_schedule_with_warmup(
        optimiser, math.ceil(arguments.warmup * steps), steps
    )
    generator = random.Random(arguments.seed)
    peft_model.train()
    losses, tokens, started = [], 0, time.perf_counter()
    for _ in range(arguments.epochs):
        order = generator.sample(rows, len(rows))
        for start in range(0, len(order), arguments.batch):
            batch = order[start : start + arguments.batch]
            loss = batch_loss(peft_model, batch, arguments.target_logits_only)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(trainable, 1.0)
            optimiser.step()
            schedule.step()
            optimiser.zero_grad()
            losses.append(loss.item())
            tokens += sum(len(prompt) + len(target) for prompt, target in batch)
    return losses, tokens, time.perf_counter() - started


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
    random.Random(arguments.seed).shuffle(train_rows)
    train_rows = train_rows[: arguments.rows]

    frame = Frame(tokenizer, labels)
    trie = LabelTrie(frame.targets)
    target_of = dict(zip(labels, frame.targets))
    rows = [(frame.prompt(text), target_of[label]) for text, label in train_rows]
    prompts = [frame.prompt(text) for text, _ in test_rows]
    answers = [labels.index(label) for _, label in test_rows]

    zero_shot = accuracy(model, prompts, answers, trie)
    peaks["zero_shot"] = peak_rss_mib()
    config = LoraConfig(
        r=arguments.rank,
        lora_alpha=arguments.alpha,
        lora_dropout=0.0,
        target_modules=arguments.modules.split(","),
        task_type="CAUSAL_LM",
    )
    peft_model = get_peft_model(model, config)
    losses, tokens, seconds = train(peft_model, rows, arguments)
    peaks["training"] = peak_rss_mib()
    trained = accuracy(peft_model.get_base_model(), prompts, answers, trie)
    report = {
        "rows": len(rows),
        "test_rows": len(test_rows),
        "labels": labels,
        "steps": len(losses),
        "seed": arguments.seed,
        "learning_rate": arguments.learning_rate,
        "epochs": arguments.epochs,
        "target_logits_only": arguments.target_logits_only,
        "threads": arguments.threads,
        "zero_shot_accuracy": zero_shot,
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
