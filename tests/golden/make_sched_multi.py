"""Golden data of t2i-sched: whole trajectories of diffusers' linear multistep, DPM2, DEIS, single-step DPM-Solver, DPM++ SDE,
TCD and parallel classes.

    python tests/golden/make_sched_multi.py

As make_sched.py, whose loop this uses. Writes tests/golden/sched/trajectories_multi.{json,safetensors}.
"""

import diffusers
import torch

from make_sched import case, grid, thinned, write

SPACINGS = ["linspace", "leading", "trailing"]
CURVES = ["use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas"]
STRENGTHS = [(10, 0.75), (10, 0.1), (5, 0.5)]
COSINE = {"beta_schedule": "squaredcos_cap_v2", "prediction_type": "v_prediction"}


def exploding(cls, predictions):
    """The classes at variance-exploding levels, without what depends on the CPU."""
    for c in exploding_anywhere(cls, predictions):
        # DPM2 a's middle of a step to a thousandth of sigma follows from its last digit, which is that of MKL's square root.
        far = c["steps"] == 2 and c["config"].get("timestep_spacing", "linspace") == "linspace"
        if cls != "KDPM2AncestralDiscrete" or not (far or c["config"].get("beta_schedule") == "linear"):
            yield c


def exploding_anywhere(cls, predictions):
    """Spacings, curves, predictions, image-to-image."""
    for g in grid(timestep_spacing=SPACINGS, steps_offset=[0, 1]):
        for steps in [1, 2, 5, 20]:
            if not g["steps_offset"] or (g["timestep_spacing"] == "leading" and steps == 20):
                yield case(cls, steps, config=g, model="linear" if steps == 5 else "nonlinear")
    for g in grid(curve=CURVES, steps=[1, 2, 5, 20]):
        yield case(cls, g["steps"], config={g["curve"]: True})
    for curve in CURVES:
        yield case(cls, 6, config={curve: True, "timestep_spacing": "leading", "steps_offset": 1})
        yield case(cls, 6, config={curve: True, "timestep_spacing": "trailing", "prediction_type": "v_prediction"})
        yield case(cls, 5, config={curve: True, "sigma_min": 0.05, "sigma_max": 9.0})
    for curve in [{}, *({curve: True} for curve in CURVES)]:
        if not curve or "use_karras_sigmas" in curve:
            yield case(cls, 50, config=curve)
        # LMS down a curve from 20 000 shows the rounding of weights that a numerical quadrature finds in f32; DPM2 a has NaN.
        if cls != "KDPM2AncestralDiscrete" and not (cls == "LMSDiscrete" and curve):
            yield case(cls, 9, config={**curve, **COSINE}, model="linear")
        yield case(cls, 10, config=curve, strength=0.6)
    for g in grid(spacing=SPACINGS, prediction=predictions):
        yield case(cls, 7, config={"timestep_spacing": g["spacing"], "prediction_type": g["prediction"]})
    yield case(cls, 6, config={"beta_schedule": "linear", "beta_end": 0.02}, model="linear")
    yield case(cls, 3, config={"num_train_timesteps": 20, "trained_betas": [0.01 * (i + 1) for i in range(20)]})
    yield {**case(cls, 5), "config": {"_class_name": cls + "Scheduler"}}
    for steps, strength in STRENGTHS:
        yield case(cls, steps, strength=strength, config={"timestep_spacing": "leading", "steps_offset": 1})
    for spacing in SPACINGS:
        yield case(cls, 10, strength=0.65, config={"timestep_spacing": spacing}, seed=5)


def deis():
    cls = "DEISMultistep"
    for g in grid(solver_order=[1, 2, 3], timestep_spacing=SPACINGS):
        for steps in [1, 2, 5, 20]:
            yield case(cls, steps, config=g)
    for g in grid(solver_order=[2, 3], curve=CURVES):
        for steps in [1, 2, 5, 20]:
            yield case(cls, steps, config={"solver_order": g["solver_order"], g["curve"]: True})
    for curve in [{}, *({curve: True} for curve in CURVES)]:
        # At order 3 the weights of close levels are all rounding, that of MKL's square root among it, which is the CPU's. So is a
        # step from a sigma of 20 000.
        if "use_beta_sigmas" not in curve:
            yield case(cls, 50, config={**curve, "solver_order": 2 if "use_karras_sigmas" in curve else 3})
        yield case(cls, 8, config={**curve, "sigma_min": 0.05, "sigma_max": 9.0, "solver_order": 3})
        yield case(cls, 10, config={**curve, "solver_order": 3}, strength=0.6)
    for g in grid(lower_order_final=[True, False], solver_order=[2, 3, 4]):
        for steps in [3, 14, 16]:
            yield case(cls, steps, config=g)
    for prediction in ["sample", "v_prediction"]:
        yield case(cls, 7, config={"prediction_type": prediction, "solver_order": 3, "timestep_spacing": "leading"})
    yield case(cls, 6, config={"thresholding": True, "sample_max_value": 1.5, "dynamic_thresholding_ratio": 0.9})
    yield case(cls, 6, config={"algorithm_type": "dpmsolver++", "solver_type": "midpoint", "timestep_spacing": "leading",
                               "steps_offset": 1})
    yield case(cls, 3, config={"num_train_timesteps": 20, "trained_betas": [0.01 * (i + 1) for i in range(20)]})
    yield {**case(cls, 5), "config": {"_class_name": cls + "Scheduler"}}
    for steps, strength in STRENGTHS:
        yield case(cls, steps, strength=strength, config={"timestep_spacing": "leading", "steps_offset": 1})


