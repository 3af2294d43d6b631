"""Golden data of t2i-sched: whole trajectories, plans and noise, made by diffusers and torch themselves.

Made with diffusers 0.42.1, torch 2.15.0, numpy 2 and scipy, on an x86 CPU with AVX2. Deterministic: run again to make the
same files.

    python tests/golden/make_sched.py

Writes to tests/golden/sched/:
  trajectories.json         the cases: config, steps, how the run starts; what set_timesteps gave (`stored` says what is left out)
  trajectories.safetensors  `states`: the latents after every step, `states` of the first case, then of the next
  noise.safetensors         seed and sizes of consecutive draws -> the draws, one after the other
  schedules.safetensors     name -> alphas_cumprod
  guidance.safetensors      rescale_noise_cfg
"""

import itertools
import json
import warnings
from pathlib import Path

import diffusers
import numpy as np
import torch
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import rescale_noise_cfg
from safetensors.torch import save_file

warnings.filterwarnings("ignore")
diffusers.logging.set_verbosity_error()
torch.set_num_threads(2)

OUT = Path(__file__).parent / "sched"
SHAPE = (1, 2, 3, 3)
SD = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}


def model(kind, x, t):
    """A network that costs nothing: diffusers' own tests' dummy, and one that is not linear."""
    t = float(t)
    if kind == "linear":
        return x * t / (t + 1)
    return x / (1 + x * x) * (0.5 + t / 2000) + 0.1


def image():
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(7)) * 0.5


def run(case):
    """The loop of diffusers' pipelines."""
    cls = getattr(diffusers, case["config"]["_class_name"])
    scheduler = cls.from_config({k: v for k, v in case["config"].items()})
    if case.get("from"):
        scheduler = cls.from_config(getattr(diffusers, case["from"]["_class_name"]).from_config(case["from"]).config,
                                    **case["kwargs"])
    generator = torch.Generator().manual_seed(case["seed"])
    steps, strength = case["steps"], case.get("strength")
    if "lcm_strength" in case:
        scheduler.set_timesteps(steps, strength=case["lcm_strength"])
        strength = 1.0  # the pipeline of these models takes all of these timesteps
    else:
        scheduler.set_timesteps(steps)
    case["all_timesteps"] = [float(t) for t in scheduler.timesteps]
    case["init_scale"] = float(scheduler.init_noise_sigma)
    timesteps = scheduler.timesteps
    noise = torch.randn(SHAPE, generator=generator)
    torch.random.set_rng_state(generator.get_state())  # a class that knows no generator draws its seed from the global one
    if strength is None:
        x = noise * scheduler.init_noise_sigma
        if hasattr(scheduler, "set_begin_index"):
            scheduler.set_begin_index(0)
    else:
        kept = min(int(steps * strength), steps)
        start = max(steps - kept, 0)
        timesteps = scheduler.timesteps[start * scheduler.order :]
        if hasattr(scheduler, "set_begin_index"):
            scheduler.set_begin_index(start * scheduler.order)
        x = scheduler.add_noise(image(), noise, timesteps[:1])
    case["timesteps"] = [float(t) for t in timesteps]
    step_args = cls.step.__code__.co_varnames
    kwargs = {"generator": generator} if "generator" in step_args else {}
    if "eta" in step_args and case.get("eta", 0.0) is not None:
        kwargs["eta"] = case.get("eta", 0.0)
    path = [x]
    for i, t in enumerate(timesteps):
        out = model(case["model"], scheduler.scale_model_input(x, t), t)
        x = scheduler.step(out, t, x, **kwargs).prev_sample
        halfway = cls.order == 2 and i + 1 < len(timesteps) and not scheduler.state_in_first_order
        if not halfway:
            path.append(x)
    path = torch.stack(path)
    assert path.isfinite().all(), case
    return path


def case(cls, steps, model="nonlinear", seed=0, config=None, **more):
    config = {"_class_name": cls + "Scheduler", **SD, **(config or {})}
    return {"config": config, "steps": steps, "model": model, "seed": seed, **more}


