"""Golden data of t2i-sched: whole trajectories of the classes of diffusers that few models use, and DDPM's variances.

    python tests/golden/make_sched_more.py

As make_sched.py, whose loop this uses. Writes tests/golden/sched/trajectories_more.{json,safetensors}.
"""

import diffusers
from make_sched import case, grid, thinned, write

CURVES = ["use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas"]
COSINE = {"beta_schedule": "squaredcos_cap_v2", "prediction_type": "v_prediction"}
STRENGTHS = [(10, 1.0), (10, 0.75), (10, 0.3), (10, 0.1), (20, 0.6)]


class UnCLIPScheduler(diffusers.UnCLIPScheduler):
    """With what its pipelines do: they tell it the next timestep."""

    order = 1

    def set_timesteps(self, steps):
        super().set_timesteps(steps)
        self.i = None

    def step(self, out, t, x, generator=None):
        self.i = self.timesteps.tolist().index(t) if self.i is None else self.i + 1
        before = self.timesteps[self.i + 1] if self.i + 1 < len(self.timesteps) else None
        return super().step(out, t, x, prev_timestep=before, generator=generator)


class DDPMWuerstchenScheduler(diffusers.DDPMWuerstchenScheduler):
    """With what its pipelines do: they leave out the last of its timesteps, and make a batch of each."""

    order = 1

    def set_timesteps(self, steps):
        super().set_timesteps(steps)
        self.whole, self.timesteps = self.timesteps, self.timesteps[:-1]

    def previous_timestep(self, t):
        i = (self.whole - t[0]).abs().argmin().item()
        return self.whole[i + 1][None].expand(t.shape[0])

    def step(self, out, t, x, generator=None):
        return super().step(out, t.expand(x.shape[0]), x, generator=generator)


diffusers.UnCLIPScheduler = UnCLIPScheduler
diffusers.DDPMWuerstchenScheduler = DDPMWuerstchenScheduler


def bare(cls, steps, config=None, **more):
    """A case with nothing stated that is not in `config`."""
    return {**case(cls, steps, **more), "config": {"_class_name": cls + "Scheduler", **(config or {})}}


def ddpm():
    spacings = ["linspace", "leading", "trailing"]
    variances = ["fixed_small", "fixed_small_log", "fixed_large"]
    for g in grid(variance_type=variances, timestep_spacing=spacings, steps=[1, 2, 20]):
        steps = g.pop("steps")
        yield case("DDPM", steps, config={**g, "clip_sample": False, "steps_offset": 1})
    for g in grid(variance_type=variances, prediction_type=["v_prediction", "sample"]):
        yield case("DDPM", 5, config=g)
        yield case("DDPM", 5, config={**g, "thresholding": True, "sample_max_value": 1.5})
    for variance in variances:
        zero = {"rescale_betas_zero_snr": True, "prediction_type": "v_prediction", "timestep_spacing": "trailing"}
        yield case("DDPM", 5, config={**zero, "variance_type": variance})
        yield case("DDPM", 7, config={"variance_type": variance, **COSINE})
        yield case("DDPM", 10, strength=0.65, config={"variance_type": variance, "clip_sample": False})
    yield case("DDPM", 50, config={"variance_type": "fixed_small_log"})
    yield bare("DDPM", 5)


def ipndm():
    for steps in [1, 2, 3, 4, 5, 7, 20, 50]:
        for model in ["linear", "nonlinear"]:
            yield bare("IPNDM", steps, model=model)
    yield bare("IPNDM", 6, {"num_train_timesteps": 10})
    for betas in [[1.0, 0.9, 0.7, 0.4, 0.1, 0.0], [0.95, 0.6, 0.3, 0.05], [0.8, 0.0]]:
        for steps in [3, 5]:
            yield bare("IPNDM", steps, {"trained_betas": betas})


