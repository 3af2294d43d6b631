"""Golden data of t2i-train: training steps of torch, on the tiny networks that make_pipelines.py, make_unet.py and
make_vae.py have made.

Made with diffusers 0.42.1, transformers 5.23.0 and torch 2.15.0, f32, one thread. Deterministic: run again to make the
same files.

    python tests/golden/make_train.py

Writes to tests/golden/train/:
  steps.json          the cases; losses and norms
  steps.safetensors   <inputs>/<name>, <case>/grad (digests of gradients), <case>/step (digests of what AdamW did); a
                      row a parameter, in the order of their names: part, then the name in its weight file
  weights.safetensors Min-SNR weights by diffusers' compute_snr
  rates.json          learning rates by diffusers' get_scheduler
  adamw.safetensors   torch's clipping and AdamW on given gradients

A digest of a tensor is 9 numbers: the largest absolute value, then the values themselves if there are at most 8, with
zeros behind them, else 8 sums `sum_i sin(1 + i * k * 0.7390851) * value_i / sqrt(n)` for k from 1 to 8, over the tensor
in torch's order. What AdamW did is `(after - before) / learning rate`.
"""

import itertools
import json

import torch
import torch.nn.functional as F
from common import BOS, EOS, GOLDEN, fresh, quiet, write_json
from diffusers import AutoencoderKL, AutoencoderTiny, DDPMScheduler, FlowMatchEulerDiscreteScheduler, UNet2DConditionModel
from diffusers.optimization import get_scheduler
from diffusers.training_utils import compute_snr
from safetensors.torch import load_file, save_file
from transformers import CLIPTextModel

OUT = GOLDEN / "train"
RATE, BETAS, EPSILON, DECAY, CLIP = 1e-3, (0.9, 0.99), 1e-8, 1e-2, 1.0
# For whole networks. The first step of AdamW is `g / (|g| + epsilon)`: with 1e-8 the sign of a gradient that is 0 but for
# rounding would count as much as the largest.
STEP_EPSILON = 1e-3
GAMMA = 5.0
DIGEST = 8
SD = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
# Of the places the last is noise alone in `zero` and `flow`.
PLACES = [30, 480, 999]


def schedulers():
    """By name: what the levels of a case are."""
    return {
        "sd": DDPMScheduler(**SD),
        "zero": DDPMScheduler(**SD, rescale_betas_zero_snr=True),
        "flow": FlowMatchEulerDiscreteScheduler(shift=3.0),
    }


def diffusion_cases():
    """UNet and text encoder of pipelines/sd1, trained together."""
    kinds = [("epsilon", "sd"), ("v_prediction", "zero"), ("sample", "sd"), ("flow", "flow")]
    for (prediction, schedule), weighting in itertools.product(kinds, ["uniform", "min_snr"]):
        yield {"name": f"{prediction}_{weighting}", "model": "pipelines/sd1", "prediction": prediction,
               "schedule": schedule, "weighting": weighting, "size": [8, 12]}  # fmt: skip
    # Sizes that are no multiple of the UNet's stride: its upsampling is not by 2.
    yield {"name": "odd", "model": "pipelines/sd1", "prediction": "epsilon", "schedule": "sd", "weighting": "uniform",
           "size": [5, 7]}  # fmt: skip


def unet_cases():
    """Other UNets, which get a given context."""
    for model in ["options", "lcm", "sd2", "xl"]:
        yield {"name": model, "model": f"unet/{model}", "prediction": "epsilon", "schedule": "sd", "weighting": "uniform",
               "size": [8, 8]}  # fmt: skip


def codec_cases():
    """Codecs: pixels to latents and back. `weight` is that of the term for the latents."""
    yield {"name": "kl", "model": "vae/sd", "class": "AutoencoderKL", "size": [16, 24], "weight": 1e-3}
    yield {"name": "tiny", "model": "vae/tiny", "class": "AutoencoderTiny", "size": [16, 24], "weight": 0.1}


