"""As torch_eager.py, under torch.compile. It needs a C++ compiler; compiling is not timed."""

import torch

import peer
from torch_eager import called, network


def call_of(case, folder):
    # The shapes of a case never change.
    return called(torch.compile(network(case, folder), dynamic=False), case, folder)


if __name__ == "__main__":
    peer.main(call_of)
