#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Expected values for tests/test_forecast.c.

    pip install numpy scipy
    python3 tests/parity/make_forecast.py

writes tests/parity/fixtures/forecast.json. Made with numpy 2.4 and scipy 1.17. The posterior of each
cell is written with matrices and its evidence is that of scipy's multivariate t, quantiles are
found by Brent's method, and the chance of one curve below another is integrated by quadrature:
nothing of it follows the steps of evaluators/forecast.c.
"""

import json
import pathlib

import numpy as np
from scipy import integrate, optimize, stats

FIXTURES = pathlib.Path(__file__).parent / "fixtures"
EXPONENTS = [0.03, 0.06, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.65, 0.8, 1, 1.5, 2]
KNEES = [0, 30, 100, 300, 1000, 3000]
FLAT = 0.2  # prior weight of no learning at all
SHAPE, SCALE = 2.0, 2.0


class Curve:
    def __init__(self, points, ceiling):
        n, y, v = (np.array(column, dtype=float) for column in zip(*points))
        self.first, self.last, self.ceiling = n.min(), n.max(), ceiling
        level = max(y.max(), np.sqrt(v.max()))
        mean = np.array([level / 4, 3 * level / 4])
        cover = np.eye(2) * (level / 2) ** 2
        self.cells, logs = [], []
        grid = [(b, knee) for b in EXPONENTS for knee in KNEES]
        priors = [(1 - FLAT) / len(grid)] * len(grid) + [FLAT]
        for (b, knee), prior in zip(grid + [(0, 0)], priors):
            design = np.stack([np.ones(len(n)), self.shape(b, knee, n)], axis=1)
            # y ~ t with 2 SHAPE degrees of freedom: the evidence of the cell
            marginal = np.diag(v) + design @ cover @ design.T
            logs.append(np.log(prior) + stats.multivariate_t(
                loc=design @ mean, shape=SCALE / SHAPE * marginal, df=2 * SHAPE).logpdf(y))
            gain = cover @ design.T @ np.linalg.inv(marginal)
            left = y - design @ mean
            spread = (SCALE + left @ np.linalg.solve(marginal, left) / 2) / (SHAPE + len(n) / 2)
            rest = np.eye(2) - gain @ design  # Joseph's form keeps the covariance positive
            after = rest @ cover @ rest.T + gain @ np.diag(v) @ gain.T
            self.cells.append((b, knee, mean + gain @ left, after, spread))
        weights = np.exp(np.array(logs) - max(logs))
        self.weights = weights / weights.sum()
        self.freedom = 2 * SHAPE + len(n)

    def shape(self, b, knee, n):
        below = float(knee) ** b if knee else 0.0
        return (below + self.first ** b) / (below + np.asarray(n, dtype=float) ** b)

    def parts(self, n, variance):
        middles, scales = [], []
        for b, knee, mean, cover, spread in self.cells:
            row = np.array([1.0, float(self.shape(b, knee, n))])
            middles.append(row @ mean)
            scales.append(np.sqrt(spread * (variance + row @ cover @ row)))
        return np.array(middles), np.array(scales)

    def at(self, n, variance):
        middles, scales = self.parts(n, variance)
        ratio = n / self.last
        width = 1 if ratio <= 4 else 1.5 if ratio <= 16 else 2

        def plain(y):
            return self.weights @ stats.t.cdf((y - middles) / scales, self.freedom)

        def plain_quantile(p):
            return optimize.brentq(lambda y: plain(y) - p, (middles - 80 * scales).min(),
                                   (middles + 80 * scales).max(), xtol=1e-15, rtol=1e-14)
        median = plain_quantile(0.5)

        def quantile(p):
            return float(np.clip(median + width * (plain_quantile(p) - median), 0, self.ceiling))

        def cdf(y):
            return 0.0 if y < 0 else 1.0 if y >= self.ceiling else plain(median + (y - median) / width)
        return quantile, cdf


def below(a, b, n, variance):
    """P(a < b), ties half, from the density of b inside its bounds and its masses at them."""
    qa, cdf_a = a.at(n, variance)
    qb, cdf_b = b.at(n, variance)
    low, high = qb(1e-7), qb(1 - 1e-7)
    y = np.linspace(low, high, 4001)
    fa, fb = np.array([cdf_a(v) for v in y]), np.array([cdf_b(v) for v in y])
    inside = float(integrate.trapezoid(fa, fb))
    at_zero = cdf_b(0.0) * cdf_a(0.0) / 2 if low <= 0 else 0.0
    top = 1 - cdf_b(np.nextafter(high, 0)) if high >= b.ceiling else 0.0
    return inside + at_zero + top


def error(examples, value, scored):
    share = (value * scored + 1) / (scored + 2)
    return [examples, value, share * (1 - share) / scored + 0.03 ** 2 * 64 / examples]


SETS = [
    ("three sizes", 1, [error(64, 0.42, 200), error(256, 0.24, 200), error(600, 0.19, 200)]),
    ("four sizes, unordered", 1, [error(512, 0.115, 200), error(64, 0.31, 200),
                                  error(128, 0.24, 200), error(256, 0.165, 200)]),
    ("flat", 1, [error(64, 0.5, 100), error(256, 0.51, 100), error(900, 0.49, 100)]),
    ("rising", 1, [error(64, 0.2, 400), error(256, 0.25, 400), error(500, 0.31, 400)]),
    ("nothing wrong", 1, [error(64, 0.02, 100), error(256, 0.0, 100), error(1024, 0.0, 100)]),
    ("never right", 1, [error(64, 1.0, 50), error(128, 1.0, 50), error(256, 0.98, 50)]),
    ("a late fall", 1, [error(64, 0.8, 300), error(256, 0.78, 300), error(1024, 0.4, 300),
                        error(4096, 0.15, 300)]),
    ("two seeds", 1, [error(64, 0.4, 200), error(64, 0.36, 200), error(256, 0.3, 200),
                      error(256, 0.27, 200), error(500, 0.24, 200)]),
    ("a loss", None, [[200, 4.25, 0.0018], [400, 4.19, 0.0018], [800, 4.09, 0.0017],
                      [1600, 3.95, 0.0016], [3200, 3.81, 0.0015]]),
    ("a precise loss", None, [[200, 2.5, 1e-6], [800, 1.9, 1e-6], [3200, 1.6, 1e-6]]),
]


def main():
    cases, curves = [], {}
    for name, ceiling, points in SETS:
        curve = curves[name] = Curve(points, np.inf if ceiling is None else ceiling)
        case = {"name": name, "ceiling": ceiling, "points": points, "forecasts": []}
        level = max(point[1] for point in points)
        for ratio in [1, 2, 4, 4.5, 16, 32]:
            n = curve.last * ratio
            variance = points[-1][2] if ratio > 1 else 0.0
            quantile, cdf = curve.at(n, variance)
            targets = [0.5 * level, 0.9 * level]
            case["forecasts"].append({
                "examples": n, "variance": variance, "median": quantile(0.5),
                "low": quantile(0.1), "high": quantile(0.9),
                "targets": targets, "chances": [float(cdf(t)) for t in targets]})
        cases.append(case)
    pairs = []
    for first, second in [("three sizes", "two seeds"), ("two seeds", "three sizes"),
                          ("flat", "rising"), ("nothing wrong", "nothing wrong"),
                          ("never right", "flat"), ("a loss", "a precise loss")]:
        for n in [1024, 4000]:
            pairs.append({"first": first, "second": second, "examples": n, "variance": 0.0004,
                          "below": below(curves[first], curves[second], n, 0.0004)})
    lines = ",\n".join(json.dumps(case) for case in cases)
    lines += "\n],\n\"pairs\": [\n" + ",\n".join(json.dumps(pair) for pair in pairs)
    (FIXTURES / "forecast.json").write_text("{\"curves\": [\n" + lines + "\n]}\n")


main()
