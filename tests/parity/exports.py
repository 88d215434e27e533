# SPDX-License-Identifier: Apache-2.0
"""What check_peft.py and check_llama.py share: the exports, and what advisor predicts with them."""

import argparse
import csv
import json
import math
import subprocess
import sys
from pathlib import Path

INPUTS = [
    "the parcel never came",
    "what a lovely lamp, thank you",
    "how long is the cable",
    "it stopped working after two days and nobody cares",
    "best garden chair in the street",
    "where is the invoice",
    "the kettle is fine but the lid is cracked",
    "can the driver ring the bell next time",
    "Great, 3 of 4 jackets fit!",
    "not what I ordered",
]


def arguments(description):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("exports", type=Path, help="folder that make_exports wrote")
    parser.add_argument("--model", type=Path, required=True, help="GGUF file of the base model")
    parser.add_argument("--advisor", type=Path, default=Path("build/advisor"))
    return parser.parse_args()


class Export:
    """One export: its manifest, and advisor's label probabilities for INPUTS."""

    def __init__(self, folder, advisor, model):
        self.folder = folder
        self.manifest = json.loads((folder / "manifest.json").read_text())
        self.labels = self.manifest["data"]["labels"]
        self.advisor, self.model = advisor, model

    def prompt(self, text):
        return self.manifest["prompt"]["before"] + text + self.manifest["prompt"]["after"]

    def answers(self):
        return [label + self.manifest["prompt"]["end"] for label in self.labels]

    def expected(self):
        """advisor predict: for each input the label and the probability of every label."""
        inputs = self.folder.parent / "inputs.csv"
        with inputs.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["text"])
            writer.writerows([text] for text in INPUTS)
        command = [self.advisor, "predict", self.folder, inputs, "--model", self.model, "--quiet"]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        rows = list(csv.DictReader(output.splitlines()))
        assert len(rows) == len(INPUTS)
        return [[float(row[f"p_{label}"]) for label in self.labels] for row in rows]


def find(arguments, kind):
    """The exports of a format, by name."""
    for manifest in sorted(arguments.exports.glob("*/manifest.json")):
        if json.loads(manifest.read_text())["format"] == kind:
            yield Export(manifest.parent, arguments.advisor, arguments.model)


def probabilities(log_softmax, prompt, answers):
    """Of each answer (a list of ids), along the tree of their ids.

    `log_softmax(ids, among)` gives the log-probabilities of the tokens `among` after `ids`.
    """
    logs = [0.0] * len(answers)
    forks = {}
    for answer in answers:
        for length, token in enumerate(answer):
            forks.setdefault(tuple(answer[:length]), set()).add(token)
    for prefix, children in forks.items():
        if len(children) < 2:
            continue
        tokens = sorted(children)
        found = dict(zip(tokens, log_softmax(prompt + list(prefix), tokens)))
        for index, answer in enumerate(answers):
            if tuple(answer[: len(prefix)]) == prefix:
                logs[index] += found[answer[len(prefix)]]
    return [math.exp(value) for value in logs]


def largest_difference(expected, found):
    return max(abs(a - b) for x, y in zip(expected, found) for a, b in zip(x, y))


class Table:
    """Prints how far apart two sets of probabilities are, and remembers whether all agree."""

    def __init__(self):
        self.good = True
        print(f"{'export':32} {'labels equal':>14} {'largest difference':>20}")

    def add(self, name, expected, found, tolerance):
        largest = largest_difference(expected, found)
        equal = ties = 0
        for ours, theirs in zip(expected, found):
            best, there = ours.index(max(ours)), theirs.index(max(theirs))
            equal += best == there
            # Where both probabilities may be off by the tolerance, so may be the order of two.
            ties += best != there and ours[best] - ours[there] <= 2 * tolerance
        good = equal + ties == len(expected) and largest <= tolerance
        self.good &= good
        verdict = f", {ties} nearly tied" if ties else ""
        verdict += "" if good else f"  WRONG (at most {tolerance:g})"
        print(f"{name:32} {equal:>7} of {len(expected):>3} {largest:>20.1e}{verdict}")

    def control(self, expected, without, tolerance):
        """Without the export the answers are others, or the comparison would prove nothing."""
        effect = largest_difference(expected, without)
        good = effect > 100 * tolerance
        self.good &= good
        verdict = "" if good else "  WRONG: the same answers without it"
        print(f"{'  without it':32} {'':14} {effect:>20.1e}{verdict}")

    def finish(self):
        sys.exit(0 if self.good else 1)
