"""How far a picture of ours is from the one that diffusers makes of the same model, prompt and seed.

    cargo run --release --example txt2img -- PROMPT --model MODEL --seed 0 --steps 20 --guidance 3 --output ours.png
    python tests/golden/compare_picture.py ours.png PROMPT --model MODEL --seed 0 --steps 20 --guidance 3

What a lesson left is given to both with the same options: `--lora FILE`, `--embedding FILE`.
Prints the peak signal-to-noise ratio in dB; ends with 1 below --least.
"""

import argparse
import sys

import numpy
import torch
from diffusers import DiffusionPipeline
from PIL import Image


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("picture")
    parser.add_argument("prompt")
    parser.add_argument("--model", required=True, help="a folder in diffusers' layout")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--guidance", type=float, default=3.0)
    parser.add_argument("--lora", help="a LoRA, at its full strength")
    parser.add_argument("--embedding", help="a learned word")
    parser.add_argument("--least", type=float, default=45.0, help="dB")
    return parser.parse_args()


def psnr(a, b):
    error = numpy.mean((a.astype(float) - b.astype(float)) ** 2)
    return float("inf") if error == 0 else 10 * numpy.log10(255**2 / error)


def main():
    args = arguments()
    pipeline = DiffusionPipeline.from_pretrained(args.model, torch_dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    if args.lora:
        pipeline.load_lora_weights(args.lora)
    if args.embedding:
        pipeline.load_textual_inversion(args.embedding)
    generator = torch.Generator().manual_seed(args.seed)
    result = pipeline(args.prompt, num_inference_steps=args.steps, guidance_scale=args.guidance, generator=generator)
    theirs = numpy.asarray(result.images[0].convert("RGB"))
    ours = numpy.asarray(Image.open(args.picture).convert("RGB"))
    if ours.shape != theirs.shape:
        sys.exit(f"{args.picture} is {ours.shape}, diffusers' picture {theirs.shape}")
    ratio = psnr(ours, theirs)
    print(f"{ratio:.1f} dB")
    sys.exit(int(ratio < args.least))


if __name__ == "__main__":
    main()
