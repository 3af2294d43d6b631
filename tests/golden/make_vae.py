"""Makes golden data for t2i-vae: tiny random codecs of every kind, and what diffusers computes with them.

Pinned: torch 2.15.0, diffusers 0.42.1, safetensors 0.8.0, numpy 2.4.6, pillow 13.0.0. Everything is seeded: a second
run writes the same bytes.

vae/<case>/config.json           what diffusers saves for the codec
vae/<case>/weights.safetensors   its weights, f16 (the values are exactly representable)
vae/<case>/runs.safetensors      f32, all latents scaled:
    `<size>.pixels`, `.latent` (the mode), and for AutoencoderKL `.mean`, `.logvar`, `.noise`, `.sample`
    `<size>.z`, `.decoded`: a latent and its picture
    `tiled-<size>...`: the same in tiles of `tile` = (cells, cells shared)
vae/posterior.safetensors        moments far beyond the bounds of the log variance
vae/taesd.safetensors            the real TAESD codecs on a small computed picture (needs the reference data)
vae/numbers.json                 options with their defaults, parameter counts, and PSNR of the real codecs
"""

import json

import numpy as np
import torch
from diffusers import AutoencoderKL, AutoencoderTiny
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from PIL import Image
from safetensors.torch import load_file, save_file

from common import GOLDEN, VAE_GAINS, enliven, fresh, picture, quiet, write_json

ROOT = GOLDEN / "vae"
REFERENCE = GOLDEN.parents[2] / "shared" / "reference"


def kl(channels, **options):
    levels = len(channels)
    return dict(
        block_out_channels=channels,
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        norm_num_groups=4,
        **options,
    )


KL_CASES = {
    "sd": kl((8, 16), sample_size=16),
    "flux": kl(
        (8, 16, 16), sample_size=[32, 32], layers_per_block=2, latent_channels=6, scaling_factor=0.3611,
        shift_factor=0.1159, use_quant_conv=False, use_post_quant_conv=False, act_fn="swish", force_upcast=False,
    ),  # fmt: skip
    "no_attention": kl((8, 8), sample_size=16, mid_block_add_attention=False, use_quant_conv=False, latent_channels=2),
}
TINY_CASES = {
    "tiny": dict(
        encoder_block_out_channels=(8,) * 4, decoder_block_out_channels=(8,) * 4,
        num_encoder_blocks=(1, 1, 2, 1), num_decoder_blocks=(2, 1, 1, 1),
    ),
    "tiny_shifted": dict(
        encoder_block_out_channels=(6,) * 3, decoder_block_out_channels=(6,) * 3, num_encoder_blocks=(1, 2, 1),
        num_decoder_blocks=(1, 1, 2), latent_channels=16, scaling_factor=0.7, shift_factor=0.2,
    ),
}  # fmt: skip
# Height and width in pixels, and of latents. Sizes that no stride divides are part of it.
PIXELS, LATENTS = [(32, 24), (19, 29)], [(6, 5), (3, 8)]
TINY_GAINS = (("4.weight", 0.5), ("layers", 1.2))


def pixels_of(size, seed, batch=1):
    """Pictures in [-1, 1]. `[batch, 3, height, width]`"""
    pictures = np.stack([picture(*size, seed + i) for i in range(batch)])
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1


def scaled(codec, z):
    """As the pipelines do."""
    return (z - (codec.config.shift_factor or 0.0)) * codec.config.scaling_factor


def unscaled(codec, latent):
    return latent / codec.config.scaling_factor + (codec.config.shift_factor or 0.0)


def encoded(codec, pixels, generator):
    run = {"pixels": pixels}
    if isinstance(codec, AutoencoderTiny):
        return run | {"latent": scaled(codec, codec.encode(pixels).latents)}
    posterior = codec.encode(pixels).latent_dist
    noise = torch.randn(posterior.mean.shape, generator=generator)
    sample = scaled(codec, posterior.mean + posterior.std * noise)
    run |= {"mean": posterior.mean, "logvar": posterior.logvar, "noise": noise, "sample": sample}
    return run | {"latent": scaled(codec, posterior.mode())}


def decoded(codec, size, generator, batch=1):
    channels = codec.config.latent_channels
    z = torch.randn(batch, channels, *size, generator=generator)
    return {"z": z, "decoded": codec.decode(unscaled(codec, z)).sample}


def write(tensors, path):
    save_file({key: value.clone(memory_format=torch.contiguous_format) for key, value in tensors.items()}, path)


def save(name, codec, runs):
    folder = fresh(ROOT / name)
    codec.save_config(folder)
    save_file({k: v.half().contiguous() for k, v in codec.state_dict().items()}, folder / "weights.safetensors")
    for key, value in runs.items():
        assert value.isfinite().all(), f"{name}: {key}"
        if key.endswith("decoded"):
            assert 0.1 < value.std() < 5, f"{name}: {key}: {value.std()} is not a lively picture"
    write(runs, folder / "runs.safetensors")


def add(runs, prefix, size, run):
    runs |= {f"{prefix}{size[0]}x{size[1]}.{key}": value for key, value in run.items()}


def make_case(name, codec, seed, tile, tiled_pixels, tiled_latents):
    generator = torch.Generator().manual_seed(seed)
    runs = {"tile": torch.tensor([float(n) for n in tile])}
    for size in PIXELS:
        add(runs, "", size, encoded(codec, pixels_of(size, seed, 2), generator))
    for size in LATENTS:
        add(runs, "", size, decoded(codec, size, generator, 2))
    codec.enable_tiling()
    for size in tiled_pixels:
        add(runs, "tiled-", size, encoded(codec, pixels_of(size, seed), generator))
    for size in tiled_latents:
        add(runs, "tiled-", size, decoded(codec, size, generator))
    save(name, codec, runs)