def unclip():
    for steps in [2, 3, 5, 20, 50]:
        yield bare("UnCLIP", steps)
    for g in grid(prediction_type=["epsilon", "sample"], clip_sample_range=[0.4, 5.0], steps=[2, 5, 25]):
        steps = g.pop("steps")
        yield bare("UnCLIP", steps, {**g, "variance_type": "fixed_small_log"})
    for steps in [2, 5]:
        yield bare("UnCLIP", steps, {"prediction_type": "sample", "clip_sample": False, "num_train_timesteps": 100})
    yield bare("UnCLIP", 14, {"num_train_timesteps": 8})  # timesteps that come twice
    for steps, strength in STRENGTHS:
        yield bare("UnCLIP", steps, strength=strength)


def wuerstchen():
    for steps in [1, 2, 5, 20, 50]:
        yield bare("DDPMWuerstchen", steps)
    for g in grid(scaler=[0.5, 1.0, 1.5, 2.0], s=[0.0, 0.008, 0.1]):
        yield bare("DDPMWuerstchen", 5, g)
    for steps, strength in STRENGTHS:
        yield bare("DDPMWuerstchen", steps, strength=strength)


def consistency():
    for steps in [1, 2, 3, 5, 20, 40]:
        yield bare("CMStochasticIterative", steps)
        yield bare("CMStochasticIterative", steps, {"clip_denoised": False}, model="linear")
    yield bare("CMStochasticIterative", 50, {"num_train_timesteps": 150})
    for g in grid(sigma_min=[0.002, 0.05], sigma_max=[80.0, 14.0], sigma_data=[0.5, 1.0], rho=[7.0, 3.0]):
        yield bare("CMStochasticIterative", 5, {**g, "clip_denoised": g["rho"] == 7.0, "s_noise": 1.007})
    for steps, strength in STRENGTHS:
        yield bare("CMStochasticIterative", steps, strength=strength)


def ddim_inverse():
    cls = "DDIMInverse"
    for g in grid(timestep_spacing=["leading", "trailing"], steps_offset=[0, 1], set_alpha_to_one=[True, False]):
        for steps in [1, 2, 5, 20]:
            yield case(cls, steps, config={**g, "clip_sample": False})
        yield case(cls, 7, config={**g, "prediction_type": "v_prediction"})
        if not g["set_alpha_to_one"]:
            yield case(cls, 6, config={**g, "prediction_type": "sample"})
    for prediction in ["v_prediction", "sample"]:
        zero = {"rescale_betas_zero_snr": True, "prediction_type": prediction, "set_alpha_to_one": False}
        yield case(cls, 5, config={**zero, "timestep_spacing": "trailing", "clip_sample": False})
    for clip in [{}, {"clip_sample_range": 0.4}, {"clip_sample": False}]:
        yield case(cls, 5, config=clip)
    yield case(cls, 5, config={"set_alpha_to_zero": False, "clip_sample": False})
    yield case(cls, 7, config={**COSINE, "clip_sample": False}, model="linear")
    yield case(cls, 3, config={"num_train_timesteps": 20, "trained_betas": [0.01 * (i + 1) for i in range(20)]})
    yield case(cls, 50, config={"clip_sample": False, "steps_offset": 1})
    yield bare(cls, 5)


