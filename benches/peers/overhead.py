"""What a step of diffusers and of k-diffusion costs beside the model, as benches/overhead.rs measures ours.

Needs torch, diffusers and k_diffusion. The model returns its input (diffusers) or a copy of it (k-diffusion). Each
number is the median of several runs of 100 steps, divided by the steps, in microseconds.
"""

import importlib.util
import os
import statistics
import sys
import time
import types

import diffusers
import torch

STEPS = 100
RUNS = 15
SHAPES = [(1, 4, 64, 64), (2, 4, 128, 128)]
BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}


def k_sampling():
    """k_diffusion/sampling.py alone: the package imports training code that sampling does not need."""
    folder = os.path.dirname(importlib.util.find_spec("k_diffusion").origin)
    package = types.ModuleType("k_diffusion_alone")
    package.__path__ = [folder]
    utils = types.ModuleType("k_diffusion_alone.utils")
    utils.append_dims = lambda x, dims: x[(...,) + (None,) * (dims - x.ndim)]
    package.utils = utils
    sys.modules |= {"k_diffusion_alone": package, "k_diffusion_alone.utils": utils}
    spec = importlib.util.spec_from_file_location("k_diffusion_alone.sampling", f"{folder}/sampling.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["k_diffusion_alone.sampling"] = module
    spec.loader.exec_module(module)
    module.trange = lambda n, disable=None: range(n)
    return module


K = k_sampling()


def k_diffusion(sampler, **options):
    def run(shape):
        sigmas = K.get_sigmas_karras(STEPS, 0.0292, 14.6146)
        x = torch.randn(shape) * sigmas[0]
        model = lambda x, sigma, **_: x.clone()  # noqa: E731
        start = time.perf_counter()
        getattr(K, f"sample_{sampler}")(model, x, sigmas, disable=True, **options)
        return time.perf_counter() - start, STEPS

    return run


def scheduler(name, **options):
    def run(shape):
        made = getattr(diffusers, name)(**BETAS, **options)
        made.set_timesteps(STEPS)
        x = torch.randn(shape) * made.init_noise_sigma
        start = time.perf_counter()
        for timestep in made.timesteps:
            model_input = made.scale_model_input(x, timestep)
            x = made.step(model_input, timestep, x, return_dict=False)[0]
        # Heun asks twice a step: its 199 calls of `step` are 100 steps
        return time.perf_counter() - start, STEPS

    return run


def plain_noise(x):
    """The noise of k-diffusion's SDE samplers is a Brownian tree unless one says otherwise."""
    return lambda sigma, sigma_next: torch.randn_like(x)


def k_sde(shape):
    return k_diffusion("dpmpp_2m_sde", noise_sampler=plain_noise(torch.empty(shape)))(shape)


CASES = {
    "Euler": (scheduler("EulerDiscreteScheduler"), k_diffusion("euler")),
    "Euler a": (scheduler("EulerAncestralDiscreteScheduler"), k_diffusion("euler_ancestral")),
    "Heun": (scheduler("HeunDiscreteScheduler"), k_diffusion("heun")),
    "DPM++ 2M": (scheduler("DPMSolverMultistepScheduler"), k_diffusion("dpmpp_2m")),
    "DPM++ 2M SDE": (scheduler("DPMSolverMultistepScheduler", algorithm_type="sde-dpmsolver++"), k_sde),
    "DPM++ 2M SDE, Brownian": (None, k_diffusion("dpmpp_2m_sde")),
    "UniPC": (scheduler("UniPCMultistepScheduler", solver_order=3), None),
    "LMS": (scheduler("LMSDiscreteScheduler"), k_diffusion("lms")),
    "DDIM": (scheduler("DDIMScheduler", clip_sample=False), None),
}


def microseconds(run, shape):
    if run is None:
        return "–"
    seconds, _ = run(shape)
    timed = [run(shape) for _ in range(RUNS if seconds < 0.5 else 3)]
    return f"{statistics.median(seconds / steps for seconds, steps in timed) * 1e6:.0f}"


@torch.inference_mode()
def main():
    print(f"torch {torch.__version__}, diffusers {diffusers.__version__}, {STEPS} steps, median of up to {RUNS} runs, µs a step")
    for shape in SHAPES:
        for threads in (2, 1):
            torch.set_num_threads(threads)
            print(f"\n{shape}, {threads} threads\n\n| sampler | diffusers | k-diffusion |\n|---|---:|---:|")
            for name, runs in CASES.items():
                print("|", name, "|", " | ".join(microseconds(run, shape) for run in runs), "|", flush=True)


main()
