"""Full-size checkpoints with random weights, and what diffusers needs for them.

    python tests/golden/full_size.py make CONFIGS FOLDER      # CONFIGS: a model's folder of published configs
    python tests/golden/full_size.py measure FOLDER           # load and one step: seconds and peak memory

`make` writes f16 weights of every part in the published layout. `measure` runs in f32 at 256 x 256, with one step of the
model's own scheduler and no guidance, as `txt2img --width 256 --height 256 --steps 1 --guidance 1` does.
"""

import json
import resource
import shutil
import sys
import time
from pathlib import Path

import diffusers
import torch
import transformers
from accelerate import init_empty_weights
from safetensors.torch import save_file

torch.set_num_threads(2)
WEIGHTS = {"unet": "diffusion_pytorch_model", "vae": "diffusion_pytorch_model"}


def make(configs, folder):
    shutil.copytree(configs, folder, dirs_exist_ok=True)
    index = json.loads((configs / "model_index.json").read_text())
    for part, (library, name) in ((k, v) for k, v in index.items() if isinstance(v, list) and v[0]):
        if part not in ("unet", "vae", "text_encoder", "text_encoder_2"):
            continue
        module = {"diffusers": diffusers, "transformers": transformers}[library]
        random_part(getattr(module, name), folder / part, WEIGHTS.get(part, "model"))


def random_part(cls, folder, name):
    """Small weights, so that a network of any depth stays finite."""
    with init_empty_weights():
        if issubclass(cls, diffusers.ModelMixin):
            model = cls.from_config(json.loads((folder / "config.json").read_text()))
        else:
            model = cls(transformers.CLIPTextConfig.from_pretrained(folder))
    generator = torch.Generator().manual_seed(0)
    tensors = {}
    for key, parameter in model.named_parameters():
        fan_in = max(parameter[0].numel(), 1) if parameter.ndim > 1 else 1
        values = torch.randn(parameter.shape, generator=generator)
        tensors[key] = (values * (fan_in**-0.5 if parameter.ndim > 1 else 0.02)).half()
        if parameter.ndim == 1 and key.endswith("weight"):
            tensors[key] += 1  # a norm
    save_file(tensors, folder / f"{name}.safetensors", metadata={"format": "pt"})
    print(f"{folder.name}: {sum(t.numel() for t in tensors.values()):,} parameters")


def measure(folder):
    began = time.perf_counter()
    pipe = diffusers.DiffusionPipeline.from_pretrained(
        folder, torch_dtype=torch.float32, safety_checker=None, feature_extractor=None, local_files_only=True
    )
    loaded = time.perf_counter()
    pipe("a lighthouse at night", height=256, width=256, num_inference_steps=1, guidance_scale=1.0)
    done = time.perf_counter()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"load {loaded - began:.1f} s, picture {done - loaded:.1f} s, peak {peak:.2f} GiB")


if __name__ == "__main__":
    {"make": make, "measure": measure}[sys.argv[1]](*map(Path, sys.argv[2:]))
