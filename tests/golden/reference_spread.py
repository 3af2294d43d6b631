"""How far the reference is from itself on other CPUs, and how far ours is from it.

    cargo build --release --example trajectory
    python tests/golden/reference_spread.py [target/release/examples/trajectory] [--all]

Torch's square root, logarithm and exponential function of f32 are MKL's on this kind of CPU and are not always the nearest float; on
another one, or on a GPU, they are others. So the same runs are made in processes of their own and compared: some are told to use
other instructions, and in one (`nearest`) these functions of single numbers, such as sigmas, give the nearest float.
A line a run in which either number is over 1e-5: `itself` is the largest difference between two of those processes, `ours` the
smallest between ours and one of them; both as a share of a state's largest value, the worst of all steps.

The runs: those of fuzz_names.py, and its SDE samplers on a Brownian path too; random configs of DPMSolverSDEScheduler, as in
fuzz_sched.py; and the cases of make_k_diffusion.py that show the last digit: those of DPM adaptive, of one step with churn, and of
DPM2 a from 157 to 0.01. Of these last, "ours" is the golden data, made with the nearest floats, which ours equals within 1e-5.
Without the program there is no `ours` of the others.
"""

import argparse
import contextlib
import itertools
import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

import fuzz_names
import fuzz_sched
import make_k_diffusion

LOW, HIGH = fuzz_names.LOW, fuzz_names.HIGH
CPUS = {
    "as it is": {},
    "nearest": {"NEAREST": "1"},
    "no vectors": {"ATEN_CPU_CAPABILITY": "default"},
    "AVX2": {"ATEN_CPU_CAPABILITY": "avx2", "MKL_ENABLE_INSTRUCTIONS": "AVX2", "MKL_CBWR": "AVX2"},
    "AVX-512": {"ATEN_CPU_CAPABILITY": "avx512", "MKL_ENABLE_INSTRUCTIONS": "AVX512", "MKL_CBWR": "AVX512"},
    "SSE4.2": {"ATEN_CPU_CAPABILITY": "default", "MKL_ENABLE_INSTRUCTIONS": "SSE4_2", "MKL_CBWR": "SSE4_2"},
    "compatible": {"ATEN_CPU_CAPABILITY": "default", "MKL_CBWR": "COMPATIBLE"},
}
NOISE = torch.randn(1, 4, 4, 4, generator=torch.Generator().manual_seed(5))


def names():
    """Sampler, spacing, steps, noise."""
    for name, spacing, steps in itertools.product(fuzz_names.NAMES, fuzz_names.SPACINGS, [1, 2, 5, 20, 50]):
        own_levels = name in ("dpm_fast", "dpm_adaptive")
        fails = name in ("dpmpp_2m_sde", "dpmpp_3m_sde") and steps == 1
        if fails or own_levels and (spacing != "karras" or steps < 3):
            continue
        for noise in ["torch", "brownian"] if name.endswith("sde") else ["torch"]:
            yield name, spacing, steps, noise


def configs():
    """Config, steps, seed."""
    rng = random.Random(7)
    for _ in range(24):
        made = fuzz_sched.config("DPMSolverSDE", rng)
        if made.get("prediction_type") == "sample":
            made.pop("prediction_type")  # which the class does not know
        yield made, rng.choice([2, 3, 5, 10, 20]), rng.randrange(1000)


def by_name(name, spacing, steps, noise):
    sigmas = fuzz_names.SPACINGS[spacing](steps, LOW, HIGH)
    if noise == "torch":
        return fuzz_names.states(name, sigmas, NOISE, steps)
    path, watch = [], lambda info: path.append(info["x"].clone())
    x = NOISE * sigmas[0]
    tree = fuzz_names.K.BrownianTreeNoiseSampler(x, sigmas[sigmas > 0].min(), sigmas.max(), steps)
    sample = getattr(fuzz_names.K, "sample_" + name)
    last = sample(fuzz_names.gaussian, x, sigmas, noise_sampler=tree, callback=watch, disable=True)
    return torch.stack(path + [last])


def delicate():
    golden = json.loads((make_k_diffusion.OUT / "trajectories.json").read_text())
    churned = lambda case: "s_churn" in case["options"] and case["levels"] == "karras-1"
    lost = lambda case: case["sampler"] == "dpm_2_ancestral" and case["levels"] == "vp-2"
    chosen = lambda case: case["levels"] == "adaptive" or churned(case) or lost(case)
    return {i: case for i, case in enumerate(golden) if case["single"] and chosen(case)}


