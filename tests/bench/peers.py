#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Advisor's engine beside llama.cpp and transformers with peft: same weights, texts and cores.

    tests/bench/peers.py build/bench/bench_peers --model FILE [--rounds N] [--parts A,B]

Prints lines `figure value goal met|missed`, and comments after #. A figure is the median, over
rounds in which both sides take turns, of one side's rate in units of the other's, so the mood of
the machine cancels. It does not cancel beside busy processes, which hold up llama.cpp's threads
much more than Advisor's: a comment says how much of the processors others took. The peers are
installed from PyPI into $PEERS_VENV, by default ${XDG_CACHE_HOME:-~/.cache}/advisor/peers;
llama.cpp is compiled there for this processor.

What is measured. The texts are those of demo:tickets, as token ids from bench_peers, so that all
sides run the same; where they do not compute the same, the comparison ends with an error.

- scoring: prompts of 48 to 64 tokens behind an instruction that is in the cache already, and the
  probabilities of the labels. llama.cpp reads the same ids behind the same cached instruction and
  gives logits behind the last one alone. It may have the prompts one at a time or several in a
  batch, with flash attention or without: whatever is fastest before the rounds begin. Its formats
  are the file itself, and the same weights as Q8_0, F16, BF16 and F32, which llama.cpp writes.
- lora, full: steps of 16 examples forward, backward and update, from the same start in every round.
  The peer pads to the longest of its batch and computes the output head from where the first answer
  starts; its padding does not count as tokens. Advisor runs the instruction once for several
  examples and counts it once, so this compares the speed of what is run; the figure with
  `examples` in its name compares how many examples are trained on, and so counts what that saves.
- Memory of a LoRA trial: the peak of a process that did these steps and nothing else; the peer's
  from when its model is loaded, so that reading the file does not count, Advisor's from its start.
- decoding: greedy answers of up to 64 tokens to 96 requests that come and go in one batch, beside
  one stream of llama.cpp in its fastest format. Reading the requests is not counted on either side;
  the figure that begins with `answers` counts it.
