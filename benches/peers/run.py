"""What one call of each network of Stable Diffusion costs here and elsewhere: same weights, with two threads on a CPU.

    cargo build --release --example peer
    python benches/peers/run.py FOLDER                       # makes random weights there if there are none, 4.3 GB
    python benches/peers/run.py FOLDER --peers t2i torch_eager --cases unet-512 picture-2
    T2I_BENCH_DEVICE=cuda T2I_BENCH_DTYPE=f16 python benches/peers/run.py FOLDER --peers t2i torch_eager torch_compile

Device and type are f32 on the CPU unless these variables say otherwise. A FOLDER that `weights.py --xl` made is one of XL.
Every peer runs every case in a process of its own, so that the peak of resident memory is its own. The result of each
is compared with torch's, so that no wrong result is fast; but for stable-diffusion.cpp, which makes noise of its own. The table
goes to stdout, and everything measured to FOLDER/measured.json, from which `chart.py` draws.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

import numpy
from safetensors.numpy import load_file

import peer

HERE = Path(__file__).parent
THREADS = {name: "2" for name in ("RAYON_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")}
ENVIRONMENT = THREADS | {"TRANSFORMERS_VERBOSITY": "error", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
CASES = ["text", "unet-256", "unet-512", "vae-512", "picture-2"]
NAMES = {
    "t2i": "t2i",
    "torch_eager": "diffusers, torch",
    "torch_compile": "diffusers, torch.compile",
    "openvino_f32": "OpenVINO",
    "sd_cpp": "stable-diffusion.cpp",
    "candle": "candle",
}
# The others were given networks alone.
PAINTERS = ("t2i", "torch_eager", "sd_cpp")
# Of numbers that keep 24, 11 and 8 bits.
TOLERANCE = {"float32": 1e-3, "float16": 2e-2, "bfloat16": 1e-1}[peer.DTYPE]


def command(name, options):
    if name == "t2i":
        return [str(options.t2i)]
    if name == "candle":
        return [str(options.folder / "candle/target/release/candle-peer")]
    return [sys.executable, str(HERE / f"{name}.py")]


def run(name, case, options):
    """Seconds, peak memory in GiB and the result of a peer; None with the reason on stderr where it fails."""
    output = options.folder / f"{name}-{case}.safetensors"
    runs = 1 if case.startswith("picture") else options.runs
    arguments = [*command(name, options), case, str(options.folder), str(runs), str(output)]
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, env=os.environ | ENVIRONMENT)
    printed = process.stdout.read()
    # Of this child alone, unlike RUSAGE_CHILDREN.
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        print(f"{name} {case}: failed", file=sys.stderr)
        return None
    measured = json.loads(printed.splitlines()[-1])
    measured |= {"peer": name, "case": case, "peak": usage.ru_maxrss / 2**20}
    print(f"{name} {case}: {statistics.median(measured['seconds']):.3f} s", file=sys.stderr)
    return measured | {"output": load_file(output)["output"]} if output.exists() else measured


def prepare(options):
    if not (options.folder / "model_index.json").exists():
        subprocess.run([sys.executable, HERE / "weights.py", options.folder], check=True)
    if "openvino_f32" in options.peers:
        for case in options.cases:
            if not case.startswith("picture") and not (options.folder / "openvino" / f"{case}.xml").exists():
                subprocess.run([sys.executable, HERE / "openvino_f32.py", "convert", case, options.folder], check=True)
    if "candle" in options.peers:
        subprocess.run([sys.executable, HERE / "candle.py", options.folder], check=True)


def measure(options):
    """A list of what was measured; results are replaced by their difference from torch's."""
    everything = []
    for case in options.cases:
        names = [name for name in options.peers if not case.startswith("picture") or name in PAINTERS]
        rounds = [[run(name, case, options) for name in names] for _ in range(options.rounds)]
        measured = [together(runs) for runs in zip(*rounds) if all(runs)]
        expected = next((m["output"] for m in measured if m["peer"] == "torch_eager"), None)
        for m in measured:
            m["difference"] = difference(m.pop("output", None), expected)
        everything += measured
    return everything


def together(rounds):
    """What was measured in several rounds, as if in one."""
    seconds = [second for m in rounds for second in m["seconds"]]
    peak, load = max(m["peak"] for m in rounds), statistics.median(m["load"] for m in rounds)
    return rounds[0] | {"seconds": seconds, "median": statistics.median(seconds), "peak": peak, "load": load}


def difference(output, expected):
    """The largest of any value, over the largest value of torch's result."""
    if output is None or expected is None:
        return None
    if output.shape != expected.shape or not numpy.isfinite(output).all():
        return float("inf")
    return float(numpy.abs(output - expected).max() / numpy.abs(expected).max())


def table(everything):
    lines = ["| case | program | seconds | of t2i's time | peak GiB | load s | first call s | difference from torch |"]
    lines.append("|---|---|---:|---:|---:|---:|---:|---:|")
    ours = {m["case"]: m["median"] for m in everything if m["peer"] == "t2i"}
    for m in everything:
        share = f"{m['median'] / ours[m['case']]:.2f}" if m["case"] in ours else ""
        cells = [m["case"], NAMES[m["peer"]], f"{m['median']:.4f}", share, f"{m['peak']:.2f}"]
        cells += [f"{m['load']:.1f}", f"{m['first']:.1f}" if "first" in m else ""]
        lines.append(f"| {' | '.join(cells)} | {verdict(m)} |")
    return "\n".join(lines)


def verdict(m):
    if m["difference"] is None:
        return "not compared"
    return f"{m['difference']:.1e}" + ("" if m["difference"] <= TOLERANCE else " WRONG")


def options():
    parser = argparse.ArgumentParser(description="t2i and its peers on the same random Stable Diffusion 1.5")
    parser.add_argument("folder", type=Path, help="where weights are, or shall be made")
    parser.add_argument("--peers", nargs="+", choices=NAMES, default=["t2i", "torch_eager", "openvino_f32"])
    parser.add_argument("--cases", nargs="+", default=CASES, help="unet-256 unet-512 vae-512 text picture-N")
    parser.add_argument("--runs", type=int, default=3, help="of which the median counts, after one more")
    parser.add_argument("--rounds", type=int, default=1, help="of all programs in turn: machines are not always as fast")
    parser.add_argument("--t2i", type=Path, default=target() / "release/examples/peer", help="our program")
    return parser.parse_args()


def target():
    return Path(os.environ.get("CARGO_TARGET_DIR", HERE.parents[1] / "target"))


def main():
    chosen = options()
    prepare(chosen)
    everything = measure(chosen)
    (chosen.folder / "measured.json").write_text(json.dumps(everything, indent=1))
    print(table(everything))
    wrong = [m for m in everything if m["difference"] is not None and m["difference"] > TOLERANCE]
    sys.exit(f"{len(wrong)} results differ from torch's" if wrong else 0)


if __name__ == "__main__":
    main()
