"""What a training step costs in PyTorch: the step of t2i-train on the same networks, from the configs of a model's folder.

    python benches/peers/train_step.py models/NAME --batch 32 --threads 2 --steps 20
    python benches/peers/train_step.py models/NAME --what codec --size 64

Needs torch, diffusers and transformers. The weights are random, the data noise: neither changes
what a step costs. `diffusion` trains the UNet and the text encoder together (Min-SNR loss, clipping by the global norm,
AdamW, the running mean of the weights); `codec` trains the codec (absolute errors of pixels and edges). Prints pictures a
second, by the median step, and the peak memory: of the process, and of the GPU where there is one.
"""

import argparse
import json
import resource
import statistics
import time
from pathlib import Path

import diffusers
import torch
import torch.nn.functional as F
from diffusers.training_utils import compute_snr
from transformers import CLIPTextConfig, CLIPTextModel

GAMMA, CLIP, EMA = 5.0, 1.0, 0.999
WARMUP = 3


def options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, help="a folder in diffusers' layout; only its configs are read")
    parser.add_argument("--what", choices=["diffusion", "codec"], default="diffusion")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--steps", type=int, default=10, help=f"steps that are timed, after {WARMUP} that are not")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--size", type=int, help="the side of a picture in pixels; else what the UNet's config says")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--bf16", action="store_true", help="autocast to bfloat16; else f32 throughout")
    parser.add_argument("--tf32", action="store_true", help="let f32 products be made of TF32")
    parser.add_argument("--compile", action="store_true", help="torch.compile the networks")
    return parser.parse_args()


def config(folder):
    return json.loads((folder / "config.json").read_text())


def codec_class(folder):
    return getattr(diffusers, config(folder)["_class_name"])


def codec_factor(codec):
    """How many pixels a latent cell is wide."""
    with torch.no_grad():
        pixels = torch.zeros(1, codec.config.in_channels, 64, 64, device=codec.device)
        return 64 // encode(codec, pixels).shape[-1]


def encode(codec, pixels):
    encoded = codec.encode(pixels)
    return encoded.latents if hasattr(encoded, "latents") else encoded.latent_dist.sample()


class Diffusion:
    """UNet and text encoder, trained together."""

    def __init__(self, args):
        folder, device = args.model, args.device
        self.unet = diffusers.UNet2DConditionModel.from_config(config(folder / "unet")).to(device).train()
        self.text_encoder = CLIPTextModel(CLIPTextConfig.from_pretrained(folder / "text_encoder")).to(device).train()
        self.modules = [self.unet, self.text_encoder]
        self.scheduler = diffusers.DDPMScheduler.from_config(config_of_scheduler(folder))
        side = self.unet.config.sample_size
        if args.size:
            codec = codec_class(folder / "vae").from_config(config(folder / "vae"))
            side = args.size // codec_factor(codec)
        self.shape = (args.batch, self.unet.config.in_channels, side, side)
        text = self.text_encoder.config
        self.ids = torch.randint(0, text.vocab_size, (args.batch, text.max_position_embeddings), device=device)
        self.device = device

    def describe(self):
        return f"UNet and text encoder, latents {list(self.shape)}, {self.ids.shape[1]} tokens"

    def loss(self):
        x0, eps = torch.randn(self.shape, device=self.device), torch.randn(self.shape, device=self.device)
        timesteps = torch.randint(0, self.scheduler.config.num_train_timesteps, (self.shape[0],), device=self.device)
        context = self.text_encoder(self.ids)[0]
        output = self.unet(self.scheduler.add_noise(x0, eps, timesteps), timesteps, context).sample
        kind = self.scheduler.config.prediction_type
        target = {"epsilon": lambda: eps, "sample": lambda: x0,
                  "v_prediction": lambda: self.scheduler.get_velocity(x0, eps, timesteps)}[kind]()  # fmt: skip
        snr = compute_snr(self.scheduler, timesteps)
        weights = snr.clamp(max=GAMMA) / {"epsilon": snr, "sample": 1, "v_prediction": snr + 1}[kind]
        return (F.mse_loss(output.float(), target, reduction="none").mean(dim=[1, 2, 3]) * weights).mean()


class Codec:
    """Pixels to latents and back."""

    def __init__(self, args):
        folder = args.model / "vae"
        self.codec = codec_class(folder).from_config(config(folder)).to(args.device).train()
        self.modules = [self.codec]
        side = args.size or codec_factor(self.codec) * config(args.model / "unet")["sample_size"]
        self.shape = (args.batch, self.codec.config.in_channels, side, side)
        self.device = args.device

    def describe(self):
        return f"{type(self.codec).__name__}, pixels {list(self.shape)}"

    def loss(self):
        pixels = torch.rand(self.shape, device=self.device) * 2 - 1
        decoded = self.codec.decode(encode(self.codec, pixels)).sample.float()
        loss = F.l1_loss(decoded, pixels)
        for scale in range(2):
            if scale:
                decoded, pixels = F.avg_pool2d(decoded, 2), F.avg_pool2d(pixels, 2)
            for dim in (2, 3):
                loss = loss + F.l1_loss(decoded.diff(dim=dim), pixels.diff(dim=dim))
        return loss


def config_of_scheduler(folder):
    return json.loads((folder / "scheduler" / "scheduler_config.json").read_text())


def training_step(trained, parameters, means, optimizer, args):
    """Loss, gradients, clipping, AdamW, running mean; seconds."""
    start = time.perf_counter()
    with torch.autocast(torch.device(args.device).type, dtype=torch.bfloat16, enabled=args.bf16):
        loss = trained.loss()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(parameters, CLIP)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    with torch.no_grad():
        torch._foreach_lerp_(means, parameters, 1 - EMA)
    # Reading the loss waits for the device, as our step does.
    assert torch.isfinite(loss).item()
    return time.perf_counter() - start


def main():
    args = options()
    torch.manual_seed(0)
    torch.set_num_threads(args.threads)
    if args.tf32:
        torch.set_float32_matmul_precision("high")
    trained = {"diffusion": Diffusion, "codec": Codec}[args.what](args)
    parameters = [parameter for module in trained.modules for parameter in module.parameters()]
    means = [parameter.detach().clone() for parameter in parameters]
    optimizer = torch.optim.AdamW(parameters, lr=1e-4, betas=(0.9, 0.99), eps=1e-8, weight_decay=1e-2)
    if args.compile:
        for module in trained.modules:
            module.compile()
    for _ in range(WARMUP):
        training_step(trained, parameters, means, optimizer, args)
    seconds = [training_step(trained, parameters, means, optimizer, args) for _ in range(args.steps)]
    median = statistics.median(seconds)
    count = sum(parameter.numel() for parameter in parameters)
    print(f"torch {torch.__version__} on {args.device}, {args.threads} threads: {trained.describe()}, {count:,} parameters")
    print(f"{args.batch / median:.2f} pictures/s ({median * 1e3:.1f} ms a step, median of {args.steps};"
          f" {min(seconds) * 1e3:.1f} to {max(seconds) * 1e3:.1f})")  # fmt: skip
    print(f"peak memory of the process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")
    if args.device.startswith("cuda"):
        print(f"peak memory on the GPU: {torch.cuda.max_memory_allocated() / 2**20:.0f} MiB")


if __name__ == "__main__":
    main()
