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
import numpy as np
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
    levels = len(config.get("block_out_channels", (16, 24, 24)))
    options = {
        "sample_size": 8,
        "block_out_channels": (16, 24, 24),
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


def small_unet(seed, **config):
    """Two levels, for the families whose point is elsewhere."""
    return unet(seed, **{"block_out_channels": (16, 24), **config})


def make_sd1_inpaint():
    """9 input channels; the VAE as a `.bin` file, the text encoder as one, everything else as safetensors."""
    folder = common.fresh(ROOT / "sd1-inpaint")
    common.save_part(small_unet(111, in_channels=9), folder / "unet")
    common.save_part(vae(112), folder / "vae", safe_serialization=False)
    common.save_old_text_encoder(text_encoder(113, eos_token_id=2, bos_token_id=0), folder / "text_encoder")
    state = load_file(folder / "text_encoder" / "model.safetensors")
    torch.save(state, folder / "text_encoder" / "pytorch_model.bin")
    (folder / "text_encoder" / "model.safetensors").unlink()
    common.write_tokenizer(folder / "tokenizer")
    write_json(folder / "scheduler" / "scheduler_config.json", SD1_SCHEDULER)
    common.model_index(folder, "StableDiffusionInpaintPipeline", SD_PARTS, requires_safety_checker=False)


def make_sd1_lcm():
    """A distilled UNet that is told the guidance scale (`time_cond_proj_dim`), with LCM's scheduler."""
    folder = common.fresh(ROOT / "sd1-lcm")
    common.save_part(small_unet(121, time_cond_proj_dim=32), folder / "unet")
    common.save_part(vae(122), folder / "vae")
    common.save_part(text_encoder(123), folder / "text_encoder")
    common.write_tokenizer(folder / "tokenizer")
    options = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "clip_sample": False, "set_alpha_to_one": True, "steps_offset": 1}  # fmt: skip
    diffusers.LCMScheduler(**options).save_pretrained(folder / "scheduler")
    parts = {**SD_PARTS, "scheduler": (DIFFUSERS, "LCMScheduler")}
    common.model_index(folder, "LatentConsistencyModelPipeline", parts, requires_safety_checker=False)


def make_sd1_small():
    """What small distillations change: no mid block, and AutoencoderTiny as the codec. No sampling in its encoder."""
    folder = common.fresh(ROOT / "sd1-small")
    common.save_part(small_unet(131, mid_block_type=None), folder / "unet")
    channels, blocks = (8, 8, 8, 8), (1, 1, 1, 1)
    tiny = AutoencoderTiny(encoder_block_out_channels=channels, decoder_block_out_channels=channels,
                           num_encoder_blocks=blocks, num_decoder_blocks=blocks)  # fmt: skip
    enliven(tiny, 132, (("decoder.layers.12", 0.07), ("decoder", 1.4), ("encoder", 1.4)))
    tiny.decoder.layers[-1].bias.data.fill_(0.5)  # the decoder's own range is [0, 1]
    common.save_part(tiny, folder / "vae")
    common.save_part(text_encoder(133), folder / "text_encoder")
    common.write_tokenizer(folder / "tokenizer")
    write_json(folder / "scheduler" / "scheduler_config.json", SD1_SCHEDULER)
    parts = {**SD_PARTS, "vae": (DIFFUSERS, "AutoencoderTiny")}
    common.model_index(folder, "StableDiffusionPipeline", parts, requires_safety_checker=False)


