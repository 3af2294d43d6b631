"""Golden data of t2i-sched: whole trajectories of k-diffusion's samplers, and torchsde's Brownian noise.

Made with k-diffusion 0.1.1.post1, torchsde 0.2.6, torch 2.15.0, numpy 2 and scipy, on an x86 CPU with AVX2.
Deterministic: run again to make the same files.

    python tests/golden/make_k_diffusion.py

Writes to tests/golden/k_diffusion/:
  levels.json               name -> sigmas
  trajectories.json         the cases: sampler, options, levels, model, noise
  trajectories.safetensors  "start", of unit variance; case number -> the latent after every step
  brownian.json             the cases: seeds, range, shape, queries
  brownian.safetensors      case number -> what BrownianTreeNoiseSampler gives for every query
  seeds.json                numpy's SeedSequence, and torch.randint(0, 2**63 - 1, [])

A case is `single` if latents and sigmas are f32, as they are in daily use. The few of DPM adaptive that are not are there once
more in f64, its arithmetic at levels other than k-diffusion's. Of sigmas, roots, logarithms and exponentials are the nearest
float (`nearest`), as on most machines, and so is the tanh of the model; those of torch on an x86 CPU are not always, and
reference_spread.py shows how much that changes.

DPM adaptive chooses its first steps by errors that are the rounding of the latent, so its states are equal only if every
operation is. Its norm is torch's own, whose order of summation is that of the CPU. With the nearest float in its place no state
of these cases moves by more than 6e-7, but by up to 1.2e-5 (`eta` 1, `rtol` 0.5) with one that is a digit off.
"""

import contextlib
import importlib.machinery
import importlib.util
import json
import sys
import types
import warnings
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

warnings.filterwarnings("ignore")
torch.set_num_threads(2)

OUT = Path(__file__).parent / "k_diffusion"
SHAPE = (1, 2, 3, 3)


def load_k_diffusion():
    """Its package imports much that sampling does not need."""
    package = importlib.util.find_spec("k_diffusion")
    stub = types.ModuleType("k_diffusion")
    stub.__path__ = list(package.submodule_search_locations)
    stub.utils = types.ModuleType("k_diffusion.utils")
    # f32, since what comes out of it would turn latents to f64 otherwise.
    stub.utils.append_dims = lambda x, dims: x[(...,) + (None,) * (dims - x.ndim)].float()
    sys.modules.update({"k_diffusion": stub, "k_diffusion.utils": stub.utils})
    return importlib.import_module("k_diffusion.sampling")


K = load_k_diffusion()


@contextlib.contextmanager
def nearest():
    """Roots, logarithms and exponentials of single numbers and lists of them in f64, rounded to f32."""
    small = lambda x: isinstance(x, torch.Tensor) and x.dtype == torch.float32 and x.ndim < 2
    through_f64 = lambda f: lambda x, *more: f(x.double(), *more).float() if small(x) else f(x, *more)
    before = {name: getattr(torch.Tensor, name) for name in ["sqrt", "log", "exp", "expm1", "__pow__", "pow"]}
    for name, function in before.items():
        setattr(torch.Tensor, name, through_f64(function))
    yield
    for name, function in before.items():
        setattr(torch.Tensor, name, function)


def mixture(x, sigma, **_):
    """The posterior mean for data of two equal Gaussians at -1 and 1 of deviation 0.3."""
    sigma = float(sigma[0])
    variance = 0.09 + sigma**2
    mean = torch.tanh((x * (1 / variance)).double()).to(x.dtype)
    return mean + (x - mean) * (0.09 / variance)


def linear(x, sigma, **_):
    """The posterior mean for data of unit variance."""
    return x / (1 + float(sigma[0]) ** 2)


MODELS = {"mixture": mixture, "linear": linear}

SCHEDULES = {
    "karras": lambda n: K.get_sigmas_karras(n, 0.0292, 14.6146),
    "exponential": lambda n: K.get_sigmas_exponential(n, 0.0292, 14.6146),
    "polyexponential": lambda n: K.get_sigmas_polyexponential(n, 0.0292, 14.6146, rho=1.5),
    "vp": lambda n: K.get_sigmas_vp(n),
}


