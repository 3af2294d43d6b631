"""What every peer in Python has in common: cases, and how they are timed. A peer is a program

    PEER.py CASE FOLDER RUNS OUTPUT

that prints the seconds to load, of the first call and of every run as JSON, and writes the result as tensor `output` to a
safetensors file. A case is unet-SIDE or vae-SIDE in pixels, text, or picture-N: 512 x 512 in N steps. Where and in which type is
said by T2I_BENCH_DEVICE and T2I_BENCH_DTYPE, as for the benches in Rust.
"""

import json
import os
import sys
import time
from pathlib import Path

THREADS = 2
# Names of t2i's devices: any GPU is CUDA's here.
DEVICE = "cpu" if os.environ.get("T2I_BENCH_DEVICE", "flex") in ("flex", "ndarray") else "cuda"
DTYPE = {"f32": "float32", "f16": "float16", "bf16": "bfloat16"}[os.environ.get("T2I_BENCH_DTYPE", "f32")]
# For the decoder: https://huggingface.co/stable-diffusion-v1-5/stable-diffusion-v1-5/blob/main/vae/config.json
LATENT_SCALE = 0.18215


def inputs(case, folder):
    """The network's arguments as numpy arrays; of XL two more, in a dict."""
    from safetensors.numpy import load_file

    tensors = load_file(folder / "inputs.safetensors")
    part, _, size = case.partition("-")
    if part == "unet":
        added = [{"text_embeds": tensors["pooled"], "time_ids": tensors["time_ids"]}] if "pooled" in tensors else []
        return [tensors[f"latent-{size}"], tensors["timesteps"], tensors["context"], *added]
    if part == "vae":
        return [tensors[f"latent-{size}"][:1] / LATENT_SCALE]
    return [tensors["ids"].astype("int64")]


def main(call_of):
    """`call_of(case, folder)` loads and returns a function without arguments, which gives a numpy array."""
    from safetensors.numpy import save_file

    case, folder, runs, output = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    started = time.perf_counter()
    call = call_of(case, folder)
    load = time.perf_counter() - started
    seconds = []
    for _ in range(1 + runs):
        started = time.perf_counter()
        result = call()
        seconds.append(time.perf_counter() - started)
    # What is compiled on the first call is not what a step costs.
    print(json.dumps({"load": load, "first": seconds[0], "seconds": seconds[1:]}))
    save_file({"output": result}, output)