def make_sd2():
    """SD 2.x: erf GELU, linear projections, heads by level, v-prediction, zero terminal SNR; the UNet in shards, the
    text encoder with the tensor names of transformers 5.6 and later (no `text_model.`)."""
    folder = common.fresh(ROOT / "sd2")
    made = small_unet(201, attention_head_dim=(2, 4), use_linear_projection=True, upcast_attention=True, cross_attention_dim=24)  # fmt: skip
    common.save_part(made, folder / "unet", max_shard_size="100KB")
    common.save_part(vae(202), folder / "vae")
    options = {"hidden_act": "gelu", "hidden_size": 24, "num_attention_heads": 3, "eos_token_id": 2}
    common.save_part(text_encoder(203, **options), folder / "text_encoder")
    common.write_tokenizer(folder / "tokenizer", pad_token="!")
    zero_snr = {"prediction_type": "v_prediction", "rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}
    scheduler = {**SD1_SCHEDULER, "_class_name": "DDIMScheduler", "_diffusers_version": "0.8.0", **zero_snr}
    write_json(folder / "scheduler" / "scheduler_config.json", scheduler)
    parts = {**SD_PARTS, "scheduler": (DIFFUSERS, "DDIMScheduler")}
    common.model_index(folder, "StableDiffusionPipeline", parts, requires_safety_checker=False)


XL_SCHEDULER = {
    "_class_name": "EulerDiscreteScheduler",
    "_diffusers_version": "0.19.0.dev0",
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "clip_sample": False,
    "interpolation_type": "linear",
    "num_train_timesteps": 1000,
    "prediction_type": "epsilon",
    "sample_max_value": 1.0,
    "set_alpha_to_one": False,
    "skip_prk_steps": True,
    "steps_offset": 1,
    "timestep_spacing": "leading",
    "trained_betas": None,
    "use_karras_sigmas": False,
}
XL_PARTS = {
    "feature_extractor": (None, None),
    "image_encoder": (None, None),
    "scheduler": (DIFFUSERS, "EulerDiscreteScheduler"),
    "text_encoder": (TRANSFORMERS, "CLIPTextModel"),
    "text_encoder_2": (TRANSFORMERS, "CLIPTextModelWithProjection"),
    "tokenizer": (TRANSFORMERS, "CLIPTokenizer"),
    "tokenizer_2": (TRANSFORMERS, "CLIPTokenizer"),
    "unet": (DIFFUSERS, "UNet2DConditionModel"),
    "vae": (DIFFUSERS, "AutoencoderKL"),
}
XL_POOLED = 20  # unlike the width of encoder 2, so that taking one for the other shows


def big_text_encoder(seed, **config):
    """The tiny bigG: erf GELU, its own width, a pooled vector of another."""
    options = {"hidden_act": "gelu", "hidden_size": 24, "num_attention_heads": 3, "projection_dim": XL_POOLED}
    return text_encoder(seed, CLIPTextModelWithProjection, **{**options, **config})


def make_sdxl():
    """SDXL base with every file as variant `fp16`; the first level has no attention, the second two layers of it."""
    folder, variant = common.fresh(ROOT / "sdxl"), {"variant": "fp16"}
    made = small_unet(
        301,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=(2, 4),
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        transformer_layers_per_block=(1, 2),
        projection_class_embeddings_input_dim=6 * 8 + XL_POOLED,
        cross_attention_dim=16 + 24,
    )
    common.save_part(made, folder / "unet", **variant)
    common.save_part(vae(302, 0.13025, force_upcast=True), folder / "vae", **variant)
    common.save_part(text_encoder(303, eos_token_id=2, bos_token_id=0), folder / "text_encoder", **variant)
    common.save_part(big_text_encoder(304), folder / "text_encoder_2", **variant)
    common.write_tokenizer(folder / "tokenizer")
    common.write_tokenizer(folder / "tokenizer_2", pad_token="!")
    write_json(folder / "scheduler" / "scheduler_config.json", XL_SCHEDULER)
    options = {"force_zeros_for_empty_prompt": True, "add_watermarker": None}
    common.model_index(folder, "StableDiffusionXLPipeline", XL_PARTS, **options)


def make_refiner():
    """SDXL refiner: only encoder 2, aesthetic score in the time ids, attention in the middle level and the mid block."""
    folder = common.fresh(ROOT / "sdxl-refiner")
    made = unet(
        311,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=(2, 4, 4),
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        transformer_layers_per_block=2,
        projection_class_embeddings_input_dim=5 * 8 + XL_POOLED,
        cross_attention_dim=24,
    )
    common.save_part(made, folder / "unet")
    common.save_part(vae(302, 0.13025, force_upcast=True), folder / "vae")
    common.save_part(big_text_encoder(304), folder / "text_encoder_2")
    common.write_tokenizer(folder / "tokenizer_2", pad_token="!")
    write_json(folder / "scheduler" / "scheduler_config.json", XL_SCHEDULER)
    parts = {**XL_PARTS, "text_encoder": (None, None), "tokenizer": (None, None)}
    options = {"force_zeros_for_empty_prompt": False, "requires_aesthetics_score": True, "add_watermarker": None}
    common.model_index(folder, "StableDiffusionXLImg2ImgPipeline", parts, **options)


def make_inputs():
    """The pictures that image-to-image and inpainting start from."""
    folder = common.fresh(ROOT / "inputs")
    Image.fromarray(common.picture(48, 64, 1)).save(folder / "picture.png")
    Image.fromarray(common.picture(53, 75, 2)).save(folder / "picture_53x75.png")
    mask = np.zeros((48, 64), np.uint8)
    mask[11:37, 19:50] = 255  # edges between latent pixels
    mask[37:41, 19:50] = 128  # counts as inside: 128 / 255 is over one half
    mask[7:11, 19:50] = 127  # counts as outside
    Image.fromarray(mask).save(folder / "mask.png")
    Image.fromarray(common.picture(96, 128, 3)).save(folder / "picture_96x128.png")
    Image.fromarray(mask.repeat(2, 0).repeat(2, 1)).save(folder / "mask_96x128.png")


MODELS = {
    "sd1": make_sd1,
    "sd1-inpaint": make_sd1_inpaint,
    "sd1-lcm": make_sd1_lcm,
    "sd1-small": make_sd1_small,
    "sd2": make_sd2,
    "sdxl": make_sdxl,
    "sdxl-refiner": make_refiner,
}
VARIANTS = {"sdxl": "fp16"}

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
         files=None, feed=None, pipe=None, root=CASES, steps=False):  # fmt: skip
    """Runs one case and writes its folder. `files` are arguments that are pictures, by file name; `feed` are tensors
    that another case made (latents handed over), by argument and case name. `pipe` stands in for reading the folder of
    `model`. With `steps`, the latents after each step are kept."""
    folder = common.fresh(root / name)
    pipe = pipe or reference(model, pipeline)
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

    tensors = {"latents": latents} | {f"draws.{i}": draw for i, draw in enumerate(draws)}
    if steps:
        tensors["trajectory"] = torch.stack(trajectory)
    if image is not None:
        tensors["image"] = (image * 255).round().to(torch.uint8)
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