def title(case):
    options = ", ".join(f"{k} {v}" for k, v in case["options"].items())
    return f"golden {case['sampler']} {case['levels']} {case.get('noise', '')} {case['model']} {options}"


def reference():
    """All runs, by what they are."""
    made = {" ".join(map(str, run)): by_name(*run) for run in names()}
    for made_config, steps, seed in configs():
        what = {k: v for k, v in made_config.items() if k != "_class_name"}
        states = fuzz_sched.reference(made_config, steps, seed, NOISE, "dummy")
        if states.isfinite().all():
            made[f"DPMSolverSDEScheduler {steps} {seed} {json.dumps(what)}"] = states
    lists = make_k_diffusion.levels()
    start = load_file(make_k_diffusion.OUT / "trajectories.safetensors")["start"]
    for i, case in delicate().items():
        made_by = make_k_diffusion.churned if "s_churn" in case["options"] else make_k_diffusion.run
        with torch.random.fork_rng():
            made[f"{i} {title(case)}"] = made_by(case, lists, start).float()
    return {name: states.contiguous() for name, states in made.items()}


def ours(program, what, folder):
    parts = what.split(" ")
    save_file({"noise": NOISE}, folder / "start.safetensors")
    if parts[0] == "DPMSolverSDEScheduler":
        config = {"_class_name": parts[0], **json.loads(what.split(" ", 3)[3])}
        (folder / "config.json").write_text(json.dumps(config))
        which = ["--scheduler-config", folder / "config.json", "--steps", parts[1], "--seed", parts[2], "--model", "dummy"]
    else:
        name, spacing, steps, noise = parts
        which = ["--sampler", name, "--schedule", spacing, "--sigma-min", str(LOW), "--sigma-max", str(HIGH), "--steps", steps,
                 "--seed", steps, "--model", "gaussian", *(["--noise", "brownian"] if noise == "brownian" else [])]
    ends = ["--start", folder / "start.safetensors", "--dump", folder / "dump.safetensors"]
    done = subprocess.run([program, *which, *ends], capture_output=True, text=True)
    return load_file(folder / "dump.safetensors")["x"] if done.returncode == 0 else done.stderr.strip()


def difference(a, b):
    """Infinite where the numbers of steps differ."""
    if not isinstance(a, torch.Tensor) or a.shape != b.shape:
        return float("inf")
    return max(((p - q).abs().max() / q.abs().max()).item() for p, q in zip(a, b))


def spread(folder):
    """What the processes made, by their names."""
    found = {}
    for name, environment in CPUS.items():
        file = folder / f"{name}.safetensors"
        done = subprocess.run([sys.executable, __file__, "--child", file], env={**os.environ, **environment}, capture_output=True, text=True)
        if done.returncode:
            print(f"{name}: not possible here: {done.stderr.strip().splitlines()[-1]}")
        else:
            found[name] = load_file(file)
    return found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program", nargs="?")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--child", type=Path)
    args = parser.parse_args()
    if args.child:
        with make_k_diffusion.nearest() if "NEAREST" in os.environ else contextlib.nullcontext():
            return save_file(reference(), args.child)
    golden = load_file(make_k_diffusion.OUT / "trajectories.safetensors")
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        found = spread(folder)
        first = next(iter(found.values()))
        for name, made in list(found.items())[1:]:
            print(f"{name:12} {sum(not torch.equal(made[what], first[what]) for what in first)} of {len(first)} runs are not '{next(iter(found))}'")
        print("itself | ours | run")
        for what in first:
            runs = [made[what] for made in found.values()]
            itself = max((difference(a, b) for a, b in itertools.permutations(runs, 2)), default=0.0)
            stored = golden.get(what.split(" ")[0])
            mine = ours(args.program, what, folder) if stored is None and args.program else stored
            mine_off = None if mine is None else min(difference(mine, run) for run in runs)
            if args.all or itself > 1e-5 or (mine_off or 0.0) > 1e-5:
                print(f"{itself:.1e} | {'-' if mine_off is None else f'{mine_off:.1e}'} | {what}", flush=True)


if __name__ == "__main__":
    main()
