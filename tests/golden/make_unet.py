"""Makes golden data for t2i-unet: tiny random networks of every kind, and what diffusers computes with them.

Pinned: torch 2.15.0, diffusers 0.42.1, safetensors 0.8.0. Everything is seeded: a second run writes the same bytes.

unet/<case>/config.json             what diffusers saves for the network
unet/<case>/weights.safetensors     its weights, f16 (the values are exactly representable)
unet/<case>/runs.safetensors        f32: `<run>.x`, `.timesteps`, `.context`, `.pooled`, `.time_ids`, `.guidance`, `.output`
unet/transformer/                   one transformer alone, where every epsilon matters: weights.safetensors, run.safetensors
unet/embeddings.safetensors         sinusoids of timesteps, of SDXL's sizes, and of LCM's guidance scale
unet/full_size.json                 published configs with the number of parameters of the network they describe
"""

import sys

import torch
from diffusers import LatentConsistencyModelPipeline, UNet2DConditionModel
from diffusers.models.embeddings import Timesteps
from diffusers.models.transformers.transformer_2d import Transformer2DModel
from safetensors.torch import save_file

from common import GOLDEN, UNET_GAINS, enliven, fresh, quiet, write_json

ROOT = GOLDEN / "unet"
CONTEXT = 12

SD = dict(
    block_out_channels=(8, 16, 16, 16),
    cross_attention_dim=CONTEXT,
    norm_num_groups=4,
    attention_head_dim=2,
)
SD2 = dict(SD, attention_head_dim=(1, 2, 4, 4), use_linear_projection=True, upcast_attention=True, layers_per_block=1)
XL = dict(
    block_out_channels=(8, 16, 16),
    down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    transformer_layers_per_block=(3, 1, 2),
    attention_head_dim=(1, 2, 4),
    cross_attention_dim=CONTEXT,
    norm_num_groups=4,
    use_linear_projection=True,
    upcast_attention=None,
    addition_embed_type="text_time",
    addition_time_embed_dim=8,
    projection_class_embeddings_input_dim=10 + 6 * 8,
)
REFINER = dict(
    XL,
    block_out_channels=(8, 16, 16, 16),
    down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
    up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    transformer_layers_per_block=2,
    attention_head_dim=(1, 2, 4, 4),
    layers_per_block=1,
    projection_class_embeddings_input_dim=10 + 5 * 8,
)
TWO_LEVELS = dict(
    block_out_channels=(8, 16),
    down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
    up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
    cross_attention_dim=CONTEXT,
    norm_num_groups=4,
    attention_head_dim=2,
    layers_per_block=1,
)

CASES = {
    "sd1": SD,
    "sd2": SD2,
    "xl": XL,
    "refiner": REFINER,
    "inpaint": dict(TWO_LEVELS, in_channels=9),
    "pix2pix": dict(TWO_LEVELS, in_channels=8, layers_per_block=2),
    "lcm": dict(TWO_LEVELS, time_cond_proj_dim=16),
    # BK-SDM and small-sd: one layer a block, no middle; tiny-sd has one level less.
    "small_sd": dict(SD, layers_per_block=1, mid_block_type=None),
    "tiny_sd": dict(
        block_out_channels=(8, 16, 16),
        down_block_types=("CrossAttnDownBlock2D",) * 3,
        up_block_types=("CrossAttnUpBlock2D",) * 3,
        cross_attention_dim=CONTEXT,
        norm_num_groups=8,
        attention_head_dim=4,
        layers_per_block=1,
        mid_block_type=None,
        act_fn="swish",
    ),
    # SSD-1B: transformer depths of every single layer, and a middle without attention.
    "ssd": dict(
        XL,
        transformer_layers_per_block=[1, [2, 1], [1, 2]],
        reverse_transformer_layers_per_block=[[1, 2, 1], [2, 1, 1], 1],
        mid_block_type="UNetMidBlock2D",
    ),
    # Depths of single layers with attention in the middle; other numbers of layers a block, mixed blocks.
    "mixed": dict(
        block_out_channels=(8, 16, 16),
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        layers_per_block=(2, 1, 2),
        transformer_layers_per_block=[[1, 2], 1, [2, 1]],
        reverse_transformer_layers_per_block=[1, [1, 2], [2, 1, 1]],
        only_cross_attention=(True, False, False),
        cross_attention_dim=(CONTEXT,) * 3,
        norm_num_groups=4,
        attention_head_dim=2,
        act_fn="mish",
    ),
    # Every number that no published network changes.
    "options": dict(
        TWO_LEVELS,
        out_channels=3,
        center_input_sample=True,
        flip_sin_to_cos=False,
        freq_shift=1,
        downsample_padding=0,
        mid_block_scale_factor=1.4,
        act_fn="gelu",
        norm_eps=0.03,
        only_cross_attention=True,
        resnet_time_scale_shift="scale_shift",
        time_embedding_dim=24,
        time_embedding_act_fn="relu",
        timestep_post_act="mish",
        conv_in_kernel=5,
        conv_out_kernel=1,
    ),
    "relu": dict(TWO_LEVELS, act_fn="relu", mid_block_type="UNetMidBlock2D"),
}

