"""What diffusers loses in halves: the cases of make_pipelines.py in f16 and in bf16, against its own f32.

    python tests/golden/halves.py            # every case, or those whose names contain a word given

Random numbers are drawn in f32 and rounded, so that both have the same. Each line is a case with the largest difference of the
encoded prompts and of the latents, over their largest value, and of the pixels in [0, 1]; the last two are the largest of all. From
these come the tolerances of `tests/golden_pictures.rs` in halves.
"""

import json
import sys
import warnings

import diffusers
import torch
from safetensors.torch import load_file

import common
import make_pipelines
from make_pipelines import CASES, ROOT, VARIANTS


def main(wanted):
    common.quiet()
    warnings.filterwarnings("ignore")
    names = [name for name in json.loads((ROOT / "cases.json").read_text()) if wanted in name]
    for dtype in (torch.float16, torch.bfloat16):
        worst = [0.0] * 3
        for name in names:
            lost = losses(name, dtype)
            worst = [max(pair) for pair in zip(worst, lost)]
            print(f"{name:34} {str(dtype):15} " + " ".join(f"{loss:.1e}" for loss in lost), flush=True)
        print(f"{'largest':34} {str(dtype):15} " + " ".join(f"{loss:.1e}" for loss in worst), flush=True)


def losses(name, dtype):
    """Of context, latents and pixels; 0 where the case has none."""
    case = json.loads((CASES / name / "case.json").read_text())
    expected = load_file(CASES / name / "tensors.safetensors")
    pipe, args = pipeline(case, dtype), call(case, dtype)
    shared = case["generators"] == "one for the batch"
    randn = torch.randn
    torch.randn = lambda *a, dtype=torch.float32, **k: randn(*a, dtype=torch.float32, **k).to(dtype)
    try:
        latents, _, _, context, _ = make_pipelines.run(pipe, args, case["seeds"], shared, "latent")
        image = make_pipelines.run(pipe, args, case["seeds"], shared, "pt")[0] if "image" in expected else None
    finally:
        torch.randn = randn
    found = {name: value for name, value in context.items() if name in expected}
    of_context = [relative(value, expected[name]) for name, value in found.items()]
    of_pixels = 0.0 if image is None else (image.float() * 255 - expected["image"].float()).abs().max().item() - 0.5
    return max([0.0, *of_context]), relative(latents, expected["latents"]), max(of_pixels, 0.0) / 255


def relative(found, expected):
    return ((found.float() - expected).abs().max() / expected.abs().max().clamp_min(1e-30)).item()


def pipeline(case, dtype):
    variant = VARIANTS.get(case["model"])
    made = getattr(diffusers, case["pipeline"]).from_pretrained(ROOT / case["model"], dtype=dtype, variant=variant)
    scheduler = json.loads((CASES / case["name"] / "scheduler_config.json").read_text())
    made.scheduler = getattr(diffusers, scheduler["_class_name"]).from_config(scheduler)
    made.set_progress_bar_config(disable=True)
    return made


def call(case, dtype):
    """The case's arguments, pictures and latents among them."""
    # Sizes are tuples, of which JSON makes lists; lists of prompts stay lists.
    args = {n: tuple(v) if isinstance(v, list) and isinstance(v[0], int) else v for n, v in case["args"].items()}
    for argument, file in case["files"].items():
        args[argument] = make_pipelines.Image.open(ROOT / "inputs" / file)
    for argument, source in case["from_cases"].items():
        args[argument] = load_file(CASES / source / "tensors.safetensors")["latents"].to(dtype)
    return args


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "")
