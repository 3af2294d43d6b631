"""Golden data of the samplers that no Python package has: each one transcribed from its paper, in float64.

Deterministic: run again to make the same files. numpy 2.4.6, scipy, torch 2.15.0 (for its generator's noise), diffusers
0.42.1 (for its SA-Solver).

    python tests/golden/make_papers.py

Writes to tests/golden/papers/:
  cases.json              sampler, its options, levels, seed; between which levels it drew noise
  paths.safetensors       case number -> the latent at the start and after every step, in float64
  sa_scheduler.*          the same of diffusers' SASolverScheduler itself, which is a reference of its own

The papers count in sigma with alpha = 1, and so do the functions here. Integrals are left to a quadrature where the paper
gives one, so that no closed form is written down twice. Where ComfyUI runs something else under the sampler's name than
the paper has, the function does what ComfyUI does and says so.
"""

import contextlib
import itertools
import json
from pathlib import Path

import diffusers
import numpy as np
import torch
from safetensors.numpy import save_file
from scipy.integrate import quad

OUT = Path(__file__).parent / "papers"
SHAPE = (1, 2, 3, 3)
GUIDANCE = 0.6  # the scales of CFG++ are those of interpolation


# ---------------------------------------------------------------------------------------------------------------------
# The model


def mixture(x, sigma):
    """The posterior mean for data of two equal Gaussians at -1 and 1 of deviation 0.3."""
    variance = 0.09 + sigma**2
    mean = np.tanh(x / variance)
    return mean + (x - mean) * 0.09 / variance


def unconditional(x, sigma):
    """The posterior mean for Gaussian data of mean 0.2 and deviation 0.8."""
    return 0.2 + (x - 0.2) * 0.64 / (0.64 + sigma**2)


class Run:
    """What a sampler may ask for: the model, guided or not, and noise."""

    def __init__(self, sigmas, seed, guided):
        self.generator = torch.Generator().manual_seed(seed)
        self.guided, self.draws = guided, []
        self.x = self.randn() * sigmas[0]

    def randn(self):
        return torch.randn(SHAPE, generator=self.generator).double().numpy()

    def noise(self, start, end):
        self.draws.append([start, end])
        return self.randn()

    def denoise(self, x, sigma):
        return self.both(x, sigma)[0]

    def both(self, x, sigma):
        """The answer and the unconditional one."""
        cond = mixture(x, sigma)
        if not self.guided:
            return cond, cond
        uncond = unconditional(x, sigma)
        return uncond + GUIDANCE * (cond - uncond), uncond


def pairs(sigmas):
    return list(enumerate(zip(sigmas[:-1], sigmas[1:])))


def ancestral(start, end, eta):
    """The deviations that are kept and drawn: DDIM's with eta (arXiv:2010.02502, eq. 16), in sigma."""
    up = eta * np.sqrt(end**2 * (start**2 - end**2) / start**2)
    return np.sqrt(end**2 - up**2), up


def lagrange(nodes, j, at):
    """The polynomial that is 1 at node j and 0 at the others."""
    return np.prod([(at - node) / (nodes[j] - node) for k, node in enumerate(nodes) if k != j])


def integral(f, start, end):
    return quad(f, start, end, epsabs=1e-15, epsrel=1e-13)[0]


# ---------------------------------------------------------------------------------------------------------------------
# The samplers: generators of the latent after every step


def gradient_estimation(run, sigmas, gamma=2.0, cfg_pp=False):
    """Permenter and Yuan, "Interpreting and Improving Diffusion Models from an Optimization Perspective", the
    gradient-estimation sampler:
    x_{t-1} = x_t + (sigma_{t-1} - sigma_t) * (gamma * eps_t + (1 - gamma) * eps_{t+1}).
    https://openreview.net/forum?id=o2ND9v0CeK
    CFG++ as ComfyUI has it: the noise is the unconditional one, and the step starts from the guided x0."""
    x, before = run.x, None
    for _, (start, end) in pairs(sigmas):
        x0, uncond = run.both(x, start)
        eps = (x - (uncond if cfg_pp else x0)) / start
        if end == 0:
            x = x0
        else:
            mean = eps if before is None else gamma * eps + (1 - gamma) * before
            x = x + (end - start) * mean + (x0 - uncond if cfg_pp else 0.0)
        before = eps
        yield x