def grid(**axes):
    for values in itertools.product(*axes.values()):
        yield dict(zip(axes, values))


def cases():
    spacings = ["linspace", "leading", "trailing"]
    # Every class, spacing and number of steps.
    simple = {
        "EulerDiscrete": {}, "EulerAncestralDiscrete": {}, "HeunDiscrete": {}, "DPMSolverMultistep": {},
        "UniPCMultistep": {}, "DDIM": {"clip_sample": False}, "DDPM": {"clip_sample": False},
        "PNDM": {"skip_prk_steps": True},
    }
    for cls, base in simple.items():
        for g in grid(timestep_spacing=spacings, steps_offset=[0, 1]):
            for steps in [1, 2, 5, 20]:
                if g["steps_offset"] and (g["timestep_spacing"] != "leading" or steps == 2):
                    continue
                yield case(cls, steps, config={**base, **g}, model="linear" if steps == 5 else "nonlinear")
        for spacing in spacings:
            yield case(cls, 5, config={**base, "timestep_spacing": spacing, "prediction_type": "v_prediction"})
        yield case(cls, 7, config={**base, "beta_schedule": "linear", "beta_end": 0.02}, model="linear")
        # With epsilon, the first x0 is a difference of neighbouring floats divided by 5e-5: noise in the reference too.
        yield case(cls, 7, config={**base, "beta_schedule": "squaredcos_cap_v2", "prediction_type": "v_prediction"}, model="linear")
        yield case(cls, 3, config={**base, "num_train_timesteps": 20, "trained_betas": [0.01 * (i + 1) for i in range(20)]})
    for cls in ["EulerDiscrete", "HeunDiscrete", "DPMSolverMultistep", "UniPCMultistep", "DDIM", "DDPM", "LCM"]:
        yield case(cls, 5, config={"clip_sample": False, "prediction_type": "sample"})
    # Zero terminal SNR.
    for cls in ["EulerDiscrete", "EulerAncestralDiscrete", "DPMSolverMultistep", "UniPCMultistep", "DDIM", "DDPM"]:
        # A step down from sigma 4096 ends in that number's rounding, 2e-4, and torch's betas differ between CPUs there
        # (MKL's square root): of a few steps' variance-exploding latents 5 digits are not reproducible.
        for steps in [20] if cls.startswith("Euler") else [4, 20]:
            zero = {"clip_sample": False, "rescale_betas_zero_snr": True, "prediction_type": "v_prediction"}
            yield case(cls, steps, config={**zero, "timestep_spacing": "trailing"})
    # Curves of sigmas.
    curves = ["use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas"]
    for cls in ["EulerDiscrete", "HeunDiscrete", "DPMSolverMultistep", "UniPCMultistep"]:
        for curve, steps in itertools.product(curves, [1, 2, 5, 20]):
            yield case(cls, steps, config={curve: True})
        yield case(cls, 5, config={"use_karras_sigmas": True, "timestep_spacing": "leading", "steps_offset": 1})
        yield case(cls, 5, config={"use_karras_sigmas": True, "prediction_type": "v_prediction"})
        yield case(cls, 5, config={"use_karras_sigmas": True, "beta_schedule": "squaredcos_cap_v2", "prediction_type": "v_prediction"}, model="linear")
        for curve in curves:
            yield case(cls, 5, config={curve: True, "sigma_min": 0.05, "sigma_max": 9.0})
            if cls != "HeunDiscrete":
                yield case(cls, 5, config={curve: True, "final_sigmas_type": "sigma_min"})
    for cls in ["EulerDiscrete", "DPMSolverMultistep", "UniPCMultistep"]:
        for spacing in spacings:
            yield case(cls, 6, config={"final_sigmas_type": "sigma_min", "timestep_spacing": spacing})
    # Euler's own.
    yield case("EulerDiscrete", 6, config={"interpolation_type": "log_linear"})
    yield case("EulerDiscrete", 6, config={"interpolation_type": "log_linear", "use_karras_sigmas": True})
    continuous = {"timestep_type": "continuous", "prediction_type": "v_prediction"}
    yield case("EulerDiscrete", 6, config={**continuous, "use_karras_sigmas": True}, model="nonlinear")
    yield case("EulerDiscrete", 6, config={**continuous, "timestep_spacing": "leading"}, model="nonlinear")
    yield case("EulerDiscrete", 6, config={**continuous, "prediction_type": "epsilon"})
    yield case("HeunDiscrete", 6, config={"beta_schedule": "exp"}, model="linear")
    # Limits on clean latents.
    for cls, spacing in itertools.product(["DDIM", "DDPM", "LCM"], ["leading", "trailing"]):
        for limit in [{"clip_sample": True}, {"clip_sample": True, "clip_sample_range": 0.4},
                      {"thresholding": True}, {"thresholding": True, "dynamic_thresholding_ratio": 0.8, "sample_max_value": 1.5}]:
            yield case(cls, 5, config={**limit, "timestep_spacing": spacing}, eta=0.0)
    yield case("HeunDiscrete", 5, config={"clip_sample": True, "clip_sample_range": 0.7})
    for algorithm in ["dpmsolver++", "dpmsolver"]:
        yield case("DPMSolverMultistep", 5, config={"thresholding": True, "sample_max_value": 1.5, "algorithm_type": algorithm,
                                                    "final_sigmas_type": "sigma_min"})
    for predict_x0 in [True, False]:
        yield case("UniPCMultistep", 5, config={"thresholding": True, "sample_max_value": 1.5, "predict_x0": predict_x0,
                                                "final_sigmas_type": "sigma_min"})
    # DDIM and DDPM.
    for eta, spacing, one in itertools.product([0.3, 1.0], spacings, [True, False]):
        yield case("DDIM", 5, config={"clip_sample": False, "timestep_spacing": spacing, "set_alpha_to_one": one}, eta=eta)
    for one, steps in itertools.product([True, False], [1, 5, 20]):
        yield case("DDIM", steps, config={"clip_sample": False, "set_alpha_to_one": one, "steps_offset": 1})
    yield case("DDIM", 5, config={"rescale_betas_zero_snr": True, "prediction_type": "v_prediction", "clip_sample": False,
                                  "timestep_spacing": "trailing"}, eta=0.7)
    for variance, offset in itertools.product(["fixed_small", "fixed_small_log", "fixed_large"], [0, 1]):
        yield case("DDPM", 5, config={"clip_sample": False, "variance_type": variance, "steps_offset": offset})
    for schedule in ["sigmoid", "laplace"]:
        yield case("DDPM", 5, config={"beta_schedule": schedule, "beta_end": 0.02}, model="linear")
    # PNDM.
    for steps, spacing, one in itertools.product([4, 5, 20], spacings, [True, False]):
        yield case("PNDM", steps, config={"timestep_spacing": spacing, "set_alpha_to_one": one})
    for prediction, steps in itertools.product(["epsilon", "v_prediction"], [6, 13]):
        yield case("PNDM", steps, config={"prediction_type": prediction})
    yield case("PNDM", 10, config={"skip_prk_steps": True, "set_alpha_to_one": True, "steps_offset": 1})
    for steps in [3, 7, 30]:
        yield case("PNDM", steps, config={"skip_prk_steps": True, "steps_offset": 1}, model="linear")
    # DPM-Solver.
    for algorithm, order, solver, steps in itertools.product(
            ["dpmsolver++", "dpmsolver", "sde-dpmsolver++", "sde-dpmsolver"], [1, 2, 3], ["midpoint", "heun"], [2, 6, 20]):
        if (algorithm == "sde-dpmsolver" and order == 3) or (order != 2 and solver == "heun"):
            continue
        options = {"algorithm_type": algorithm, "solver_order": order, "solver_type": solver}
        yield case("DPMSolverMultistep", steps, config={**options, "final_sigmas_type": "sigma_min"})
        if not algorithm.endswith("solver") and steps != 2:
            yield case("DPMSolverMultistep", steps, config={**options, "timestep_spacing": "leading", "steps_offset": 1})
            yield case("DPMSolverMultistep", steps, config={**options, "use_karras_sigmas": True})
    for lower, euler, final, steps in itertools.product([True, False], [True, False], ["zero", "sigma_min"], [6, 16]):
        yield case("DPMSolverMultistep", steps, config={"lower_order_final": lower, "euler_at_final": euler, "solver_order": 3,
                                                        "final_sigmas_type": final})
    for prediction, algorithm in itertools.product(["v_prediction", "sample"], ["dpmsolver", "sde-dpmsolver", "sde-dpmsolver++"]):
        yield case("DPMSolverMultistep", 6, config={"prediction_type": prediction, "algorithm_type": algorithm,
                                                    "final_sigmas_type": "sigma_min"})
    for steps in [2, 6, 20]:
        yield case("DPMSolverMultistep", steps, config={"use_lu_lambdas": True})
    yield case("DPMSolverMultistep", 6, config={"use_lu_lambdas": True, "beta_schedule": "squaredcos_cap_v2", "prediction_type": "v_prediction"}, model="linear")
    for spacing in spacings:
        yield case("DPMSolverMultistep", 6, config={"lambda_min_clipped": -1.5, "timestep_spacing": spacing})
    yield case("DPMSolverMultistep", 6, config={"algorithm_type": "deis", "solver_type": "logrho", "final_sigmas_type": "sigma_min"})
    # UniPC.
    for order, solver, x0, steps in itertools.product([1, 2, 3, 4], ["bh1", "bh2"], [True, False], [2, 6, 20]):
        options = {"solver_order": order, "solver_type": solver, "predict_x0": x0}
        yield case("UniPCMultistep", steps, config={**options, "final_sigmas_type": "sigma_min"})
        if solver == "bh2" and x0:
            yield case("UniPCMultistep", steps, config={**options, "timestep_spacing": "leading", "steps_offset": 1})
    for disabled in [[0], [0, 1, 2], [3]]:
        yield case("UniPCMultistep", 6, config={"disable_corrector": disabled, "solver_order": 3})
    yield case("UniPCMultistep", 6, config={"lower_order_final": False, "final_sigmas_type": "sigma_min", "solver_order": 3})
    yield case("UniPCMultistep", 6, config={"solver_type": "midpoint", "prediction_type": "v_prediction", "predict_x0": False,
                                            "final_sigmas_type": "sigma_min"})
    # LCM.
    for steps, scaling in itertools.product([1, 2, 4, 8], [10.0, 1.0]):
        yield case("LCM", steps, config={"timestep_scaling": scaling})
    yield case("LCM", 4, config={"prediction_type": "v_prediction", "rescale_betas_zero_snr": True})
    yield case("LCM", 3, config={"original_inference_steps": 100, "set_alpha_to_one": False})
    yield case("LCM", 7, config={"original_inference_steps": 33})
    for steps, strength in [(4, 0.5), (2, 0.3), (7, 0.77)]:
        yield case("LCM", steps, lcm_strength=strength)
    # Image-to-image.
    for cls, base in {**simple, "LCM": {}}.items():
        for steps, strength in [(10, 1.0), (10, 0.9), (10, 0.8), (10, 0.75), (10, 0.3), (10, 0.1), (5, 0.5), (20, 0.6)]:
            yield case(cls, steps, strength=strength, config={**base, "steps_offset": 1})
        for spacing in ["linspace", "trailing"]:
            if cls == "PNDM" and spacing == "linspace":
                continue  # a timestep beyond the table
            yield case(cls, 10, strength=0.65, config={**base, "timestep_spacing": spacing})
    for steps, strength in [(20, 1.0), (20, 0.95), (20, 0.9), (20, 0.8), (20, 0.3)]:
        yield case("PNDM", steps, strength=strength)
        yield case("PNDM", steps, strength=strength, config={"skip_prk_steps": True, "prediction_type": "v_prediction"})
    for algorithm, order in itertools.product(["dpmsolver++", "sde-dpmsolver++"], [2, 3]):
        options = {"algorithm_type": algorithm, "solver_order": order, "use_karras_sigmas": True}
        yield case("DPMSolverMultistep", 20, strength=0.4, config=options)
        yield case("DPMSolverMultistep", 12, strength=0.4, config=options)
    for disabled in [[], [4], [7, 8]]:
        yield case("UniPCMultistep", 10, strength=0.6, config={"disable_corrector": disabled, "solver_order": 3})
    for eta in [0.5]:
        yield case("DDIM", 10, strength=0.7, config={"clip_sample": False, "timestep_spacing": "trailing"}, eta=eta)
    # Other seeds.
    for seed in [1, 123456789, 2**32 + 5]:
        yield case("EulerAncestralDiscrete", 4, seed=seed)
    # Another sampler on the model's config, by name.
    pndm = {"_class_name": "PNDMScheduler", **SD, "skip_prk_steps": True, "set_alpha_to_one": False, "steps_offset": 1,
            "clip_sample": False, "num_train_timesteps": 1000, "trained_betas": None}
    euler_xl = {"_class_name": "EulerDiscreteScheduler", **SD, "interpolation_type": "linear", "prediction_type": "epsilon",
                "sample_max_value": 1.0, "set_alpha_to_one": False, "skip_prk_steps": True, "steps_offset": 1,
                "timestep_spacing": "leading", "trained_betas": None, "use_karras_sigmas": False, "clip_sample": False}
    names = {
        "Euler": ("EulerDiscrete", {}),
        "Euler a": ("EulerAncestralDiscrete", {}),
        "Euler Karras": ("EulerDiscrete", {"use_karras_sigmas": True}),
        "heun": ("HeunDiscrete", {}),
        "DDIM": ("DDIM", {}),
        "DDPM": ("DDPM", {}),
        "PLMS": ("PNDM", {"skip_prk_steps": True}),
        "DPM++ 2M": ("DPMSolverMultistep", {}),
        "DPM++ 2M Karras": ("DPMSolverMultistep", {"use_karras_sigmas": True}),
        "dpmpp_2m_sde": ("DPMSolverMultistep", {"algorithm_type": "sde-dpmsolver++"}),
        "DPM++ 2M SDE Karras": ("DPMSolverMultistep", {"algorithm_type": "sde-dpmsolver++", "use_karras_sigmas": True}),
        "DPM++ 2M Exponential": ("DPMSolverMultistep", {"use_exponential_sigmas": True}),
        "DPM++ 2M Lu": ("DPMSolverMultistep", {"use_lu_lambdas": True}),
        "UniPC": ("UniPCMultistep", {}),
        "Euler SGM Uniform": ("EulerDiscrete", {"timestep_spacing": "trailing"}),
        "LCMScheduler": ("LCM", {}),
    }
    for config, (name, (cls, kwargs)) in itertools.product([pndm, euler_xl], names.items()):
        yield {"config": {"_class_name": cls + "Scheduler"}, "from": config, "kwargs": kwargs, "name": name,
               "steps": 5, "model": "nonlinear", "seed": 3}