"""

import argparse
import json
import os
import signal
import statistics
import sys
import tempfile
import time
from pathlib import Path

from workers import PARITY, PYTHON, Others, Worker, comment, figure, install, serve

FILE = "the 4-bit file"
FORMATS = ("Q8_0", "F16", "BF16", "F32")  # the same weights, beside it
WAYS = ((1, 0), (1, 1), (8, 0), (8, 1))  # prompts in a batch; flash attention or not
PARTS = "scoring,lora,full,decoding"
STREAMS = 4  # requests that llama.cpp decodes, one after the other


# ---- The peers, each in a process of its own ----------------------------------------------------


class Llama:
    """llama.cpp on one file, with as many prompts in a batch as asked for."""

    def __init__(self, arguments):
        import llama_cpp

        self.api, self.together = llama_cpp, arguments.together
        self.texts = json.loads(arguments.texts.read_text())
        llama_cpp.llama_backend_init()
        how = llama_cpp.llama_model_default_params()
        how.n_gpu_layers = 0
        self.model = llama_cpp.llama_model_load_from_file(str(arguments.model).encode(), how)
        self.vocabulary = llama_cpp.llama_vocab_n_tokens(
            llama_cpp.llama_model_get_vocab(self.model)
        )
        how = llama_cpp.llama_context_default_params()
        how.n_ctx, how.n_batch, how.n_ubatch = 2048, 1024, 1024
        how.n_seq_max, how.kv_unified = self.together + 1, True
        how.n_threads = how.n_threads_batch = arguments.threads
        how.flash_attn_type = arguments.flash
        self.context = llama_cpp.llama_init_from_model(self.model, how)
        self.memory = llama_cpp.llama_get_memory(self.context)
        self.batch = llama_cpp.llama_batch_init(1024, 0, 1)

    def decode(self, sequences):
        """Runs (number, position, ids) of several sequences; logits behind the last id of each."""
        import numpy

        at, ends = 0, []
        for number, position, ids in sequences:
            for offset, token in enumerate(ids):
                self.batch.token[at] = token
                self.batch.pos[at] = position + offset
                self.batch.n_seq_id[at] = 1
                self.batch.seq_id[at][0] = number
                self.batch.logits[at] = offset == len(ids) - 1
                at += 1
            ends.append(at - 1)
        self.batch.n_tokens = at
        if self.api.llama_decode(self.context, self.batch):
            raise RuntimeError("llama_decode failed")
        rows = (self.api.llama_get_logits_ith(self.context, end) for end in ends)
        return [numpy.ctypeslib.as_array(row, shape=(self.vocabulary,)) for row in rows]

    def read_prefix(self, work):
        """The shared instruction, as sequence 0, alone in the cache."""
        self.api.llama_memory_clear(self.memory, True)
        self.decode([(0, 0, work["prefix"])])

    def behind_prefix(self, work, requests):
        """Reads requests behind the cached instruction, together."""
        for number in range(1, self.together + 1):
            self.api.llama_memory_seq_rm(self.memory, number, -1, -1)
            self.api.llama_memory_seq_cp(self.memory, 0, number, -1, -1)
        start = len(work["prefix"])
        return self.decode([(n, start, ids) for n, ids in enumerate(requests, 1)])

    def score(self, count=None):
        import numpy

        work, choices = self.texts["scoring"], self.texts["choices"]
        requests = [example["request"] for example in work["examples"][: count and int(count)]]
        self.read_prefix(work)
        answers, start = [], time.perf_counter()
        for first in range(0, len(requests), self.together):
            for logits in self.behind_prefix(work, requests[first : first + self.together]):
                odds = numpy.exp(logits[choices] - logits[choices].max())
                answers.append((odds / odds.sum()).tolist())
        seconds = time.perf_counter() - start
        return {"tokens": sum(map(len, requests)), "seconds": seconds, "answers": answers}

    def stream(self, *lengths):
        """Greedy answers of these lengths, one request after the other."""
        work = self.texts["decoding"]
        self.read_prefix(work)
        answers, seconds, reading = [], 0.0, 0.0
        for example, length in zip(work["examples"], map(int, lengths)):
            begun = time.perf_counter()
            (logits,) = self.behind_prefix(work, [example["request"]])
            ids, position = [int(logits.argmax())], len(work["prefix"]) + len(example["request"])
            start = time.perf_counter()
            while len(ids) < length:
                (logits,) = self.decode([(1, position, ids[-1:])])
                ids.append(int(logits.argmax()))
                position += 1
            seconds += time.perf_counter() - start
            reading += start - begun
            answers.append(ids)
        whole = sum(map(len, answers))
        return {
            "tokens": whole - len(answers),
            "seconds": seconds,
            "whole_tokens": whole,
            "whole_seconds": seconds + reading,
            "answers": answers,
        }

    def answers(self):
        return {"score": self.score, "stream": self.stream}


def write_formats(arguments):
    """The weights of the model in other formats, written by llama.cpp; says what it runs on."""
    import llama_cpp

    types = {
        "F32": llama_cpp.LLAMA_FTYPE_ALL_F32,
        "F16": llama_cpp.LLAMA_FTYPE_MOSTLY_F16,
        "BF16": llama_cpp.LLAMA_FTYPE_MOSTLY_BF16,
        "Q8_0": llama_cpp.LLAMA_FTYPE_MOSTLY_Q8_0,
    }
    how = llama_cpp.llama_model_quantize_default_params()
    how.allow_requantize, how.nthread = True, arguments.threads
    for name in FORMATS:
        how.ftype = types[name]
        target = arguments.texts.parent / f"{name}.gguf"
        if llama_cpp.llama_model_quantize(str(arguments.model).encode(), str(target).encode(), how):
            raise RuntimeError(f"llama.cpp cannot write {target}")
    return llama_cpp.llama_print_system_info().decode()


class Torch:
    """transformers and peft, with what the parity trials are made of."""

    BATCH = 16

    def __init__(self, arguments):
        sys.path.insert(0, str(PARITY))
        import torch
        from peft_trial import TECHNIQUES, batch_loss
        from smollm import load_model

        self.torch, self.batch_loss = torch, batch_loss
        model = load_model(arguments.model, torch.float32)
        torch.set_num_threads(arguments.threads)
        setting = argparse.Namespace(rank=8, alpha=8, modules="all-linear")
        technique = "lora" if arguments.serve == "lora" else "full_finetune"
        self.model = TECHNIQUES[technique](model, setting, None).train()
        self.trained = [p for p in self.model.parameters() if p.requires_grad]
        self.start = [p.detach().clone() for p in self.trained]
        work = json.loads(arguments.texts.read_text())["training"]
        self.rows = [(work["prefix"] + e["request"], e["answer"]) for e in work["examples"]]

    def train(self):
        """One pass over the examples, always from the same start."""
        torch = self.torch
        with torch.no_grad():
            for parameter, start in zip(self.trained, self.start):
                parameter.copy_(start)
        losses, begun = [], time.perf_counter()
        optimiser = torch.optim.AdamW(self.trained, lr=1e-3, weight_decay=0.01)
        for first in range(0, len(self.rows), self.BATCH):
            loss = self.batch_loss(self.model, self.rows[first : first + self.BATCH])
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.trained, 1.0)
            optimiser.step()
            optimiser.zero_grad()
            losses.append(loss.item())
        return {
            "tokens": sum(len(prompt) + len(answer) for prompt, answer in self.rows),
            "examples": len(self.rows),
            "seconds": time.perf_counter() - begun,
            "first_loss": losses[0],
        }

    def answers(self):
        return {"ready": lambda: True, "train": self.train}


def serve_peer(arguments):
    if arguments.serve == "formats":
        return serve({"write": lambda: write_formats(arguments)})
    peer = Llama(arguments) if arguments.serve == "llama" else Torch(arguments)
    return serve(peer.answers())


# ---- Both sides ---------------------------------------------------------------------------------


def rate(answer):
    return answer["tokens"] / answer["seconds"]


def difference(ours, theirs):
    """The mean absolute difference of two tables."""
    pairs = [(a, b) for rows in zip(ours, theirs) for a, b in zip(*rows)]
    return statistics.mean(abs(a - b) for a, b in pairs)


class Comparison:
    """Pairs of rates, measured in turns."""

    def __init__(self, name, theirs, goal=None):
        self.name, self.theirs, self.goal = name, theirs, goal
        self.pairs = []

    def add(self, ours, theirs):
        self.pairs.append((ours, theirs))

    def ratio(self):
        return statistics.median(ours / theirs for ours, theirs in self.pairs)

    def print(self):
        ours, theirs = (statistics.median(side) for side in zip(*self.pairs))
        ratios = " ".join(f"{ours / theirs:.2f}" for ours, theirs in self.pairs)
        comment(f"{self.name}: {ours:.1f} against {theirs:.1f} of {self.theirs}; rounds {ratios}")
        figure(self.name, self.ratio(), ">=", self.goal)


class Bench:
    def __init__(self, arguments, folder):
        self.arguments, self.folder = arguments, folder
        self.texts = folder / "texts.json"

    def ours(self):
        arguments = self.arguments
        return Worker(
            self.folder / "log", arguments.driver.resolve(), arguments.model, arguments.threads
        )

    def peer(self, kind, model=None, together=1, flash=0):
        return Worker(
            self.folder / "log",
            *(PYTHON, Path(__file__).resolve(), "--serve", kind),
            *("--model", model or self.arguments.model, "--texts", self.texts),
            *("--threads", self.arguments.threads, "--together", together, "--flash", flash),
        )

    def model(self, name):
        return self.arguments.model if name == FILE else self.folder / f"{name}.gguf"

    def llama(self, name, way):
        return self.peer("llama", self.model(name), *way)

    def prepare(self):
        with self.ours() as ours:
            self.texts.write_text(json.dumps(ours.ask("texts")))

    def fastest_ways(self):
        """Of every format the quickest way to read prompts; then of decoding one stream."""
        with self.peer("formats") as peer:
            comment(f"llama.cpp: {peer.ask('write')}")
        reading, streaming = {}, {}
        for name in (FILE, *FORMATS):
            for way in WAYS:
                with self.llama(name, way) as llama:
                    llama.ask("score", 4)  # pages and threads are there from now on
                    reading[name, way] = rate(llama.ask("score", self.arguments.trial))
                    if way[0] == 1:
                        streaming[name, way] = rate(llama.ask("stream", 16, 16))
        for name in (FILE, *FORMATS):
            rates = ", ".join(
                f"{way[0]} at once{', flash' * way[1]} {reading[name, way]:.0f}" for way in WAYS
            )
            stream = max(value for key, value in streaming.items() if key[0] == name)
            comment(f"llama.cpp, {name}: {rates}; one stream {stream:.0f}")
        return reading, streaming

    def compare_scoring(self, reading):
        file = max((key for key in reading if key[0] == FILE), key=reading.get)
        fastest = max(reading, key=reading.get)
        on_file = Comparison("scoring_over_llama_4bit", f"llama.cpp on {describe(file)}", 2.5)
        on_fastest = Comparison(
            "scoring_over_llama_fastest", f"llama.cpp on {describe(fastest)}", 1
        )
        with self.ours() as ours, self.llama(*file) as first, self.llama(*fastest) as second:
            ours.ask("score")
            first.ask("score", 8)
            second.ask("score", 8)
            with Others(ours, first, second) as others:
                for turn in range(2 * self.arguments.rounds):
                    peer, comparison = ((first, on_file), (second, on_fastest))[turn % 2]
                    mine, theirs = ours.ask("score"), peer.ask("score")
                    comparison.add(rate(mine), rate(theirs))
                    comparison.differences = difference(mine["answers"], theirs["answers"])
            others.tell()
        for comparison in (on_file, on_fastest):
            comparison.print()
            comment(f"probabilities of the labels differ by {comparison.differences:.4f}, mean")
            if comparison.differences > 0.02:
                sys.exit("peers: Advisor and llama.cpp do not compute the same")

    def compare_training(self, kind, name, goal):
        speed = Comparison(name, "PyTorch", goal)
        saved = Comparison(name.replace("_over", "_examples_over"), "PyTorch")
        with self.ours() as ours, self.peer(kind) as peer:
            peer.ask("ready")
            peer.forget_peak()
            with Others(ours, peer) as others:
                for _ in range(self.arguments.rounds):
                    mine, theirs = ours.ask(kind), peer.ask("train")
                    speed.add(rate(mine), rate(theirs))
                    saved.add(*(side["examples"] / side["seconds"] for side in (mine, theirs)))
            others.tell()
            peaks = ours.peak(), peer.peak()
        speed.print()
        saved.print()
        losses = mine["first_loss"], theirs["first_loss"]
        comment("loss of the first batch {:.5f} and {:.5f}".format(*losses))
        if abs(losses[0] / losses[1] - 1) > 1e-3:
            sys.exit("peers: Advisor and PyTorch do not compute the same")
        return peaks

    def compare_decoding(self, streaming):
        fastest = max(streaming, key=streaming.get)
        decoding = Comparison("decoding_over_llama_stream", f"llama.cpp on {describe(fastest)}", 4)
        whole = Comparison("answers_over_llama_stream", decoding.theirs)
        with self.ours() as ours, self.llama(*fastest) as llama:
            llama.ask("stream", 16)
            with Others(ours, llama) as others:
                for _ in range(self.arguments.rounds):
                    mine = ours.ask("decode")
                    theirs = llama.ask("stream", *map(len, mine["answers"][:STREAMS]))
                    decoding.add(rate(mine), rate(theirs))
                    both = (side["whole_tokens"] / side["whole_seconds"] for side in (mine, theirs))
                    whole.add(*both)
            others.tell()
        decoding.print()
        whole.print()
        pairs = list(zip(mine["answers"], theirs["answers"]))
        same = [sum(a == b for a, b in zip(*pair)) for pair in pairs]
        answered = sum(len(answer) for answer, _ in pairs)
        comment(f"the same tokens in the same places: {sum(same)} of {answered}")

    def compare_lora(self):
        ours, theirs = self.compare_training("lora", "lora_over_peft", 3)
        comment(f"peak memory of LoRA: {ours / 1e6:.0f} MB against {theirs / 1e6:.0f} MB")
        figure("lora_memory_over_peft", ours / theirs, "<=", 1 / 3)

    def run(self):
        self.prepare()
        parts = self.arguments.parts.split(",")
        if "scoring" in parts or "decoding" in parts:
            reading, streaming = self.fastest_ways()
        if "scoring" in parts:
            self.compare_scoring(reading)
        if "lora" in parts:
            self.compare_lora()
        if "full" in parts:
            self.compare_training("full", "full_over_pytorch", 2.5)
        if "decoding" in parts:
            self.compare_decoding(streaming)


def describe(key):
    name, (together, flash) = key
    return f"{name}, {together} at once{', flash' * flash}"


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("driver", type=Path, nargs="?", help="build/bench/bench_peers")
    parser.add_argument("--model", type=Path, required=True, help="a 4-bit GGUF file")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--parts", default=PARTS, help=f"some of {PARTS}")
    parser.add_argument("--trial", type=int, default=16, help="prompts that find the fastest way")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    for name, kind in (("serve", str), ("texts", Path), ("together", int), ("flash", int)):
        parser.add_argument(f"--{name}", type=kind, help=argparse.SUPPRESS)
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    if arguments.serve:
        return serve_peer(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the files are removed
    install()
    with tempfile.TemporaryDirectory(prefix="advisor-peers-") as folder:
        Bench(arguments, Path(folder)).run()


if __name__ == "__main__":
    main()
