"""The Fréchet distance of two sets of features, by scipy, as FID is computed: tests/golden/data/frechet.json."""

import json
from pathlib import Path

import numpy as np
from scipy.linalg import sqrtm

OUT = Path(__file__).parent / "data"


def distance(a, b):
    """Equation 6 of https://arxiv.org/abs/1706.08500, with unbiased covariances."""
    means = a.mean(0) - b.mean(0)
    first, second = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = sqrtm(first @ second).real
    return float(means @ means + np.trace(first + second - 2 * root))


def case(generator, count, others, size):
    """Two sets with correlated features, of `count` and `others` members."""
    mix, shift = generator.normal(size=(size, size)), generator.normal(size=size)
    a = generator.normal(size=(count, size)) @ mix
    b = generator.normal(size=(others, size)) @ (mix + 0.3 * generator.normal(size=(size, size))) + shift
    a, b = (x.astype(np.float32).round(3) for x in (a, b))
    shown = [[[round(float(value), 3) for value in row] for row in x] for x in (a, b)]
    return {"first": shown[0], "second": shown[1], "distance": distance(a.astype(np.float64), b.astype(np.float64))}


def main():
    generator = np.random.default_rng(0)
    OUT.mkdir(exist_ok=True)
    cases = [case(generator, 40, 30, 6), case(generator, 50, 60, 20)]
    (OUT / "frechet.json").write_text(json.dumps(cases) + "\n")


if __name__ == "__main__":
    main()