SD, SD_IMAGE, SD_INPAINT = (f"StableDiffusion{kind}Pipeline" for kind in ("", "Img2Img", "Inpaint"))
XL, XL_IMAGE, XL_INPAINT = (f"StableDiffusionXL{kind}Pipeline" for kind in ("", "Img2Img", "Inpaint"))
PICTURE = {"image": "picture.png"}
MASKED = {"image": "picture.png", "mask_image": "mask.png"}
LONG = " , ".join(["an old castle on the hill with a lighthouse and a small boat"] * 8)
APPLE = "a green apple on the table"


def cases_sd1():
    for sampler in SAMPLERS:
        steps = 8 if sampler == "heun" else 10
        case(f"sd1_{sampler}", "sd1", SD, txt2img(num_inference_steps=steps), (42,), sampler=sampler, keep_context=sampler == "euler", steps=True)  # fmt: skip
    case("sd1_ddim_eta", "sd1", SD, txt2img(eta=0.7), (42,), sampler="ddim", keep_context=False, steps=True,
         note="eta is an argument of the pipeline; it stands in no scheduler_config.json")  # fmt: skip

    default = "the model's own scheduler"
    case("sd1_default", "sd1", SD, txt2img(), (7,), note=default)
    case("sd1_odd_size", "sd1", SD, txt2img(height=56, width=72), (7,), sampler="euler", keep_context=False,
         note="latents of 7 by 9: odd at every level of the UNet")  # fmt: skip
    case("sd1_odd_size_ancestral", "sd1", SD, txt2img(height=24, width=8), (9,), sampler="euler_ancestral", keep_context=False,
         note="12 values a draw: torch draws fewer than 16 normals by another path")  # fmt: skip
    two = {"prompt": [PROMPT, APPLE], "negative_prompt": [NEGATIVE, ""]}
    case("sd1_two_prompts", "sd1", SD, txt2img(**two), (5,), sampler="euler_ancestral",
         note="one generator draws [2, ...] at a time")  # fmt: skip
    case("sd1_two_generators", "sd1", SD, txt2img(**two), (5, 6), shared=False, sampler="euler_ancestral", keep_context=False,
         note="image i equals the run with its prompt and its seed alone")  # fmt: skip
    case("sd1_batch", "sd1", SD, txt2img(num_images_per_prompt=2), (5,), sampler="ddim", keep_context=False,
         note="one prompt, two images, one generator")  # fmt: skip
    case("sd1_batch_generators", "sd1", SD, txt2img(num_images_per_prompt=2), (5, 6), shared=False, sampler="ddpm", keep_context=False)  # fmt: skip
    case("sd1_no_guidance", "sd1", SD, txt2img(guidance_scale=1.0), (5,), sampler="euler", keep_context=False,
         note="at 1 and below the negative prompt is not used and the UNet runs once")  # fmt: skip
    case("sd1_no_negative", "sd1", SD, txt2img(negative_prompt=None), (5,), sampler="euler", note="the negative prompt is the empty one")  # fmt: skip
    case("sd1_empty_prompt", "sd1", SD, txt2img(prompt="", negative_prompt=None), (5,), sampler="euler", note="both halves are equal")  # fmt: skip
    case("sd1_long_prompt", "sd1", SD, txt2img(prompt=LONG), (5,), sampler="euler", note="cut to 77 tokens, the last of them the end token")  # fmt: skip

    def image(strength, **more):
        base = txt2img(strength=strength, **{"num_inference_steps": round(8 / strength), **more})
        return {k: v for k, v in base.items() if k not in ("height", "width")}

    case("sd1_img2img_pndm_05", "sd1", SD_IMAGE, image(0.5), (3,), files=PICTURE, note=default)
    case("sd1_img2img_pndm_08", "sd1", SD_IMAGE, image(0.8), (3,), files=PICTURE, keep_context=False)
    for sampler in ("ddim", "euler", "heun", "dpmpp_2m", "unipc", "lcm"):
        case(f"sd1_img2img_{sampler}", "sd1", SD_IMAGE, image(0.8), (3,), sampler=sampler, files=PICTURE, keep_context=False)
    case("sd1_img2img_ancestral", "sd1", SD_IMAGE, image(0.5), (3,), sampler="euler_ancestral", files=PICTURE, keep_context=False,
         note="draws: the posterior of the codec, the noise, then one a step")  # fmt: skip
    case("sd1_img2img_batch", "sd1", SD_IMAGE, image(0.8, num_images_per_prompt=2), (3, 4), shared=False, sampler="ddim", files=PICTURE, keep_context=False,
         note="the picture is encoded once for each generator")  # fmt: skip
    case("sd1_img2img_batch_shared", "sd1", SD_IMAGE, image(0.8, num_images_per_prompt=2), (3,), sampler="ddim", files=PICTURE, keep_context=False,
         note="the picture is encoded once, its latents repeated")  # fmt: skip
    case("sd1_img2img_resized", "sd1", SD_IMAGE, image(0.8), (3,), sampler="ddim", files={"image": "picture_53x75.png"}, keep_context=False,
         note="53 by 75 pixels, made 48 by 72 by PIL's Lanczos filter")  # fmt: skip

    case("sd1_inpaint4", "sd1", SD_INPAINT, txt2img(), (3,), sampler="ddim", files=MASKED, keep_context=False, steps=True,
         note="a plain model, latents blended after each step; strength 1 starts from noise alone")  # fmt: skip
    case("sd1_inpaint4_08", "sd1", SD_INPAINT, txt2img(strength=0.8), (3,), sampler="euler", files=MASKED, keep_context=False, steps=True)
    case("sd1_inpaint4_ancestral", "sd1", SD_INPAINT, txt2img(strength=0.8), (3,), sampler="euler_ancestral", files=MASKED, keep_context=False, steps=True,
         note="draws: codec of the picture, noise, codec of the masked picture (not used, but drawn), then one a step")  # fmt: skip
    case("sd1_inpaint4_pndm", "sd1", SD_INPAINT, txt2img(strength=0.8), (3,), sampler="pndm", files=MASKED, keep_context=False, steps=True)
    case("sd1_inpaint4_heun", "sd1", SD_INPAINT, txt2img(strength=0.8), (3,), sampler="heun", files=MASKED, keep_context=False, steps=True,
         note="diffusers blends after each evaluation of the network, so also half-way through a step")  # fmt: skip


