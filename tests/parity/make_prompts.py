# SPDX-License-Identifier: Apache-2.0
"""What each prompt technique sends to the tiny model, and what the model and a probe make of it.

The turns of every case are written out below, to be read and judged; this script only puts the
marks of the chat format around them and encodes each part on its own. The probabilities come from
transformers in float64.
"""

import json

import numpy
import torch

from smollm import FIXTURES, encode_plain
from tiny import load_tiny, tiny_tokenizer

# format -> role -> (before the text, after it); a list entry is a control token.
FORMATS = {
    "chatml": {
        role: ((["<|im_start|>"], f"{role}\n"), (["<|im_end|>"], "\n"))
        for role in ("system", "user", "assistant")
    },
    "plain": {
        "system": ((), ("\n\n",)),
        "user": ((), ("\n",)),
        "assistant": ((), ("\n\n",)),
    },
}

FILMS = [
    ("a warm film", "positive"), ("dull and tired", "negative"), ("no sense at all", "negative"),
    ("a good story", "positive"), ("well told", "positive"), ("weak in the middle", "negative"),
]  # fmt: skip
SUMS = [
    ("two plus three", "two, and three more", "5"), ("four plus four", "twice four", "8"),
    ("ten plus one", "The answer is 11.", "11"), ("six plus one", "6 + 1 = 7\n#### 7", "7"),
]  # fmt: skip
PLANTS = [
    ("Which is red?\nA) rose\nB) fern", "A"), ("Which is green?\nA) rose\nB) fern", "B"),
]  # fmt: skip

LABELS = "Classify the text. Answer with one of these labels: negative, positive."
REASON = " First reason in a few short steps. Then end with \"The answer is\" and "

DATA = {
    "films": ("classification", ["text", "label"], FILMS),
    "sums": ("numeric_answer", ["question", "rationale", "answer"], SUMS),
    "plants": ("multiple_choice", ["question", "answer"], PLANTS),
}

# name, technique, setting, format, data, turns in front of the first request
CASES = [
    ("zero-shot", "zero_shot", "", "chatml", "films", [("system", LABELS)]),
    ("zero-shot, plain", "zero_shot", "", "plain", "films", [("system", LABELS)]),
    ("a system prompt", "zero_shot", "system_prompt=Be brief.", "chatml", "films",
     [("system", "Be brief.\n\n" + LABELS)]),
    ("system prompt and instruction", "zero_shot", "system_prompt=Be brief.;instruction=Good or bad?",
     "plain", "films", [("system", "Be brief.\n\nGood or bad?")]),
    ("few-shot", "few_shot", "k=2;order_seed=1", "chatml", "films",
     [("system", LABELS), ("user", "dull and tired"), ("assistant", "negative"),
      ("user", "a warm film"), ("assistant", "positive")]),
    ("few-shot, plain", "few_shot", "k=2;order_seed=1;instruction=Good or bad?", "plain", "films",
     [("system", "Good or bad?"), ("user", "dull and tired"), ("assistant", "negative"),
      ("user", "a warm film"), ("assistant", "positive")]),
    ("few-shot, numbers", "few_shot", "k=1", "chatml", "sums",
     [("system", "Solve the problem. Answer with the number only."),
      ("user", "two plus three"), ("assistant", "5")]),
    ("chain of thought, labels", "chain_of_thought", "", "chatml", "films",
     [("system", "Classify the text. The labels are: negative, positive." + REASON + "the label.")]),
    ("chain of thought, options", "chain_of_thought", "", "chatml", "plants",
     [("system", "Answer the question." + REASON + "the letter of the right option.")]),
    ("chain of thought, numbers", "chain_of_thought", "k=0", "plain", "sums",
     [("system", "Solve the problem." + REASON + "the number.")]),
    ("chain of thought, worked", "chain_of_thought", "k=4;instruction=Think.;max_new_tokens=20",
     "chatml", "sums",
     [("system", "Think."),
      ("user", "four plus four"), ("assistant", "twice four The answer is 8."),
      ("user", "ten plus one"), ("assistant", "The answer is 11."),
      ("user", "two plus three"), ("assistant", "two, and three more The answer is 5."),
      ("user", "six plus one"), ("assistant", "6 + 1 = 7 The answer is 7.")]),
    ("chain of thought, worked, plain", "chain_of_thought", "k=1", "plain", "sums",
     [("system", "Solve the problem." + REASON + "the number."),
      ("user", "two plus three"), ("assistant", "two, and three more The answer is 5.")]),
]  # fmt: skip

