# SPDX-License-Identifier: Apache-2.0
"""Label noise of datasets/noise.h, computed a second time with numpy alone.

    python3 tests/parity/make_noise.py > tests/parity/fixtures/noise.json

Reads the demo tickets, spoils every twentieth label in the order of the file, and fits the mixture on
the same grid. The folds follow from the order by class and place, so nothing is random.
"""
import csv
import json
import math
import re

import numpy as np

FOLDS, SMOOTHING = 10, 0.3
RATES = [0.0025 * i for i in range(20)] + [0.05 + 0.01 * i for i in range(46)]
TEMPERATURES = [0.01 * 800 ** (i / 39) for i in range(40)]


def features(text):
    words = re.findall(r"[^\W_]+", text.lower())
    return set(words) | {(a, b) for a, b in zip(words, words[1:])}


def scores(texts, labels, classes):
    order = sorted(range(len(texts)), key=lambda i: (labels[i], i))
    folds = {i: place % FOLDS for place, i in enumerate(order)}
    sets = [features(t) for t in texts]
    words = set().union(*sets)
    result = np.zeros((len(texts), classes))
    for fold in range(FOLDS):
        counts = {w: np.zeros(classes) for w in words}
        sizes = np.zeros(classes)
        for i, words_of in enumerate(sets):
            if folds[i] == fold:
                continue
            sizes[labels[i]] += len(words_of)
            for w in words_of:
                counts[w][labels[i]] += 1
        others = sizes.sum() - sizes + SMOOTHING * len(words)
        for i, words_of in enumerate(sets):
            if folds[i] != fold:
                continue
            known = [w for w in words_of if counts[w].sum() > 0]
            total = np.zeros(classes)
            for w in known:
                total -= np.log((counts[w].sum() - counts[w] + SMOOTHING) / others)
            result[i] = total / math.sqrt(max(len(known), 1))
    return result - result.max(axis=1, keepdims=True)


def fit(z, labels, classes):
    labels = np.array(labels)
    profile = np.full(len(RATES), -np.inf)
    best, rate = -np.inf, 0
    for temperature in TEMPERATURES:
        p = np.exp(temperature * z)
        p = (p / p.sum(axis=1, keepdims=True))[np.arange(len(labels)), labels]
        for i, r in enumerate(RATES):
            value = np.log(np.maximum((1 - r) * p + r * (1 - p) / (classes - 1), 1e-30)).sum()
            profile[i] = max(profile[i], value)
            if value > best:
                best, rate = value, r
    surest = []
    for c in range(classes):
        given = [i for i in range(len(labels)) if z[i].argmax() == c]
        given.sort(key=lambda i: np.partition(z[i], -2)[-2])
        surest += given[:(len(given) + 9) // 10]
    sure = float(np.mean([z[i].argmax() != labels[i] for i in surest]))
    inside = [r for r, v in zip(RATES, profile) if v >= best - 3.84]
    return rate, max(min(inside) - 0.02, 0), max(max(inside), sure)


def main():
    with open("datasets/demo/tickets.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    texts = [row["text"] for row in rows]
    names = sorted({row["label"] for row in rows})
    clean = [names.index(row["label"]) for row in rows]
    cases = []
    for every in (0, 20, 7):
        labels = [(l + 1) % len(names) if every and i % every == every - 1 else l
                  for i, l in enumerate(clean)]
        z = scores(texts, labels, len(names))
        rate, low, high = fit(z, labels, len(names))
        right = float(np.mean([z[i][l] >= 0 for i, l in enumerate(labels)]))
        cases.append({"every": every, "accuracy": right, "rate": rate, "low": low, "high": high})
    print(json.dumps({"cases": cases}, indent=1))


if __name__ == "__main__":
    main()
