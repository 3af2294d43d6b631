"""Golden data of t2i-core: pictures as Pillow and diffusers read, resize and write them, and the layouts of single files.

Pinned: torch 2.15.0, diffusers 0.42.1, transformers 5.23.0, safetensors 0.8.0, numpy 2.4.6, pillow 13.0.0. Everything
is seeded: a second run writes the same bytes. `python tests/golden/make_core.py CONFIGS`, where CONFIGS holds the
published folders `sd14`, `sd21` and `sdxl`, configs only.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.image_processor import VaeImageProcessor
from diffusers.loaders.single_file_utils import (
    convert_ldm_clip_checkpoint,
    convert_ldm_unet_checkpoint,
    convert_ldm_vae_checkpoint,
    convert_open_clip_checkpoint,
)
from diffusers.utils import load_image
from PIL import Image
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from common import GOLDEN, fresh, write_json

OUT = GOLDEN / "core"


# ---------------------------------------------------------------------------------------------------------------------
# Pictures


def picture(width, height, channels, seed):
    """Waves, edges and noise: whatever a filter can get wrong."""
    generator = np.random.default_rng(seed)
    y, x, c = np.mgrid[:height, :width, :channels]
    waves = 127 + 90 * np.sin(x / 3 + c) * np.cos(y / 4 - c)
    edges = np.where((x // 7 + y // 5) % 2 == 0, 60, -60)
    noise = generator.normal(0, 20, (height, width, channels))
    return np.clip(waves + edges + noise, 0, 255).astype(np.uint8)


def make_pictures():
    rgba = picture(29, 23, 4, seed=1)
    files = {
        "rgb.png": Image.fromarray(rgba[..., :3]),
        "rgba.png": Image.fromarray(rgba),
        "grey.png": Image.fromarray(rgba[..., 0]),
        "palette.png": Image.fromarray(rgba[..., :3]).quantize(16),
    }
    for name, image in files.items():
        image.save(OUT / name)
    # Orientation 6: the camera was turned, the picture is to be turned by 90 degrees.
    exif = Image.Exif()
    exif[0x0112] = 6
    files["rgb.png"].save(OUT / "turned.png", exif=exif)
    files["rgb.png"].save(OUT / "turned.jpg", exif=exif, quality=95, subsampling=0)

    plain = VaeImageProcessor(do_resize=False)
    sized = VaeImageProcessor(vae_scale_factor=1)
    mask = VaeImageProcessor(vae_scale_factor=1, do_normalize=False, do_binarize=True, do_convert_grayscale=True)
    read = lambda name: load_image(str(OUT / name))
    expected = {name: plain.preprocess(read(name)) for name in [*files, "turned.png", "turned.jpg"]}
    for width, height in [(40, 32), (12, 9), (29, 31), (17, 23), (64, 5)]:
        expected[f"image {width}x{height}"] = sized.preprocess(read("rgb.png"), height, width)
        expected[f"mask {width}x{height}"] = mask.preprocess(read("rgb.png"), height, width)
    expected["mask"] = mask.preprocess(read("rgb.png"))

    # As written: values beyond the range, and every value that lies in the middle between two bytes.
    halves = torch.arange(-4, 260).add(0.5).div(255).mul(2).sub(1)
    written = torch.cat([halves, torch.linspace(-1.3, 1.3, 3 * 8 * 12 - len(halves))]).reshape(1, 3, 8, 12)
    (image,) = plain.postprocess(written, output_type="pil")
    expected["pixels"] = written
    expected["written"] = torch.from_numpy(np.array(image)).float()
    save_file({name: tensor.contiguous() for name, tensor in expected.items()}, OUT / "pictures.safetensors")


# ---------------------------------------------------------------------------------------------------------------------
# Single files: the tensors of the published models, by name and shape

REFINER_UNET = {
    # https://huggingface.co/stabilityai/stable-diffusion-xl-refiner-1.0/blob/main/unet/config.json
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "attention_head_dim": [6, 12, 24, 24],
    "block_out_channels": [384, 768, 1536, 1536],
    "cross_attention_dim": 1280,
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
    "projection_class_embeddings_input_dim": 2560,
    "sample_size": 128,
    "transformer_layers_per_block": 4,
    "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
    "use_linear_projection": True,
}


def ldm_unet_names(unet):
    """From diffusers' names to the original ones, by the order in which the original makes its blocks."""
    per_level = unet.config["layers_per_block"] + 1
    fixed = {
        "time_embedding.linear_1": "time_embed.0",
        "time_embedding.linear_2": "time_embed.2",
        "add_embedding.linear_1": "label_emb.0.0",
        "add_embedding.linear_2": "label_emb.0.2",
        "conv_in": "input_blocks.0.0",
        "conv_norm_out": "out.0",
        "conv_out": "out.2",
    }
    resnet = {
        "norm1": "in_layers.0",
        "conv1": "in_layers.2",
        "time_emb_proj": "emb_layers.1",
        "norm2": "out_layers.0",
        "conv2": "out_layers.3",
        "conv_shortcut": "skip_connection",
    }
    names = {}
    for name in unet.state_dict():
        stem, parameter = name.rsplit(".", 1)
        parts = name.split(".")
        if stem in fixed:
            names[name] = f"{fixed[stem]}.{parameter}"
        elif parts[0] == "mid_block":
            block = 2 * int(parts[2]) if parts[1] == "resnets" else 1
            rest = [resnet[parts[3]], parameter] if parts[1] == "resnets" else parts[3:]
            names[name] = ".".join([f"middle_block.{block}", *rest])
        else:
            side = "input_blocks" if parts[0] == "down_blocks" else "output_blocks"
            level, kind, layer = int(parts[1]), parts[2], int(parts[3])
            first = level * per_level + (1 if side == "input_blocks" else 0)
            if kind == "resnets":
                names[name] = f"{side}.{first + layer}.0.{resnet[parts[4]]}.{parameter}"
            elif kind == "attentions":
                names[name] = f"{side}.{first + layer}.1." + ".".join(parts[4:])
            elif kind == "downsamplers":
                names[name] = f"{side}.{first + per_level - 1}.0.op.{parameter}"
            else:
                attends = "CrossAttn" in unet.config["up_block_types"][level]
                names[name] = f"{side}.{first + per_level - 1}.{2 if attends else 1}.conv.{parameter}"
    return names


