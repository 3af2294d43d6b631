"""Makes tests/golden/pipelines/ldm: checkpoints of one file, as the original code has them, and their pictures.

    python tests/golden/single_files.py

The file of each family is a *recipe* (see tests/golden/README.md): the tensors' names in the original layout, their
shapes, and which stretch of a random stream they are. So the full vocabulary of CLIP and widths that are multiples of
32 cost no megabytes. Nothing says how the files are built but their tensors: the reference below builds its configs
from the published ones, and takes the weights through diffusers' own conversion of single files.

`sd1-inpaint.ckpt` is a real file of PyTorch, the one that is: a state dict within a training state, f16, all tensors
views of a few storages.

Token ids come from CLIP's tokenizer in ../shared/reference/configs, beside the repository. Versions: see common.py.
"""

import json
import math
import re
import warnings

import diffusers
import numpy as np
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.loaders import single_file_utils as single_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

import common
from common import GOLDEN, write_json
from make_pipelines import NEGATIVE, PROMPT, case, txt2img
from published_slices import bake

ROOT = GOLDEN / "pipelines" / "ldm"
CONFIGS = GOLDEN.parents[2] / "shared" / "reference" / "configs"

# ---------------------------------------------------------------------------------------------------------------------
# The networks. Whatever a reader cannot know from shapes is as in the published configs.



def unet_config(channels, depths, context, **more):
    """Levels with attention where the depth is not 0."""
    down = tuple("CrossAttnDownBlock2D" if depth else "DownBlock2D" for depth in depths)
    up = tuple(kind.replace("Down", "Up") for kind in reversed(down))
    depths = [max(depth, 1) for depth in depths]
    return dict(
        sample_size=64,
        block_out_channels=channels,
        down_block_types=down,
        up_block_types=up,
        layers_per_block=2,
        cross_attention_dim=context,
        transformer_layers_per_block=depths if max(depths) > 1 else 1,
        **more,
    )