def res_multistep(run, sigmas, eta=0.0, cfg_pp=False):
    """Zhang et al., "Improved Order Analysis and Design of Exponential Integrator for Diffusion Models Sampling",
    the multistep solver of second order (https://arxiv.org/abs/2308.02157): x0 is a straight line in lambda
    through the last two answers, and integrated with the exponential weight.
    With noise as ComfyUI has it: the solver goes to `sigma_down`, and takes the last answer's distance in lambda to be that
    from the last level to the last `sigma_down`. With CFG++ the line goes through unconditional answers."""
    x, before = run.x, None
    for _, (start, end) in pairs(sigmas):
        x0, uncond = run.both(x, start)
        down, up = ancestral(start, end, eta)
        slope_of = uncond if cfg_pp else x0
        if before is None or end == 0:
            x = x0 + down / start * (x - slope_of)
        else:
            h = np.log(start / down)
            back = np.log(before[0] / before[1])  # the distance to the answer before
            moved = x + (x0 - uncond if cfg_pp else 0.0)
            # x0(v) at lambda + v is on the line through (0, latest) and (-back, before).
            latest = integral(lambda v: np.exp(v - h) * (1 + v / back), 0, h)
            older = integral(lambda v: np.exp(v - h) * (-v / back), 0, h)
            x = down / start * moved + latest * slope_of + older * before[2]
        if eta > 0 and end > 0:
            x = x + up * run.noise(start, end)
        before = (start, down, slope_of)
        yield x


def er_sde(run, sigmas, stage=3, scaler="sde5", s_noise=1.0, points=200):
    """Cui et al., "Elucidating the solution space of extended reverse-time SDE for diffusion models"
    (ER-SDE-Solver-1 to -3, https://arxiv.org/abs/2309.06169). The noise scale function is the paper's ER SDE 5. Its
    integrals are sums over `points` left ends of equal parts, as in the paper's code, which has 100, and ComfyUI, which
    has 200."""
    phi = {"sde5": lambda s: s * (np.exp(s**0.3) + 10), "ode": lambda s: s}[scaler]
    x, answers, slopes = run.x, [], []
    for i, (start, end) in pairs(sigmas):
        x0 = run.denoise(x, start)
        if end == 0:
            x = x0
        else:
            ratio = phi(end) / phi(start)
            moved = ratio * x + (1 - ratio) * x0
            width = (start - end) / points
            grid = end + width * np.arange(points)
            if min(stage, i + 1) >= 2:
                slope = (x0 - answers[-1]) / (start - sigmas[i - 1])
                moved = moved + (end - start + phi(end) * np.sum(width / phi(grid))) * slope
                if min(stage, i + 1) >= 3:
                    bend = (slope - slopes[-1]) / ((start - sigmas[i - 2]) / 2)
                    sum_u = np.sum(width * (grid - start) / phi(grid))
                    moved = moved + ((end - start) ** 2 / 2 + phi(end) * sum_u) * bend
                slopes.append(slope)
            x = moved
            if scaler != "ode" and s_noise > 0:
                x = x + s_noise * np.sqrt(end**2 - start**2 * ratio**2) * run.noise(start, end)
        answers.append(x0)
        yield x


def euler_cfg_pp(run, sigmas, eta=0.0, s_noise=1.0):
    """Chung et al., "CFG++: Manifold-constrained Classifier Free Guidance for Diffusion Models", algorithm 2
    (https://arxiv.org/abs/2406.08070): DDIM with the guided x0 and the unconditional noise. With eta > 0 DDIM's noise."""
    x = run.x
    for _, (start, end) in pairs(sigmas):
        x0, uncond = run.both(x, start)
        down, up = ancestral(start, end, eta)
        x = x0 + down * (x - uncond) / start
        if eta > 0 and end > 0:
            x = x + s_noise * up * run.noise(start, end)
        yield x