def ldm_vae_names(vae):
    levels = len(vae.config["block_out_channels"])
    attention = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}
    names = {}
    for name in vae.state_dict():
        parts = name.split(".")
        rest = [{"conv_shortcut": "nin_shortcut"}.get(part, part) for part in parts]
        if name.startswith("encoder.down_blocks"):
            what = ["block", *rest[4:]] if parts[3] == "resnets" else ["downsample", *parts[5:]]
            names[name] = ".".join(["encoder.down", parts[2], *what])
        elif name.startswith("decoder.up_blocks"):
            what = ["block", *rest[4:]] if parts[3] == "resnets" else ["upsample", *parts[5:]]
            names[name] = ".".join(["decoder.up", str(levels - 1 - int(parts[2])), *what])
        elif ".mid_block.resnets" in name:
            names[name] = ".".join([parts[0], "mid", f"block_{int(parts[3]) + 1}", *rest[4:]])
        elif ".mid_block.attentions" in name:
            names[name] = ".".join([parts[0], "mid.attn_1", attention[".".join(parts[4:-1])], parts[-1]])
        else:
            names[name] = name.replace("conv_norm_out", "norm_out")
    return names


def ldm_vae_tensors(vae):
    """With the attention's projections as 1x1 convolutions."""
    names, tensors = ldm_vae_names(vae), {}
    for name, tensor in vae.state_dict().items():
        is_projection = ".attentions." in name and tensor.ndim == 2
        tensors[names[name]] = tensor[:, :, None, None] if is_projection else tensor
    return tensors


def open_clip_tensors(text, extra_layer=False):
    """`extra_layer` adds the last layer and the projection, which diffusers leaves out of Stable Diffusion 2."""
    state = {name.removeprefix("text_model."): tensor for name, tensor in text.state_dict().items()}
    layers, hidden = text.config.num_hidden_layers, text.config.hidden_size
    if extra_layer:
        last = {name: tensor for name, tensor in state.items() if name.startswith(f"encoder.layers.{layers - 1}.")}
        state |= {name.replace(f".{layers - 1}.", f".{layers}."): tensor for name, tensor in last.items()}
        state["text_projection.weight"] = state["encoder.layers.0.self_attn.q_proj.weight"]
    tensors = {
        "positional_embedding": state["embeddings.position_embedding.weight"],
        "token_embedding.weight": state["embeddings.token_embedding.weight"],
        "ln_final.weight": state["final_layer_norm.weight"],
        "ln_final.bias": state["final_layer_norm.bias"],
        "text_projection": state["text_projection.weight"].T,
        "logit_scale": torch.empty((), device=state["final_layer_norm.bias"].device),
    }
    for i in range(layers + extra_layer):
        ours, theirs = f"encoder.layers.{i}.", f"transformer.resblocks.{i}."
        for p in ["weight", "bias"]:
            fused = [state[f"{ours}self_attn.{which}_proj.{p}"] for which in "qkv"]
            tensors[f"{theirs}attn.in_proj_{p}"] = torch.cat(fused)
            tensors[f"{theirs}attn.out_proj.{p}"] = state[f"{ours}self_attn.out_proj.{p}"]
            tensors[f"{theirs}ln_1.{p}"] = state[f"{ours}layer_norm1.{p}"]
            tensors[f"{theirs}ln_2.{p}"] = state[f"{ours}layer_norm2.{p}"]
            tensors[f"{theirs}mlp.c_fc.{p}"] = state[f"{ours}mlp.fc1.{p}"]
            tensors[f"{theirs}mlp.c_proj.{p}"] = state[f"{ours}mlp.fc2.{p}"]
    assert tensors["positional_embedding"].shape[1] == hidden
    return tensors


