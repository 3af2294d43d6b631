"""Golden data of t2i-sched's spacings: sigmas from k-diffusion and diffusers themselves, else from a transcription.

Made with k-diffusion 0.1.1.post1, diffusers 0.42.1, torch 2.15.0, numpy 2 and scipy. Deterministic: run again to make
the same file.

    python tests/golden/make_spacings.py

Writes tests/golden/spacings/spacings.safetensors: "name|arguments|n" -> the sigmas without the final 0; of long lists every ninth.

Transcribed, because their programs cannot be imported: what ComfyUI (comfy/samplers.py, comfy/k_diffusion/sampling.py,
comfy_extras/nodes_align_your_steps.py, nodes_gits.py) and A1111 (modules/sd_schedulers.py) compute, from the formulas of
the papers and in the arithmetic (f32 by torch or f64 by numpy) of those programs. They take the sigmas of a model; here
the model's table is diffusers'.
"""

import importlib.util
import math
import sys
import types
from pathlib import Path

import diffusers
import numpy as np
import torch
from diffusers.pipelines.flux.pipeline_flux import calculate_shift
from diffusers.pipelines.mochi.pipeline_mochi import linear_quadratic_schedule
from safetensors.torch import save_file
from scipy import stats

OUT = Path(__file__).parent / "spacings"
COUNTS = [1, 2, 3, 5, 10, 20, 50]
MANY = 1000
THIN = 9  # of lists over 500 long, every ninth level is stored
SD = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}


def k_diffusion():
    """Two modules of the package, whose __init__ needs more than is installed."""
    folder = Path(importlib.util.find_spec("k_diffusion").submodule_search_locations[0])
    package = types.ModuleType("k_diffusion")
    package.__path__ = [str(folder)]
    package.utils = types.ModuleType("k_diffusion.utils")
    package.utils.append_dims = lambda x, dims: x[(...,) + (None,) * (dims - x.ndim)]
    sys.modules |= {"k_diffusion": package, "k_diffusion.utils": package.utils}
    return importlib.import_module("k_diffusion.sampling"), importlib.import_module("k_diffusion.external")


sampling, external = k_diffusion()
FOUND = {}


def add(name, arguments, n, sigmas):
    if isinstance(sigmas, torch.Tensor):
        sigmas = sigmas.numpy()
    values = torch.as_tensor(np.array(sigmas, order="C"))
    values = values[::THIN] if len(values) > 500 else values
    FOUND[f"{name}|{','.join(str(float(a)) for a in arguments)}|{n}"] = values.clone()


def of_k_diffusion():
    ends = [(0.0291671582, 14.6146412293), (0.002, 700.0), (0.1, 10.0), (2.0, 2.0)]
    for low, high in ends:
        for n in COUNTS + ([MANY] if high == 700.0 else []):
            for rho in [7.0, 3.0, 1.0, 5.5]:
                if n < MANY or rho in (7.0, 5.5):
                    add("karras", (low, high, rho), n, sampling.get_sigmas_karras(n, low, high, rho)[:-1])
            add("exponential", (low, high), n, sampling.get_sigmas_exponential(n, low, high)[:-1])
            for rho in [1.0, 0.7, 2.0]:
                if n < MANY or rho != 1.0:
                    add("polyexponential", (low, high, rho), n, sampling.get_sigmas_polyexponential(n, low, high, rho)[:-1])
    for beta_d, beta_min, eps_s in [(19.9, 0.1, 1e-3), (12.0, 0.5, 0.01)]:
        for n in COUNTS + [MANY]:
            add("vp", (beta_d, beta_min, eps_s), n, sampling.get_sigmas_vp(n, beta_d, beta_min, eps_s)[:-1])


def of_the_papers():
    """In f32 by torch."""
    ends = [(0.0291671582, 14.6146412293), (0.002, 700.0), (2.0, 2.0)]
    for low, high in ends:
        for n in COUNTS + ([MANY] if high != 2.0 else []):
            for mu, beta in [(0.0, 0.5), (-0.7, 1.2)]:
                r = torch.linspace(0, 1, n)
                quantile = mu - beta * torch.sign(0.5 - r) * torch.log(1 - 2 * torch.abs(0.5 - r) + 1e-5)
                add("laplace", (low, high, mu, beta), n, quantile.exp().clamp(low, high))
            if n > 1:  # ComfyUI's divides by 0
                r = torch.arange(n, dtype=torch.float32) / (n - 1)
                angle = r * math.atan(low) + (1 - r) * math.atan(high)
                add("kl_optimal", (low, high), n, torch.tan(angle))