def dpmpp_2m_cfg_pp(run, sigmas):
    """The same paper's form of DPM-Solver++ 2M: e^-h of the unconditional x0 leaves, the whole guided x0 comes, and the
    correction of second order is between the guided x0 and the unconditional one before."""
    x, before, last = run.x, None, None
    for i, (start, end) in pairs(sigmas):
        x0, uncond = run.both(x, start)
        x = x0 + end / start * (x - uncond)
        if before is not None and end > 0:
            h, h_last = np.log(start / end), np.log(sigmas[i - 1] / start)
            x = x + (1 - np.exp(-h)) * h / (2 * h_last) * (x0 - before)
        before = uncond
        yield x


def dpmpp_2s_ancestral_cfg_pp(run, sigmas, eta=1.0, s_noise=1.0):
    """DPM-Solver++(2S) (https://arxiv.org/abs/2211.01095, algorithm 1 with r = 1/2) through unconditional answers to
    `sigma_down`, then noise, then the first answer's guidance: ComfyUI's dpmpp_2s_ancestral_cfg_pp."""
    x = run.x
    for _, (start, end) in pairs(sigmas):
        x0, uncond = run.both(x, start)
        down, up = ancestral(start, end, eta)
        if end == 0:
            x = x0
        else:
            middle = np.sqrt(start * down)
            there = middle / start * x + (1 - middle / start) * uncond
            _, uncond_there = run.both(there, middle)
            x = down / start * x + (1 - down / start) * uncond_there + (x0 - uncond)
            if eta > 0:
                x = x + s_noise * up * run.noise(start, end)
        yield x


def exponential(f, length):
    """The integral of f over (0, 1), weighted as the exponential integrators do: exp(-(1 - v) * length) * length."""
    return integral(lambda v: length * np.exp(-(1 - v) * length) * f(v), 0, 1)


def seeds_2(run, sigmas, eta=1.0, s_noise=1.0, r=0.5, phi=1):
    """Gonzalez et al., "SEEDS: Exponential SDE Solvers for Fast High-Quality Sampling from Diffusion Models",
    SEEDS-2 (https://arxiv.org/abs/2305.14267), in the clean latent as ComfyUI has it, where eta scales the noise.
    phi = 1: half of the whole weight on the second answer's slope; phi = 2: the exact integral of the line."""
    x = run.x
    for _, (start, end) in pairs(sigmas):
        x0 = run.denoise(x, start)
        if end == 0:
            x = x0
        else:
            h = np.log(start / end)
            middle = start * np.exp(-r * h)
            length = (1 + eta) * h
            noise = 0.0
            if eta > 0:
                noise = np.sqrt(1 - np.exp(-2 * r * h * eta)) * run.noise(start, middle)
            there = middle / start * np.exp(-eta * r * h) * x + (1 - np.exp(-r * length)) * x0 + s_noise * middle * noise
            x0_there = run.denoise(there, middle)
            whole = 1 - np.exp(-length)
            line = exponential(lambda v: v, length) if phi == 2 else whole / 2
            if eta > 0:
                left = (1 - r) * h * eta
                noise = np.exp(-left) * noise + np.sqrt(1 - np.exp(-2 * left)) * run.noise(middle, end)
            x = end / start * np.exp(-eta * h) * x + whole * x0 + line / r * (x0_there - x0) + s_noise * end * noise
        yield x


def seeds_3(run, sigmas, eta=1.0, s_noise=1.0, r_1=1 / 3, r_2=2 / 3):
    """SEEDS-3 of the same paper, likewise."""
    x = run.x
    for _, (start, end) in pairs(sigmas):
        x0 = run.denoise(x, start)
        if end == 0:
            x = x0
        else:
            h = np.log(start / end)
            at = [0.0, r_1, r_2, 1.0]
            sigma = [start * np.exp(-r * h) for r in at]
            slope, noise = 0.0, np.zeros(SHAPE)
            for k in [1, 2, 3]:
                if eta > 0:
                    way = (at[k] - at[k - 1]) * h * eta
                    drawn = run.noise(sigma[k - 1], sigma[k])
                    noise = np.exp(-way) * noise + np.sqrt(1 - np.exp(-2 * way)) * drawn
                length = (1 + eta) * h * at[k]
                line = at[k] * exponential(lambda v: v, length)
                there = sigma[k] / start * np.exp(-eta * h * at[k]) * x
                there = there + (1 - np.exp(-length)) * x0 + line * slope + s_noise * sigma[k] * noise
                if k < 3:
                    slope = (run.denoise(there, sigma[k]) - x0) / at[k]
            x = there
        yield x


