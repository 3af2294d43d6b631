"""Runs `examples/trajectory` on samplers by name and compares every state with k-diffusion's.

    cargo build --release --example trajectory
    python tests/golden/fuzz_names.py target/release/examples/trajectory

Fresh noise is drawn from one torch generator in the order in which the sampler asks. Needs k-diffusion 0.1.1.post1.
"""

import importlib.util
import subprocess
import sys
import tempfile
import types
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file


def k_diffusion():
    """k-diffusion's sampling.py alone: the package imports much that it does not need."""
    package = types.ModuleType("k_alone")
    package.__path__ = []
    utils = types.ModuleType("k_alone.utils")
    utils.append_dims = lambda x, n: x[(...,) + (None,) * (n - x.ndim)]
    package.utils = utils
    sys.modules |= {"k_alone": package, "k_alone.utils": utils}
    place = importlib.util.find_spec("k_diffusion").submodule_search_locations[0]
    spec = importlib.util.spec_from_file_location("k_alone.sampling", Path(place) / "sampling.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["k_alone.sampling"] = module
    spec.loader.exec_module(module)
    return module


K = k_diffusion()
SPACINGS = {
    "karras": lambda n, low, high: K.get_sigmas_karras(n, low, high),
    "exponential": lambda n, low, high: K.get_sigmas_exponential(n, low, high),
    "polyexponential": lambda n, low, high: K.get_sigmas_polyexponential(n, low, high),
    "vp": lambda n, low, high: K.get_sigmas_vp(n),
}
NAMES = ["euler", "euler_ancestral", "heun", "dpm_2", "dpm_2_ancestral", "lms", "dpmpp_2s_ancestral", "dpmpp_sde",
         "dpmpp_2m", "dpmpp_2m_sde", "dpmpp_3m_sde", "dpm_fast", "dpm_adaptive"]


LOW, HIGH = 0.0292, 14.6146


def gaussian(x, sigma, **_):
    return x / (1 + sigma.view(-1, 1, 1, 1) ** 2)


def states(name, sigmas, noise, seed):
    generator = torch.Generator().manual_seed(seed)
    draw = lambda *_: torch.randn(noise.shape, generator=generator)
    x, path = noise * sigmas[0], []
    watch = lambda info: path.append(info["x"].clone())
    sample = getattr(K, "sample_" + name)
    kwargs = {"noise_sampler": draw} if "noise_sampler" in sample.__wrapped__.__code__.co_varnames else {}
    kwargs |= {"callback": watch, "disable": True}
    if name in ("dpm_fast", "dpm_adaptive"):  # they find their own levels
        x = noise * torch.tensor(HIGH)
        more = [len(sigmas) - 1] if name == "dpm_fast" else []
        last = sample(gaussian, x, LOW, HIGH, *more, **kwargs)
        if name == "dpm_adaptive":  # it tells every step, and the state after it; also the rejected ones
            path = [x] + [a for a, b in zip(path, [x] + path) if not torch.equal(a, b)]
            return torch.stack(path)
    else:
        last = sample(gaussian, x, sigmas, **kwargs)
    return torch.stack(path + [last])


def main():
    program, failures, runs = sys.argv[1], 0, 0
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        noise = torch.randn(1, 4, 4, 4, generator=torch.Generator().manual_seed(5))
        save_file({"noise": noise}, folder / "start.safetensors")
        for name in NAMES:
            worst = 0.0
            for spacing, make in SPACINGS.items():
                for steps in [1, 2, 5, 20, 50]:
                    seed = steps
                    own_levels = name in ("dpm_fast", "dpm_adaptive")
                    if own_levels and (spacing != "karras" or steps < 3):
                        continue  # they go by the range alone, and the reference's groups break off below 3 calls
                    sigmas = make(steps, LOW, HIGH)
                    try:
                        expected = states(name, sigmas, noise, seed)
                    except UnboundLocalError:
                        continue  # its SDE samplers fail in a single step to 0
                    run = subprocess.run([program, "--sampler", name, "--schedule", spacing, "--sigma-min", str(LOW),
                                          "--sigma-max", str(HIGH), "--steps", str(steps), "--seed", str(seed),
                                          "--model", "gaussian", "--start", folder / "start.safetensors",
                                          "--dump", folder / "dump.safetensors"], capture_output=True, text=True)
                    runs += 1
                    if run.returncode:
                        print(name, spacing, steps, run.stderr.strip()[:200])
                        failures += 1
                        continue
                    found = load_file(folder / "dump.safetensors")["x"]
                    if found.shape != expected.shape:
                        print(name, spacing, steps, tuple(found.shape), tuple(expected.shape))
                        failures += 1
                        continue
                    error = max(((a - b).abs().max() / b.abs().max()).item() for a, b in zip(found, expected))
                    worst = max(worst, error)
                    if error > 1e-5:
                        print(f"{name} {spacing} {steps}: {error:.1e}")
                        failures += 1
            print(f"{name:20} worst {worst:.1e}")
    print(runs, "runs,", failures, "failures")


if __name__ == "__main__":
    main()
