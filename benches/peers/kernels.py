"""Single operations, torch against ours, in milliseconds, with two threads on a CPU.

    cargo build --release --example peer
    python benches/peers/kernels.py
    T2I_BENCH_DEVICE=cuda T2I_BENCH_DTYPE=f16 python benches/peers/kernels.py      # f32 on the CPU otherwise
"""

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch
from torch.nn import functional as F

import peer

# The two programs alternate, so that a machine which others share treats them alike.
ROUNDS = 5
RUNS = 9
# As `benches/peers/ours/kernels.rs` reads them.
SHAPES = [
    ("linear", (1, 4096, 320, 2560)),  # batch, tokens, inputs, outputs
    ("linear", (2, 1024, 640, 640)),
    ("linear", (2, 64, 1280, 1280)),
    ("linear", (2, 77, 768, 3072)),
    ("conv3x3", (1, 320, 320, 64)),  # batch, inputs, outputs, side
    ("conv3x3", (1, 640, 640, 32)),
    ("conv3x3", (1, 1280, 1280, 16)),
    ("conv3x3", (1, 512, 512, 128)),
    ("attention", (2, 8, 1024, 80)),  # batch, heads, tokens, width of a head
    ("attention", (1, 8, 4096, 40)),
    ("silu", (1, 320, 64)),  # batch, channels, side
    ("gelu", (1, 4096, 1280)),  # batch, tokens, width
    ("geglu", (1, 4096, 1280)),
    ("group_norm", (1, 320, 64)),
]


def operation(name, sizes):
    if name == "linear":
        batch, tokens, inputs, outputs = sizes
        x, weight, bias = torch.randn(batch, tokens, inputs), torch.randn(outputs, inputs), torch.randn(outputs)
        return lambda: F.linear(x, weight, bias)
    if name == "conv3x3":
        batch, inputs, outputs, side = sizes
        x, weight, bias = torch.randn(batch, inputs, side, side), torch.randn(outputs, inputs, 3, 3), torch.randn(outputs)
        return lambda: F.conv2d(x, weight, bias, padding=1)
    if name == "attention":
        batch, heads, tokens, dim = sizes
        # As diffusers has them: features of the heads side by side, before and after.
        q, k, v = (torch.randn(batch, tokens, heads, dim) for _ in range(3))
        return lambda: F.scaled_dot_product_attention(*(x.transpose(1, 2) for x in (q, k, v))).transpose(1, 2).contiguous()
    if name == "group_norm":
        batch, channels, side = sizes
        x, weight, bias = torch.randn(batch, channels, side, side), torch.randn(channels), torch.randn(channels)
        return lambda: F.group_norm(x, 32, weight, bias)
    if name == "silu":
        x = torch.randn(sizes[0], sizes[1], sizes[2], sizes[2])
        return lambda: F.silu(x)
    if name == "geglu":
        x = torch.randn(*sizes[:2], 2 * sizes[2])

        def geglu():
            value, gate = x.chunk(2, dim=-1)
            return value * F.gelu(gate)

        return geglu
    x = torch.randn(sizes)
    return lambda: F.gelu(x)


@torch.inference_mode()
def milliseconds(run):
    run()
    finish()
    times = []
    for _ in range(RUNS):
        started = time.perf_counter()
        run()
        finish()
        times.append((time.perf_counter() - started) * 1e3)
    return times


def finish():
    """A GPU takes orders, and obeys them later."""
    if peer.DEVICE == "cuda":
        torch.cuda.synchronize()


def ours(shape):
    target = Path(os.environ.get("CARGO_TARGET_DIR", Path(__file__).parents[2] / "target"))
    program = target / "release/examples/peer"
    environment = os.environ | {"RAYON_NUM_THREADS": str(peer.THREADS)}
    arguments = [program, "kernels", json.dumps([shape]), str(RUNS)]
    return json.loads(subprocess.run(arguments, check=True, stdout=subprocess.PIPE, env=environment).stdout)[0]


def main():
    torch.set_num_threads(peer.THREADS)
    torch.set_default_dtype(getattr(torch, peer.DTYPE))
    torch.set_default_device(peer.DEVICE)
    # Torch's arithmetic for f32 is that of f32 unless one says otherwise; so it is said.
    torch.set_float32_matmul_precision("highest")
    print("| operation | torch, ms | t2i, ms | of t2i's time |\n|---|---:|---:|---:|")
    for name, sizes in SHAPES:
        run = operation(name, sizes)
        rounds = [(milliseconds(run), ours((name, sizes))) for _ in range(ROUNDS)]
        theirs, our = (statistics.median(sum(times, [])) for times in zip(*rounds))
        print(f"| {name} {'x'.join(map(str, sizes))} | {theirs:.2f} | {our:.2f} | {theirs / our:.2f} |")


if __name__ == "__main__":
    sys.exit(main())
