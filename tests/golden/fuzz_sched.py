"""Runs `examples/trajectory` on random scheduler configs and compares every state with diffusers'.

    cargo build --release --example trajectory
    python tests/golden/fuzz_sched.py target/release/examples/trajectory [--runs 200] [--seed 0] [--only ClassName]

Prints the configs whose states differ by more than 1e-5 of the state's largest value, or that only one side refuses,
and a summary a class. A config that both refuse is fine.
"""

import argparse
import inspect
import json
import random
import subprocess
import tempfile
import warnings
from collections import Counter
from pathlib import Path

import diffusers
import torch
from safetensors.torch import load_file, save_file

warnings.filterwarnings("ignore")
diffusers.logging.set_verbosity_error()
torch.set_num_threads(1)

BETAS = {"beta_start": [0.00085, 0.0001], "beta_end": [0.012, 0.02],
         "beta_schedule": ["linear", "scaled_linear", "squaredcos_cap_v2"], "num_train_timesteps": [1000, 1000, 500]}
VALUES = {
    **BETAS,
    "timestep_spacing": ["linspace", "leading", "trailing"],
    "steps_offset": [0, 1],
    "prediction_type": ["epsilon", "v_prediction", "sample"],
    "final_sigmas_type": ["zero", "sigma_min"],
    "use_karras_sigmas": [False, False, True], "use_exponential_sigmas": [False, False, False, True],
    "use_beta_sigmas": [False, False, False, True], "use_lu_lambdas": [False, False, False, True],
    "use_flow_sigmas": [False, False, False, True], "flow_shift": [1.0, 3.0],
    "solver_order": [1, 2, 3], "predictor_order": [1, 2, 3], "corrector_order": [0, 1, 2, 3],
    "lower_order_final": [True, False], "euler_at_final": [False, True],
    "set_alpha_to_one": [True, False], "skip_prk_steps": [True, False], "clip_sample": [False, False, True],
    "clip_sample_range": [1.0, 2.0], "thresholding": [False, False, False, True], "sample_max_value": [1.0, 1.5],
    "rescale_betas_zero_snr": [False, False, False, True], "predict_x0": [True, True, False],
    "timestep_scaling": [10.0], "original_inference_steps": [50, 100], "disable_corrector": [[], [0], [1, 2]],
    "sigma_min": [None, None, 0.05], "sigma_max": [None, None, 9.0], "shift": [1.0, 3.0, 0.7],
    "shift_terminal": [None, None, 0.1], "invert_sigmas": [False, False, True], "stochastic_sampling": [False, True],
    "sigma_schedule": ["karras", "exponential"], "rho": [7.0, 5.0], "noise_sampler_seed": [0, 7],
    "sigma_data": [0.5, 1.0],
}
SOLVER_TYPES = {"DPMSolverMultistep": ["midpoint", "heun"], "DPMSolverSinglestep": ["midpoint", "heun"],
                "EDMDPMSolverMultistep": ["midpoint", "heun"], "UniPCMultistep": ["bh1", "bh2"],
                "DEISMultistep": ["logrho"], "DPMSolverMultistepInverse": ["midpoint", "heun"]}
ALGORITHMS = {"DPMSolverMultistep": ["dpmsolver++", "dpmsolver", "sde-dpmsolver++", "sde-dpmsolver"],
              "DPMSolverMultistepInverse": ["dpmsolver++", "dpmsolver"],
              "DPMSolverSinglestep": ["dpmsolver++", "dpmsolver", "sde-dpmsolver++"], "DEISMultistep": ["deis"],
              "EDMDPMSolverMultistep": ["dpmsolver++", "sde-dpmsolver++"],
              "SASolver": ["data_prediction", "noise_prediction"]}
EDM = {"sigma_min": [0.002, 0.05], "sigma_max": [80.0, 20.0]}
CLASSES = ["EulerDiscrete", "EulerAncestralDiscrete", "HeunDiscrete", "DDIM", "DDPM", "PNDM", "DPMSolverMultistep",
           "UniPCMultistep", "LCM", "LMSDiscrete", "KDPM2Discrete", "KDPM2AncestralDiscrete", "DPMSolverSDE",
           "DPMSolverSinglestep", "DEISMultistep", "IPNDM", "SASolver", "TCD", "EDMEuler", "EDMDPMSolverMultistep",
           "FlowMatchEulerDiscrete", "FlowMatchHeunDiscrete", "FlowMatchLCM", "DDIMParallel", "DDPMParallel"]
