#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Expected values for tests/test_statistics.c and tests/test_metrics.c.

    pip install numpy scipy scikit-learn
    python3 tests/parity/make_statistics.py

writes tests/parity/fixtures/statistics.json and metrics.json. Made with numpy 2.4, scipy 1.17 and
scikit-learn 1.9. Holm's adjustment and the calibration error have no function there and are written
out below from their definitions.
"""

import json
import pathlib
import warnings

import numpy as np
from scipy import special, stats
from sklearn import metrics

FIXTURES = pathlib.Path(__file__).parent / "fixtures"


def distributions():
    tails = [1e-300, 1e-30, 1e-9, 1e-4, 0.01, 0.025, 0.2, 0.25, 0.3, 0.49, 0.4999999]
    chances = tails + [0.5000001, 0.6, 0.75, 0.7500001, 0.9, 0.975, 0.999, 1 - 1e-9]
    for p in chances:
        yield "normal_quantile", [p], special.ndtri(p)
    for z in [-37.5, -8, -3, -1.96, -0.5, -1e-9, 0, 0.1, 1, 2.5, 6]:
        yield "normal_cdf", [z], special.ndtr(z)
    shapes = [0.01, 0.5, 1, 2.5, 10, 33, 400, 12345, 1e6]
    for a in shapes:
        for b in shapes:
            mean = a / (a + b)
            for x in [mean, mean * 0.9, mean * 0.5, 1 - (1 - mean) * 0.9, 1e-6, 0.999999]:
                value = float(special.betainc(a, b, x))
                if 1e-250 < value < 1:
                    yield "beta_regularised", [a, b, x], value
            for p in [1e-12, 0.001, 0.025, 0.3, 0.5, 0.8, 0.975, 0.999999]:
                value = float(special.betaincinv(a, b, p))
                if 1e-250 < value < 1:
                    yield "beta_regularised_inverse", [a, b, p], value
    for freedom in [0.7, 1, 2, 5, 29, 399, 1e5]:
        for t in [-40, -3, -1, -1e-5, 0, 0.5, 2, 7]:
            yield "student_t_cdf", [t, freedom], stats.t.cdf(t, freedom)
        for p in [1e-8, 0.005, 0.025, 0.3, 0.49999, 0.6, 0.95, 0.9995]:
            yield "student_t_quantile", [p, freedom], stats.t.ppf(p, freedom)


def proportions():
    tables = [(0, 1), (1, 1), (0, 10), (10, 10), (1, 10), (43, 50), (85, 100), (340, 400),
              (1, 1000000), (999999, 1000000), (680, 800), (1360, 1600), (7, 13)]
    for k, n in tables:
        for confidence in [0.8, 0.9, 0.95, 0.999]:
            wilson = stats.binomtest(k, n).proportion_ci(confidence, "wilson")
            # binomtest finds the exact bounds by a search that leaves 1e-8; the quantiles do not.
            tail = (1 - confidence) / 2
            exact_low = stats.beta.ppf(tail, k, n - k + 1) if k > 0 else 0.0
            exact_high = stats.beta.isf(tail, k + 1, n - k) if k < n else 1.0
            # The bounds below and above are 0 and 1 by definition, up to rounding there.
            low = 0.0 if k == 0 else wilson.low
            high = 1.0 if k == n else wilson.high
            yield "wilson_interval", [k, n, confidence], [low, high]
            yield "clopper_pearson_interval", [k, n, confidence], [exact_low, exact_high]


def pairs():
    tables = [(0, 1), (1, 0), (0, 6), (5, 5), (3, 9), (12, 4), (20, 40), (131, 100), (500, 501),
              (1000, 1200), (40000, 40500)]
    for first, second in tables:
        n = first + second
        fewer = min(first, second)
        two_sided = stats.binomtest(fewer, n, 0.5).pvalue
        worse = stats.binom.cdf(second, n, 0.5)
        better = stats.binom.cdf(first, n, 0.5)
        mid = 2 * stats.binom.cdf(fewer, n, 0.5) - stats.binom.pmf(fewer, n, 0.5)
        yield "mcnemar_exact", [first, second], [two_sided, worse, better, mid]


def holm(p):
    order = sorted(range(len(p)), key=lambda i: p[i])
    adjusted = [0.0] * len(p)
    largest = 0.0
    for position, i in enumerate(order):
        largest = max(largest, min(1.0, (len(p) - position) * p[i]))
        adjusted[i] = largest
    return adjusted


def samples():
    generator = np.random.default_rng(7)
    plain = generator.normal(3, 2, 17).tolist()
    offset = (1e9 + generator.normal(0, 1, 50)).tolist()
    for values in [plain, offset, [1.0, 2.0], generator.exponential(1, 300).round(3).tolist()]:
        yield "moments", [values], [np.mean(values), np.var(values, ddof=1)]
        low, high = stats.t.interval(0.9, len(values) - 1, np.mean(values), stats.sem(values))
        yield "mean_interval", [values, 0.9], [low, high]
    for size in [2, 5, 40]:
        x = generator.normal(size=size)
        y = x + generator.normal(size=size)
        yield "spearman", [x.tolist(), y.tolist()], stats.spearmanr(x, y).statistic
    tied_x = generator.integers(0, 4, 60).tolist()
    tied_y = [a + int(b) for a, b in zip(tied_x, generator.integers(0, 3, 60))]
    yield "spearman", [tied_x, tied_y], stats.spearmanr(tied_x, tied_y).statistic
    for p in [[0.01], [0.04, 0.01, 0.03], [0.2, 0.2, 0.2, 0.001], [0.9, 0.8, 0.0, 0.5, 0.04]]:
        yield "holm", [p], holm(p)


def as_numbers(value):
    return [float(v) for v in np.atleast_1d(np.asarray(value, dtype=float))]


def statistics_cases():
    for source in [distributions, proportions, pairs, samples]:
        for name, arguments, expected in source():
            yield {"function": name, "arguments": arguments, "expected": as_numbers(expected)}


def calibration_error(probability, correct):
    """Weighted by size, from the bins of sklearn.calibration; 10 equal bins, closed above."""
    edges = np.linspace(0, 1, 11)
    bins = np.searchsorted(edges[1:-1], probability)
    error = 0.0
    for b in range(10):
        inside = bins == b
        if inside.any():
            error += inside.mean() * abs(correct[inside].mean() - probability[inside].mean())
    return error


def metric_case(name, generator, classes, count, skill, silent, weights):
    truth = generator.choice(classes, count, p=weights)
    logits = generator.normal(size=(count, classes))
    logits[np.arange(count), truth] += skill
    probabilities = special.softmax(logits, axis=1).astype(np.float32).astype(float)
    label = probabilities.argmax(axis=1)
    label[generator.random(count) < silent] = -1
    probability = probabilities.max(axis=1)
    nll = -np.log(probabilities[np.arange(count), truth])
    correct = (label == truth).astype(float)
    present = sorted(set(truth) | set(label[label >= 0]))
    every = list(range(classes))
    precision, recall, f1, support = metrics.precision_recall_fscore_support(
        truth, label, labels=every, zero_division=0)
    expected = {
        "accuracy": metrics.accuracy_score(truth, label),
        "balanced_accuracy": metrics.recall_score(
            truth, label, labels=sorted(set(truth)), average="macro", zero_division=0),
        "macro_f1": metrics.f1_score(
            truth, label, labels=present, average="macro", zero_division=0),
        "matthews": metrics.matthews_corrcoef(truth, label),
        "brier": metrics.brier_score_loss(
            truth, probabilities, labels=every, scale_by_half=False),
        "calibration_error": calibration_error(probability, correct),
        "nll": metrics.log_loss(truth, probabilities, labels=every),
        "perplexity": np.exp(metrics.log_loss(truth, probabilities, labels=every)),
    }
    confusion = metrics.confusion_matrix(truth, label, labels=every + [-1])[:classes]
    return {
        "name": name, "classes": classes, "truth": truth.tolist(), "label": label.tolist(),
        "probability": probability.tolist(), "nll": nll.tolist(),
        "probabilities": probabilities.tolist(),
        "expected": {key: float(value) for key, value in expected.items()},
        "confusion": confusion.tolist(), "precision": precision.tolist(),
        "recall": recall.tolist(), "f1": f1.tolist(), "support": support.tolist(),
    }


def metric_cases():
    # Single precision rows add up to 1 within 1e-6, which scikit-learn finds too little.
    warnings.filterwarnings("ignore", message=".*sum to one.*")
    warnings.filterwarnings("ignore", message="A single label was found.*")
    generator = np.random.default_rng(11)
    yield metric_case("two classes", generator, 2, 80, 1.5, 0.0, [0.5, 0.5])
    yield metric_case("imbalanced", generator, 2, 120, 1.0, 0.0, [0.95, 0.05])
    yield metric_case("five classes", generator, 5, 150, 2.0, 0.0, [0.3, 0.3, 0.2, 0.1, 0.1])
    yield metric_case("no answers", generator, 4, 90, 1.5, 0.2, [0.4, 0.3, 0.2, 0.1])
    yield metric_case("absent classes", generator, 12, 25, 1.0, 0.1,
                      [0.5, 0.5] + [0.0] * 10)
    yield metric_case("one class only", generator, 2, 20, 9.0, 0.0, [1.0, 0.0])


def write(name, cases):
    FIXTURES.mkdir(exist_ok=True)
    lines = ",\n".join(json.dumps(case) for case in cases)
    (FIXTURES / name).write_text("[\n" + lines + "\n]\n")


write("statistics.json", statistics_cases())
write("metrics.json", metric_cases())
