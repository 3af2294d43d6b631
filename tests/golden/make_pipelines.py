"""Makes tests/golden/pipelines: tiny random checkpoints in the real layouts, and the whole pictures diffusers makes
from them. See tests/golden/README.md for the layout and the meaning of every case.

    python tests/golden/make_pipelines.py            # everything
    python tests/golden/make_pipelines.py sd1 sdxl   # the models of these names, and their cases

Pinned versions stand in common.py. Networks are stored in f16 and run in f32.
"""

import copy
import json
import sys
import warnings

import diffusers
import torch
from diffusers import AutoencoderKL, AutoencoderTiny, UNet2DConditionModel
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

import common
from common import BOS, EOS, GOLDEN, TEXT_GAINS, UNET_GAINS, VAE_GAINS, VOCABULARY, enliven, write_json

ROOT = GOLDEN / "pipelines"
CASES = ROOT / "cases"

PROMPT = "a photo of an astronaut riding a horse on mars"
NEGATIVE = "blurry, low quality"

# ---------------------------------------------------------------------------------------------------------------------
# Schedulers: what users pass to from_config on top of the model's own scheduler

SAMPLERS = {
    "euler": ("EulerDiscreteScheduler", {}),
    "euler_ancestral": ("EulerAncestralDiscreteScheduler", {}),
    "heun": ("HeunDiscreteScheduler", {}),
    "ddim": ("DDIMScheduler", {}),
    "ddpm": ("DDPMScheduler", {}),
    "pndm": ("PNDMScheduler", {}),
    "dpmpp_2m": ("DPMSolverMultistepScheduler", {}),
    "dpmpp_2m_karras": ("DPMSolverMultistepScheduler", {"use_karras_sigmas": True}),
    "unipc": ("UniPCMultistepScheduler", {}),
    "lcm": ("LCMScheduler", {}),
}

SD1_SCHEDULER = {
    "_class_name": "PNDMScheduler",
    "_diffusers_version": "0.7.0.dev0",
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "clip_sample": False,
    "num_train_timesteps": 1000,
    "set_alpha_to_one": False,
    "skip_prk_steps": True,
    "steps_offset": 1,
    "trained_betas": None,
}

# ---------------------------------------------------------------------------------------------------------------------
# Networks


def unet(seed, **config):
    """A UNet with SD1's options, 3 levels and 1 layer a block unless told otherwise."""
    levels = len(config.get("block_out_channels", (16, 32, 32)))
    options = {
        "sample_size": 8,
        "block_out_channels": (16, 32, 32),
        "layers_per_block": 1,
        "down_block_types": ("CrossAttnDownBlock2D",) * (levels - 1) + ("DownBlock2D",),
        "up_block_types": ("UpBlock2D",) + ("CrossAttnUpBlock2D",) * (levels - 1),
        "cross_attention_dim": 16,
        "attention_head_dim": 4,
        "norm_num_groups": 8,
    }
    return enliven(UNet2DConditionModel(**{**options, **config}), seed, UNET_GAINS)


def vae(seed, scaling_factor=0.18215, **config):
    """An AutoencoderKL with 4 levels, so that one latent pixel is 8 by 8 image pixels, as in the real ones."""
    options = {
        "block_out_channels": (8, 8, 16, 16),
        "layers_per_block": 1,
        "down_block_types": ("DownEncoderBlock2D",) * 4,
        "up_block_types": ("UpDecoderBlock2D",) * 4,
        "norm_num_groups": 4,
        "sample_size": 64,
        "scaling_factor": scaling_factor,
    }
    return enliven(AutoencoderKL(**{**options, **config}), seed, VAE_GAINS)


def text_encoder(seed, model=CLIPTextModel, **config):
    """A CLIP text encoder over the small vocabulary."""
    options = {
        "vocab_size": len(VOCABULARY),
        "hidden_size": 16,
        "intermediate_size": 48,
        "num_hidden_layers": 3,
        "num_attention_heads": 2,
        "hidden_act": "quick_gelu",
        "projection_dim": 16,
        "bos_token_id": BOS,
        "eos_token_id": EOS,
        "pad_token_id": 1,
    }
    return enliven(model(CLIPTextConfig(**{**options, **config})), seed, TEXT_GAINS)