# Height and width of each run: a multiple of every stride, and sizes that no stride divides.
SIZES = [(16, 8), (5, 7), (9, 11)]
# Two samples with different timesteps, whole ones and fractional ones, and up to the last.
TIMESTEPS = [(999.0, 21.0), (0.0, 432.625), (981.0, 499.5)]


def guidance_embedding(scales, dim):
    return LatentConsistencyModelPipeline.get_guidance_scale_embedding(None, torch.tensor(scales), dim)


def inputs(unet, size, timesteps, generator):
    """Random inputs of one run, by name."""
    config = unet.config
    batch = len(timesteps)
    run = {
        "x": torch.randn(batch, config.in_channels, *size, generator=generator),
        "timesteps": torch.tensor(timesteps),
        "context": torch.randn(batch, 5, CONTEXT, generator=generator),
    }
    if config.addition_embed_type == "text_time":
        ids = (config.projection_class_embeddings_input_dim - 10) // config.addition_time_embed_dim
        run["pooled"] = torch.randn(batch, 10, generator=generator)
        run["time_ids"] = torch.tensor([[1024.0, 768, 0, 13, 1000, 24][:ids], [512.0, 640, 128, 0, 6, 1536][:ids]])
    if config.time_cond_proj_dim is not None:
        run["guidance"] = guidance_embedding([7.5, 0.8], config.time_cond_proj_dim)
    return run


@torch.no_grad()
def output(unet, run):
    added = {"text_embeds": run["pooled"], "time_ids": run["time_ids"]} if "pooled" in run else None
    return unet(
        run["x"], run["timesteps"], run["context"], timestep_cond=run.get("guidance"), added_cond_kwargs=added
    ).sample


def make_case(name, config, seed):
    torch.manual_seed(seed)
    unet = enliven(UNet2DConditionModel(sample_size=8, **config), seed, UNET_GAINS)
    folder = fresh(ROOT / name)
    unet.save_config(folder)
    save_file({k: v.half().contiguous() for k, v in unet.state_dict().items()}, folder / "weights.safetensors")
    generator = torch.Generator().manual_seed(seed)
    runs = {}
    for size, timesteps in zip(SIZES, TIMESTEPS):
        run = inputs(unet, size, timesteps, generator)
        run["output"] = output(unet, run)
        assert 0.2 < run["output"].std() < 5, f"{name}: {run['output'].std()} is not a lively output"
        runs |= {f"{size[0]}x{size[1]}.{key}": value.contiguous() for key, value in run.items()}
    save_file(runs, folder / "runs.safetensors")


@torch.no_grad()
def make_transformer():
    """Input and first projection are so small that the epsilons of both kinds of norm show in the output."""
    torch.manual_seed(99)
    transformer = Transformer2DModel(2, 8, 16, norm_num_groups=4, cross_attention_dim=CONTEXT)
    enliven(transformer, 99, (("proj_in", 2e-3), *UNET_GAINS))
    transformer.proj_in.bias.mul_(1e-2).copy_(transformer.proj_in.bias.half())
    folder = fresh(ROOT / "transformer")
    save_file({k: v.half().contiguous() for k, v in transformer.state_dict().items()}, folder / "weights.safetensors")
    generator = torch.Generator().manual_seed(99)
    x = 1e-3 * torch.randn(2, 16, 3, 5, generator=generator)
    context = torch.randn(2, 5, CONTEXT, generator=generator)
    run = {"x": x, "context": context, "output": transformer(x, context).sample}
    save_file({key: value.contiguous() for key, value in run.items()}, folder / "run.safetensors")


