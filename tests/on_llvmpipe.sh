#!/usr/bin/env bash
# A part of the golden tests on Mesa's llvmpipe, a Vulkan driver that computes on the CPU: the text encoders, networks and codecs of every
# kind, and a picture of each of three families, in f32 and f16: a minute or two, once built.
set -euo pipefail
cd "$(dirname "$0")/.."
export T2I_TEST_DEVICE=wgpu:cpu
export T2I_CASE=${T2I_CASE:-no_negative}

run() {
    cargo test --release -p t2i -p t2i-text -p t2i-unet -p t2i-vae --features t2i/wgpu-untuned "$@"
}

run --test golden_pictures --test clip --test golden
T2I_TEST_DTYPE=f16 run --test golden_pictures
