#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Expected values for tests/test_elimination.c and for the paired bootstrap in test_statistics.c.

    pip install numpy scipy
    python3 tests/parity/make_elimination.py

writes tests/parity/fixtures/elimination.json and bootstrap.json. Made with numpy 2.4 and scipy 1.17.
Evidence is computed as products of exact fractions.
"""

import fractions
import json
import math
import pathlib

import numpy as np
from scipy import stats

FIXTURES = pathlib.Path(__file__).parent / "fixtures"
STAKES = ["0.1", "0.2", "0.3", "0.45", "0.6", "0.8"]


def evidence(own, rival, clip):
    total = fractions.Fraction(0)
    limit = fractions.Fraction(clip)
    for stake in STAKES:
        fortune = fractions.Fraction(1)
        for a, b in zip(own, rival):
            z = fractions.Fraction(a) - fractions.Fraction(b)
            z = max(-limit, min(limit, z)) / limit
            fortune *= 1 + fractions.Fraction(stake) * z
        total += fortune
    total /= len(STAKES)
    return math.log(total.numerator) - math.log(total.denominator)


def cases():
    generator = np.random.default_rng(23)
    for count, own_errors, rival_errors in [(1, 1, 0), (40, 0.5, 0.5), (200, 0.6, 0.2),
                                            (200, 0.2, 0.6), (500, 0.3, 0.26), (60, 0, 0)]:
        own = (generator.random(count) < own_errors).astype(float).tolist()
        rival = (generator.random(count) < rival_errors).astype(float).tolist()
        yield own, rival, 1.0
    for count, shift, clip in [(50, 0.0, 0.5), (300, 0.25, 0.75), (300, 0.25, 4.0), (9, -3.0, 1.0)]:
        own = (generator.exponential(1, count) + max(shift, 0)).round(3).tolist()
        rival = (generator.exponential(1, count) + max(-shift, 0)).round(3).tolist()
        yield own, rival, clip


def bootstrap_case(generator, count, chance, gain):
    """scipy resamples the pairs; the interval has the random error of 200,000 resamples."""
    first = (generator.random(count) < chance).astype(float)
    second = np.where(generator.random(count) < gain, 1.0, first * (generator.random(count) < 0.95))
    result = stats.bootstrap(
        (first, second), lambda a, b, axis: np.mean(b, axis=axis) - np.mean(a, axis=axis),
        paired=True, vectorized=True, n_resamples=200000, batch=2000, confidence_level=0.9,
        method="percentile", rng=generator)
    return {"first": first.tolist(), "second": second.tolist(), "confidence": 0.9,
            "mean": float(second.mean() - first.mean()),
            "low": float(result.confidence_interval.low),
            "high": float(result.confidence_interval.high),
            "deviation": float(result.standard_error)}


def main():
    rows = [json.dumps({"own": own, "rival": rival, "clip": clip,
                        "evidence": evidence(own, rival, clip)}) for own, rival, clip in cases()]
    (FIXTURES / "elimination.json").write_text("[\n" + ",\n".join(rows) + "\n]\n")
    generator = np.random.default_rng(29)
    rows = [json.dumps(bootstrap_case(generator, *how))
            for how in [(30, 0.5, 0.2), (200, 0.7, 0.1), (1000, 0.8, 0.03)]]
    (FIXTURES / "bootstrap.json").write_text("[\n" + ",\n".join(rows) + "\n]\n")


main()