def levels():
    lists = {f"{name}-{n}": make(n) for name, make in SCHEDULES.items() for n in [1, 2, 5, 20, 50] if n < 50 or name == "karras"}
    lists |= {f"{name}-{n}-open": lists[f"{name}-{n}"][:-1] for name, n in [("karras", 5), ("exponential", 20)]}
    return lists


def torch_noise(seed):
    generator = torch.Generator().manual_seed(seed)
    return lambda *_: torch.randn(SHAPE, generator=generator, dtype=torch.float32)


def brownian(seed, sigmas, x):
    noise = K.BrownianTreeNoiseSampler(x, sigmas[sigmas > 0].min(), sigmas.max(), seed)
    return lambda sigma, sigma_next: noise(sigma.float(), sigma_next.float())


# Sampler -> variants of its options. `noise` says what it draws from: nothing, torch's generator, or a Brownian path.
SAMPLERS = {
    "euler": [{}],
    "heun": [{}],
    "dpm_2": [{}],
    "lms": [{}, {"order": 1}, {"order": 2}, {"order": 6}],
    "euler_ancestral": [{}, {"eta": 0.5, "s_noise": 1.1}, {"eta": 0.0}],
    "dpm_2_ancestral": [{}, {"eta": 0.5, "s_noise": 1.1}, {"eta": 0.0}],
    "dpmpp_2m": [{}],
    "dpmpp_2s_ancestral": [{}, {"eta": 0.5, "s_noise": 0.9}, {"eta": 0.0}],
    "dpmpp_sde": [{}, {"eta": 0.5, "s_noise": 1.1}, {"eta": 0.0}, {"r": 0.3}],
    "dpmpp_2m_sde": [{}, {"eta": 0.5, "s_noise": 1.1}, {"eta": 0.0}, {"solver_type": "heun"}],
    "dpmpp_3m_sde": [{}, {"eta": 0.5, "s_noise": 1.1}, {"eta": 0.0}],
}
CHURNS = [{"s_churn": 10.0}, {"s_churn": 1e3, "s_tmin": 0.5, "s_tmax": 10.0, "s_noise": 1.003}]
BROWNIAN = ["dpmpp_sde", "dpmpp_2m_sde", "dpmpp_3m_sde"]


def cases(lists):
    for name, variants in SAMPLERS.items():
        stochastic = "ancestral" in name or "sde" in name
        for number, options in enumerate(variants):
            for level in lists:
                if number and level not in ["karras-5", "karras-20", "exponential-20-open", "vp-20", "karras-1"]:
                    continue
                steps = int(level.split("-")[1])
                if name in ["dpmpp_2m_sde", "dpmpp_3m_sde"] and steps == 1:
                    continue  # the reference fails: `h` is not defined
                case = {"sampler": name, "options": options, "levels": level, "single": True}
                # With seed 0 a latent passes the saddle between both Gaussians, where f32 itself is 8e-6 off f64.
                seed = 1 if level == "vp-20" else 0
                yield {**case, "noise": "torch", "seed": seed} if stochastic else case
                if name in BROWNIAN and level in ["karras-5", "karras-20", "karras-50", "vp-20", "exponential-20-open"]:
                    yield {**case, "noise": "brownian", "seed": 2**40 + 5}
    for name in ["euler", "heun", "dpm_2"]:
        for options in CHURNS:
            for level in ["karras-1", "karras-5", "karras-20", "exponential-20-open", "vp-20"]:
                yield {"sampler": name, "options": options, "levels": level, "single": True, "noise": "torch"}
    for n in [1, 2, 3, 4, 5, 6, 7, 8, 15, 20]:
        for options in [{}, {"eta": 1.0}, {"eta": 0.5, "s_noise": 1.1}]:
            yield {"sampler": "dpm_fast", "options": {"n": n, **options}, "levels": "fast", "single": True, "noise": "torch"}
    adaptive = {"sampler": "dpm_adaptive", "levels": "adaptive", "noise": "torch"}
    for options in [
        {}, {"order": 2}, {"rtol": 0.01, "atol": 0.001}, {"order": 2, "rtol": 0.01}, {"h_init": 2.0}, {"h_init": 0.3, "rtol": 0.2},
        {"pcoeff": 0.2, "icoeff": 0.7, "dcoeff": 0.1}, {"accept_safety": 0.95}, {"eta": 1.0, "rtol": 0.5}, {"eta": 0.5, "s_noise": 1.1},
        {"order": 2, "eta": 1.0, "rtol": 0.3},
    ]:
        for model in MODELS:
            if "eta" in options and model == "linear":
                continue
            yield {**adaptive, "options": options, "single": True, "model": model}
    for options in [{}, {"order": 2}, {"rtol": 0.01, "atol": 0.001}, {"order": 2, "eta": 1.0, "rtol": 0.3}]:
        # Latents are f64 too where no noise is drawn: there an error below the rounding of f32 makes arbitrary steps.
        yield {**adaptive, "options": options, "single": False, "model": "mixture", "double": "eta" not in options}