CURVES = ["use_karras_sigmas", "use_lu_lambdas", "use_exponential_sigmas", "use_beta_sigmas"]


def config(name, rng):
    cls = getattr(diffusers, name + "Scheduler")
    options = inspect.signature(cls.__init__).parameters
    made = {"_class_name": name + "Scheduler"}
    for option in options:
        values = VALUES.get(option)
        if name.startswith("EDM"):
            values = EDM.get(option, values)
        if option == "solver_type":
            values = SOLVER_TYPES.get(name)
        if option == "algorithm_type":
            values = ALGORITHMS.get(name)
        if values and rng.random() < 0.6:
            made[option] = rng.choice(values)
    chosen = [curve for curve in CURVES if made.get(curve)]
    for curve in chosen[1:]:
        made[curve] = False
    if made.get("use_flow_sigmas") and rng.random() < 0.9:
        made["prediction_type"] = "flow_prediction"
    return made


def reference(made, steps, seed, noise, kind):
    cls = getattr(diffusers, made["_class_name"])
    scheduler = cls.from_config(dict(made))
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    scheduler.set_timesteps(steps)
    x = noise * getattr(scheduler, "init_noise_sigma", 1.0)
    names = inspect.signature(cls.step).parameters
    kwargs = {"generator": generator} if "generator" in names else {}
    states = [x]
    for i, t in enumerate(scheduler.timesteps):
        model_in = scheduler.scale_model_input(x, t) if hasattr(scheduler, "scale_model_input") else x
        out = model_in * float(t) / (float(t) + 1)
        x = scheduler.step(out, t, x, **kwargs).prev_sample
        last = i + 1 == len(scheduler.timesteps)
        if scheduler.order == 2 and not last and not scheduler.state_in_first_order:
            continue
        states.append(x)
    return torch.stack(states)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only")
    args = parser.parse_args()
    rng = random.Random(args.seed)
    tally, worst = Counter(), Counter()
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        noise = torch.randn(1, 4, 4, 4, generator=torch.Generator().manual_seed(99))
        save_file({"noise": noise}, folder / "start.safetensors")
        for _ in range(args.runs):
            name = args.only or rng.choice(CLASSES)
            made, steps, seed = config(name, rng), rng.choice([1, 2, 3, 5, 10, 20, 50]), rng.randrange(1000)
            (folder / "config.json").write_text(json.dumps(made))
            try:
                expected = reference(made, steps, seed, noise, "dummy")
                finite = bool(expected.isfinite().all())
            except Exception as error:
                expected, finite = error, False
            run = subprocess.run([args.program, "--scheduler-config", folder / "config.json", "--steps", str(steps),
                                  "--seed", str(seed), "--model", "dummy", "--start", folder / "start.safetensors",
                                  "--dump", folder / "dump.safetensors"], capture_output=True, text=True)
            what = f"{steps} steps, seed {seed}: {json.dumps(made)}"
            if run.returncode != 0:
                verdict = "ours refuses" if finite else "both refuse"
                if finite or "panicked" in run.stderr:
                    print(verdict, what, "\n   ", run.stderr.strip()[:300])
            elif not finite:
                verdict = "theirs refuses"
                print(verdict, what, "\n   ", repr(expected)[:200])
            else:
                found = load_file(folder / "dump.safetensors")["x"]
                if found.shape != expected.shape:
                    verdict = "shape"
                    print(verdict, tuple(found.shape), tuple(expected.shape), what)
                else:
                    errors = [((a - b).abs().max() / b.abs().max()).item() for a, b in zip(found, expected)]
                    worst[name] = max(worst[name], max(errors))
                    verdict = "equal" if max(errors) <= 1e-5 else "differs"
                    if verdict == "differs":
                        print(verdict, f"{max(errors):.1e} first at {next(i for i, e in enumerate(errors) if e > 1e-5)}", what)
            tally[name, verdict] += 1
    for (name, verdict), count in sorted(tally.items()):
        print(f"{name:28} {verdict:16} {count:4}   {worst[name]:.1e}")


if __name__ == "__main__":
    main()
