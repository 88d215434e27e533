# SPDX-License-Identifier: Apache-2.0
"""llama.cpp loads the GGUF adapter and the merged models and answers as advisor does.

Needs xllamacpp, which ships llama.cpp's own loader and server; see README.md.
"""

import json
import math
import socket
import urllib.request

import xllamacpp

from exports import INPUTS, Table, arguments, find, probabilities

# llama.cpp keeps keys and values in F16, rounds activations to F16 in front of F16 weights and to 8
# bits in front of 4-bit ones.
F32_TOLERANCE, F16_TOLERANCE, Q4_TOLERANCE = 5e-3, 1e-2, 1e-1

TEXTS = INPUTS[:5]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Llama:
    """llama.cpp's server on a model, with a LoRA adapter or without."""

    def __init__(self, model, adapter=None):
        parameters = xllamacpp.CommonParams()
        parameters.model.path = str(model)
        parameters.n_ctx, parameters.n_parallel, parameters.n_gpu_layers = 1024, 1, 0
        parameters.cpuparams.n_threads, parameters.port = 2, free_port()
        parameters.warmup = False
        if adapter:
            lora = xllamacpp.CommonAdapterLoraInfo()
            lora.path, lora.scale = str(adapter), 1.0
            parameters.lora_adapters = [lora]
        self.server = xllamacpp.Server(parameters)

    def ask(self, path, body):
        request = urllib.request.Request(
            self.server.listening_address + path,
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=300) as answer:
            return json.load(answer)

    def encode(self, text):
        """llama.cpp's own ids, control tokens included."""
        body = {"content": text, "add_special": False, "parse_special": True}
        return self.ask("/tokenize", body)["tokens"]

    def log_softmax(self, ids, among):
        """The server gives the log-probabilities of the whole vocabulary, before it picks a token.

        It gives none where it picks half a character, which a tiny model may like best.
        """
        body = {"prompt": ids, "n_predict": 1, "n_probs": 1 << 20, "temperature": 0.0}
        body["logit_bias"] = [[among[0], 1000.0]]
        rows = self.ask("/completion", body)["completion_probabilities"][0]["top_logprobs"]
        found = {row["id"]: row["logprob"] for row in rows}
        return normalised([found[token] for token in among])

    def answer(self, export, text):
        answers = [self.encode(answer) for answer in export.answers()]
        return probabilities(self.log_softmax, self.encode(export.prompt(text)), answers)


def normalised(logs):
    total = math.log(sum(math.exp(value) for value in logs))
    return [value - total for value in logs]


def compare(table, name, export, model, adapter, tolerance):
    llama = Llama(model, adapter)
    expected = export.expected()[: len(TEXTS)]
    table.add(name, expected, [llama.answer(export, text) for text in TEXTS], tolerance)


def main():
    given = arguments(__doc__)
    table = Table()
    base = given.exports / "base-f32-merged-gguf" / "model.gguf"
    for export in find(given, "gguf"):
        adapter, name = export.folder / "adapter.gguf", export.folder.name
        compare(table, f"{name} on F32", export, base, adapter, F32_TOLERANCE)
        compare(table, f"{name} on 4 bits", export, given.model, adapter, Q4_TOLERANCE)
        bare = Llama(base)
        found = [bare.answer(export, text) for text in TEXTS]
        table.control(export.expected()[: len(TEXTS)], found, F32_TOLERANCE / 10)
    for export in find(given, "merged-gguf"):
        tolerance = F32_TOLERANCE if "-f32-" in export.folder.name else F16_TOLERANCE
        compare(table, export.folder.name, export, export.folder / "model.gguf", None, tolerance)
    table.finish()


if __name__ == "__main__":
    main()