def run(case, lists, start):
    """The state after every step: what the reference's callback sees before the next one."""
    torch.set_default_dtype(torch.float32 if case["single"] else torch.float64)
    sampler = getattr(K, "sample_" + case["sampler"])
    seen, options = [], dict(case["options"])
    model = MODELS[case["model"]]
    if case["levels"] in ["fast", "adaptive"]:
        low, high = 0.0292, 14.6146
        x = start * torch.tensor(high).float()
        x = start.double() * high if case.get("double") else x
        range_ = (low, high)
    else:
        sigmas = lists[case["levels"]] if case["single"] else lists[case["levels"]].double()
        x = start * sigmas[0].float()
        range_ = (sigmas,)
    seed = case.get("seed", 0)
    if case.get("noise") == "brownian":
        options["noise_sampler"] = brownian(seed, sigmas, x)
    elif case.get("noise") == "torch":
        options["noise_sampler"] = torch_noise(seed)
    if case["sampler"] == "dpm_fast":
        calls = []
        counted = lambda x, sigma: (calls.append(float(sigma[0])), model(x, sigma))[1]
        end = sampler(counted, x, *range_, callback=lambda info: seen.append(info), disable=True, **options)
        case["calls"] = len(calls)
    elif case["sampler"] == "dpm_adaptive":
        end, info = sampler(model, x, *range_, callback=lambda info: seen.append(info), disable=True, return_info=True, **options)
        case["accepted"], case["rejected"], case["calls"] = info["n_accept"], info["n_reject"], info["nfe"]
        counts = [0] + [info["n_accept"] for info in seen]
        accepted = [info for info, before in zip(seen, counts) if info["n_accept"] > before]
        case["sigmas"] = [float(i["sigma"]) for i in accepted]
        torch.set_default_dtype(torch.float32)
        return torch.stack([i["x"] for i in accepted])
    else:
        end = sampler(model, x, *range_, callback=lambda info: seen.append(info), disable=True, **options)
    torch.set_default_dtype(torch.float32)
    if case["sampler"] == "dpm_fast":
        case["sigmas"] = [float(info["sigma"]) for info in seen] + [low]
    return torch.stack([info["x"] for info in seen][1:] + [end])


def churned(case, lists, start):
    """The state after every step of a churned run: those of runs that end earlier, with the churn of the whole."""
    whole = lists[case["levels"]] if case["single"] else lists[case["levels"]].double()
    sampler = getattr(K, "sample_" + case["sampler"])
    states = []
    for steps in range(1, len(whole)):
        options = dict(case["options"])
        options["s_churn"] *= steps / (len(whole) - 1)
        generator = torch.Generator().manual_seed(0)
        torch.randn_like = lambda x: torch.randn(x.shape, generator=generator)
        states.append(sampler(MODELS[case["model"]], start * whole[0].float(), whole[: steps + 1], disable=True, **options))
    return torch.stack(states)