def heads(channels):
    """64 channels a head, at least one head."""
    return [max(width // 64, 1) for width in channels]


def added(numbers, pooled):
    return dict(
        addition_embed_type="text_time",
        addition_time_embed_dim=256,
        projection_class_embeddings_input_dim=numbers * 256 + pooled,
    )


def vae_config(scaling_factor):
    return dict(
        block_out_channels=(32, 32, 64, 64),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=2,
        scaling_factor=scaling_factor,
    )


def text_config(hidden, layers, act, projection=None):
    return CLIPTextConfig(
        hidden_size=hidden,
        intermediate_size=3 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=max(hidden // 64, 1),
        hidden_act=act,
        projection_dim=projection or hidden,
        bos_token_id=0,
        eos_token_id=2,
        pad_token_id=1,
    )


WIDE, XL_WIDE, REFINER_WIDE = (32, 64, 64, 128), (32, 64, 128), (32, 64, 64, 64)
POOLED = 96
LINEAR = dict(use_linear_projection=True)
CLIP_L, OPEN_CLIP = "clip", "open_clip"
SD1_UNET = dict(attention_head_dim=8)

# name: UNet, latent scale, text encoders [(prefix, kind, config, layers that are in the file but not used)], published config
FAMILIES = {
    "sd1": (
        unet_config((32, 64, 64, 64), (1, 1, 1, 0), 64, **SD1_UNET),
        0.18215,
        [("cond_stage_model.transformer.", CLIP_L, text_config(64, 3, "quick_gelu"), 0)],
        "sd14",
    ),
    "sd1-inpaint": (
        unet_config((32, 64, 64, 64), (1, 1, 1, 0), 64, in_channels=9, **SD1_UNET),
        0.18215,
        [("cond_stage_model.transformer.", CLIP_L, text_config(64, 3, "quick_gelu"), 0)],
        "sd14",
    ),
    "sd2": (
        unet_config(WIDE, (1, 1, 1, 0), 128, attention_head_dim=heads(WIDE), upcast_attention=True, **LINEAR),
        0.18215,
        [("cond_stage_model.model.", OPEN_CLIP, text_config(128, 3, "gelu"), 1)],
        "sd21",
    ),
    "sdxl": (
        unet_config(XL_WIDE, (0, 1, 2), 64 + 128, attention_head_dim=heads(XL_WIDE), **LINEAR, **added(6, POOLED)),
        0.13025,
        [
            ("conditioner.embedders.0.transformer.", CLIP_L, text_config(64, 3, "quick_gelu"), 0),
            ("conditioner.embedders.1.model.", OPEN_CLIP, text_config(128, 3, "gelu", POOLED), 0),
        ],
        "sdxl",
    ),
    "sdxl-refiner": (
        unet_config(REFINER_WIDE, (0, 2, 2, 0), 128, attention_head_dim=heads(REFINER_WIDE), **LINEAR, **added(5, POOLED)),
        0.13025,
        [("conditioner.embedders.0.model.", OPEN_CLIP, text_config(128, 3, "gelu", POOLED), 0)],
        "sdxl",
    ),
}

# ---------------------------------------------------------------------------------------------------------------------
# From diffusers' names to the original ones


def ldm_unet(name, config):
    """`down_blocks.1.resnets.0.norm1.weight` -> `input_blocks.4.0.in_layers.0.weight`."""
    layers = config["layers_per_block"]
    plain = {
        "time_embedding.linear_1": "time_embed.0",
        "time_embedding.linear_2": "time_embed.2",
        "add_embedding.linear_1": "label_emb.0.0",
        "add_embedding.linear_2": "label_emb.0.2",
        "conv_in": "input_blocks.0.0",
        "conv_norm_out": "out.0",
        "conv_out": "out.2",
    }
    for new, old in plain.items():
        if name.startswith(new + "."):
            return name.replace(new, old)
    if found := re.match(r"down_blocks\.(\d+)\.(resnets|attentions|downsamplers)\.(\d+)\.(.*)", name):
        level, kind, layer, rest = int(found[1]), found[2], int(found[3]), found[4]
        if kind == "downsamplers":
            return f"input_blocks.{1 + level * (layers + 1) + layers}.0.op.{rest.removeprefix('conv.')}"
        block = 1 + level * (layers + 1) + layer
        return f"input_blocks.{block}." + (f"0.{ldm_resnet(rest)}" if kind == "resnets" else f"1.{rest}")
    if found := re.match(r"mid_block\.(resnets|attentions)\.(\d+)\.(.*)", name):
        kind, layer, rest = found[1], int(found[2]), found[3]
        return f"middle_block.{2 * layer}.{ldm_resnet(rest)}" if kind == "resnets" else f"middle_block.1.{rest}"
    found = re.match(r"up_blocks\.(\d+)\.(resnets|attentions|upsamplers)\.(\d+)\.(.*)", name)
    level, kind, layer, rest = int(found[1]), found[2], int(found[3]), found[4]
    if kind == "upsamplers":
        place = 2 if "CrossAttn" in config["up_block_types"][level] else 1
        return f"output_blocks.{level * (layers + 1) + layers}.{place}.{rest}"
    block = level * (layers + 1) + layer
    return f"output_blocks.{block}." + (f"0.{ldm_resnet(rest)}" if kind == "resnets" else f"1.{rest}")


def ldm_resnet(rest):
    names = {"norm1": "in_layers.0", "conv1": "in_layers.2", "norm2": "out_layers.0", "conv2": "out_layers.3",
             "time_emb_proj": "emb_layers.1", "conv_shortcut": "skip_connection"}  # fmt: skip
    part, leaf = rest.split(".")
    return f"{names[part]}.{leaf}"


def ldm_vae(name, levels=4):
    """`decoder.up_blocks.0.resnets.1.conv1.weight` -> `decoder.up.3.block.1.conv1.weight`."""
    name = name.replace("conv_norm_out", "norm_out").replace("conv_shortcut", "nin_shortcut")
    name = re.sub(r"down_blocks\.(\d+)\.resnets", r"down.\1.block", name)
    name = re.sub(r"down_blocks\.(\d+)\.downsamplers\.0", r"down.\1.downsample", name)
    name = re.sub(r"up_blocks\.(\d+)\.resnets", lambda m: f"up.{levels - 1 - int(m[1])}.block", name)
    name = re.sub(r"up_blocks\.(\d+)\.upsamplers\.0", lambda m: f"up.{levels - 1 - int(m[1])}.upsample", name)
    name = re.sub(r"mid_block\.resnets\.(\d)", lambda m: f"mid.block_{int(m[1]) + 1}", name)
    if "mid_block.attentions.0" in name:
        name = name.replace("mid_block.attentions.0", "mid.attn_1").replace("group_norm", "norm")
        name = name.replace("to_out.0", "proj_out").replace(".to_", ".")
    return name


def open_clip_tensors(config, unused):
    """Names and shapes of OpenCLIP's text encoder. `unused` layers stand at the end that only OpenCLIP itself runs."""
    width, inner = config.hidden_size, config.intermediate_size
    yield "positional_embedding", [77, width]
    yield "token_embedding.weight", [config.vocab_size, width]
    for layer in range(config.num_hidden_layers + unused):
        block = f"transformer.resblocks.{layer}."
        for norm in ("ln_1", "ln_2"):
            yield f"{block}{norm}.weight", [width]
            yield f"{block}{norm}.bias", [width]
        yield f"{block}attn.in_proj_weight", [3 * width, width]
        yield f"{block}attn.in_proj_bias", [3 * width]
        yield f"{block}attn.out_proj.weight", [width, width]
        yield f"{block}attn.out_proj.bias", [width]
        yield f"{block}mlp.c_fc.weight", [inner, width]
        yield f"{block}mlp.c_fc.bias", [inner]
        yield f"{block}mlp.c_proj.weight", [width, inner]
        yield f"{block}mlp.c_proj.bias", [width]
    yield "ln_final.weight", [width]
    yield "ln_final.bias", [width]
    yield "text_projection", [width, config.projection_dim]


# ---------------------------------------------------------------------------------------------------------------------
# Recipes


def spread(name, shape):
    """Mean and standard deviation of a tensor: alive, yet tame enough for 10 steps."""
    if "token_embedding" in name:
        return 0.0, 0.7
    if "position" in name:
        return 0.0, 0.25
    if len(shape) == 1:
        return (1.0, 0.2) if name.endswith("weight") else (0.0, 0.1)
    gains = (("attn1.to_q", 2.0), ("attn2.to_q", 2.0), ("attn2.to_v", 0.7), ("diffusion_model.out.2", 0.8),
             ("decoder.conv_out", 0.6), ("quant_conv", 0.7), ("q_proj", 2.0), ("in_proj_weight", 1.4))  # fmt: skip
    gain = next((gain for part, gain in gains if part in name), 1.0)
    fan_in = shape[0] if name.endswith("text_projection") else math.prod(shape[1:])
    return 0.0, gain / math.sqrt(fan_in)


def training_state(family):
    """What else stands in such files, and means nothing to a picture."""
    if family.startswith("sd1"):
        yield from ((name, [1000]) for name in ("betas", "alphas_cumprod", "sqrt_alphas_cumprod", "posterior_variance"))
        yield "model_ema.decay", []
        yield "model_ema.num_updates", []
        yield "model_ema.diffusion_modelinput_blocks00weight", [32, 4, 3, 3]
        yield "cond_stage_model.transformer.text_model.embeddings.position_ids", [1, 77]
    if family == "sd2":
        yield "cond_stage_model.model.logit_scale", []
    if family == "sdxl":
        yield "denoiser.sigmas", [1000]
        yield "conditioner.embedders.0.transformer.text_model.embeddings.position_ids", [1, 77]
        yield "conditioner.embedders.1.model.logit_scale", []
    if family == "sdxl-refiner":
        yield "conditioner.embedders.0.model.logit_scale", []


def tensors_of(family):
    """Names and shapes of the file's tensors."""
    unet, _, texts, _ = FAMILIES[family]
    for name, value in UNet2DConditionModel(**unet).state_dict().items():
        yield "model.diffusion_model." + ldm_unet(name, unet), list(value.shape)
    for name, value in AutoencoderKL(**vae_config(1.0)).state_dict().items():
        old, shape = ldm_vae(name), list(value.shape)
        yield "first_stage_model." + old, shape + [1, 1] if "attn_1" in old and len(shape) == 2 else shape
    for prefix, kind, config, unused in texts:
        if kind == OPEN_CLIP:
            yield from ((prefix + name, shape) for name, shape in open_clip_tensors(config, unused))
        else:
            state = CLIPTextModel(config).state_dict()
            yield from ((f"{prefix}text_model.{name}", list(value.shape)) for name, value in state.items())


def recipe(family, seed):
    """`[name, shape, offset, low, high]` in the order of the stream, then the constants."""
    lines, offset = [], 0
    for name, shape in tensors_of(family):
        mean, deviation = spread(name, shape)
        reach = deviation * math.sqrt(3)
        low, high = (float(f"{value:.6g}") for value in (mean - reach, mean + reach))
        lines.append([name, shape, offset, low, high])
        offset += math.prod(shape)
    lines += [[name, shape, None, 0.5, 0.5] for name, shape in training_state(family)]
    assert len({line[0] for line in lines}) == len(lines)
    return {"seed": seed, "tensors": lines}


def write_recipe(path, made):
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join(json.dumps(line, separators=(",", ":")) for line in made["tensors"])
    path.write_text(f'{{"seed": {made["seed"]}, "tensors": [\n{lines}\n]}}\n')


# ---------------------------------------------------------------------------------------------------------------------
# The reference: diffusers' conversion, strictly loaded


def load(model, state, but=()):
    """Every weight of the model, and nothing left over but what is named."""
    found = model.load_state_dict(state, strict=False)
    assert not found.missing_keys, found.missing_keys[:5]
    left = [name for name in found.unexpected_keys if not any(part in name for part in but)]
    assert not left, left[:5]
    return model.eval()


def text_model(prefix, kind, config, unused, checkpoint, projects):
    """A text encoder, by diffusers' conversion. It drops OpenCLIP's last layer by the number 23; here by its own."""
    made = (CLIPTextModelWithProjection if projects else CLIPTextModel)(config)
    but = [f"layers.{config.num_hidden_layers}."] if unused else []
    if kind == CLIP_L:
        only = {name: value for name, value in checkpoint.items() if name.startswith(prefix)}
        state, but = single_file.convert_ldm_clip_checkpoint(only), ["position_ids"]
    else:
        state = single_file.convert_open_clip_checkpoint(made, checkpoint, prefix=prefix)
    if not projects:
        state = {name.removeprefix("text_model."): value for name, value in state.items()}
        but = [*but, "text_projection"]
    return load(made, state, but)


def tokenizer(folder):
    """CLIP's own, with the padding of the published folder."""
    return CLIPTokenizer.from_pretrained(CONFIGS / folder)


def reference(family, checkpoint, pipeline):
    """The pipeline that diffusers makes of such a file, given the published scheduler of its family."""
    unet_options, scale, texts, published = FAMILIES[family]
    unet = UNet2DConditionModel(**unet_options)
    load(unet, single_file.convert_ldm_unet_checkpoint(dict(checkpoint), unet.config))
    vae = AutoencoderKL(**vae_config(scale), force_upcast=True)
    load(vae, single_file.convert_ldm_vae_checkpoint(dict(checkpoint), vae.config))
    options = json.loads((CONFIGS / published / "scheduler" / "scheduler_config.json").read_text())
    scheduler = getattr(diffusers, options["_class_name"]).from_config(options)
    encoders = [text_model(*text, checkpoint, kind_projects(family, text)) for text in texts]
    parts = dict(unet=unet, vae=vae, scheduler=scheduler)
    if not family.startswith("sdxl"):
        parts |= dict(text_encoder=encoders[0], tokenizer=tokenizer(f"{published}/tokenizer"))
        parts |= dict(safety_checker=None, feature_extractor=None, requires_safety_checker=False)
    elif family == "sdxl":
        parts |= dict(text_encoder=encoders[0], tokenizer=tokenizer("sdxl/tokenizer"))
        parts |= dict(text_encoder_2=encoders[1], tokenizer_2=tokenizer("sdxl/tokenizer_2"))
    else:
        parts |= dict(text_encoder=None, tokenizer=None, requires_aesthetics_score=True)
        parts |= dict(text_encoder_2=encoders[0], tokenizer_2=tokenizer("sdxl/tokenizer_2"))
        parts |= dict(force_zeros_for_empty_prompt=False)
    pipe = getattr(diffusers, pipeline)(**parts)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def kind_projects(family, text):
    return family.startswith("sdxl") and text[1] == OPEN_CLIP


# ---------------------------------------------------------------------------------------------------------------------
# A real .ckpt


def ckpt_state(seed):
    """SD1's tensors in f16, all of them views: each kind of tensor is cut from one small storage of its own spread.
    The rows of the token embedding even overlap: its strides are (1, 1)."""
    generator = torch.Generator().manual_seed(seed)
    pools, state = {}, {}

    def kind(name, shape):
        mean, deviation = spread(name, shape)
        return mean, 2.0 ** round(math.log2(deviation))

    cut = [(name, shape) for name, shape in tensors_of("sd1-inpaint") if "token_embedding" not in name]
    for name, shape in cut:
        pools[kind(name, shape)] = max(math.prod(shape) + 100, pools.get(kind(name, shape), 0))
    for mean, deviation in sorted(pools):
        size = pools[mean, deviation]
        pools[mean, deviation] = [(mean + deviation * torch.randn(size, generator=generator)).half(), 0]
    for name, shape in cut:
        entry, count = pools[kind(name, shape)], math.prod(shape)
        start = entry[1] if entry[1] + count <= len(entry[0]) else (entry[1] + count) % 89
        state[name] = entry[0][start : start + count].view(shape)
        entry[1] = start + count
    name, shape = next((name, shape) for name, shape in tensors_of("sd1-inpaint") if "token_embedding" in name)
    state[name] = (0.7 * torch.randn(sum(shape) - 1, generator=generator)).half().as_strided(shape, (1, 1))
    return state


def write_ckpt(path, state):
    """As the training code saved them: epoch, step, callbacks and loops beside the state dict; EMA copies within it."""
    extra = {
        "betas": torch.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2,
        "model_ema.decay": torch.tensor(0.9999),
        "model_ema.num_updates": torch.tensor(470000, dtype=torch.int),
        "model_ema.diffusion_modelout2bias": torch.zeros(4),
        "cond_stage_model.transformer.text_model.embeddings.position_ids": torch.arange(77)[None],
    }
    whole = {
        "epoch": 6,
        "global_step": 470000,
        "pytorch-lightning_version": "1.4.2",
        "state_dict": {**extra, **state},
        "callbacks": {"ModelCheckpoint": {"monitor": "val/loss_simple_ema", "best_model_score": torch.tensor(0.25)}},
        "optimizer_states": [{"state": {0: {"step": 3, "exp_avg": torch.zeros(8)}}, "param_groups": [{"lr": 1e-4}]}],
        "lr_schedulers": [],
    }
    torch.save(whole, path)


# ---------------------------------------------------------------------------------------------------------------------
# Cases

SD, SD_IMAGE, SD_INPAINT = (f"StableDiffusion{kind}Pipeline" for kind in ("", "Img2Img", "Inpaint"))
XL, XL_IMAGE = "StableDiffusionXLPipeline", "StableDiffusionXLImg2ImgPipeline"
ASTRONAUT = "a photo of an astronaut riding a horse on mars, 8k 🚀"

SIZE = dict(height=96, width=128)  # smaller ones leave the lowest level groups of one value, whose norm is rounding only
PICTURE = {"image": "picture_96x128.png"}
MASKED = {**PICTURE, "mask_image": "mask_96x128.png"}

CASES = {
    "sd1": (SD, txt2img(prompt=ASTRONAUT, **SIZE), {}),
    "sd1-inpaint": (SD_INPAINT, txt2img(**SIZE), MASKED),
    "sd2": (SD, txt2img(prompt=ASTRONAUT, **SIZE), {}),
    "sdxl": (XL, txt2img(guidance_scale=5.0, **SIZE, original_size=(40, 90), target_size=(56, 72), crops_coords_top_left=(3, 17)), {}),
    "sdxl-refiner": (XL_IMAGE, dict(prompt=PROMPT, negative_prompt=NEGATIVE, num_inference_steps=10, guidance_scale=5.0, strength=0.8), PICTURE),
}  # fmt: skip


def make_case(name, family, checkpoint):
    pipeline, args, files = CASES[family]
    pipe = reference(family, checkpoint, pipeline)
    note = "the model is made from its recipe" if name == family else "the model is a file"
    case(family, name, pipeline, args, (77,), files=files, pipe=pipe, root=ROOT / "cases", note=note)


def main():
    common.quiet()
    warnings.filterwarnings("ignore")
    common.fresh(ROOT)
    for seed, family in enumerate(FAMILIES, 1000):
        if family == "sd1-inpaint":
            continue
        made = recipe(family, seed)
        write_recipe(ROOT / family / "recipe.json", made)
        checkpoint = {name: torch.from_numpy(np.array(value)) for name, value in bake(seed, made["tensors"]).items()}
        make_case(family, family, checkpoint)
    path = ROOT / "sd1-inpaint.ckpt"
    write_ckpt(path, ckpt_state(2000))
    stored = torch.load(path, weights_only=True)["state_dict"]
    make_case(path.name, "sd1-inpaint", {name: value.float() for name, value in stored.items()})
    write_json(ROOT / "cases.json", sorted(FAMILIES))


if __name__ == "__main__":
    main()