CONTENT_FREE = ["N/A", "", "[MASK]"]


class Prompter:
    def __init__(self, model, tokenizer):
        self.model, self.tokenizer = model, tokenizer

    def frame(self, parts):
        ids, text = [], ""
        for part in parts:
            if isinstance(part, list):
                ids += [self.tokenizer.token_to_id(name) for name in part]
                text += "".join(part)
            else:
                ids += encode_plain(self.tokenizer, part)
                text += part
        return ids, text

    def write(self, form, turns, open_role):
        """Ids and text of whole turns and of the opening of the next one."""
        ids, text = [], ""
        for role, words in turns:
            before, after = FORMATS[form][role]
            for parts in (before, (words,), after):
                more, said = self.frame(parts)
                ids, text = ids + more, text + said
        more, said = self.frame(FORMATS[form][open_role][0])
        return ids + more, text + said

    def request(self, form, words):
        """The request behind an open turn of the user, up to where the answer begins."""
        parts = (words,), FORMATS[form]["user"][1], FORMATS[form]["assistant"][0]
        return [i for part in parts for i in self.frame(part)[0]]

    def state(self, ids):
        with torch.no_grad():
            return self.model.model(torch.tensor([ids])).last_hidden_state[0, -1]

    def labels(self, ids):
        """The probabilities of "negative" and "positive", which part at their first token."""
        starts = [encode_plain(self.tokenizer, label)[0] for label in ("negative", "positive")]
        assert starts[0] != starts[1]
        logits = self.model.lm_head.weight.detach() @ self.state(ids)
        return torch.softmax(logits[starts], 0).numpy()


def calibrate(p, content_free):
    q = p / numpy.mean(content_free, 0)
    return q / q.sum()


def make_case(prompter, name, technique, setting, form, data, turns):
    ids, text = prompter.write(form, turns, "user")
    case = {"name": name, "technique": technique, "setting": setting, "format": form,
            "data": data, "text": text, "ids": ids}  # fmt: skip
    case["request"] = prompter.request(form, DATA[data][2][0][0])
    if data == "films" and technique != "chain_of_thought":
        free = [prompter.labels(ids + prompter.request(form, words)) for words in CONTENT_FREE]
        rows = [prompter.labels(ids + prompter.request(form, text)) for text, _ in FILMS]
        case["plain"] = [row.tolist() for row in rows]
        case["calibrated"] = [calibrate(row, free).tolist() for row in rows]
    return case


def make_nearest(prompter, k):
    """For every film the k most similar others, the most similar last, and what the model says."""
    prefix, _ = prompter.write("chatml", [("system", LABELS)], "user")
    states = numpy.array(
        [prompter.state(prefix + prompter.request("chatml", text)).numpy() for text, _ in FILMS]
    )
    states = (states - states.mean(0)) / states.std(0)
    states /= numpy.linalg.norm(states, axis=1, keepdims=True)
    similar = states @ states.T
    numpy.fill_diagonal(similar, -numpy.inf)
    rows = []
    for i, (text, _) in enumerate(FILMS):
        chosen = numpy.argsort(-similar[i])[:k][::-1].tolist()
        turns = [("system", LABELS)]
        for c in chosen:
            turns += [("user", FILMS[c][0]), ("assistant", FILMS[c][1])]
        ids, _ = prompter.write("chatml", turns, "user")
        free = [prompter.labels(ids + prompter.request("chatml", words)) for words in CONTENT_FREE]
        p = prompter.labels(ids + prompter.request("chatml", text))
        rows.append({"chosen": chosen, "plain": p.tolist(), "calibrated": calibrate(p, free).tolist(),
                     "tokens": len(prompter.request("chatml", text)),
                     "ids": ids[len(prefix):] + prompter.request("chatml", text)})  # fmt: skip
    return {"k": k, "rows": rows}


DEPTHS = 1, 1  # of two layers: three fifths and four fifths, rounded, but not the last one
L2 = 0.1
COLUMNS = (0, 1), (1, 5), (0, 5)  # the final state, those of the middle, all; in units of the width
FOLDS = 4