def trajectories():
    randn_like = torch.randn_like
    lists = levels()
    start = torch.randn(SHAPE, generator=torch.Generator().manual_seed(11))
    tensors, made = {"start": start}, []
    for i, case in enumerate(cases(lists)):
        case.setdefault("model", "linear" if i % 5 == 4 else "mixture")
        make = churned if "s_churn" in case["options"] else run
        with nearest():
            tensors[str(i)] = make(case, lists, start).float().contiguous()
        assert tensors[str(i)].isfinite().all(), case
        made.append(case)
    torch.randn_like = randn_like
    (OUT / "levels.json").write_text(json.dumps({name: [float(s) for s in sigmas] for name, sigmas in lists.items()}, indent=0) + "\n")
    lines = ",\n".join(json.dumps(case) for case in made)
    (OUT / "trajectories.json").write_text(f"[\n{lines}\n]\n")
    save_file(tensors, OUT / "trajectories.safetensors")
    print(len(made), "trajectories")


def brownian_paths():
    path = SCHEDULES["karras"](6)[:-1].tolist()
    down = [path[i : i + 2] for i in range(5 - 1)]
    crooked = [[14.6146, 0.0292], [3.0, 1.0], [1.0, 3.0], [0.5, 0.0292], [14.6146, 5.5], [7.25, 7.2499], [2.0, 0.0], [20.0, 5.0], [0.0078125, 1.0]]
    tensors, made = {}, []
    for seeds, shape in [
        (0, (1, 2, 3, 3)), (42, (1, 1, 2, 3)), (2**32 + 7, (2, 2, 3, 3)), (2**63 - 2, (1, 4, 4, 4)), (123, (1, 2, 3, 5)),
        ([5], (1, 2, 3, 3)), ([1, 2], (2, 2, 3, 3)), ([7, 2**33, 9], (3, 1, 2, 2)),
    ]:
        for low, high, queries in [(path[-1], path[0], down), (0.0292, 14.6146, crooked), (0.0292, 14.6146, crooked[::-1]), (0.001, 157.4, [[157.4, 80.0], [80.0, 0.001]])]:
            x = torch.zeros(shape)
            noise = K.BrownianTreeNoiseSampler(x, torch.tensor(low), torch.tensor(high), seeds)
            tensors[str(len(made))] = torch.stack([noise(torch.tensor(a), torch.tensor(b)) for a, b in queries])
            made.append({"seeds": seeds, "shape": shape, "low": low, "high": high, "queries": queries})
    lines = ",\n".join(json.dumps(case) for case in made)
    (OUT / "brownian.json").write_text(f"[\n{lines}\n]\n")
    save_file(tensors, OUT / "brownian.safetensors")
    print(len(made), "Brownian paths")


def seeds():
    sequences = []
    for entropy in [0, 1, 42, 2**32 - 1, 2**32, 2**63 - 2, 2**64 - 1]:
        for key in [(), (0, 0), (5, 3), (2**24, 24), (2**33, 1)]:
            for pool in [4, 8, 24]:
                words = np.random.SeedSequence(entropy=entropy, spawn_key=key, pool_size=pool).generate_state(5)
                sequences.append({"entropy": entropy, "key": key, "pool": pool, "words": words.tolist()})
    numbers = {}
    for seed in [0, 1, 42, 2**32 + 7]:
        torch.manual_seed(seed)
        numbers[str(seed)] = [torch.randint(0, 2**63 - 1, []).item() for _ in range(3)]
    lines = ",\n".join(json.dumps(s) for s in sequences)
    (OUT / "seeds.json").write_text(f'{{"randint63": {json.dumps(numbers)}, "sequences": [\n{lines}\n]}}\n')


if __name__ == "__main__":
    OUT.mkdir(exist_ok=True)
    trajectories()
    brownian_paths()
    seeds()