def clip_tensors(text, prefix="text_model."):
    tensors = {prefix + name.removeprefix("text_model."): tensor for name, tensor in text.state_dict().items()}
    positions = torch.zeros(1, text.config.max_position_embeddings, dtype=torch.int64)
    return tensors | {f"{prefix}embeddings.position_ids": positions}


def under(prefix, tensors):
    return {prefix + name: tensor for name, tensor in tensors.items()}


def same(converted, model):
    """The reference itself must take our single file for the model."""
    expected = {name.removeprefix("text_model."): tuple(t.shape) for name, t in model.state_dict().items()}
    converted = {name.removeprefix("text_model."): tuple(t.shape) for name, t in converted.items()}
    converted = {name: shape for name, shape in converted.items() if not name.endswith("position_ids")}
    assert converted == expected, set(converted.items()) ^ set(expected.items())


def fnv(lines):
    """FNV-1a, 64 bits."""
    value = 0xCBF29CE484222325
    for byte in "\n".join(lines).encode():
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return f"{value:016x}"


def summary(model):
    shapes = {name: list(tensor.shape) for name, tensor in model.state_dict().items()}
    if isinstance(model, (CLIPTextModel, CLIPTextModelWithProjection)):
        classic = lambda name: name if name.startswith("text_") else "text_model." + name
        shapes = {classic(name): shape for name, shape in shapes.items()}
    lines = sorted(f"{name} {'x'.join(map(str, shape))}" for name, shape in shapes.items())
    return {
        "tensors": len(lines),
        "parameters": sum(tensor.numel() for tensor in model.state_dict().values()),
        "names and shapes": fnv(lines),
    }


def plain_config(model, keys):
    return {key: model.config[key] if isinstance(model.config, dict) else getattr(model.config, key) for key in keys}


UNET_KEYS = """addition_embed_type addition_time_embed_dim attention_head_dim block_out_channels class_embed_type
    cross_attention_dim down_block_types in_channels layers_per_block mid_block_type norm_eps norm_num_groups
    out_channels projection_class_embeddings_input_dim sample_size transformer_layers_per_block up_block_types
    use_linear_projection""".split()
VAE_KEYS = """block_out_channels down_block_types in_channels latent_channels layers_per_block norm_num_groups
    out_channels sample_size scaling_factor up_block_types""".split()
TEXT_KEYS = """hidden_act hidden_size intermediate_size layer_norm_eps max_position_embeddings num_attention_heads
    num_hidden_layers eos_token_id vocab_size""".split()


def front_coded(tensors):
    """A line for each tensor: how many characters its name shares with the one before, the rest, the shape."""
    lines, before = [], ""
    for name in sorted(tensors):
        shared = next((i for i, (a, b) in enumerate(zip(name, before)) if a != b), min(len(name), len(before)))
        shape = "x".join(map(str, tensors[name].shape)) or "-"
        lines.append(f"{shared} {name[shared:]} {shape}")
        before = name
    return "\n".join(lines) + "\n"