def heun_step(run, x, start, end):
    """Karras et al., algorithm 1 (https://arxiv.org/abs/2206.00364)."""
    d = (x - run.denoise(x, start)) / start
    there = x + (end - start) * d
    if end == 0:
        return there
    return x + (end - start) * (d + (there - run.denoise(there, end)) / end) / 2


def restart(run, sigmas, intervals, s_noise=1.0):
    """Xu et al., "Restart Sampling for Improving Generative Processes"
    (https://arxiv.org/abs/2306.14878). An interval: the index of its lower end among the levels, its upper end, the number
    of its levels (at equal distances in sigma^(1/7)) and how often."""
    x = run.x
    for i, (start, end) in pairs(sigmas):
        x = heun_step(run, x, start, end)
        for index, high, count, times in intervals:
            if i + 1 == index:
                inner = np.linspace(high ** (1 / 7), end ** (1 / 7), count) ** 7
                for _ in range(times):
                    x = x + np.sqrt(high**2 - end**2) * s_noise * run.noise(end, high)
                    for a, b in zip(inner[:-1], inner[1:]):
                        x = heun_step(run, x, a, b)
        yield x


def ipndm(run, sigmas, order=4):
    """Zhang and Chen, "Fast Sampling of Diffusion Models with Exponential Integrator", iPNDM
    (https://arxiv.org/abs/2204.13902), in sigma as https://github.com/zju-pi/diff-sampler has it: the weights
    are those of Adams-Bashforth for equal steps, here integrated."""
    x, before = run.x, []
    for _, (start, end) in pairs(sigmas):
        eps = (x - run.denoise(x, start)) / start
        before = [eps, *before][:order]
        if end == 0:
            x = x - start * eps
        else:
            nodes = [-float(k) for k in range(len(before))]
            weights = [integral(lambda v: lagrange(nodes, j, v), 0, 1) for j in range(len(nodes))]
            x = x + (end - start) * sum(w * e for w, e in zip(weights, before))
        yield x


def ipndm_v(run, sigmas, order=4):
    """The same with weights for unequal steps, as ComfyUI and diff-sampler's `ipndm_v_sampler` have them: of third and
    fourth order they are not Adams-Bashforth's, for a bracket, a sign and a ratio."""
    x, before = run.x, []
    for i, (start, end) in pairs(sigmas):
        eps = (x - run.denoise(x, start)) / start
        before = [eps, *before][:order]
        if end == 0:
            x = x - start * eps
        else:
            n = len(before)
            h = [end - start, *(sigmas[i - k] - sigmas[i - k - 1] for k in range(n - 1))]
            w = np.zeros(4)
            w[0] = 1
            if n > 1:
                w[:2] += np.array([1, -1]) * h[0] / h[1] / 2
            if n > 2:
                t = (1 - h[0] / (3 * (h[0] + h[1])) * (h[0] * (h[0] + h[1])) / (h[1] * (h[1] + h[2]))) / 2
                w[:3] += t * np.array([1, -(1 + h[1] / h[2]), h[1] / h[2]])
            if n > 3:
                a = (1 - h[0] / (3 * (h[0] + h[1]))) / 2
                b = (1 - h[0] / (2 * (h[0] + h[1]))) * h[0] / (6 * sum(h[:3]))
                t = (a + b) * (h[0] * (h[0] + h[1]) * sum(h[:3])) / (h[1] * (h[1] + h[2]) * sum(h[1:]))
                r = h[1] * (h[1] + h[2]) / (h[2] * (h[2] + h[3]))
                w += t * np.array([1, -(1 + h[1] / h[2] + r), h[1] / h[2] + r * (1 + h[2] / h[3]), -r * h[1] / h[2]])
            x = x + (end - start) * sum(w * e for w, e in zip(w, before))
        yield x


