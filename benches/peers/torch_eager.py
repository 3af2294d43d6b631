"""diffusers and transformers on torch, as they come."""

import numpy
import torch
import transformers
from diffusers import AutoencoderKL, StableDiffusionPipeline, UNet2DConditionModel

import peer

DTYPE = getattr(torch, peer.DTYPE)


class Predict(torch.nn.Module):
    def __init__(self, unet):
        super().__init__()
        self.unet = unet

    def forward(self, x, timesteps, context, added=None):
        return self.unet(x, timesteps, context, added_cond_kwargs=added, return_dict=False)[0]


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
        model = Predict(UNet2DConditionModel.from_pretrained(folder, subfolder="unet", torch_dtype=DTYPE))
    elif part == "vae":
        model = Decode(AutoencoderKL.from_pretrained(folder, subfolder="vae", torch_dtype=DTYPE))
    else:
        model = Encode(transformers.CLIPTextModel.from_pretrained(folder, subfolder="text_encoder", dtype=DTYPE))
    return model.to(peer.DEVICE).eval()


def picture(folder, steps):
    torch.set_num_threads(peer.THREADS)
    pipe = StableDiffusionPipeline.from_pretrained(folder, safety_checker=None, local_files_only=True, torch_dtype=DTYPE)
    pipe.to(peer.DEVICE)
    pipe.set_progress_bar_config(disable=True)

    def call():
        generator = torch.Generator().manual_seed(0)
        options = {"height": 512, "width": 512, "num_inference_steps": steps, "output_type": "np"}
        image = pipe("a lighthouse at night", generator=generator, **options).images
        return numpy.ascontiguousarray(image.transpose(0, 3, 1, 2)) * 2 - 1

    return call


def tensor(value):
    """On the device, in the type asked for; so is each tensor of a dict."""
    if isinstance(value, dict):
        return {name: tensor(part) for name, part in value.items()}
    found = torch.from_numpy(value).to(peer.DEVICE)
    return found.to(DTYPE) if found.is_floating_point() else found


def call_of(case, folder):
    if case.startswith("picture-"):
        return picture(folder, int(case.removeprefix("picture-")))
    return called(network(case, folder), case, folder)


def called(model, case, folder):
    """A call of the model with the arguments of a case."""
    arguments = [tensor(value) for value in peer.inputs(case, folder)]

    @torch.inference_mode()
    def call():
        return model(*arguments).float().cpu().numpy()

    return call


if __name__ == "__main__":
    peer.main(call_of)
