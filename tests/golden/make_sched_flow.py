"""Golden data of t2i-sched: flow matching and EDM, made by diffusers itself. See make_sched.py, whose loop it is.

    python tests/golden/make_sched_flow.py

Writes tests/golden/sched/trajectories_flow.{json,safetensors}.
"""

import functools
import itertools

import diffusers

from make_sched import run, thinned, write

CURVES = ["use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas"]
STEPS = [1, 2, 5, 15]  # short runs of the multistep classes have less than 15


def adapted(cls):
    """The classes of flow matching spell some methods differently, and some take `mu`."""
    cls = getattr(diffusers, cls + "Scheduler")

    class Adapted(cls):
        mu = None

        def set_timesteps(self, steps):
            super().set_timesteps(steps, **({} if Adapted.mu is None else {"mu": Adapted.mu}))

    if not hasattr(cls, "scale_model_input"):
        Adapted.scale_model_input = lambda self, x, t: x
    if not hasattr(cls, "add_noise"):
        Adapted.add_noise = lambda self, x0, noise, t: self.scale_noise(x0, t, noise)
    if cls.__name__.startswith(("FlowMatch", "LTX")):
        Adapted.init_noise_sigma = 1.0
    if cls.__name__.startswith("SCM"):
        Adapted.set_timesteps, Adapted.step = angles(cls)
    Adapted.__name__ = cls.__name__
    return Adapted


def angles(cls):
    """SCM's list has the end of the run as well, and two steps have angles of their own unless they are told not to."""

    def set_timesteps(self, steps):
        cls.set_timesteps(self, steps, **({} if steps == 2 else {"intermediate_timesteps": None}))
        self.angles, self.timesteps = self.timesteps, self.timesteps[:-1]

    def step(self, output, t, x, generator=None):
        self.timesteps = self.angles
        done = cls.step(self, output, t, x, generator=generator)
        self.timesteps = self.angles[:-1]
        return done

    return set_timesteps, step


@functools.cache
def adapt(name):
    adapted_class = adapted(name.removesuffix("Scheduler"))
    setattr(diffusers, name, adapted_class)
    return adapted_class


def case(cls, steps, config=None, model="nonlinear", seed=0, **more):
    return {"config": {"_class_name": cls + "Scheduler", **(config or {})}, "steps": steps, "model": model, "seed": seed, **more}


def flow_match():
    options = [("FlowMatchEulerDiscrete", {}), ("FlowMatchEulerDiscrete", {"stochastic_sampling": True}), ("FlowMatchLCM", {})]
    for cls, base in options:
        for shift, steps in itertools.product([1.0, 3.0, 1.15, 0.5], STEPS):
            if (base or cls == "FlowMatchLCM") and shift in [1.15, 0.5] and steps != 5:
                continue
            yield case(cls, steps, {**base, "shift": shift}, model="linear" if steps == 5 else "nonlinear")
        if base:  # whose levels are those of the others
            yield case(cls, 5, {**base, "use_dynamic_shifting": True, "shift_terminal": 0.1}, mu=1.15)
            yield case(cls, 10, {**base, "shift": 3.0, "use_karras_sigmas": True}, strength=0.75)
            continue
        yield case(cls, 20, {**base, "shift": 3.0})
        yield case(cls, 50, {**base, "shift": 1.5})
        for kind, mu, steps in itertools.product(["exponential", "linear"], [0.5, 1.15, 3.0], STEPS):
            if steps == 15 and mu != 1.15:
                continue
            yield case(cls, steps, {**base, "use_dynamic_shifting": True, "time_shift_type": kind, "shift": 3.0}, mu=mu)
        for curve, steps in itertools.product(CURVES, [1, 2, 5]):
            yield case(cls, steps, {**base, curve: True, "shift": 3.0})
            yield case(cls, steps, {**base, curve: True, "use_dynamic_shifting": True}, mu=0.8)
        for terminal, steps in itertools.product([0.1, 0.02], [2, 5, 8]):
            yield case(cls, steps, {**base, "shift_terminal": terminal})
            if steps == 5:
                yield case(cls, steps, {**base, "shift_terminal": terminal, "use_dynamic_shifting": True}, mu=1.3)
                yield case(cls, steps, {**base, "shift_terminal": terminal, "shift": 2.0, "use_karras_sigmas": True})
        yield case(cls, 5, {**base, "num_train_timesteps": 100, "shift": 6.0})
        yield case(cls, 5, {**base, "num_train_timesteps": 1})
        yield case(cls, 5, {**base, "sigma_min": 0.05, "sigma_max": 0.9, "use_karras_sigmas": True})
        yield case(cls, 5, {**base, "shift": 2.5}, mu=0.7)  # which nothing asks for
        for steps, strength in [(10, 1.0), (10, 0.75), (10, 0.3), (5, 0.5)]:
            yield case(cls, steps, {**base, "shift": 3.0}, strength=strength)
    for inverted, steps in itertools.product([{}, {"shift": 3.0}, {"shift_terminal": 0.1}, {"use_karras_sigmas": True}], [2, 5, 8]):
        yield case("FlowMatchEulerDiscrete", steps, {**inverted, "invert_sigmas": True})
    yield case("FlowMatchEulerDiscrete", 1, {"invert_sigmas": True})
    for shift, steps in itertools.product([1.0, 3.0, 0.5, 1.7], STEPS):
        yield case("FlowMatchHeunDiscrete", steps, {"shift": shift}, model="linear" if steps == 5 else "nonlinear")
    yield case("FlowMatchHeunDiscrete", 50, {"shift": 3.0})
    yield case("FlowMatchHeunDiscrete", 5, {"num_train_timesteps": 100})
    for steps, strength in [(10, 1.0), (10, 0.75), (10, 0.3), (5, 0.5)]:
        yield case("FlowMatchHeunDiscrete", steps, {"shift": 3.0}, strength=strength)


