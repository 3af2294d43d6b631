"""Checks that diffusers reads the files that we write, and makes the same with them.

    cargo test --release --test adapters
    python tests/golden/check_adapters.py [FOLDER]

The test writes its files to FOLDER, `adapters` below the `tmp` folder of Cargo's target folder.
"""

import sys
from pathlib import Path

from safetensors.torch import load_file

import common
import make_adapters as adapters
from common import GOLDEN


def main():
    common.quiet()
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else GOLDEN.parents[1] / "target/tmp/adapters"
    expected = load_file(adapters.ROOT / "expected.safetensors")
    failed = False

    def check(file, case, load, **args):
        nonlocal failed
        pipe, _ = adapters.pipeline("sd1")
        load(pipe)
        latents, _ = adapters.make(pipe, {**adapters.ARGS, **args})
        moved = adapters.difference(latents, expected[f"{case}.latents"])
        print(f"{file:28} {moved:.1e}")
        failed |= not moved < 1e-4

    for file in ("diffusers.safetensors", "kohya.safetensors"):

        def load(pipe):
            pipe.load_lora_weights(folder / file, adapter_name="a")
            pipe.set_adapters(["a"], [-0.6])

        check(file, "same_peft", load)
    prompts = {"prompt": "a painting of a <three> horse", "negative_prompt": "blurry, <three>, text"}
    check("learned_embeds.safetensors", "embedding_three", lambda pipe: pipe.load_textual_inversion(folder), **prompts)
    prompts = {"prompt": "a painting of a <birb-style> horse", "negative_prompt": "blurry, <birb-style>, text"}
    check("one.safetensors", "embedding_one", lambda pipe: pipe.load_textual_inversion(folder, weight_name="one.safetensors"), **prompts)  # fmt: skip
    sys.exit(failed)


if __name__ == "__main__":
    main()