def deis(run, sigmas, order=3, mode="tab", exact=False):
    """Zhang and Chen, eq. 15 (https://arxiv.org/abs/2204.13902): the noise is a polynomial through its last values, in the
    time of the linear schedule (tab) or in rho = sigma (rho), integrated over rho. For tab the integral is ComfyUI's and
    diff-sampler's sum of 10 000 values; `exact` integrates, to see how far that is off."""
    low, high = np.log(0.002**2 + 1), np.log(80.0**2 + 1)
    beta_d = 2 * (low / 1e-3 - high) / (1e-3 - 1)
    beta_min = high - beta_d / 2

    def time(rho):
        return (np.sqrt(beta_min**2 + 2 * beta_d * np.log(rho**2 + 1)) - beta_min) / beta_d

    def rho(t):
        return np.sqrt(np.expm1(beta_d * t**2 / 2 + beta_min * t))

    def speed(t):
        return (rho(t) ** 2 + 1) * (beta_d * t + beta_min) / (2 * rho(t))

    x, before = run.x, []
    for i, (start, end) in pairs(sigmas):
        eps = (x - run.denoise(x, start)) / start
        before = [eps, *before][:order]
        nodes = sigmas[max(i - len(before) + 1, 0) : i + 1][::-1]
        if end == 0 or len(before) == 1:
            weights = [end - start]
        elif mode == "rho":
            weights = [integral(lambda v: lagrange(nodes, j, v), start, end) for j in range(len(nodes))]
        else:
            times, ts = [time(s) for s in nodes], np.linspace(time(start), time(end), 10_000)
            part = (time(end) - time(start)) / 10_000
            weights = [sum(speed(t) * lagrange(times, j, t) for t in ts) * part for j in range(len(nodes))]
            if exact:
                weights = [integral(lambda v: lagrange(times, j, time(v)), start, end) for j in range(len(nodes))]
        x = x + sum(w * e for w, e in zip(weights, before))
        yield x


def sa_solver(run, sigmas, predictor=3, corrector=4, tau=(1.0, 0.3, 5.0), pece=False, in_noise=False, simple=False, s_noise=1.0):
    """Xue et al., "SA-Solver: Stochastic Adams Solver for Fast Sampling of Diffusion Models", eq. 15 and 18
    (https://arxiv.org/abs/2309.05019), with the noise, orders near the end and the level at which tau is asked as ComfyUI
    has them. `in_noise`: the paper's noise prediction. `tau` is its value between two sigmas, and 0 elsewhere. `simple`:
    the second order of appendix D. The correction adds the noise of the prediction that it mends."""

    def adams(nodes, start, end, t):
        """The weights of the variable: c * exp(-c * (lambda_end - lambda)) integrated with each Lagrange polynomial."""
        h, c = np.log(start / end), (-1.0 if in_noise else 1 + t * t)
        at = [np.log(start / node) for node in nodes]
        if simple and len(nodes) == 2 and not in_noise:
            line = c * h * h / 2 / (at[1] - at[0])  # the weight of the second is that of the line from 0 to 1
            whole, offset = 1 - np.exp(-c * h), 0.0 - at[0]
            second = line + whole * offset / (at[1] - at[0])
            return [whole - second, second]
        gain = (1 + t * t) * end if in_noise else 1.0
        return [gain * integral(lambda v: c * np.exp(-c * (h - v)) * lagrange(at, j, v), 0, h) for j in range(len(at))]

    def move(x, start, end, t, nodes, values, noise):
        keep = 1.0 if in_noise else (end / start) ** (1 + t * t)
        return keep * x + sum(w * m for w, m in zip(adams(nodes, start, end, t), values)) + noise

    clean = sigmas[-1] == 0
    x, values, levels, last = run.x, [], [], None
    for i, (start, end) in pairs(sigmas):
        left = len(sigmas) - 1 - i
        x0 = run.denoise(x, start)
        m = (x - x0) / start if in_noise else x0
        if last is not None:
            order = min(corrector, len(values) + 1, left if clean else left + 2)
            if order > 0:
                nodes, known = [start, *levels][:order], [m, *values][:order]
                x = move(last[0], levels[0], start, last[1], nodes, known, last[2])
                if pece:
                    x0 = run.denoise(x, start)
                    m = (x - x0) / start if in_noise else x0
        values, levels = [m, *values], [start, *levels]
        if end == 0:
            x = x0
        else:
            t = tau[0] if tau[1] <= end <= tau[2] else 0.0
            noise = 0.0
            if t > 0:
                h = np.log(start / end)
                deviation = t * np.sqrt(start**2 - end**2) if in_noise else end * np.sqrt(1 - np.exp(-2 * t * t * h))
                noise = s_noise * deviation * run.noise(start, end)
            order = min(predictor, len(values), max(left - 1, 1) if clean else left)
            last = (x, t, noise)
            x = move(x, start, end, t, levels[:order], values[:order], noise)
        yield x


