#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Expected values for tests/test_noninferiority.c.

    pip install numpy scipy
    python3 tests/parity/make_noninferiority.py

writes tests/parity/fixtures/noninferiority.json. Made with numpy 2.4 and scipy 1.17. Another way
than that of the C code wherever there is one: Tango's interval maximises the multinomial likelihood
numerically instead of solving the quadratic, Newcombe's takes the Wilson bounds of scipy, and
Fisher's test is scipy's own.
"""

import json
import math
import pathlib

from scipy import optimize, stats

FIXTURES = pathlib.Path(__file__).parent / "fixtures"


def likeliest_loss(delta, lost, gained, n):
    """The probability of a loss, at which the likelihood is largest when a gain has it + delta."""
    low, high = max(0.0, -delta), (1 - delta) / 2

    def slope(q):
        total = 0.0
        for count, p, sign in [(lost, q, 1), (gained, q + delta, 1),
                               (n - lost - gained, 1 - 2 * q - delta, -2)]:
            if count:
                total += sign * count / p if p > 0 else sign * math.inf
        return total

    inner_low, inner_high = low + 1e-15 * (high - low), high - 1e-15 * (high - low)
    if slope(inner_low) <= 0:
        return low
    if slope(inner_high) >= 0:
        return high
    return optimize.brentq(slope, inner_low, inner_high, xtol=1e-16, rtol=1e-15, maxiter=500)


def tango(lost, gained, n, confidence):
    z = stats.norm.isf((1 - confidence) / 2)

    def score(delta):
        q = likeliest_loss(delta, lost, gained, n)
        variance = n * (q + (q + delta) - delta * delta)
        miss = gained - lost - n * delta
        return miss / math.sqrt(variance) if miss else 0.0

    seen = (gained - lost) / n
    edge = 1 - 1e-12
    low = optimize.brentq(lambda d: score(d) - z, -edge, seen, xtol=1e-14) if lost < n else -1.0
    high = optimize.brentq(lambda d: score(d) + z, seen, edge, xtol=1e-14) if gained < n else 1.0
    return [low, high]


def newcombe(k1, n1, k2, n2, confidence):
    first = stats.binomtest(k1, n1).proportion_ci(confidence, "wilson")
    second = stats.binomtest(k2, n2).proportion_ci(confidence, "wilson")
    p1, p2 = k1 / n1, k2 / n2
    return [p2 - p1 - math.hypot(p2 - second.low, first.high - p1),
            p2 - p1 + math.hypot(second.high - p2, p1 - first.low)]


def fisher(k1, n1, k2, n2):
    return [stats.fisher_exact([[k2, n2 - k2], [k1, n1 - k1]], alternative="less").pvalue]


def needed(discordant, difference, margin, alpha, power):
    z = stats.norm.isf(alpha) * math.sqrt(discordant)
    z += stats.norm.ppf(power) * math.sqrt(discordant - difference ** 2)
    return [(z / (margin + difference)) ** 2]


def cases():
    pairs = [(0, 0, 1), (0, 0, 20), (0, 0, 1000), (1, 0, 1), (0, 1, 1), (1, 0, 10), (0, 1, 10),
             (3, 5, 50), (12, 2, 50), (2, 12, 50), (10, 0, 10), (0, 10, 10), (5, 5, 10),
             (75, 25, 1000), (50, 50, 1000), (25, 75, 1000), (1, 1, 3), (7, 0, 400), (40, 61, 777),
             (1200, 1100, 100000)]
    for lost, gained, n in pairs:
        for confidence in [0.8, 0.9, 0.95, 0.99]:
            yield "paired", [lost, gained, n, confidence], tango(lost, gained, n, confidence)
    tables = [(0, 1, 0, 1), (1, 1, 0, 1), (0, 10, 10, 10), (56, 70, 48, 80), (9, 10, 3, 10),
              (10, 10, 20, 20), (850, 1000, 800, 1000), (420, 500, 1650, 2000), (5, 56, 0, 29)]
    for table in tables:
        for confidence in [0.9, 0.95]:
            yield "unpaired", [*table, confidence], newcombe(*table, confidence)
        yield "fisher", list(table), fisher(*table)
    for row in [(0.1, 0, 0.02, 0.05, 0.8), (0.1, 0, 0.02, 0.05, 0.9), (0.1, 0.02, 0, 0.05, 0.8),
                (0.06, 0.05, 0, 0.05, 0.9), (0.2, -0.01, 0.02, 0.05, 0.8), (0.3, 0.05, 0, 0.05, 0.8)]:
        yield "needed", list(row), needed(*row)


lines = ",\n".join(json.dumps({"function": f, "arguments": a, "expected": [float(x) for x in e]})
                   for f, a, e in cases())
(FIXTURES / "noninferiority.json").write_text("[\n" + lines + "\n]\n")
