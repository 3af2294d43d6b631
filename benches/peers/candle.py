"""Builds candle.rs in FOLDER/candle, for run.py: `python benches/peers/candle.py FOLDER`. Three minutes the first time."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

MANIFEST = """
[package]
name = "candle-peer"
version = "0.0.0"
edition = "2024"

[dependencies]
candle-core = "=0.11.1"
candle-transformers = "=0.11.1"

[workspace]
"""


def main(folder):
    package = folder / "candle"
    (package / "src").mkdir(parents=True, exist_ok=True)
    (package / "Cargo.toml").write_text(MANIFEST)
    shutil.copy(Path(__file__).with_suffix(".rs"), package / "src/main.rs")
    # What this CPU has, as candle's own instructions advise.
    environment = os.environ | {"RUSTFLAGS": "-C target-cpu=native", "CARGO_TARGET_DIR": str(package / "target")}
    subprocess.run(["cargo", "build", "--release", "--quiet"], cwd=package, env=environment, check=True)


main(Path(sys.argv[1]))