def cases_sd1_inpaint():
    model = "sd1-inpaint"
    case("inpaint9", model, SD_INPAINT, txt2img(), (3,), files=MASKED, note="draws: noise, codec of the masked picture")
    case("inpaint9_ancestral", model, SD_INPAINT, txt2img(), (3,), sampler="euler_ancestral", files=MASKED, keep_context=False)
    case("inpaint9_08", model, SD_INPAINT, txt2img(strength=0.8), (3,), sampler="ddim", files=MASKED, keep_context=False,
         note="draws: codec of the picture, noise, codec of the masked picture")  # fmt: skip
    case("inpaint9_batch", model, SD_INPAINT, txt2img(num_images_per_prompt=2), (3, 4), shared=False, sampler="euler", files=MASKED, keep_context=False,
         note="the masked picture is encoded once, with the first generator, and repeated")  # fmt: skip


def cases_sd1_lcm():
    note = "guidance_scale - 1 goes to the network; no second half, the negative prompt is not used"
    case("lcm", "sd1-lcm", SD, txt2img(num_inference_steps=8, guidance_scale=8.0), (9,), note=note)
    case("lcm_2", "sd1-lcm", SD, txt2img(num_inference_steps=8, guidance_scale=1.5, prompt=APPLE, negative_prompt=None), (9,), note=note)  # fmt: skip