def edm():
    for cls in ["EDMEuler", "EDMDPMSolverMultistep"]:
        for curve, final, steps in itertools.product(["karras", "exponential"], ["zero", "sigma_min"], STEPS):
            yield case(cls, steps, {"sigma_schedule": curve, "final_sigmas_type": final})
        for prediction, steps in itertools.product(["epsilon", "v_prediction"], [1, 5, 8]):
            options = {"prediction_type": prediction, "sigma_data": 1.0, "sigma_max": 120.0, "sigma_schedule": "exponential"}
            yield case(cls, steps, options)  # CosXL
            yield case(cls, steps, {"prediction_type": prediction, "rho": 3.0, "sigma_min": 0.05})
        yield case(cls, 20)
        yield case(cls, 50)
        yield case(cls, 5, {"num_train_timesteps": 100})
        for steps, strength in [(10, 1.0), (10, 0.75), (10, 0.3), (5, 0.5)]:
            yield case(cls, steps, strength=strength)
    cls = "EDMDPMSolverMultistep"
    for algorithm, order, solver, steps in itertools.product(["dpmsolver++", "sde-dpmsolver++"], [1, 2, 3], ["midpoint", "heun"], STEPS):
        if algorithm == "sde-dpmsolver++" and order == 3 or order != 2 and solver == "heun":
            continue
        options = {"algorithm_type": algorithm, "solver_order": order, "solver_type": solver}
        yield case(cls, steps, options)
        if steps in [5, 15]:
            yield case(cls, steps, {**options, "prediction_type": "v_prediction", "sigma_schedule": "exponential"})
            yield case(cls, 10, options, strength=0.6)
    for lower, euler, final, order, steps in itertools.product([True, False], [True, False], ["zero", "sigma_min"], [2, 3], [6, 16]):
        if final == "sigma_min" and order == 3 and not euler and not (lower and steps < 15):
            continue  # a last step of no length, which the reference divides by
        yield case(cls, steps, {"lower_order_final": lower, "euler_at_final": euler, "solver_order": order, "final_sigmas_type": final})
    for limit in [{"thresholding": True}, {"thresholding": True, "dynamic_thresholding_ratio": 0.8, "sample_max_value": 1.5}]:
        yield case(cls, 5, limit)
    yield case(cls, 5, {"algorithm_type": "deis", "solver_type": "logrho", "final_sigmas_type": "sigma_min"})