def all_states(prompter, prefix, request):
    """The final state of the last token, behind each depth its residual stream and the mean."""
    seen = []
    layers = prompter.model.model.layers
    hooks = [
        layers[depth - 1].register_forward_hook(
            lambda module, inputs, output: seen.append(
                output[0] if isinstance(output, tuple) else output
            )
        )
        for depth in DEPTHS
    ]
    final = prompter.state(prefix + request).numpy()
    for hook in hooks:
        hook.remove()
    rows = [states.reshape(-1, states.shape[-1])[len(prefix):] for states in seen]
    middle = [part for r in rows for part in (r[-1].numpy(), r.mean(0).numpy())]
    return numpy.concatenate([final, *middle])


def fit_regression(features, targets, classes):
    """Newton's method on mean cross-entropy + L2 / 2 |W|^2; the biases are free."""
    x = torch.tensor(features)
    y = torch.tensor(targets)
    flat = torch.zeros(classes * (x.shape[1] + 1), dtype=torch.float64)

    def objective(parameters):
        weights = parameters.reshape(classes, -1)
        scores = x @ weights[:, :-1].T + weights[:, -1]
        loss = torch.nn.functional.cross_entropy(scores, y)
        return loss + L2 / 2 * (weights[:, :-1] ** 2).sum()

    for _ in range(30):
        gradient = torch.func.grad(objective)(flat)
        curvature = torch.func.hessian(objective)(flat)
        flat = flat - torch.linalg.lstsq(curvature, gradient, driver="gelsd").solution
    assert torch.func.grad(objective)(flat).abs().max() < 1e-10
    return flat.reshape(classes, -1).numpy()


def predict_regression(weights, features):
    scores = features @ weights[:, :-1].T + weights[:, -1]
    return torch.softmax(torch.tensor(scores), 1).numpy()


def held_out_loss(features, targets, classes):
    """The negative log-likelihood of every example by a regression on the other folds."""
    count, loss = len(targets), 0.0
    for fold in range(FOLDS):
        out = range(count * fold // FOLDS, count * (fold + 1) // FOLDS)
        kept = [i for i in range(count) if i not in out]
        weights = fit_regression(features[kept], [targets[i] for i in kept], classes)
        p = predict_regression(weights, features[out])
        loss -= sum(numpy.log(p[row][targets[i]]) for row, i in enumerate(out))
    return loss


def make_probe(prompter):
    """The features of all films, and what a regression fitted to them says of the same films."""
    prefix, _ = prompter.write("chatml", [("system", LABELS)], "user")
    features = numpy.array(
        [all_states(prompter, prefix, prompter.request("chatml", text)) for text, _ in FILMS]
    )
    mean, deviation = features.mean(0), features.std(0)
    standard = (features - mean) / deviation
    names = sorted({label for _, label in FILMS})
    targets = [names.index(label) for _, label in FILMS]
    width = features.shape[1] // 5
    parts = [standard[:, first * width : last * width] for first, last in COLUMNS]
    losses = [held_out_loss(part, targets, len(names)) for part in parts]
    best = losses.index(min(losses))
    weights = fit_regression(parts[best], targets, len(names))
    used = numpy.zeros(features.shape[1])
    used[COLUMNS[best][0] * width : COLUMNS[best][1] * width] = 1
    return {"held_out": losses, "mean": mean.tolist(), "scale": (used / deviation).tolist(),
            "p": predict_regression(weights, parts[best]).tolist()}  # fmt: skip


def main():
    prompter = Prompter(load_tiny(torch.float64), tiny_tokenizer())
    data = {
        name: {"task": task, "jsonl": "".join(json.dumps(dict(zip(columns, row))) + "\n" for row in rows)}
        for name, (task, columns, rows) in DATA.items()
    }
    cases = [json.dumps(make_case(prompter, *case)) for case in CASES]
    path = FIXTURES / "prompts.json"
    path.write_text(
        f'{{"data": {json.dumps(data)},\n"cases": [\n' + ",\n".join(cases)
        + f'],\n"nearest": {json.dumps(make_nearest(prompter, 2))},'
        + f'\n"probe": {json.dumps(make_probe(prompter))}}}\n',
        encoding="utf-8",
    )  # fmt: skip


if __name__ == "__main__":
    main()