def cases_sd1_small():
    case("small", "sd1-small", SD, txt2img(), (9,), note="no mid block; AutoencoderTiny decodes")
    image = {k: v for k, v in txt2img(strength=0.8).items() if k not in ("height", "width")}
    case("small_img2img", "sd1-small", SD_IMAGE, image, (9,), sampler="euler", files=PICTURE, keep_context=False,
         note="AutoencoderTiny's encoder draws nothing")  # fmt: skip


def cases_sd2():
    rescaled = txt2img(guidance_rescale=0.7)
    case("sd2", "sd2", SD, rescaled, (11,), note="DDIM, v-prediction, zero terminal SNR, trailing steps, guidance rescale")
    case("sd2_plain", "sd2", SD, txt2img(guidance_rescale=0.0), (11,), keep_context=False)
    for sampler in ("euler", "euler_ancestral", "ddpm", "dpmpp_2m", "dpmpp_2m_karras", "unipc", "pndm", "lcm"):
        case(f"sd2_{sampler}", "sd2", SD, rescaled, (11,), sampler=sampler, keep_context=False, steps=True)


def cases_sdxl():
    sizes = {"original_size": (40, 90), "target_size": (56, 72), "crops_coords_top_left": (3, 17)}
    xl = txt2img(guidance_scale=5.0)
    case("sdxl", "sdxl", XL, {**xl, **sizes}, (21,), note="sizes are (height, width), crops (top, left)")
    case("sdxl_default_sizes", "sdxl", XL, xl, (21,), keep_context=False, note="original and target size are the picture's")
    case("sdxl_no_negative", "sdxl", XL, {**xl, **sizes, "negative_prompt": None}, (21,), note="zeros: the config forces them")
    case("sdxl_empty_negative", "sdxl", XL, {**xl, **sizes, "negative_prompt": ""}, (21,),
         note="an empty negative prompt is encoded, not zeros")  # fmt: skip
    case("sdxl_second_prompt", "sdxl", XL, {**xl, "prompt_2": APPLE, "negative_prompt_2": "text"}, (21,))
    case("sdxl_rescale", "sdxl", XL, {**xl, **sizes, "guidance_rescale": 0.7}, (21,), sampler="dpmpp_2m_karras", keep_context=False)
    case("sdxl_two", "sdxl", XL, {**xl, **sizes, "prompt": [PROMPT, APPLE], "negative_prompt": [NEGATIVE, ""]}, (21, 22), shared=False)  # fmt: skip
    case("sdxl_no_guidance", "sdxl", XL, {**xl, **sizes, "guidance_scale": 1.0}, (21,), keep_context=False)
    negative = {"negative_original_size": (20, 30), "negative_target_size": (24, 40), "negative_crops_coords_top_left": (5, 2)}
    case("sdxl_negative_sizes", "sdxl", XL, {**xl, **sizes, **negative}, (21,), keep_context=False)

    image = {k: v for k, v in {**xl, **sizes, "strength": 0.8}.items() if k not in ("height", "width")}
    case("sdxl_img2img", "sdxl", XL_IMAGE, image, (21,), files=PICTURE, keep_context=False,
         note="both halves have the same sizes and crops")  # fmt: skip
    case("sdxl_inpaint4", "sdxl", XL_INPAINT, {**xl, **sizes, "strength": 0.8}, (21,), files=MASKED, keep_context=False)
    case("sdxl_inpaint4_max", "sdxl", XL_INPAINT, {**xl, "strength": 1.0}, (21,), files=MASKED, keep_context=False,
         note="XL's default strength is 0.9999, which is not the maximum: only 1 starts from noise alone")  # fmt: skip
    case("sdxl_inpaint4_default", "sdxl", XL_INPAINT, xl, (21,), files=MASKED, keep_context=False,
         note="strength 0.9999: one step fewer")  # fmt: skip