def multistep():
    """Flow matching beside betas."""
    on = {"use_flow_sigmas": True, "prediction_type": "flow_prediction"}
    names = ["DPMSolverMultistep", "UniPCMultistep", "DEISMultistep", "DPMSolverSinglestep", "SASolver"]
    for name, shift, steps in itertools.product(names, [1.0, 3.0], [*STEPS, 50]):
        if steps == 50 and (shift != 3.0 or name not in names[:2]):
            continue
        yield case(name, steps, {**on, "flow_shift": shift}, model="linear" if steps == 5 else "nonlinear")
    for name, order, steps in itertools.product(names[:4], [1, 2, 3], [2, 5, 8]):
        yield case(name, steps, {**on, "flow_shift": 3.0, "solver_order": order, "timestep_spacing": "trailing"})
    for name in names:
        yield case(name, 20, on)
        yield case(name, 5, {**on, "num_train_timesteps": 100, "timestep_spacing": "leading", "steps_offset": 1})
        for prediction, steps in itertools.product(["epsilon", "v_prediction", "sample"], [5, 8]):
            if name == "SASolver" and prediction == "epsilon":
                continue  # the reference's first clean latent is noise divided by 0.001
            yield case(name, steps, {"use_flow_sigmas": True, "prediction_type": prediction}, model="linear")
        for steps, strength in [(10, 1.0), (10, 0.75), (10, 0.3), (5, 0.5)]:
            if name != "SASolver":  # whose add_noise takes the betas' level of that timestep, and not flow's
                yield case(name, steps, {**on, "flow_shift": 3.0}, strength=strength)
        yield case(name, 5, {**on, "thresholding": True, "sample_max_value": 1.5})
    for name in ["DPMSolverMultistep", "DEISMultistep", "DPMSolverSinglestep", "UniPCMultistep"]:
        for mu, steps in itertools.product([0.5, 1.15], [1, 5, 8]):
            yield case(name, steps, {**on, "use_dynamic_shifting": True, "flow_shift": 3.0}, mu=mu)
        if name != "UniPCMultistep":
            yield case(name, 5, {**on, "use_dynamic_shifting": True, "flow_shift": 3.0})
        yield case(name, 5, {"use_dynamic_shifting": True}, mu=0.5)  # of which the betas know nothing
    for final, name, steps in itertools.product(["zero", "sigma_min"], ["DPMSolverMultistep", "UniPCMultistep", "DPMSolverSinglestep"], [5, 8]):
        yield case(name, steps, {**on, "flow_shift": 2.0, "final_sigmas_type": final})
    for algorithm, solver, steps in itertools.product(["dpmsolver++", "sde-dpmsolver++"], ["midpoint", "heun"], [2, 5, 8]):
        for order in [2, 3]:
            yield case("DPMSolverMultistep", steps, {**on, "flow_shift": 3.0, "algorithm_type": algorithm, "solver_type": solver, "solver_order": order})
        yield case("DPMSolverSinglestep", steps, {**on, "flow_shift": 3.0, "algorithm_type": algorithm, "solver_type": solver})
    for euler, lower in itertools.product([True, False], repeat=2):
        yield case("DPMSolverMultistep", 16, {**on, "euler_at_final": euler, "lower_order_final": lower, "solver_order": 3})
    # UniPC's own.
    cls = "UniPCMultistep"
    for order, solver, steps in itertools.product([1, 2, 3], ["bh1", "bh2"], [2, 5, 8]):
        yield case(cls, steps, {**on, "flow_shift": 5.0, "solver_order": order, "solver_type": solver, "lower_order_final": steps != 5 or order == 3,
                               "final_sigmas_type": "zero" if solver == "bh2" and steps != 5 else "sigma_min"})
    for mu, steps in itertools.product([0.5, 1.15], [1, 5]):
        yield case(cls, steps, {**on, "use_dynamic_shifting": True, "time_shift_type": "linear"}, mu=mu)
    for terminal, steps in itertools.product([0.1, 0.02], [2, 5, 8]):
        yield case(cls, steps, {**on, "flow_shift": 3.0, "shift_terminal": terminal})
        yield case(cls, steps, {**on, "shift_terminal": terminal, "final_sigmas_type": "sigma_min"})
    for final, steps in itertools.product(["zero", "sigma_min"], STEPS):
        karras = {**on, "use_karras_sigmas": True, "final_sigmas_type": final}
        yield case(cls, steps, karras)
        yield case(cls, steps, {**karras, "sigma_min": 0.02, "sigma_max": 200.0})
    for disabled in [[0], [0, 1, 2]]:
        yield case(cls, 6, {**on, "disable_corrector": disabled, "solver_order": 3})
    # Curves that are taken for flow's, and have to end below 1.
    for name, curve in itertools.product(["DPMSolverMultistep", "UniPCMultistep", "DEISMultistep"], CURVES[1:]):
        yield case(name, 5, {**on, curve: True, "sigma_min": 0.05, "sigma_max": 0.95})


def others():
    cls, case_ = "LTXEulerAncestralRF", functools.partial(case, eta=None)  # its eta is an option
    for eta, noise, steps in itertools.product([1.0, 0.5, 0.0], [1.0, 0.7, 0.0], [1, 2, 5, 20]):
        if steps in [5, 20] or noise == 1.0:
            yield case_(cls, steps, {"eta": eta, "s_noise": noise}, model="linear" if steps == 5 else "nonlinear")
    for options in [{"shift": 3.0}, {"shift_terminal": 0.1}, {"shift": 2.0, "use_karras_sigmas": True}, {"num_train_timesteps": 100}]:
        yield case_(cls, 5, options)
    yield case_(cls, 5, {"use_dynamic_shifting": True}, mu=1.1)
    for steps, sigma_data in itertools.product([1, 2, 5, 20], [0.5, 1.0]):
        yield case("SCM", steps, {"sigma_data": sigma_data})


def cases():
    yield from flow_match()
    yield from edm()
    yield from multistep()
    yield from others()


def adapted_run(c):
    adapt(c["config"]["_class_name"]).mu = c.get("mu")
    return run(c)


if __name__ == "__main__":
    write("trajectories_flow", thinned(cases()), adapted_run)
