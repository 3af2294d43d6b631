"""As torch_eager.py, under torch.compile. It needs a C++ compiler; compiling is not timed."""

import torch

import peer
from torch_eager import network


def call_of(case, folder):
    # The shapes of a case never change.
    model = torch.compile(network(case, folder), dynamic=False)
    arguments = [torch.from_numpy(value) for value in peer.inputs(case, folder)]

    @torch.inference_mode()
    def call():
        return model(*arguments).numpy()

    return call


if __name__ == "__main__":
    peer.main(call_of)
