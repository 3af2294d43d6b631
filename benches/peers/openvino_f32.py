"""OpenVINO in f32. `openvino_f32.py convert CASE FOLDER` comes first and writes the case's graph to the folder: a
process of its own, so that torch, which makes the graph, does not count as memory of OpenVINO.
"""

import sys
from pathlib import Path

import openvino

import peer

# Without it, OpenVINO takes bf16 where the CPU has it.
SETTINGS = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": peer.THREADS, "PERFORMANCE_HINT": "LATENCY"}


def graph(case, folder):
    return folder / "openvino" / f"{case}.xml"


def convert(case, folder):
    import torch

    from torch_eager import network

    arguments = [torch.from_numpy(value) for value in peer.inputs(case, folder)]
    (folder / "openvino").mkdir(exist_ok=True)
    model = openvino.convert_model(network(case, folder), example_input=tuple(arguments))
    model.reshape({port: list(value.shape) for port, value in zip(model.inputs, arguments)})
    openvino.save_model(model, graph(case, folder), compress_to_fp16=False)


def call_of(case, folder):
    compiled = openvino.Core().compile_model(graph(case, folder), "CPU", SETTINGS)
    precision = compiled.get_property("INFERENCE_PRECISION_HINT")
    assert precision == openvino.Type.f32, f"OpenVINO computes in {precision}"
    request, arguments = compiled.create_infer_request(), peer.inputs(case, folder)
    return lambda: request.infer(arguments)[0]


if __name__ == "__main__":
    if sys.argv[1] == "convert":
        convert(sys.argv[2], Path(sys.argv[3]))
    else:
        peer.main(call_of)