# ---------------------------------------------------------------------------------------------------------------------
# The cases


def karras(n, low=0.03, high=14.6):
    ramp = np.linspace(0, 1, n)
    return [*((high ** (1 / 7) + ramp * (low ** (1 / 7) - high ** (1 / 7))) ** 7).tolist(), 0.0]


KARRAS, SHORT = karras(7), karras(4)
UNEVEN = [9.0, 7.5, 3.1, 2.9, 1.2, 0.4, 0.35, 0.1]  # and not to the clean end


GRIDS = {name: {"sigmas": sigmas} for name, sigmas in [("karras", KARRAS), ("short", SHORT), ("uneven", UNEVEN)]}


def write(name, grids, cases):
    """One line a grid and a case."""
    parts = [",\n".join(f"{json.dumps(key)}: {json.dumps(grid)}" for key, grid in grids.items())]
    parts.append(",\n".join(json.dumps(case) for case in cases))
    (OUT / name).write_text('{"grids": {\n%s\n}, "cases": [\n%s\n]}\n' % tuple(parts))


def cases():
    def both(sampler, **options):
        for sigmas in [KARRAS, UNEVEN] if sampler == "sa_solver" else [KARRAS, SHORT, UNEVEN]:
            yield sampler, sigmas, options

    for gamma in [2.0, 1.5]:
        yield from both("gradient_estimation", gamma=gamma)
    yield from both("gradient_estimation", cfg_pp=True)
    for eta in [0.0, 1.0, 0.6]:
        yield from both("res_multistep", eta=eta)
        yield from both("res_multistep", eta=eta, cfg_pp=True)
    for stage in [1, 2, 3]:
        yield from both("er_sde", stage=stage)
        yield from both("er_sde", stage=stage, scaler="ode")
    yield from both("er_sde", s_noise=0.9)
    for eta in [0.0, 1.0, 0.4]:
        yield from both("euler_cfg_pp", eta=eta)
    yield from both("dpmpp_2m_cfg_pp")
    for eta in [1.0, 0.5]:
        yield from both("dpmpp_2s_ancestral_cfg_pp", eta=eta)
    for eta in [0.0, 1.0, 0.5]:
        yield from both("seeds_2", eta=eta)
        yield from both("seeds_2", eta=eta, r=1.0, phi=2)
        yield from both("seeds_3", eta=eta)
    yield from both("seeds_2", r=0.3, s_noise=0.9, phi=2)
    yield from both("seeds_3", r_1=0.25, r_2=1.0, s_noise=1.1)
    yield "restart", KARRAS, {"intervals": [[4, 4.0, 4, 2]]}
    yield "restart", KARRAS, {"intervals": [[3, 9.0, 3, 1], [6, 1.0, 5, 3]], "s_noise": 1.003}
    yield "restart", UNEVEN, {"intervals": [[7, 2.0, 2, 2]]}
    for order in [1, 2, 3, 4]:
        yield from both("ipndm", order=order)
        yield from both("ipndm_v", order=order)
        yield from both("deis", order=order)
        yield from both("deis", order=order, mode="rho")
    for p, c in [(1, 0), (1, 1), (2, 0), (2, 2), (3, 4), (4, 3), (4, 4)]:
        yield from both("sa_solver", predictor=p, corrector=c)
        yield from both("sa_solver", predictor=p, corrector=c, tau=[0.0, 0.0, 99.0])
    for p, c in [(1, 1), (2, 2), (3, 3)]:
        yield from both("sa_solver", predictor=p, corrector=c, in_noise=True, tau=[0.4, 0.3, 5.0])
        yield from both("sa_solver", predictor=p, corrector=c, pece=True)
        yield from both("sa_solver", predictor=p, corrector=c, simple=True, tau=[0.7, 0.0, 99.0], s_noise=0.9)