def singlestep():
    cls = "DPMSolverSinglestep"
    for g in grid(algorithm_type=["dpmsolver++", "dpmsolver", "sde-dpmsolver++"], solver_order=[1, 2, 3],
                  solver_type=["midpoint", "heun"]):
        if g["solver_order"] == 1 and g["solver_type"] == "heun":
            continue
        heun = g["solver_type"] == "heun"
        for steps, final, lower in [(1, "zero", False), (2, "sigma_min", False), (5, "zero", False), (6, "sigma_min", False),
                                    (7, "sigma_min", True), (12, "zero", True), (20, "sigma_min", False)]:
            if heun and steps not in [5, 6, 7]:
                continue
            if final == "sigma_min" or g["algorithm_type"].endswith("++"):
                yield case(cls, steps, config={**g, "final_sigmas_type": final, "lower_order_final": lower})
    for curve in [{}, *({curve: True} for curve in CURVES)]:
        for algorithm, steps in [("dpmsolver++", 6), ("sde-dpmsolver++", 11)]:
            yield case(cls, steps, config={**curve, "algorithm_type": algorithm, "solver_order": 3})
        if not curve:
            yield case(cls, 50, config={"solver_order": 3, "final_sigmas_type": "sigma_min"})
        yield case(cls, 8, config={**curve, "sigma_min": 0.05, "sigma_max": 9.0})
        yield case(cls, 9, config={**curve, **COSINE}, model="linear")
        for steps, strength in STRENGTHS[::2] if curve else STRENGTHS:
            yield case(cls, steps, config={**curve, "solver_order": 3}, strength=strength)
    for g in grid(algorithm_type=["dpmsolver++", "dpmsolver", "sde-dpmsolver++"], prediction_type=["sample", "v_prediction"]):
        yield case(cls, 6, config={**g, "final_sigmas_type": "sigma_min"})
    for algorithm in ["dpmsolver++", "sde-dpmsolver++"]:
        yield case(cls, 6, config={"algorithm_type": algorithm, "thresholding": True, "sample_max_value": 1.5})
    yield case(cls, 6, config={"lambda_min_clipped": -1.5, "timestep_spacing": "leading", "steps_offset": 1})
    yield case(cls, 6, config={"algorithm_type": "deis", "solver_type": "logrho", "final_sigmas_type": "sigma_min"})
    yield case(cls, 6, config={"variance_type": "fixed_small"})
    yield case(cls, 3, config={"num_train_timesteps": 20, "trained_betas": [0.01 * (i + 1) for i in range(20)]})
    yield {**case(cls, 5), "config": {"_class_name": cls + "Scheduler"}}


def sde():
    cls = "DPMSolverSDE"
    made = []
    for g in grid(timestep_spacing=SPACINGS, steps_offset=[0, 1], prediction_type=["epsilon", "v_prediction"]):
        for steps in [1, 2, 5, 20]:
            if not g["steps_offset"] or (g["timestep_spacing"] == "leading" and steps == 5):
                made.append(case(cls, steps, config={**g, "noise_sampler_seed": steps}))
    for g in grid(curve=CURVES, steps=[1, 2, 6]):
        made.append(case(cls, g["steps"], config={g["curve"]: True, "noise_sampler_seed": 2**40 + 3}))
        made.append(case(cls, g["steps"], config={g["curve"]: True, "sigma_min": 0.05, "sigma_max": 9.0}))
        made.append(case(cls, 2 * g["steps"], config={g["curve"]: True, "noise_sampler_seed": 0}, strength=0.5))
    made.append({**case(cls, 5), "config": {"_class_name": cls + "Scheduler"}})
    # Timesteps between the integers, which this class alone keeps in f64.
    for g in grid(num_train_timesteps=[300, 500, 700], noise_sampler_seed=[0, 1]):
        made += [case(cls, steps, config=g) for steps in [4, 10, 20]]
    made.append(case(cls, 5, config={"noise_sampler_seed": 11, "timestep_spacing": "leading"}, strength=0.6))
    # Over 1e-6 a Brownian path moves by 1e-3, and the last digits of MKL's logarithm and root are its own: where they
    # matter, the case is left out.
    yield from (c for c in made if nearest_times(c))