def tables():
    schedules = {
        0: diffusers.DDIMScheduler(**SD),
        1: diffusers.DDIMScheduler(beta_schedule="linear"),
        2: diffusers.DDIMScheduler(beta_schedule="squaredcos_cap_v2"),
    }
    for which, scheduler in schedules.items():
        sigmas = ((1 - scheduler.alphas_cumprod) / scheduler.alphas_cumprod) ** 0.5
        model = external.DiscreteSchedule(sigmas, quantize=False)
        start, end = model.sigma_to_t(model.sigma_max), model.sigma_to_t(model.sigma_min)
        for n in COUNTS + ([7, 61, 999, MANY] if which == 0 else [7]):
            add("normal", (which,), n, model.get_sigmas(n)[:-1])
            add("sgm_uniform", (which,), n, model.t_to_sigma(torch.linspace(start, end, n + 1)[:-1]))
            add("simple", (which,), n, [sigmas[-1 - int(i * (len(sigmas) / n))].item() for i in range(n)])
            add("ddim_uniform", (which,), n, sigmas[1 :: max(len(sigmas) // n, 1)].flip(0))
            for alpha, beta in [(0.6, 0.6), (0.5, 0.9), (2.0, 1.5)]:
                quantiles = stats.beta.ppf(1 - np.linspace(0, 1, n, endpoint=False), alpha, beta)
                timesteps = np.rint(quantiles * (len(sigmas) - 1)).astype(int)
                once = timesteps[np.append(True, np.diff(timesteps) != 0)]
                if n < 999 or alpha == 0.6:
                    add("beta_of_table", (which, alpha, beta), n, sigmas[once])
        wanted = torch.tensor([1e-5, 0.0292, 0.03, 0.5, 1.0, 3.3, 14.0, 14.6, 80.0, 1e6])
        add("timestep_of", (which,), len(wanted), model.sigma_to_t(wanted))
        times = torch.tensor([0.0, 0.25, 1.0, 333.3, 500.5, 998.75, 999.0])
        add("sigma_of", (which,), len(times), model.t_to_sigma(times))
    # A1111's, in f64.
    for low, high in [(0.0291671582, 14.6146412293), (0.002, 700.0)]:
        for n in COUNTS:
            quantiles = stats.beta.ppf(1 - np.linspace(0, 1, n), 0.6, 0.6)
            add("beta", (low, high), n, low + quantiles * (high - low))


def of_diffusers():
    for n in COUNTS:
        scheduler = diffusers.DPMSolverMultistepScheduler(**SD, use_lu_lambdas=True, final_sigmas_type="sigma_min")
        scheduler.set_timesteps(n)
        base = ((1 - scheduler.alphas_cumprod) / scheduler.alphas_cumprod) ** 0.5
        add("lu", (base[0].item(), base[-1].item()), n, scheduler.sigmas[:-1])


# https://research.nvidia.com/labs/toronto-ai/AlignYourSteps/howto.html
AYS = {
    0: [14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152, 0.029],
    1: [14.615, 6.315, 3.771, 2.181, 1.342, 0.862, 0.555, 0.380, 0.234, 0.113, 0.029],
    2: [700.00, 54.5, 15.886, 7.977, 4.248, 1.789, 0.981, 0.403, 0.173, 0.034, 0.002],
}
# The timesteps of the same page, whose sigmas ComfyUI's table has.
AYS_TIMESTEPS = {
    3: [999, 850, 736, 645, 545, 455, 343, 233, 124, 24, 0],
    4: [999, 845, 730, 587, 443, 310, 193, 116, 53, 13, 0],
}
BETAS = np.linspace(SD["beta_start"] ** 0.5, SD["beta_end"] ** 0.5, 1000) ** 2
SIGMAS = (1 / np.cumprod(1 - BETAS) - 1) ** 0.5
AYS |= {which: list(SIGMAS[timesteps]) for which, timesteps in AYS_TIMESTEPS.items()}
# Rows of ComfyUI's comfy_extras/nodes_gits.py: coefficient -> steps -> levels and the end.
GITS = {
    0.8: {
        2: [14.61464119, 7.49001646, 0.02916753],
        20: [14.61464119, 13.76078796, 12.96784878, 12.2308979, 11.54541874, 10.90732002, 10.31284904, 9.75859547, 9.24142551, 8.75849152, 8.30717278, 7.88507891, 7.49001646, 6.77309084, 5.85520077, 4.86714602, 3.75677586, 2.84484982, 1.78698075, 0.803307, 0.02916753],
    },
    1.2: {
        2: [14.61464119, 0.803307, 0.02916753],
        10: [14.61464119, 5.85520077, 2.84484982, 1.67050016, 1.08895338, 0.74807048, 0.50118381, 0.32104823, 0.19894916, 0.09824532, 0.02916753],
        20: [14.61464119, 7.49001646, 4.65472794, 3.07277966, 2.19988537, 1.61558151, 1.24153244, 0.95350921, 0.74807048, 0.59516323, 0.50118381, 0.41087446, 0.34370604, 0.29807833, 0.25053367, 0.22545385, 0.19894916, 0.17026083, 0.13792117, 0.09824532, 0.02916753],
    },
    1.5: {
        5: [14.61464119, 1.24153244, 0.54755926, 0.25053367, 0.09824532, 0.02916753],
        20: [14.61464119, 2.45070267, 1.41535246, 0.95350921, 0.72133851, 0.57119018, 0.4783645, 0.43325692, 0.38853383, 0.36617002, 0.34370604, 0.32104823, 0.29807833, 0.27464288, 0.25053367, 0.22545385, 0.19894916, 0.17026083, 0.13792117, 0.09824532, 0.02916753],
    },
}
# The sum of all levels of a coefficient's rows for 2 to 20 steps, both ends included, in that file.
GITS_SUMS = {
    0.8: 1820.23446967, 0.85: 1651.77334871, 0.9: 1445.36503477, 0.95: 1208.75628975, 1.0: 982.38209777,
    1.05: 823.44662331, 1.1: 687.67434934, 1.15: 604.27825691, 1.2: 557.64268806, 1.25: 495.89965093, 1.3: 472.09184746,
    1.35: 428.64208879, 1.4: 398.3384866, 1.45: 389.19221534, 1.5: 379.05587748,
}


def log_linear(table, n):
    """Evenly spaced along a table of falling numbers, with linear logarithms."""
    places = np.linspace(0, len(table) - 1, n)
    return np.exp(np.interp(places, range(len(table)), np.log(table[::-1])))[::-1]


def published():
    for which, table in AYS.items():
        for n in COUNTS + [11, MANY]:
            add("resample", (which,), n, table if n == len(table) else log_linear(table, n))
            add("resample_to_zero", (which,), n, table[:-1] if n + 1 == len(table) else log_linear(table, n + 1)[:-1])
    for coefficient, rows in GITS.items():
        for n, row in rows.items():
            add("gits", (coefficient,), n, row[:-1])
        for n in [21, 50, MANY]:
            add("gits", (coefficient,), n, log_linear(rows[20], n + 1)[:-1])
    for coefficient, total in GITS_SUMS.items():
        add("gits_sum", (coefficient,), 0, [total])


def flow():
    for n in COUNTS + [MANY]:
        if n > 1:
            add("linear_quadratic", (0.025, n // 2), n, linear_quadratic_schedule(n, 0.025))
        for threshold, steps in [(0.1, 1), (0.025, 3)]:
            if n > steps:
                add("linear_quadratic", (threshold, steps), n, linear_quadratic_schedule(n, threshold, steps))
        for shift in [1.0, 3.0, 0.5]:
            scheduler = diffusers.FlowMatchEulerDiscreteScheduler(shift=shift)
            scheduler.set_timesteps(n)
            add("shifted_twice", (shift,), n, scheduler.sigmas[:-1])
        if n == MANY:
            continue
        for kind, mu in [("exponential", 0.5), ("exponential", 1.15), ("linear", 2.0)]:
            for terminal in [0.0, 0.1, 0.02]:
                scheduler = diffusers.FlowMatchEulerDiscreteScheduler(
                    use_dynamic_shifting=True, time_shift_type=kind, shift_terminal=terminal or None)
                if terminal and n == 1:
                    continue  # the reference divides 0 by 0
                line = np.linspace(1.0, 1 / n, n)
                shifted = scheduler.time_shift(mu, 1.0, line)
                stretched = scheduler.stretch_shift_to_terminal(shifted) if terminal else shifted
                add("shift_" + kind, (mu, terminal), n, stretched)
                scheduler.set_timesteps(sigmas=line, mu=mu)  # the same in f32
                add("set_timesteps_" + kind, (mu, terminal), n, scheduler.sigmas[:-1])
    for tokens in [0, 64, 256, 1024, 4096, 5120]:
        add("mu", (tokens, 256, 4096, 0.5, 1.15), 1, [calculate_shift(tokens)])
        add("mu", (tokens, 256, 8192, 0.5, 0.9), 1, [calculate_shift(tokens, 256, 8192, 0.5, 0.9)])


if __name__ == "__main__":
    OUT.mkdir(exist_ok=True)
    of_k_diffusion()
    of_the_papers()
    tables()
    of_diffusers()
    published()
    flow()
    assert all(torch.isfinite(sigmas).all() for sigmas in FOUND.values())
    save_file(FOUND, OUT / "spacings.safetensors")
    print(len(FOUND), "lists")