def make_kl(name, config, seed):
    codec = enliven(AutoencoderKL(**config), seed, VAE_GAINS)
    if isinstance(config["sample_size"], list):  # diffusers tiles no lists
        codec.tile_sample_min_size = config["sample_size"][0]
    # One side above the tile or both, a last tile within its neighbour, and one that is a single cell.
    make_case(name, codec, seed, (8, 2), [(72, 40), (31, 57)], [(14, 21), (5, 19), (13, 8)])


def make_tiny(name, config, seed):
    codec = enliven(AutoencoderTiny(**config), seed, TINY_GAINS)
    tiled = codec.spatial_scale_factor == 2 ** (len(config["num_encoder_blocks"]) - 1)
    if tiled:
        # Smaller than diffusers' own 64 cells, of which 8 are shared.
        codec.tile_sample_min_size, codec.tile_latent_min_size, codec.tile_overlap_factor = 64, 8, 0.25
    sizes = ([(144, 80), (56, 136)], [(14, 21), (5, 19), (13, 8)]) if tiled else ([], [])
    make_case(name, codec, seed, (8, 2), *sizes)


def make_posterior():
    generator = torch.Generator().manual_seed(5)
    moments = 30 * torch.randn(1, 8, 5, 4, generator=generator)
    posterior = DiagonalGaussianDistribution(moments)
    noise = torch.randn(1, 4, 5, 4, generator=generator)
    assert posterior.logvar.min() == -30 and posterior.logvar.max() == 20
    values = {"moments": moments, "mean": posterior.mean, "logvar": posterior.logvar, "noise": noise}
    values = values | {"sample": posterior.mean + posterior.std * noise}
    write(values, ROOT / "posterior.safetensors")


# ---------------------------------------------------------------------------------------------------------------------
# Numbers of the real codecs

TAESD = {"taesd": 4, "taesdxl": 4, "taesd3": 16, "taef1": 16}


def taesd(name):
    """The codec of TAESD's two files, as diffusers' class."""
    codec = AutoencoderTiny(latent_channels=TAESD[name])
    files = [REFERENCE / "weights" / "taesd" / f"{name}_{half}.safetensors" for half in ("encoder", "decoder")]
    state = {f"encoder.layers.{key}": value for key, value in load_file(files[0]).items()}
    for key, value in load_file(files[1]).items():
        layer, rest = key.split(".", 1)
        state[f"decoder.layers.{int(layer) - 1}.{rest}"] = value  # layer 0 is the clamp
    codec.load_state_dict({key: value.float() for key, value in state.items()})
    return codec.eval()


def photograph():
    """A dog: the upper left 512 x 512 pixels, for which the reference data gives 28.2, 29.6, 31.9 and 31.2 dB."""
    image = Image.open(REFERENCE / "weights" / "taef2" / "images" / "reconstruction_example.jpg").convert("RGB")
    pixels = torch.from_numpy(np.asarray(image.crop((0, 0, 512, 512))).copy())
    return pixels.permute(2, 0, 1)[None].float() / 127.5 - 1


def psnr(codec, pixels):
    """Of the round trip, in dB of pixels in [0, 1]."""
    back = codec.decode(codec.encode(pixels).latents).sample.clamp(-1, 1)
    return -10 * torch.log10(((back - pixels) / 2).square().mean()).item()


def make_taesd():
    """What the four codecs make of a computed picture, and the PSNR of a photograph."""
    small, photo, decibels = {"pixels": pixels_of((48, 64), 11)}, photograph(), {}
    for name in TAESD:
        codec = taesd(name)
        latent = codec.encode(small["pixels"]).latents
        small |= {f"{name}.latent": latent, f"{name}.decoded": codec.decode(latent).sample}
        decibels[name] = round(psnr(codec, photo), 4)
    write(small, ROOT / "taesd.safetensors")
    return decibels


def parameters(codec):
    return sum(parameter.numel() for parameter in codec.parameters())


def full_size():
    """Published configs, and the number of parameters of the codecs they describe."""
    sizes = {}
    for family in ("sd14", "sd21", "sdxl", "flux_schnell"):
        config = json.loads((REFERENCE / "configs" / family / "vae" / "config.json").read_text())
        config.pop("_name_or_path", None)
        with torch.device("meta"):
            sizes[family] = {"config": config, "parameters": parameters(AutoencoderKL.from_config(config))}
    for name, channels in TAESD.items():
        config = {"_class_name": "AutoencoderTiny", "latent_channels": channels}
        with torch.device("meta"):
            sizes[name] = {"config": config, "parameters": parameters(AutoencoderTiny.from_config(config))}
    return sizes


def defaults(codec):
    return {key: value for key, value in codec.config.items() if not key.startswith("_")}


@torch.no_grad()
def main():
    quiet()
    ROOT.mkdir(exist_ok=True)
    for seed, (name, config) in enumerate(KL_CASES.items(), start=1):
        make_kl(name, config, seed)
    for seed, (name, config) in enumerate(TINY_CASES.items(), start=101):
        make_tiny(name, config, seed)
    make_posterior()
    with torch.device("meta"):
        codecs = AutoencoderKL(), AutoencoderTiny()
    options = {type(codec).__name__: defaults(codec) for codec in codecs}
    write_json(ROOT / "numbers.json", {"defaults": options, "full_size": full_size(), "psnr": make_taesd()})


if __name__ == "__main__":
    main()