def nearest_times(c):
    """Whether sigmas that have been to their logarithm and back are to six digits those of exact functions, and the ends of
    the path, which are not rounded, to eight."""
    scheduler = diffusers.DPMSolverSDEScheduler.from_config(c["config"])
    both = []
    for exact in [False, True]:
        if exact:
            scheduler.alphas_cumprod = scheduler.alphas_cumprod.numpy()  # whose root is the nearest float
        scheduler.set_timesteps(c["steps"])
        sigmas = scheduler.sigmas[:-1]
        t = -(sigmas.double().log().float() if exact else sigmas.log())
        t = torch.cat([t, t[:-1] + (t[1:] - t[:-1]) * 0.5])
        back = (t.neg().double().exp().float() if exact else t.neg().exp()).double().numpy().round(6)
        both.append([*back, round(sigmas.min().item(), 8), round(sigmas.max().item(), 8)])
    return both[0] == both[1]


def tcd():
    for g in grid(eta=[None, 0.0, 0.3, 0.5, 1.0], steps=[1, 2, 4, 8, 20]):
        yield case("TCD", g["steps"], eta=g["eta"])
    for g in grid(prediction_type=["v_prediction", "sample"], rescale_betas_zero_snr=[True, False]):
        zero = g["rescale_betas_zero_snr"] and g["prediction_type"] == "v_prediction"
        yield case("TCD", 4, config={**g, "rescale_betas_zero_snr": zero}, eta=0.3)
    for options in [{"original_inference_steps": 100}, {"original_inference_steps": 33}, {"clip_sample": True},
                    {"thresholding": True}, {"set_alpha_to_one": False, "timestep_scaling": 3.0, "steps_offset": 1},
                    {"timestep_spacing": "trailing"}, {"num_train_timesteps": 100, "original_inference_steps": 100}]:
        yield case("TCD", 7, config=options, eta=0.4)
    yield case("TCD", 20, config={"num_train_timesteps": 20, "original_inference_steps": 20}, eta=0.4)
    yield {**case("TCD", 5), "config": {"_class_name": "TCDScheduler"}, "eta": None}
    for steps, strength in [(10, 1.0), (10, 0.75), (8, 0.3)]:
        yield case("TCD", steps, strength=strength, eta=0.3)
    for steps, strength in [(4, 0.5), (2, 0.3), (7, 0.77)]:
        yield case("TCD", steps, lcm_strength=strength, eta=0.3)


def parallel():
    for cls in ["DDIMParallel", "DDPMParallel"]:
        yield {**case(cls, 5, model="linear"), "config": {"_class_name": cls + "Scheduler"}}
        for g in grid(timestep_spacing=SPACINGS, clip_sample=[True, False], prediction_type=["epsilon", "v_prediction"]):
            yield case(cls, 5, config={**g, "steps_offset": int(g["timestep_spacing"] == "leading")}, eta=0.5)
        yield case(cls, 10, strength=0.6, config={"clip_sample": False})
        yield case(cls, 5, config={"thresholding": True, "sample_max_value": 1.5})
        yield case(cls, 20, config={"rescale_betas_zero_snr": True, "prediction_type": "v_prediction", "clip_sample": False,
                                    "timestep_spacing": "trailing"})
    for variance in ["fixed_small", "fixed_large"]:
        yield case("DDPMParallel", 5, config={"variance_type": variance, "clip_sample": False})
        # Between the last levels the reference's betas are rounding.
        yield case("DDPM", 1000, strength=0.005, config={"variance_type": variance, "clip_sample": False})


def cases():
    yield from exploding("LMSDiscrete", ["epsilon", "v_prediction", "sample"])
    yield from exploding("KDPM2Discrete", ["epsilon", "v_prediction"])
    yield from exploding("KDPM2AncestralDiscrete", ["epsilon", "v_prediction"])
    yield from deis()
    yield from singlestep()
    yield from sde()
    yield from tcd()
    yield from parallel()


if __name__ == "__main__":
    write("trajectories_multi", thinned(cases()))