def options_of(case):
    """What a case tries, without how long it runs and from what noise."""
    return json.dumps({k: v for k, v in case.items() if k not in ["steps", "model", "seed"]}, sort_keys=True)


def thinned(cases):
    """At most two runs with the same options, of lengths that change from options to options; all lengths of every class."""
    cases, groups, kept = list(cases), {}, set()
    for i, c in enumerate(cases):
        groups.setdefault(options_of(c), []).append(i)
    for number, group in enumerate(groups.values()):
        kept |= {group[number % len(group)], group[(number + (len(group) + 1) // 2) % len(group)]}
    length = lambda c: (c["config"]["_class_name"], c["steps"])
    lengths = {length(cases[i]) for i in kept}
    for i, c in enumerate(cases):
        if length(c) not in lengths:
            lengths.add(length(c))
            kept.add(i)
    return [cases[i] for i in sorted(kept)]


def number(value):
    """Of an f32 the shortest digits; whole numbers without a fraction."""
    short = float(str(np.float32(value))) if np.float32(value) == value else value
    return int(short) if short.is_integer() else short


def stored(case, states):
    """Without what is usual: the betas of Stable Diffusion are `sd`, the model is not linear, the seed is 0, and a run
    has all timesteps. An image-to-image run leaves out the `skipped` first ones."""
    case = {**case, "states": len(states), "init_scale": number(case["init_scale"])}
    if SD.items() <= case["config"].items():
        case["config"] = {"sd": True} | {k: v for k, v in case["config"].items() if k not in SD}
    skipped = len(case["all_timesteps"]) - len(case["timesteps"])
    assert case["all_timesteps"][skipped:] == case.pop("timesteps"), case
    case["timesteps"] = [number(t) for t in case.pop("all_timesteps")]
    usual = {"model": "nonlinear", "seed": 0, "skipped": 0, "init_scale": 1}
    return {k: v for k, v in {**case, "skipped": skipped}.items() if usual.get(k) != v or k not in usual}


def write(name, cases, run=run):
    """Runs the cases, and writes them and what came of them."""
    made, states = [], []
    for c in cases:
        try:
            states.append(run(c))
        except Exception:
            print(c)
            raise
        made.append(stored(c, states[-1]))
    lines = ",\n".join(json.dumps(c, separators=(",", ":")) for c in made)
    (OUT / f"{name}.json").write_text(f"[\n{lines}\n]\n")
    save_file({"states": torch.cat(states), "image": image()}, OUT / f"{name}.safetensors")
    print(len(made), name)


def noise():
    tensors = {}
    draws = [[1], [2], [15], [16], [17], [31], [32], [33], [100], [3, 5, 20, 1, 64, 7], [16384], [15, 15, 16, 4, 700]]
    for seed, sizes in itertools.product([0, 1, 42, 2**31, 2**32 - 1, 2**32, 2**32 + 7, 2**63 - 1], draws):
        if sizes == [16384] and seed != 42:
            continue
        generator = torch.Generator().manual_seed(seed)
        values = torch.cat([torch.randn(n, generator=generator) for n in sizes])
        tensors[f"{seed}:" + ",".join(map(str, sizes))] = values
    save_file(tensors, OUT / "noise.safetensors")


def schedules():
    tensors = {}
    for name, cls, options in [
        ("linear", "DDIM", {}),
        ("scaled_linear", "DDIM", SD),
        ("cosine", "DDIM", {"beta_schedule": "squaredcos_cap_v2"}),
        ("zero_snr", "DDIM", {**SD, "rescale_betas_zero_snr": True}),
        ("zero_snr_finite", "EulerDiscrete", {**SD, "rescale_betas_zero_snr": True}),
        ("sigmoid", "DDPM", {"beta_schedule": "sigmoid"}),
        ("laplace", "DDPM", {"beta_schedule": "laplace"}),
        ("exponential", "HeunDiscrete", {"beta_schedule": "exp"}),
    ]:
        tensors[name] = getattr(diffusers, cls + "Scheduler")(**options).alphas_cumprod.clone()
    save_file(tensors, OUT / "schedules.safetensors")


def guidance():
    generator = torch.Generator().manual_seed(0)
    cond, uncond = (torch.randn(2, 4, 3, 5, generator=generator) for _ in range(2))
    guided = uncond + 7.5 * (cond - uncond)
    save_file({"cond": cond, "uncond": uncond, "guided": guided, "rescaled": rescale_noise_cfg(guided, cond, 0.7)},
              OUT / "guidance.safetensors")


if __name__ == "__main__":
    OUT.mkdir(exist_ok=True)
    write("trajectories", cases())
    noise()
    schedules()
    guidance()