def rename_attention_of_vae(folder, new_to_old=(("to_q", "query"), ("to_k", "key"), ("to_v", "value"), ("to_out.0", "proj_attn"))):
    """Gives the VAE's attention the tensor names that the files of SD 1.x still have."""
    path = folder / "diffusion_pytorch_model.safetensors"
    state = load_file(path)
    for new, old in new_to_old:
        state = {name.replace(f"attentions.0.{new}.", f"attentions.0.{old}."): value for name, value in state.items()}
    save_file(state, path, {"format": "pt"})


DIFFUSERS, TRANSFORMERS = "diffusers", "transformers"
SD_PARTS = {
    "feature_extractor": (None, None),
    "safety_checker": (None, None),
    "scheduler": (DIFFUSERS, "PNDMScheduler"),
    "text_encoder": (TRANSFORMERS, "CLIPTextModel"),
    "tokenizer": (TRANSFORMERS, "CLIPTokenizer"),
    "unet": (DIFFUSERS, "UNet2DConditionModel"),
    "vae": (DIFFUSERS, "AutoencoderKL"),
}


def make_sd1():
    """SD 1.x as its oldest files are: `text_model.` prefix and position_ids, `query`/`key`/`value` in the VAE."""
    folder = common.fresh(ROOT / "sd1")
    common.save_part(unet(101), folder / "unet")
    common.save_part(vae(102), folder / "vae")
    rename_attention_of_vae(folder / "vae")
    common.save_old_text_encoder(text_encoder(103, eos_token_id=2, bos_token_id=0), folder / "text_encoder")
    common.write_tokenizer(folder / "tokenizer")
    write_json(folder / "scheduler" / "scheduler_config.json", SD1_SCHEDULER)
    common.model_index(folder, "StableDiffusionPipeline", SD_PARTS, requires_safety_checker=False)


MODELS = {"sd1": make_sd1}
VARIANTS = {}

# ---------------------------------------------------------------------------------------------------------------------
# Cases


def reference(model, pipeline):
    """The pipeline read from the folder by diffusers itself, in f32."""
    variant = VARIANTS.get(model)
    made = getattr(diffusers, pipeline).from_pretrained(ROOT / model, dtype=torch.float32, variant=variant)
    made.set_progress_bar_config(disable=True)
    return made


def run(pipe, args, seeds, shared, output_type):
    """One call of the pipeline. Returns its output, the random draws, the latents after each step, the contexts."""
    trajectory, context = [], {}
    encode = type(pipe).encode_prompt

    def encode_prompt(*a, **k):
        values = encode(pipe, *a, **k)
        names = ("context", "negative_context", "pooled", "negative_pooled")
        context.update({n: v.clone() for n, v in zip(names, values) if v is not None})
        return values

    def watch(_, step, timestep, tensors):
        trajectory.append(tensors["latents"].clone())
        return {}

    pipe.encode_prompt = encode_prompt
    pipe.scheduler = copy.deepcopy(pipe.scheduler)
    with common.Draws() as draws, torch.no_grad():
        generator = common.generators(seeds, shared)
        output = pipe(**args, generator=generator, output_type=output_type, callback_on_step_end=watch).images
    timesteps = getattr(pipe.scheduler, "timesteps", None)
    return output, draws.tensors, trajectory, context, timesteps


def sensitivity(pipe, args, seeds, shared, latents):
    """How much the latents move where the UNet is run in f64 instead of f32: the floor of any comparison."""
    forward = pipe.unet.forward

    def double(value):
        if torch.is_tensor(value):
            return value.double() if value.is_floating_point() else value
        return {k: double(v) for k, v in value.items()} if isinstance(value, dict) else value

    def in_double(*a, **k):
        return tuple(v.float() for v in forward(*map(double, a), **{n: double(v) for n, v in k.items()}))

    pipe.unet.double().forward = in_double
    other = run(pipe, args, seeds, shared, "latent")[0]
    del pipe.unet.forward
    pipe.unet.float()
    return ((other - latents).abs().max() / latents.abs().max()).item()


