"""diffusers and transformers on torch, as they come."""

import numpy
import torch
import transformers
from diffusers import AutoencoderKL, StableDiffusionPipeline, UNet2DConditionModel

import peer


class Predict(torch.nn.Module):
    def __init__(self, unet):
        super().__init__()
        self.unet = unet

    def forward(self, x, timesteps, context):
        return self.unet(x, timesteps, context, return_dict=False)[0]


class Decode(torch.nn.Module):
    def __init__(self, vae):
        super().__init__()
        self.vae = vae

    def forward(self, latent):
        return self.vae.decode(latent, return_dict=False)[0]


class Encode(torch.nn.Module):
    def __init__(self, encoder):
        super().__init__()
        self.encoder = encoder

    def forward(self, ids):
        return self.encoder(input_ids=ids).last_hidden_state


def network(case, folder):
    """The network of a case, from tensors to a tensor."""
    torch.set_num_threads(peer.THREADS)
    part = case.partition("-")[0]
    if part == "unet":
        return Predict(UNet2DConditionModel.from_pretrained(folder, subfolder="unet")).eval()
    if part == "vae":
        return Decode(AutoencoderKL.from_pretrained(folder, subfolder="vae")).eval()
    return Encode(transformers.CLIPTextModel.from_pretrained(folder, subfolder="text_encoder")).eval()


def picture(folder, steps):
    torch.set_num_threads(peer.THREADS)
    pipe = StableDiffusionPipeline.from_pretrained(folder, safety_checker=None, local_files_only=True)
    pipe.set_progress_bar_config(disable=True)

    def call():
        generator = torch.Generator().manual_seed(0)
        options = {"height": 512, "width": 512, "num_inference_steps": steps, "output_type": "np"}
        image = pipe("a lighthouse at night", generator=generator, **options).images
        return numpy.ascontiguousarray(image.transpose(0, 3, 1, 2)) * 2 - 1

    return call


def call_of(case, folder):
    if case.startswith("picture-"):
        return picture(folder, int(case.removeprefix("picture-")))
    return called(network(case, folder), case, folder)


def called(model, case, folder):
    """A call of the model with the arguments of a case."""
    arguments = [torch.from_numpy(value) for value in peer.inputs(case, folder)]

    @torch.inference_mode()
    def call():
        return model(*arguments).numpy()

    return call


if __name__ == "__main__":
    peer.main(call_of)