def dpm_inverse():
    cls = "DPMSolverMultistepInverse"
    for g in grid(timestep_spacing=["linspace", "leading", "trailing"], steps_offset=[0, 1]):
        for steps in [1, 2, 5, 20]:
            if not g["steps_offset"] or g["timestep_spacing"] == "leading":
                yield case(cls, steps, config=g)
    for g in grid(algorithm_type=["dpmsolver++", "dpmsolver"], solver_order=[1, 2, 3], solver_type=["midpoint", "heun"]):
        if g["solver_type"] == "midpoint" or g["solver_order"] == 2:
            for steps in [6, 17]:
                yield case(cls, steps, config=g)
    for g in grid(curve=CURVES, steps=[1, 2, 5, 20, 50]):
        # Where two timesteps are 0 the class fails. The first of 5 of Beta's steps multiplies the rounding of torch's
        # logarithm, which is not the nearest float, by 32.
        odd = g["curve"] == "use_beta_sigmas" and g["steps"] == 5
        if (g["steps"] < 20 or g["curve"] == "use_karras_sigmas") and not odd:
            yield case(cls, g["steps"], config={g["curve"]: True})
    for g in grid(prediction_type=["v_prediction", "sample"], algorithm_type=["dpmsolver++", "dpmsolver"]):
        yield case(cls, 6, config=g)
        yield case(cls, 6, config={**g, "use_karras_sigmas": True, "solver_order": 3})
    for g in grid(lower_order_final=[True, False], euler_at_final=[True, False], steps=[6, 16]):
        steps = g.pop("steps")
        yield case(cls, steps, config={**g, "solver_order": 3})
    for spacing in ["linspace", "leading", "trailing"]:
        yield case(cls, 6, config={"lambda_min_clipped": -1.5, "timestep_spacing": spacing})
    for thresholding in ["dpmsolver++", "dpmsolver"]:
        yield case(cls, 5, config={"thresholding": True, "sample_max_value": 1.5, "algorithm_type": thresholding})
    yield case(cls, 6, config={"algorithm_type": "deis", "solver_type": "logrho"})
    yield case(cls, 7, config={**COSINE, "lambda_min_clipped": -5.1}, model="linear")
    for steps, strength in [(10, 1.0), (10, 0.6), (20, 0.3)]:
        yield case(cls, steps, strength=strength)
    yield bare(cls, 5)


def sa_solver():
    cls = "SASolver"
    for g in grid(timestep_spacing=["linspace", "leading", "trailing"], steps_offset=[0, 1]):
        for steps in [1, 2, 5, 20]:
            if not g["steps_offset"] or g["timestep_spacing"] == "leading":
                yield case(cls, steps, config=g)
    for g in grid(predictor_order=[1, 2, 3, 4], corrector_order=[1, 2, 3, 4], kind=["data", "noise"]):
        kind = g.pop("kind")
        yield case(cls, 8, config={**g, "algorithm_type": kind + "_prediction"})
    for g in grid(curve=CURVES, steps=[1, 2, 5, 20], kind=["data", "noise"]):
        options = {g["curve"]: True, "algorithm_type": g["kind"] + "_prediction"}
        yield case(cls, g["steps"], config=options)
    for g in grid(prediction_type=["v_prediction", "sample"], kind=["data", "noise"], curve=CURVES[:1] + ["none"]):
        options = {"prediction_type": g["prediction_type"], "algorithm_type": g["kind"] + "_prediction"}
        yield case(cls, 6, config={**options, "use_karras_sigmas": g["curve"] != "none"})
    for g in grid(kind=["data", "noise"], predictor_order=[1, 2, 3], corrector_order=[1, 3]):
        kind = g.pop("kind")
        yield case(cls, 6, config={**g, "algorithm_type": kind + "_prediction", "lower_order_final": False})
    for spacing in ["linspace", "leading", "trailing"]:
        yield case(cls, 6, config={"lambda_min_clipped": -1.5, "timestep_spacing": spacing})
    yield case(cls, 5, config={"thresholding": True, "sample_max_value": 1.5})
    yield case(cls, 5, config={"thresholding": True, "dynamic_thresholding_ratio": 0.8, "sample_max_value": 1.5,
                               "use_exponential_sigmas": True})
    yield case(cls, 7, config={**COSINE, "lambda_min_clipped": -5.1}, model="linear")
    yield case(cls, 3, config={"num_train_timesteps": 20, "trained_betas": [0.01 * (i + 1) for i in range(20)]})
    yield case(cls, 50, config={"tau_func": None})
    for g in grid(run=STRENGTHS, kind=["data", "noise"]):
        steps, strength = g["run"]
        yield case(cls, steps, strength=strength, config={"algorithm_type": g["kind"] + "_prediction"})
    yield bare(cls, 5)


if __name__ == "__main__":
    parts = [ddpm(), ipndm(), unclip(), wuerstchen(), consistency(), ddim_inverse(), dpm_inverse(), sa_solver()]
    write("trajectories_more", thinned(c for part in parts for c in part))
