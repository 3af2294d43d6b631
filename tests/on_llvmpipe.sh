#!/usr/bin/env bash
# A part of the golden tests on Mesa's llvmpipe, a Vulkan driver that computes on the CPU: a picture of each of three families, in a minute or two.
set -euo pipefail
cd "$(dirname "$0")/.."
export T2I_TEST_DEVICE=wgpu:cpu
T2I_CASE=${T2I_CASE:-no_negative} cargo test --release -p t2i --features wgpu-untuned --test golden_pictures
