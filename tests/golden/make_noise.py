"""Golden data of t2i-sched's noise beside torch's CPU generator, which make_sched.py covers.

Made with torch 2.15.0 and numpy 2. Deterministic: run again to make the same file.

    python tests/golden/make_noise.py

Writes tests/golden/noise/noise.safetensors:
  philox|seed              torch's CUDA generator: draws of 12, 5 and 300 numbers, one after the other
  counter|seed,image,draw  37 numbers
  variation|kind,seed,variation seed,strength  the first and the second draw of A1111's ImageRNG, shape (4, 5, 6)

Philox 4x32-10 is written from the paper (Salmon et al. 2011), the use that torch makes of it from its source
(aten/src/ATen/native/cuda/DistributionTemplates.h, curand_normal.h), in f64 as in A1111's modules/rng_philox.py. A card
is needed to run the original; the numbers of one that A1111 states for seed 0 are asserted. The arc is that of A1111's
modules/rng.py, in torch's f32.
"""

from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file

OUT = Path(__file__).parent / "noise"
SHAPE = (4, 5, 6)


def philox(counters, seed):
    """Four words for each row of four; Python's whole numbers, so that nothing can overflow."""
    rows = []
    for counter in counters:
        a, b, c, d = (int(word) for word in counter)
        k0, k1 = seed & 0xFFFFFFFF, seed >> 32
        for _ in range(10):
            left, right = a * 0xD2511F53, c * 0xCD9E8D57
            a, b, c, d = (right >> 32) ^ b ^ k0, right & 0xFFFFFFFF, (left >> 32) ^ d ^ k1, left & 0xFFFFFFFF
            k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
        rows.append((a, b, c, d))
    return np.array(rows, dtype=np.uint64).astype(np.float64)


class Cuda:
    def __init__(self, seed):
        self.seed, self.draw = seed, 0

    def randn(self, n):
        words = philox([(self.draw, 0, i, 0) for i in range(n)], self.seed)
        self.draw += 1
        unit, angle = np.float64(np.float32(2.3283064e-10)), np.float64(np.float32(2.3283064e-10 * 6.2831855))
        u, v = words[:, 0] * unit + unit / 2, words[:, 1] * angle + angle / 2
        return (np.sqrt(-2 * np.log(u)) * np.sin(v)).astype(np.float32)


class Cpu:
    def __init__(self, seed):
        self.generator = torch.Generator().manual_seed(seed)

    def randn(self, n):
        return torch.randn(n, generator=self.generator).numpy()


def counter(seed, image, draw, n):
    """24 bits of each word, in pairs through the Box-Muller transform: cosine first."""
    words = philox([(i, draw, image & 0xFFFFFFFF, image >> 32) for i in range((n + 3) // 4)], seed)
    u = np.floor(words / 256).reshape(-1, 2) / 2**24
    radius, angle = np.sqrt(-2 * np.log1p(-u[:, 0])), 2 * np.pi * u[:, 1]
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1).reshape(-1)[:n].astype(np.float32)


def arc(share, low, high):
    low, high = (torch.as_tensor(v).reshape(SHAPE) for v in (low, high))
    cosine = (torch.nn.functional.normalize(low, dim=1) * torch.nn.functional.normalize(high, dim=1)).sum(1, keepdim=True)
    if cosine.mean() > 0.9995:
        return (share * low + (1 - share) * high).numpy()
    angle = torch.acos(cosine)
    return ((torch.sin((1 - share) * angle) * low + torch.sin(share * angle) * high) / torch.sin(angle)).numpy()


def main():
    stated = [-0.92466259, -0.42534415, -2.6438457, 0.14518388, -0.12086647, -0.57972564, -0.62285122, -0.32838709,
              -1.07454231, -0.36314407, -1.67105067, 2.26550497]
    assert np.abs(Cuda(0).randn(12) - stated).max() < 3e-7  # a card takes a fast sine
    found = {}
    for seed in [0, 1, 42, 2**32 - 1, 2**32 + 7, 2**64 - 1]:
        source = Cuda(seed)
        found[f"philox|{seed}"] = np.concatenate([source.randn(n) for n in [12, 5, 300]])
    for seed, image, draw in [(0, 0, 0), (42, 0, 0), (42, 7, 0), (42, 0, 7), (2**63 + 5, 2**32 + 1, 1000)]:
        found[f"counter|{seed},{image},{draw}"] = counter(seed, image, draw, 37)
    n = int(np.prod(SHAPE))
    for kind, source in [("cpu", Cpu), ("cuda", Cuda)]:
        for seed, other, strength in [(1, 2, 0.0), (1, 2, 0.3), (1, 2, 1.0), (7, 0, 0.5), (7, 7, 0.5), (7, 7, 1.0)]:
            main_source = source(seed)
            first, second = main_source.randn(n), main_source.randn(n)
            if strength:
                first = arc(strength, first, source(other).randn(n))
            found[f"variation|{kind},{seed},{other},{strength}"] = np.concatenate([first.reshape(-1), second])
    assert all(np.isfinite(values).all() for values in found.values())
    OUT.mkdir(exist_ok=True)
    save_file(found, OUT / "noise.safetensors")
    print(len(found), "sequences")


if __name__ == "__main__":
    main()
