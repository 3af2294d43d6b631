"""Golden data of t2i-sched: whole trajectories of diffusers' linear multistep, DPM2, DEIS, single-step DPM-Solver, DPM++ SDE,
TCD and parallel classes.

    python tests/golden/make_sched_multi.py

As make_sched.py, whose loop this uses. Writes tests/golden/sched/trajectories_multi.{json,safetensors}.
"""

from make_sched import case, grid, write

SPACINGS = ["linspace", "leading", "trailing"]
CURVES = ["use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas"]
STRENGTHS = [(10, 0.75), (10, 0.1), (5, 0.5), (20, 0.6)]
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
    for g in grid(timestep_spacing=SPACINGS, steps_offset=[0, 1, 3]):
        for steps in [1, 2, 5, 20]:
            if not g["steps_offset"] or (g["timestep_spacing"] == "leading" and steps != 2):
                yield case(cls, steps, config=g, model="linear" if steps == 5 else "nonlinear")
    for g in grid(curve=CURVES, steps=[1, 2, 5, 20]):
        yield case(cls, g["steps"], config={g["curve"]: True})
    for curve in CURVES:
        yield case(cls, 6, config={curve: True, "timestep_spacing": "leading", "steps_offset": 1})
        yield case(cls, 6, config={curve: True, "timestep_spacing": "trailing", "prediction_type": "v_prediction"})
        yield case(cls, 5, config={curve: True, "sigma_min": 0.05, "sigma_max": 9.0})
    for curve in [{}, *({curve: True} for curve in CURVES)]:
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


def cases():
    yield from exploding("LMSDiscrete", ["epsilon", "v_prediction", "sample"])
    yield from exploding("KDPM2Discrete", ["epsilon", "v_prediction"])
    yield from exploding("KDPM2AncestralDiscrete", ["epsilon", "v_prediction"])


if __name__ == "__main__":
    write("trajectories_multi", cases())
