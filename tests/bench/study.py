#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A whole study beside the straightforward Python script that gets to the same table.

    tests/bench/study.py build/advisor --model FILE [--data CSV [--test CSV]] [--rows N]

Prints a table, comments after #, and lines `figure value goal met|missed`. The peers are those of
peers.py, which says where they are installed. Data are CSV files with `text` and `label`; without
--data the tickets of datasets/demo, without --test a fifth of the data is kept apart.

What is measured, in seconds by the clock, with all cores on either side:

- the study: `advisor recommend` on N training rows and the development rows that belong to them,
  with a budget in which the race ends by itself, as far as the report then says that it is
  complete. It races: weak techniques get few rows, strong ones several learning rates and seeds.
- the script (study_peer.py): every technique of the table once, with the setting that the study
  found for it, on all N rows, and all test examples that the study answers. So it is told the
  learning rates, has no development examples to answer, and its model is loaded once.
- the trials: `advisor trial` of every technique on all N rows, with these settings, one after the
  other, each with a start of its own: the same work as the script's, and development examples.

Figures, all of them the script's seconds over Advisor's:

- study_over_python: the study.
- study_over_python_settings: likewise, if the script had trained each setting that the study tried,
  on all rows. Settings of a technique differ in their learning rate, so each is counted as long
  as the one that was measured.
- trials_over_python: the same trials on both sides.