def case(name, model, pipeline, args, seeds=(0,), shared=True, sampler=None, keep_context=True, note=None, config=None,
         files=None, feed=None):  # fmt: skip
    """Runs one case and writes its folder. `files` are arguments that are pictures, by file name; `feed` are tensors
    that another case made (latents handed over), by argument and case name."""
    folder = common.fresh(CASES / name)
    pipe = reference(model, pipeline)
    if sampler or config:
        cls, options = SAMPLERS[sampler] if sampler else (type(pipe.scheduler).__name__, {})
        pipe.scheduler = getattr(diffusers, cls).from_config(pipe.scheduler.config, **{**options, **(config or {})})
    pipe.scheduler.save_config(folder)
    call = dict(args)
    for argument, file in (files or {}).items():
        call[argument] = Image.open(ROOT / "inputs" / file)
    for argument, source in (feed or {}).items():
        call[argument] = load_file(CASES / source / "tensors.safetensors")["latents"]

    latents, draws, trajectory, context, timesteps = run(pipe, call, seeds, shared, "latent")
    if call.get("denoising_end") is None:
        image = run(pipe, call, seeds, shared, "pt")[0]
    else:
        image = None
    moved = sensitivity(pipe, call, seeds, shared, latents)

    tensors = {"latents": latents, "trajectory": torch.stack(trajectory)}
    tensors |= {f"draws.{i}": draw for i, draw in enumerate(draws)}
    if image is not None:
        tensors["image"] = image.half()
    if keep_context:
        tensors |= context
    assert all(t.isfinite().all() for t in tensors.values()), name
    save_file({k: v.contiguous() for k, v in tensors.items()}, folder / "tensors.safetensors")
    entry = {
        "name": name,
        "note": note,
        "model": model,
        "pipeline": pipeline,
        "sampler": sampler,
        "seeds": list(seeds),
        "generators": "one for the batch" if shared else "one an image",
        "args": args,
        "files": files or {},
        "from_cases": feed or {},
        "timesteps": timesteps.tolist(),
        "draws": [list(draw.shape) for draw in draws],
    }
    write_json(folder / "case.json", {k: v for k, v in entry.items() if v is not None})
    clipped = 0 if image is None else ((image == 0) | (image == 1)).float().mean().item()
    shown = "-" if image is None else f"{image.mean():.3f} {image.std():.3f} {clipped:6.1%}"
    print(f"{name:34} latents {common.summary(latents)} image {shown} f64 {moved:.1e}", flush=True)
    return latents


def txt2img(**more):
    """The arguments that most cases share."""
    base = {"prompt": PROMPT, "negative_prompt": NEGATIVE, "height": 48, "width": 64, "num_inference_steps": 10, "guidance_scale": 7.5}  # fmt: skip
    return {**base, **more}


SD = "StableDiffusionPipeline"


def cases_sd1():
    for sampler in SAMPLERS:
        steps = 8 if sampler == "heun" else 10
        case(f"sd1_{sampler}", "sd1", SD, txt2img(num_inference_steps=steps), (42,), sampler=sampler, keep_context=sampler == "euler")  # fmt: skip
    case("sd1_ddim_eta", "sd1", SD, txt2img(eta=0.7), (42,), sampler="ddim", keep_context=False,
         note="eta is an argument of the pipeline; it stands in no scheduler_config.json")  # fmt: skip


CASE_MAKERS = {"sd1": cases_sd1}


def main(wanted):
    common.quiet()
    warnings.filterwarnings("ignore")
    for name, make in MODELS.items():
        if not wanted or name in wanted:
            make()
            common.drop_paths(ROOT / name)
    for name, make in CASE_MAKERS.items():
        if not wanted or name in wanted:
            make()
    cases = sorted(path.parent.name for path in CASES.glob("*/case.json"))
    write_json(ROOT / "cases.json", cases)


if __name__ == "__main__":
    main(sys.argv[1:])