def normal(seed, *shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


# ---------------------------------------------------------------------------------------------------------------------
# Losses


def noise_and_target(case, x0, eps):
    """Noisy latents, what the network is told, what it shall say, and each sample's weight."""
    scheduler = schedulers()[case["schedule"]]
    places = torch.tensor(PLACES)
    if case["prediction"] == "flow":
        # diffusers' train_dreambooth_sd3.py; the table runs from noise to image.
        index = len(scheduler.timesteps) - 1 - places
        sigma = scheduler.sigmas[index].reshape(-1, 1, 1, 1)
        snr = ((1 - sigma) / sigma).flatten() ** 2
        # Min-SNR of x0, of which the velocity's error is 1 / sigma as large.
        weights = snr.clamp(max=GAMMA) * sigma.flatten() ** 2
        return (1 - sigma) * x0 + sigma * eps, scheduler.timesteps[index], eps - x0, weights
    noisy = scheduler.add_noise(x0, eps, places)
    target = {"epsilon": lambda: eps, "v_prediction": lambda: scheduler.get_velocity(x0, eps, places), "sample": lambda: x0}
    return noisy, places, target[case["prediction"]](), min_snr(scheduler, case["prediction"], places)


def min_snr(scheduler, prediction, timesteps):
    """diffusers' train_text_to_image.py; for x0 the paper's weight as it is."""
    snr = compute_snr(scheduler, timesteps)
    weights = torch.stack([snr, GAMMA * torch.ones_like(snr)], dim=1).min(dim=1)[0]
    return weights / {"epsilon": snr, "v_prediction": snr + 1, "sample": 1}[prediction]


def diffusion_loss(output, target, weights):
    loss = F.mse_loss(output, target, reduction="none").mean(dim=[1, 2, 3])
    return (loss if weights is None else loss * weights).mean()


def codec_loss(decoded, pixels):
    """L1 of pixels, and of differences of neighbours at two scales."""
    loss = F.l1_loss(decoded, pixels)
    for scale in range(2):
        if scale:
            decoded, pixels = F.avg_pool2d(decoded, 2), F.avg_pool2d(pixels, 2)
        for dim in (2, 3):
            loss = loss + F.l1_loss(decoded.diff(dim=dim), pixels.diff(dim=dim))
    return loss


def spread(latent):
    """The divergence of each channel's normal distribution from the standard one."""
    mean, variance = latent.mean(dim=[0, 2, 3]), latent.var(dim=[0, 2, 3], correction=0)
    own, standard = torch.distributions.Normal(mean, variance.sqrt()), torch.distributions.Normal(0.0, 1.0)
    return torch.distributions.kl_divergence(own, standard).mean()


# ---------------------------------------------------------------------------------------------------------------------
# Steps


def digest(tensor):
    flat = tensor.detach().double().flatten()
    n = flat.numel()
    if n <= DIGEST:
        values = F.pad(flat, (0, DIGEST - n))
    else:
        waves = torch.sin(1 + torch.arange(n).double() * torch.arange(1, DIGEST + 1).double()[:, None] * 0.7390851)
        values = waves @ flat / n**0.5
    return torch.cat([flat.abs().max()[None], values]).float()


def parameters(parts):
    """Names as in the files, and parameters, sorted by name."""
    named = {}
    for part, model in parts.items():
        for name, parameter in model.named_parameters():
            # transformers since 5.6 has no prefix of its own.
            prefix = "text_model." if part == "text_encoder" and not name.startswith("text_") else ""
            named[f"{part}.{prefix}{name}"] = parameter
    return dict(sorted(named.items()))


def step(loss, parts):
    """The backward pass, clipping and a step of AdamW."""
    named = parameters(parts)
    loss.backward()
    missing = [name for name, parameter in named.items() if parameter.grad is None]
    assert not missing, missing
    grad = torch.stack([digest(parameter.grad) for parameter in named.values()])
    before = [parameter.detach().clone() for parameter in named.values()]
    optimizer = torch.optim.AdamW(named.values(), lr=RATE, betas=BETAS, eps=STEP_EPSILON, weight_decay=DECAY)
    norm = torch.nn.utils.clip_grad_norm_(named.values(), CLIP)
    optimizer.step()
    done = [digest((after.double() - b.double()) / RATE) for after, b in zip(named.values(), before)]
    return list(named), {"loss": loss.item(), "norm": norm.item()}, grad, torch.stack(done)


def diffusion_step(case, tensors):
    height, width = case["size"]
    x0, eps = normal(1, 3, 4, height, width), normal(2, 3, 4, height, width)
    noisy, timesteps, target, weights = noise_and_target(case, x0, eps)
    tensors |= {"x0": x0, "eps": eps}
    parts, conditioning = (joint if case["model"].startswith("pipelines") else alone)(case, tensors)
    output = parts["unet"](noisy, timesteps, **conditioning()).sample
    assert torch.isfinite(output).all()
    # One of the networks says less than it is fed.
    target = target[:, : output.shape[1]]
    loss = diffusion_loss(output, target, weights if case["weighting"] == "min_snr" else None)
    return step(loss, parts)


def joint(case, tensors):
    """UNet and text encoder; the gradients of the encoder come through the context."""
    folder = GOLDEN / case["model"]
    unet = UNet2DConditionModel.from_pretrained(folder / "unet").float()
    text_encoder = CLIPTextModel.from_pretrained(folder / "text_encoder").float()
    ids = torch.tensor([[BOS, 70, 300, 12, EOS, EOS], [BOS, 512, 515, 600, 70, EOS], [BOS, EOS, EOS, EOS, EOS, EOS]])
    tensors["ids"] = ids.float()
    return {"unet": unet, "text_encoder": text_encoder}, lambda: {"encoder_hidden_states": text_encoder(ids)[0]}


def alone(case, tensors):
    folder = GOLDEN / case["model"]
    unet = UNet2DConditionModel.from_config(json.loads((folder / "config.json").read_text()))
    unet.load_state_dict({name: value.float() for name, value in load_file(folder / "weights.safetensors").items()})
    context = normal(3, 3, 6, 12)  # the width that all of them have
    tensors["context"] = context
    given = {"encoder_hidden_states": context}
    if unet.config.time_cond_proj_dim:
        tensors["guidance"] = given["timestep_cond"] = normal(4, 3, unet.config.time_cond_proj_dim)
    if unet.config.addition_embed_type:
        runs = load_file(folder / "runs.safetensors")
        pooled = normal(5, 3, runs["5x7.pooled"].shape[1])
        time_ids = torch.tensor([[64.0, 96, 0, 0, 64, 96], [128, 64, 8, 4, 64, 64], [77, 55, 3, 9, 32, 40]])
        tensors |= {"pooled": pooled, "time_ids": time_ids}
        given["added_cond_kwargs"] = {"text_embeds": pooled, "time_ids": time_ids}
    return {"unet": unet}, lambda: given


def codec_step(case, tensors):
    height, width = case["size"]
    pixels = normal(6, 2, 3, height, width).clamp(-2, 2) / 2
    tensors["pixels"] = pixels
    cls = {"AutoencoderKL": AutoencoderKL, "AutoencoderTiny": AutoencoderTiny}[case["class"]]
    folder = GOLDEN / case["model"]
    codec = cls.from_config(json.loads((folder / "config.json").read_text()))
    codec.load_state_dict({name: value.float() for name, value in load_file(folder / "weights.safetensors").items()})
    if cls is AutoencoderKL:
        posterior = codec.encode(pixels).latent_dist
        tensors["noise"] = noise = normal(7, *posterior.mean.shape)
        latent, penalty = posterior.mean + posterior.std * noise, posterior.kl().mean()
    else:
        latent = codec.encode(pixels).latents
        penalty = spread(latent)
    loss = codec_loss(codec.decode(latent).sample, pixels) + case["weight"] * penalty
    return step(loss, {"codec": codec})


def make_steps():
    cases, tensors = [], {}
    for case in [*diffusion_cases(), *unet_cases(), *codec_cases()]:
        inputs = {}
        names, numbers, grad, done = (codec_step if "class" in case else diffusion_step)(case, inputs)
        assert all(torch.isfinite(t).all() for t in (grad, done))
        # Diffusion cases of one size share their inputs.
        shared = case["name"] if "class" in case else "{}x{}".format(*case["size"])
        tensors |= {f"{shared}/{name}": value for name, value in inputs.items()}
        tensors[f"{case['name']}/grad"] = grad
        if case["name"] in ("epsilon_uniform", "v_prediction_min_snr", "kl", "tiny"):
            tensors[f"{case['name']}/step"] = done
        cases.append(case | {"inputs": shared} | numbers)
        print(f"{case['name']:22} loss {numbers['loss']:9.5f} norm {numbers['norm']:9.5f} of {len(names)} parameters,",
              f"largest gradients {grad[:, 0].min():.1e} to {grad[:, 0].max():.1e}")  # fmt: skip
        # Rounding and no more: a bias of the keys moves all scores of a query by the same, which softmax does not see.
        print("   ", *(name for name, row in zip(names, grad) if row[0] < 1e-5 * grad[:, 0].max()))
    write_json(OUT / "steps.json", {"places": PLACES, "gamma": GAMMA, "cases": cases})
    save_file({name: value.contiguous() for name, value in tensors.items()}, OUT / "steps.safetensors")


# ---------------------------------------------------------------------------------------------------------------------
# Weights, learning rates, the optimiser


def make_weights():
    timesteps = torch.arange(0, 1000, 37)
    tensors = {}
    for schedule, prediction in itertools.product(["sd", "zero"], ["epsilon", "v_prediction", "sample"]):
        tensors[f"{schedule}.{prediction}"] = min_snr(schedulers()[schedule], prediction, timesteps)
    save_file(tensors, OUT / "weights.safetensors")


def make_rates():
    """The factor of the base rate at each step, for 8 steps of warm-up and 40 in all, and a few steps beyond them."""
    rates = {}
    for name, warmup in itertools.product(["constant_with_warmup", "linear", "cosine"], [0, 8]):
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
        scheduler = get_scheduler(name, optimizer, num_warmup_steps=warmup, num_training_steps=40)
        values = []
        for _ in range(44):
            values.append(scheduler.get_last_lr()[0])
            optimizer.step()
            scheduler.step()
        rates[f"{name}_{warmup}"] = values
    path = OUT / "rates.json"
    path.write_text("{\n" + ",\n".join(f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in rates.items()) + "\n}\n")


def make_adamw():
    """Five steps on two parameters, whose gradients are sometimes larger than the norm allowed, and zero in places."""
    a, b = (torch.nn.Parameter(normal(seed, *shape)) for seed, shape in [(10, (3, 4)), (11, (5,))])
    tensors = {"a": a.detach().clone(), "b": b.detach().clone()}
    optimizer = torch.optim.AdamW([a, b], lr=RATE, betas=BETAS, eps=EPSILON, weight_decay=DECAY)
    for i, size in enumerate([0.1, 10.0, 1e-6, 0.3, 2.0]):
        a.grad, b.grad = size * normal(20 + i, 3, 4), size * normal(30 + i, 5)
        a.grad[0, 0] = 0
        tensors |= {f"{i}.a.grad": a.grad.clone(), f"{i}.b.grad": b.grad.clone()}
        norm = torch.nn.utils.clip_grad_norm_([a, b], CLIP)
        tensors |= {f"{i}.norm": norm[None], f"{i}.a.clipped": a.grad.clone(), f"{i}.b.clipped": b.grad.clone()}
        optimizer.step()
        tensors |= {f"{i}.a": a.detach().clone(), f"{i}.b": b.detach().clone()}
    save_file(tensors, OUT / "adamw.safetensors")


if __name__ == "__main__":
    quiet()
    fresh(OUT)
    make_steps()
    make_weights()
    make_rates()
    make_adamw()