def make_published(configs):
    read = lambda path: json.loads((configs / path).read_text())
    published = {}
    with torch.device("meta"):
        clip = CLIPTextModel(CLIPTextConfig(**read("sd14/text_encoder/config.json")))
        open_clip_h = CLIPTextModel(CLIPTextConfig(**read("sd21/text_encoder/config.json")))
        xl_clip = CLIPTextModel(CLIPTextConfig(**read("sdxl/text_encoder/config.json")))
        big_g = CLIPTextModelWithProjection(CLIPTextConfig(**read("sdxl/text_encoder_2/config.json")))
        unets = {name: UNet2DConditionModel.from_config(read(f"{name}/unet/config.json")) for name in ["sd14", "sd21", "sdxl"]}
        unets["sd14-inpainting"] = UNet2DConditionModel.from_config({**read("sd14/unet/config.json"), "in_channels": 9})
        unets["refiner"] = UNet2DConditionModel.from_config(REFINER_UNET)
        vaes = {name: AutoencoderKL.from_config(read(f"{name}/vae/config.json")) for name in ["sd14", "sd21", "sdxl"]}
        texts = {
            "sd14": under("cond_stage_model.transformer.", clip_tensors(clip)),
            "sd14-inpainting": under("cond_stage_model.transformer.", clip_tensors(clip, prefix="")),
            "sd21": under("cond_stage_model.model.", open_clip_tensors(open_clip_h, extra_layer=True)),
            "sdxl": under("conditioner.embedders.0.transformer.", clip_tensors(xl_clip))
            | under("conditioner.embedders.1.model.", open_clip_tensors(big_g)),
            "refiner": under("conditioner.embedders.0.model.", open_clip_tensors(big_g)),
        }
        encoders = {
            "sd14": {"text_encoder": clip},
            "sd14-inpainting": {"text_encoder": clip},
            "sd21": {"text_encoder": open_clip_h},
            "sdxl": {"text_encoder": xl_clip, "text_encoder_2": big_g},
            "refiner": {"text_encoder_2": big_g},
        }
        state = {"model_ema.decay": torch.empty(()), "alphas_cumprod": torch.empty(1000), "betas": torch.empty(1000)}
        for name, unet in unets.items():
            vae = vaes[{"refiner": "sdxl", "sd14-inpainting": "sd14"}.get(name, name)]
            names = ldm_unet_names(unet)
            ldm = under("model.diffusion_model.", {names[n]: tensor for n, tensor in unet.state_dict().items()})
            ldm |= under("first_stage_model.", ldm_vae_tensors(vae)) | texts[name] | state
            (OUT / f"{name}.txt").write_text(front_coded(ldm))
            same(convert_ldm_unet_checkpoint(ldm, unet.config), unet)
            same(convert_ldm_vae_checkpoint(ldm, vae.config), vae)
            if name in ["sd14", "sdxl"]:
                same(convert_ldm_clip_checkpoint(ldm), encoders[name]["text_encoder"])
            if name == "sd21":
                same(convert_open_clip_checkpoint(open_clip_h, ldm), open_clip_h)
            if name == "sdxl":
                same(convert_open_clip_checkpoint(big_g, ldm, prefix="conditioner.embedders.1.model."), big_g)
            parts = {"unet": unet, "vae": vae, **encoders[name]}
            keys = {"unet": UNET_KEYS, "vae": VAE_KEYS}
            published[name] = {
                part: {**summary(model), "config": plain_config(model, keys.get(part, TEXT_KEYS))}
                for part, model in parts.items()
            }
    write_json(OUT / "published.json", published)


# ---------------------------------------------------------------------------------------------------------------------
# A tiny file with values: PyTorch's format, weights nested under `state_dict` among the rest of the training's state


def make_tiny_ckpt():
    torch.manual_seed(7)
    config = CLIPTextConfig(
        vocab_size=12, hidden_size=4, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1,
        max_position_embeddings=5, hidden_act="gelu", bos_token_id=0, eos_token_id=2,
    )  # fmt: skip
    text = CLIPTextModel(config)
    for parameter in text.parameters():
        torch.nn.init.normal_(parameter)
    ldm = under("cond_stage_model.model.", open_clip_tensors(text, extra_layer=True))
    ldm["model.diffusion_model.time_embed.0.weight"] = torch.randn(3, 2, dtype=torch.float16)
    ldm["model.diffusion_model.input_blocks.0.0.weight"] = torch.randn(2, 9, 3, 3)
    ldm["model_ema.decay"] = torch.tensor(0.9999)
    training = {
        "epoch": 3,
        "global_step": 875000,
        "state_dict": ldm,
        "optimizer_states": [{"state": {0: {"exp_avg": torch.zeros(2)}}}],
        "callbacks": {"checkpoint": None},
    }
    torch.save(training, OUT / "tiny.ckpt")
    classic = {"text_model." + name: tensor.contiguous() for name, tensor in text.state_dict().items()}
    save_file(classic, OUT / "tiny_text.safetensors")


if __name__ == "__main__":
    torch.set_num_threads(1)
    fresh(OUT)
    make_pictures()
    make_published(Path(sys.argv[1]))
    make_tiny_ckpt()