Both sides have the techniques of TECHNIQUES, and no linear probe, chain of thought or BitFit.
What is measured is kept line by line in the folder; the same command goes on with what is missing.
"""

import argparse
import csv
import hashlib
import json
import os
import random
import shutil
import signal
import sqlite3
import statistics
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from workers import HERE, PYTHON, REQUIREMENTS, Children, Others, Worker, comment, figure, install

DEMO = HERE.parent.parent / "datasets" / "demo" / "tickets.csv"
PROMPTS = ("zero_shot", "few_shot")
TRAINED = ("prompt_tuning", "p_tuning", "prefix_tuning", "adapter", "lora", "ia3", "norm_tuning")
TECHNIQUES = ("majority", *PROMPTS, *TRAINED, "full_finetune")
GOAL = 5
SEED = 1  # of the rows that are taken


def digest(*parts):
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def file_digest(path):
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


# ---- Data ---------------------------------------------------------------------------------------


def read_rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if not {"text", "label"} <= set(reader.fieldnames or ()):
            sys.exit(f"study: {path} has no columns `text` and `label`")
        return [(row["text"], row["label"]) for row in reader]


def write_rows(path, rows):
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("text", "label"), *rows])


def with_development(rows, most):
    """How many rows make so many training rows and their development rows (datasets/split.h)."""
    for total in range(rows, most):
        if total - min(max(total // 5, 50), 400, total // 3) >= rows:
            return total
    return most


def take_rows(arguments):
    """Rows for training and development, and test rows."""
    rows = read_rows(arguments.data)
    random.Random(SEED).shuffle(rows)
    if arguments.test:
        test = read_rows(arguments.test)
    else:
        kept = len(rows) // 5
        test, rows = rows[:kept], rows[kept:]
    return rows[: with_development(arguments.rows, len(rows))], test[: arguments.test_rows]


# ---- Measuring ----------------------------------------------------------------------------------


class Results:
    """What was measured, a line of JSON each, so that a restart goes on with what is missing."""

    def __init__(self, path):
        self.path = path
        lines = path.read_text().splitlines(keepends=True) if path.exists() else []
        whole = [line for line in lines if line.endswith("\n")]  # the last one may be cut
        if len(whole) < len(lines):
            path.write_text("".join(whole))
        self.known = {record["key"]: record for record in map(json.loads, whole)}

    def get(self, name, key, measure):
        """The result of this key, measured if need be, with how busy the machine was besides."""
        key = f"{name} {digest(key)}"
        if key not in self.known:
            with Others(Children()) as others:
                result = measure()
            record = {"key": key, "others": round(others.share, 3), "result": result}
            with self.path.open("a") as file:
                print(json.dumps(record), file=file)
            self.known[key] = record
        record = self.known[key]
        seconds, share = record["result"]["seconds"], 100 * record["others"]
        comment(f"{name}: {seconds:.1f} s; others took {share:.0f} % of the processors")
        return record


class Study:
    """Both sides on the same rows."""

    def __init__(self, arguments):
        self.arguments, self.folder = arguments, arguments.folder
        self.folder.mkdir(parents=True, exist_ok=True)
        self.train_path, self.test_path = (self.folder / f"{n}.csv" for n in ("train", "test"))
        self.database, self.report = self.folder / "study.db", self.folder / "report.json"
        self.rows, self.test = take_rows(arguments)
        write_rows(self.train_path, self.rows)
        write_rows(self.test_path, self.test)
        self.results = Results(self.folder / "results.jsonl")
        self.common = [self.rows, self.test, file_digest(arguments.model), arguments.threads]
        self.program = file_digest(arguments.program)
        self.records = []

    def get(self, name, key, measure):
        record = self.results.get(name, [self.common, key], measure)
        self.records.append(record)
        return record["result"]

    # Advisor

    def run(self, command, *operands, out=None):
        """Seconds by the clock, and those of the processors."""
        options = ["--quiet", *(["-o", out] if out else [])]
        if command != "export":
            options += ["--test", self.test_path, "--metric", "accuracy", "--format", "json"]
            options += ["--budget", self.arguments.budget]
        options += ["--model", self.arguments.model, "--threads", self.arguments.threads]
        words = [str(word) for word in (self.arguments.program, command, *operands, *options)]
        environment = {**os.environ, "XDG_DATA_HOME": str(self.folder / "data")}
        begun, used = time.perf_counter(), Children().ticks()
        if subprocess.run(words, env=environment, stdout=subprocess.DEVNULL).returncode:
            sys.exit(f"study: failed: {' '.join(words)}")
        seconds = time.perf_counter() - begun
        ticks = Children().ticks() - used
        return {"seconds": seconds, "processor": ticks / os.sysconf("SC_CLK_TCK")}

    def recommend(self):
        for path in self.folder.glob("study.db*"):
            path.unlink()
        techniques = ",".join(self.arguments.techniques)
        took = self.run("recommend", self.train_path, "--techniques", techniques, "--study",
                        self.database, out=self.report)  # fmt: skip
        report = json.loads(self.report.read_text())
        return {**took, **self.read_store(), "report": report, "prompts": self.read_prompts()}

    def read_store(self):
        """The trials, which rows are examples of development and test, and what was right."""
        store = sqlite3.connect(self.database)
        trials = store.execute(
            "SELECT technique, setting, examples, trial_seconds FROM trial WHERE status = 'done'"
        ).fetchall()
        sides = {
            side: [row for (row,) in store.execute(
                "SELECT example FROM example WHERE split = ? ORDER BY example", (side,)
            )]
            for side in ("dev", "test")
        }  # fmt: skip
        right = store.execute(
            "SELECT technique, example, correct FROM prediction JOIN trial ON trial_id = trial.id"
            " WHERE split = 'test' AND technique IN (?, ?)", PROMPTS
        ).fetchall()  # fmt: skip
        store.close()
        return {"trials": trials, **sides, "right": right}

    def read_prompts(self):
        """The exact prompts, worked examples included."""
        prompts = {}
        for technique in set(PROMPTS) & set(self.arguments.techniques):
            out = self.folder / technique
            shutil.rmtree(out, ignore_errors=True)
            self.run("export", self.database, technique, "--format", "prompt", out=out)
            prompts[technique] = json.loads((out / "manifest.json").read_text())["prompt"]
        return prompts

    def trial(self, technique, setting):
        """One trial on all rows; its report has the whole setting."""
        words = []
        for name, value in setting.items():
            words += ["--set", f"{name}={value}"] if value != "" else []
        out = self.folder / "trial.json"
        took = self.run("trial", technique, self.train_path, *words, out=out)
        report = json.loads(out.read_text())
        facts = {name: report[name] for name in ("setting", "trainable_parameters")}
        return {**took, **facts, "accuracy": report["test_metric"]}

    # The script

    def script(self, technique, setting, study):
        labels = sorted({label for _, label in self.rows})
        dev, test = set(study["dev"]), [self.test[index] for index in study["test"]]
        train = [row for index, row in enumerate(self.rows) if index not in dev]
        if technique == "majority":
            (most, _), *_ = Counter(label for _, label in train).most_common()
            return {"seconds": 0.0, "loading": 0.0, "answers": [most] * len(test)}
        request = self.folder / "request.json"
        request.write_text(
            json.dumps({
                "technique": technique, "setting": setting, "labels": labels, "train": train,
                "test": test, "prompt": study["prompts"].get(technique),
            })
        )  # fmt: skip
        begun, used = time.perf_counter(), Children().ticks()
        arguments = (self.arguments.model, self.arguments.threads, request)
        with Worker(self.folder / "peer.log", PYTHON, HERE / "study_peer.py", *arguments) as peer:
            peer.ask("ready")
            loading = time.perf_counter() - begun
            answer = peer.ask("measure")
        ticks = Children().ticks() - used
        return {**answer, "loading": loading, "processor": ticks / os.sysconf("SC_CLK_TCK")}

    # Both

    def measure(self):
        arguments = self.arguments
        key = [self.program, arguments.techniques, arguments.budget]
        study = self.get("the study", key, self.recommend)
        ranking = {row["technique"]: row for row in study["report"]["ranking"]}
        rows = []
        for technique in arguments.techniques:
            given = ranking[technique]["setting"]
            ours = self.get(
                f"{technique}, trial",
                [self.program, technique, given],
                lambda: self.trial(technique, given),
            )
            setting = ours["setting"]
            peers = [path.read_text() for path in REQUIREMENTS]
            key = [peers, technique, setting, study["dev"], study["test"], study["prompts"]]
            theirs = self.get(
                f"{technique}, script", key, lambda: self.script(technique, setting, study)
            )
            truth = [self.test[index][1] for index in study["test"]]
            right = [answer == label for answer, label in zip(theirs["answers"], truth)]
            rows.append((ranking[technique], ours, theirs, right))
        return study, rows


# ---- The table ----------------------------------------------------------------------------------


def number(value, form):
    return "-" if value is None else format(value, form)


def print_table(rows):
    head = ("technique", "rate", "rows", "study", "trial", "script", "trial s", "script s", "ratio")
    print("# {:14} {:>8} {:>5} {:>7} {:>7} {:>7} {:>8} {:>9} {:>6}".format(*head))
    for row, ours, theirs, right in rows:
        ratio = theirs["seconds"] / ours["seconds"]
        cells = [
            f"{row['technique']:14}",
            f"{number(ours['setting'].get('learning_rate'), 'g'):>8}",
            f"{row['examples']:>5}",
            f"{number(row['test_metric'], '.3f'):>7}",
            f"{number(ours['accuracy'], '.3f'):>7}",
            f"{sum(right) / len(right):>7.3f}",
            f"{ours['seconds']:>8.1f}",
            f"{theirs['seconds']:>9.1f}",
            f"{ratio:>6.2f}" if theirs["seconds"] else f"{'-':>6}",
        ]
        print("#", *cells)
    comment("study, trial, script: test accuracy. rows: training rows of the study's figure")


def tell_study(study, rows, whole):
    report = study["report"]
    every = [row for row, *_ in rows if row["examples"] >= whole]
    comment(f"{len(every)} of the study's {len(rows)} rows are measured on all {whole} examples")
    if not report["reproduce"]["complete"]:
        comment("the study ended before all that it had planned was done")
    profile = report["profile"]
    if profile["test_used"] < profile["test"]:
        comment(f"the study answers {profile['test_used']} of {profile['test']} test examples")
    best = report["recommendation"]["technique"] or "nothing"
    trials = [(ours["accuracy"], row["technique"]) for row, ours, *_ in rows if ours["accuracy"]]
    script = [(sum(right) / len(right), row["technique"]) for row, *_, right in rows]
    first = "{1} ({0:.3f})"
    found = f"trials {first.format(*max(trials))}, of the script {first.format(*max(script))}"
    comment(f"recommended: {best}; best on the test examples, of the {found}")


def tell_parameters(rows):
    pairs = [
        (row["technique"], ours["trainable_parameters"], theirs["trainable_parameters"])
        for row, ours, theirs, _ in rows
        if "trainable_parameters" in theirs
    ]
    for technique, ours, theirs in pairs:
        if ours != theirs:
            comment(f"{technique} trains {ours} parameters, in the script {theirs}")
    same = sum(ours == theirs for _, ours, theirs in pairs)
    comment(f"{same} of {len(pairs)} techniques train as many parameters on both sides")


def tell_prompts(study, rows):
    """Prompts are the same on both sides, so what is right is, too."""
    for technique in PROMPTS:
        ours = {index: bool(right) for name, index, right in study["right"] if name == technique}
        theirs = next((right for row, *_, right in rows if row["technique"] == technique), [])
        pairs = [(ours[i], one) for i, one in zip(study["test"], theirs) if i in ours]
        same = sum(a == b for a, b in pairs)
        if pairs:
            comment(f"{technique}: right or wrong alike in {same} of {len(pairs)} test examples")
        if pairs and same < 0.95 * len(pairs):
            sys.exit(f"study: Advisor and transformers do not compute the same for {technique}")


def print_figures(study, rows):
    loading = statistics.median([t["loading"] for _, _, t, _ in rows if t["loading"]] or [0.0])
    settings = {}
    for technique, setting, _, _ in study["trials"]:
        settings.setdefault(technique, set()).add(setting)
    script = loading + sum(theirs["seconds"] for _, _, theirs, _ in rows)
    every = loading + sum(
        theirs["seconds"] * max(len(settings.get(row["technique"], ())), 1)
        for row, _, theirs, _ in rows
    )
    trials = sum(ours["seconds"] for _, ours, _, _ in rows)
    spent = sum(seconds for *_, seconds in study["trials"])
    count, tried = len(study["trials"]), sum(map(len, settings.values()))
    comment(f"study: {study['seconds']:.1f} s, of which {count} trials took {spent:.1f} s")
    comment(f"script: {script:.1f} s, of which loading the model {loading:.1f} s")
    comment(f"script, if it trained all {tried} settings of the study: {every:.1f} s")
    comment(f"trials: {trials:.1f} s")
    used = [sum(side.get("processor", 0) for side in sides)
            for sides in ([study], [r[1] for r in rows], [r[2] for r in rows])]  # fmt: skip
    parts = "study {:.0f} s, trials {:.0f} s, script {:.0f} s".format(*used)
    comment(f"of the processors: {parts}, loading for every technique included")
    figure("study_over_python", script / study["seconds"], ">=", GOAL)
    figure("study_over_python_settings", every / study["seconds"], ">=", None)
    figure("trials_over_python", script / trials, ">=", None)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", type=Path, help="build/advisor")
    parser.add_argument("--model", type=Path, required=True, help="a GGUF file")
    parser.add_argument("--data", type=Path, default=DEMO, help="CSV with text,label")
    parser.add_argument("--test", type=Path, help="likewise; default: a fifth of the data")
    parser.add_argument("--rows", type=int, default=512, help="training rows")
    parser.add_argument("--test-rows", type=int, help="default: all")
    parser.add_argument("--techniques", default=",".join(TECHNIQUES))
    parser.add_argument("--budget", default="10h", help="of the study")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--folder", type=Path, default=Path("build/bench/study"))
    arguments = parser.parse_args()
    arguments.techniques = arguments.techniques.split(",")
    unknown = set(arguments.techniques) - set(TECHNIQUES)
    if unknown:
        parser.error(f"only one side has {', '.join(sorted(unknown))}")
    return arguments


def main():
    arguments = parse_arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that no process is left
    install()
    both = Study(arguments)
    study, rows = both.measure()
    print_table(rows)
    tell_study(study, rows, study["report"]["profile"]["train"])
    tell_parameters(rows)
    tell_prompts(study, rows)
    print_figures(study, rows)
    share = max(record["others"] for record in both.records)
    if share > 0.05:
        comment(f"others took up to {100 * share:.0f} % of the processors: too much for these")


if __name__ == "__main__":
    main()
