"""Golden data of t2i-sched: flow matching and EDM, made by diffusers itself. See make_sched.py, whose loop it is.

    python tests/golden/make_sched_flow.py

Writes to tests/golden/sched/:
  trajectories_flow.json         the cases
  trajectories_flow.safetensors  case number -> the latent after every step
"""

import functools
import itertools
import json

import diffusers
from safetensors.torch import save_file

from make_sched import OUT, grid, image, run

CURVES = ["use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas"]
STEPS = [1, 2, 5, 20]


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
    Adapted.__name__ = cls.__name__
    return Adapted


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
        for shift, steps in itertools.product([1.0, 3.0, 1.15, 0.5], [*STEPS, 50] if cls == "FlowMatchEulerDiscrete" and not base else STEPS):
            yield case(cls, steps, {**base, "shift": shift}, model="linear" if steps == 5 else "nonlinear")
        for kind, mu, steps in itertools.product(["exponential", "linear"], [0.5, 1.15, 3.0], STEPS):
            if steps == 20 and mu == 3.0:
                continue
            yield case(cls, steps, {**base, "use_dynamic_shifting": True, "time_shift_type": kind, "shift": 3.0}, mu=mu)
        for curve, steps in itertools.product(CURVES, [1, 2, 5]):
            yield case(cls, steps, {**base, curve: True, "shift": 3.0})
            yield case(cls, steps, {**base, curve: True, "use_dynamic_shifting": True}, mu=0.8)
        for terminal, steps in itertools.product([0.1, 0.02], [2, 5, 20]):
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
    for inverted, steps in itertools.product([{}, {"shift": 3.0}, {"shift_terminal": 0.1}, {"use_karras_sigmas": True}], [2, 5, 20]):
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
        for prediction, steps in itertools.product(["epsilon", "v_prediction"], [1, 5, 20]):
            options = {"prediction_type": prediction, "sigma_data": 1.0, "sigma_max": 120.0, "sigma_schedule": "exponential"}
            yield case(cls, steps, options)  # CosXL
            yield case(cls, steps, {"prediction_type": prediction, "rho": 3.0, "sigma_min": 0.05})
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
        if steps in [5, 20]:
            yield case(cls, steps, {**options, "prediction_type": "v_prediction", "sigma_schedule": "exponential"})
            yield case(cls, 10, options, strength=0.6)
    for lower, euler, final, order, steps in itertools.product([True, False], [True, False], ["zero", "sigma_min"], [2, 3], [6, 16]):
        if final == "sigma_min" and order == 3 and not euler and not (lower and steps < 15):
            continue  # a last step of no length, which the reference divides by
        yield case(cls, steps, {"lower_order_final": lower, "euler_at_final": euler, "solver_order": order, "final_sigmas_type": final})
    for limit in [{"thresholding": True}, {"thresholding": True, "dynamic_thresholding_ratio": 0.8, "sample_max_value": 1.5}]:
        yield case(cls, 5, limit)
    yield case(cls, 5, {"algorithm_type": "deis", "solver_type": "logrho", "final_sigmas_type": "sigma_min"})


def cases():
    yield from flow_match()
    yield from edm()


def main():
    made, tensors = [], {}
    for i, c in enumerate(cases()):
        try:
            adapt(c["config"]["_class_name"]).mu = c.get("mu")
            tensors[str(i)] = run(c)
        except Exception:
            print(c)
            raise
        made.append(c)
    tensors["image"] = image()
    lines = ",\n".join(json.dumps(c) for c in made)
    (OUT / "trajectories_flow.json").write_text(f"[\n{lines}\n]\n")
    save_file(tensors, OUT / "trajectories_flow.safetensors")
    print(len(made), "trajectories")


if __name__ == "__main__":
    main()