def make_embeddings():
    t = torch.tensor([0.0, 1.0, 20.5, 499.96, 981.0, 999.0, 1024.0, 4096.0])
    w = torch.tensor([0.0, 0.5, 6.5, 7.5, 14.0])
    save_file(
        {
            "timesteps": t,
            "cos_sin_320": Timesteps(320, True, 0)(t),
            "cos_sin_256": Timesteps(256, True, 0)(t),
            "sin_cos_32_shift_1": Timesteps(32, False, 1)(t),
            "cos_sin_9": Timesteps(9, True, 0)(t),
            "scales": w,
            "guidance_256": guidance_embedding(w.tolist(), 256),
            "guidance_7": guidance_embedding(w.tolist(), 7),
        },
        ROOT / "embeddings.safetensors",
    )


# ---------------------------------------------------------------------------------------------------------------------
# Networks of the published sizes

# https://huggingface.co/stable-diffusion-v1-5/stable-diffusion-v1-5/blob/main/unet/config.json
SD15 = dict(cross_attention_dim=768, attention_head_dim=8, sample_size=64)
# https://huggingface.co/stabilityai/stable-diffusion-2-1/blob/main/unet/config.json
SD21 = dict(
    cross_attention_dim=1024,
    attention_head_dim=[5, 10, 20, 20],
    sample_size=96,
    use_linear_projection=True,
    upcast_attention=True,
)
# https://huggingface.co/stabilityai/stable-diffusion-xl-base-1.0/blob/main/unet/config.json
SDXL = dict(
    sample_size=128,
    block_out_channels=[320, 640, 1280],
    down_block_types=["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
    up_block_types=["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
    transformer_layers_per_block=[1, 2, 10],
    attention_head_dim=[5, 10, 20],
    cross_attention_dim=2048,
    use_linear_projection=True,
    addition_embed_type="text_time",
    addition_time_embed_dim=256,
    projection_class_embeddings_input_dim=2816,
)
# https://huggingface.co/stabilityai/stable-diffusion-xl-refiner-1.0/blob/main/unet/config.json
SDXL_REFINER = dict(
    sample_size=128,
    block_out_channels=[384, 768, 1536, 1536],
    down_block_types=["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
    up_block_types=["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
    transformer_layers_per_block=4,
    attention_head_dim=[6, 12, 24, 24],
    cross_attention_dim=1280,
    use_linear_projection=True,
    addition_embed_type="text_time",
    addition_time_embed_dim=256,
    projection_class_embeddings_input_dim=2560,
)
FULL_SIZE = {
    "sd15": SD15,
    "sd15_inpainting": dict(SD15, in_channels=9),
    "instruct_pix2pix": dict(SD15, in_channels=8),
    "lcm_dreamshaper": dict(SD15, time_cond_proj_dim=256),
    "sd21": SD21,
    "sd2_inpainting": dict(SD21, in_channels=9),
    "sdxl": SDXL,
    "sdxl_inpainting": dict(SDXL, in_channels=9),
    "sdxl_refiner": SDXL_REFINER,
    # https://huggingface.co/segmind/SSD-1B/blob/main/unet/config.json
    "ssd_1b": dict(
        SDXL,
        transformer_layers_per_block=[1, [2, 2], [4, 4]],
        reverse_transformer_layers_per_block=[[4, 4, 10], [2, 1, 1], 1],
        mid_block_type="UNetMidBlock2D",
    ),
    # https://huggingface.co/nota-ai/bk-sdm-small/blob/main/unet/config.json
    "bk_sdm_small": dict(SD15, layers_per_block=1, mid_block_type=None),
    # https://huggingface.co/nota-ai/bk-sdm-tiny/blob/main/unet/config.json
    "bk_sdm_tiny": dict(
        SD15,
        block_out_channels=[320, 640, 1280],
        down_block_types=["CrossAttnDownBlock2D"] * 3,
        up_block_types=["CrossAttnUpBlock2D"] * 3,
        layers_per_block=1,
        mid_block_type=None,
    ),
}


def make_full_size():
    full = {}
    for name, config in FULL_SIZE.items():
        with torch.device("meta"):
            unet = UNet2DConditionModel(**config)
        full[name] = {"config": config, "parameters": sum(p.numel() for p in unet.parameters())}
        print(name, full[name]["parameters"])
    write_json(ROOT / "full_size.json", full)


if __name__ == "__main__":
    quiet()
    chosen = sys.argv[1:] or CASES
    for seed, (name, config) in enumerate(CASES.items(), start=100):
        if name in chosen:
            make_case(name, config, seed)
    make_transformer()
    make_embeddings()
    make_full_size()