def cases_refiner():
    xl = {"prompt": PROMPT, "negative_prompt": NEGATIVE, "num_inference_steps": 10, "guidance_scale": 5.0}
    case("refiner", "sdxl-refiner", XL_IMAGE, {**xl, "strength": 0.8, "num_inference_steps": 10}, (31,), files=PICTURE,
         note="time ids: original size, crops, aesthetic score 6 and, for the negative half, 2.5")  # fmt: skip
    options = {"aesthetic_score": 7.5, "negative_aesthetic_score": 1.5, "original_size": (40, 90), "crops_coords_top_left": (3, 17)}  # fmt: skip
    case("refiner_score", "sdxl-refiner", XL_IMAGE, {**xl, **options, "strength": 0.8}, (31,), files=PICTURE, keep_context=False,
         note="the negative half keeps crops (0, 0)")  # fmt: skip
    case("refiner_no_negative", "sdxl-refiner", XL_IMAGE, {**xl, "negative_prompt": None, "strength": 0.8}, (31,), files=PICTURE,
         note="this config does not force zeros: the empty prompt is encoded")  # fmt: skip
    base = txt2img(num_inference_steps=20, guidance_scale=5.0, denoising_end=0.8)
    case("handover_base", "sdxl", XL, base, (31,), keep_context=False, note="stops at 0.8; see handover_refiner")
    case("handover_refiner", "sdxl-refiner", XL_IMAGE, {**xl, "num_inference_steps": 20, "denoising_start": 0.8}, (31,), keep_context=False,
         feed={"image": "handover_base"}, note="goes on from the base model's latents; draws nothing")  # fmt: skip
    case("handover_base_half", "sdxl", XL, {**base, "denoising_end": 0.5}, (31,), sampler="dpmpp_2m", keep_context=False)
    case("handover_refiner_half", "sdxl-refiner", XL_IMAGE, {**xl, "num_inference_steps": 20, "denoising_start": 0.5}, (31,), sampler="euler_ancestral",
         keep_context=False, feed={"image": "handover_base_half"}, note="draws one a step and nothing before")  # fmt: skip


CASE_MAKERS = {
    "sd1": cases_sd1,
    "sd1-inpaint": cases_sd1_inpaint,
    "sd1-lcm": cases_sd1_lcm,
    "sd1-small": cases_sd1_small,
    "sd2": cases_sd2,
    "sdxl": cases_sdxl,
    "sdxl-refiner": cases_refiner,
}


def main(wanted):
    common.quiet()
    warnings.filterwarnings("ignore")
    make_inputs()
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
