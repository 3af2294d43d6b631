"""What every peer in Python has in common: cases, and how they are timed. A peer is a program

    PEER.py CASE FOLDER RUNS OUTPUT

that prints the seconds to load and of every run as JSON, and writes the result as tensor `output` to a safetensors file.
A case is unet-256, unet-512, vae-512, text, or picture-N: 512 x 512 in N steps.
"""

import json
import sys
import time
from pathlib import Path

THREADS = 2
# For the decoder: https://huggingface.co/stable-diffusion-v1-5/stable-diffusion-v1-5/blob/main/vae/config.json
LATENT_SCALE = 0.18215


def inputs(case, folder):
    """The network's arguments as numpy arrays."""
    from safetensors.numpy import load_file

    tensors = load_file(folder / "inputs.safetensors")
    part, _, size = case.partition("-")
    if part == "unet":
        return [tensors[f"latent-{size}"], tensors["timesteps"], tensors["context"]]
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
    # What is compiled on the first call is not what a step costs. A picture is long enough to need no such run.
    if not case.startswith("picture"):
        call()
    seconds = []
    for _ in range(runs):
        started = time.perf_counter()
        result = call()
        seconds.append(time.perf_counter() - started)
    print(json.dumps({"load": load, "seconds": seconds}))
    save_file({"output": result}, output)
