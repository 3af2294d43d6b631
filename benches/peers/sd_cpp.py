"""stable-diffusion.cpp, which says what each of its parts took while it paints a picture.

One of its steps calls the UNet with the prompt and without: as much as one call of the others with a batch of two. Its
noise is its own, so that its results cannot be compared. `T2I_SD_CPP_TYPE` is the type of its weights, f32 if not given.
"""

import json
import os
import re
import sys
import time

import stable_diffusion_cpp

import peer

# What it logs when a part is done, but for steps, which have a callback.
DONE = {"text": r"get_learned_condition completed, taking ([\d.]+)s", "vae": r"latent 1 decoded, taking ([\d.]+)s"}


def seconds(model, case, runs):
    """What every run of a case took, without the first."""
    part, _, size = case.partition("-")
    times, pattern = [], re.compile(DONE.get(part, "$^"))

    @stable_diffusion_cpp.sd_log_callback
    def log(level, text, data):
        found = pattern.search(text.decode(errors="replace"))
        if found:
            times.append(float(found[1]))

    def step(number, steps, taken):
        if part == "unet":
            times.append(taken)

    stable_diffusion_cpp.sd_set_log_callback(log, None)
    # A run is a picture, of which the rest is as small as can be, or a step of one.
    side, steps, pictures = int(size or 64), 1, runs + 1
    if part == "unet":
        steps, pictures = runs + 1, 1
    if part == "picture":
        side, steps, pictures = 512, int(size), 1
    for _ in range(pictures):
        started = time.perf_counter()
        picture = model.generate_image(
            "a lighthouse at night", width=side, height=side, sample_steps=steps, cfg_scale=7.0, seed=0, progress_callback=step
        )
        assert picture, "no picture came"
        if part == "picture":
            return [time.perf_counter() - started]
    return times[-runs:]


def main(case, folder, runs):
    started = time.perf_counter()
    weights = os.environ.get("T2I_SD_CPP_TYPE", "f32")
    model = stable_diffusion_cpp.StableDiffusion(
        model_path=folder, n_threads=peer.THREADS, wtype=weights, diffusion_flash_attn=True, vae_decode_only=True, verbose=False
    )
    load = time.perf_counter() - started
    print(json.dumps({"load": load, "seconds": seconds(model, case, int(runs))}))


if __name__ == "__main__":
    main(*sys.argv[1:4])