def sa_scheduler():
    """diffusers' own SASolverScheduler, in float32 and once more in float64: every step at the levels that it chose.

    In the noise its coefficients are in float64 both times: in float32 they are powers of lambda that cancel, and the SDE
    in the noise makes of that up to 7e-5 of the latent, against the same scheduler in float64."""
    made, grids, paths = [], {}, {}
    settings = [(6, {}), (9, {"timestep_spacing": "trailing"}), (10, {"use_karras_sigmas": True}), (20, {})]
    runs = itertools.product([1, 2, 3], [1, 2, 3], settings, ["data", "noise", "final"])
    runs = [run for run in runs if run[2][0] < 20 or run[0] == run[1]]
    for i, (p, c, (steps, grid), kind) in enumerate(runs):
        options = {"predictor_order": p, "corrector_order": c, **grid}
        options["algorithm_type"] = "noise_prediction" if kind == "noise" else "data_prediction"
        options["prediction_type"] = "epsilon" if kind == "noise" else "sample"
        options["lower_order_final"] = kind != "final"
        config = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
        for dtype in [torch.float32, torch.float64]:
            scheduler = diffusers.SASolverScheduler(**config, **options)
            scheduler.set_timesteps(steps)
            generator = torch.Generator().manual_seed(i)
            sigmas = scheduler.sigmas.double().tolist()
            if dtype == torch.float64 or kind == "noise":
                scheduler.sigmas = scheduler.sigmas.double()
            x = torch.randn(SHAPE, generator=generator).to(dtype)
            path = [x]
            with watched(dtype):
                for sigma, t in zip(sigmas, scheduler.timesteps):
                    alpha = 1 / np.sqrt(sigma**2 + 1)
                    x = path[-1].double().numpy() / alpha
                    output = (x - mixture(x, sigma)) / sigma if kind == "noise" else mixture(x, sigma)
                    output = torch.from_numpy(output).to(dtype)
                    path.append(scheduler.step(output, t, path[-1], generator=generator).prev_sample)
            assert all(x.isfinite().all() for x in path), options
            name = "f32" if dtype == torch.float32 else "f64"
            paths[f"{i}.{name}"] = torch.stack(path).numpy()
            assert paths[f"{i}.{name}"].dtype == np.dtype(f"float{name[1:]}")
        grids[str(steps)] = {"sigmas": sigmas, "timesteps": scheduler.timesteps.tolist()}
        made.append({"options": options, "seed": i, "grid": str(steps)})
    write("sa_scheduler.json", grids, made)
    save_file(paths, OUT / "sa_scheduler.safetensors")
    print(len(made), "runs of SASolverScheduler")


@contextlib.contextmanager
def watched(dtype):
    """Torch's normal numbers are those of its single precision whatever the type of the latent."""
    module = diffusers.schedulers.scheduling_sasolver
    original = module.randn_tensor
    module.randn_tensor = lambda shape, generator, **_: torch.randn(shape, generator=generator).to(dtype)
    yield
    module.randn_tensor = original


def main():
    OUT.mkdir(exist_ok=True)
    made, paths = [], {}
    for i, (sampler, sigmas, options) in enumerate(cases()):
        guided = "cfg_pp" in options or sampler.endswith("cfg_pp")
        run = Run(sigmas, seed=i, guided=guided)
        path = np.stack([run.x, *globals()[sampler](run, sigmas, **options)])
        assert np.isfinite(path).all(), (sampler, options)
        paths[str(i)] = path
        grid = next(name for name, known in GRIDS.items() if known["sigmas"] is sigmas)
        made.append({"sampler": sampler, "options": options, "guided": guided, "seed": i, "grid": grid, "draws": run.draws})
    write("cases.json", GRIDS, made)
    save_file(paths, OUT / "paths.safetensors")
    print(len(made), "cases")
    sa_scheduler()


if __name__ == "__main__":
    main()
