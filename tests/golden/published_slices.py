"""Makes tests/golden/pipelines/published: diffusers' own tests of its pipelines, ready to be run without it.

    python tests/golden/published_slices.py

The tests are those of https://github.com/huggingface/diffusers at commit 58eb52c0803ea9af3abec60841c2a093bdf1f951;
their numbers are copied below and checked against the diffusers that is installed (versions: see common.py). Their
networks are made by PyTorch's own initialisation from seed 0, so a *recipe* of a few kilobytes stands for megabytes of
weights (see tests/golden/README.md). Their tokenizer is not ours to copy: token ids and contexts are stored instead;
it is read from ../shared/reference/tiny_random_clip/tokenizer.json, beside the repository.
"""

import copy
import json
import random
import sys
import warnings

import diffusers
import numpy as np
import torch
from diffusers import AutoencoderKL, AutoencoderTiny, DDIMScheduler, EulerDiscreteScheduler, PNDMScheduler
from diffusers import EulerAncestralDiscreteScheduler, LCMScheduler, UNet2DConditionModel
from PIL import Image
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

import common
from common import GOLDEN, write_json
from make_pipelines import run

ROOT = GOLDEN / "pipelines" / "published"
TOKENIZER = GOLDEN.parents[2] / "shared" / "reference" / "tiny_random_clip" / "tokenizer.json"
PROMPT = "A painting of a squirrel eating a burger"

# ---------------------------------------------------------------------------------------------------------------------
# Networks, as the tests make them

UNET = dict(
    block_out_channels=(32, 64),
    layers_per_block=2,
    sample_size=32,
    in_channels=4,
    out_channels=4,
    down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
    up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
    cross_attention_dim=32,
)
SD2 = dict(attention_head_dim=(2, 4), use_linear_projection=True)
ADDED = dict(addition_embed_type="text_time", addition_time_embed_dim=8, transformer_layers_per_block=(1, 2))
XL_IMAGE = {**UNET, **SD2, **ADDED, "projection_class_embeddings_input_dim": 72, "cross_attention_dim": 64}
SD = {**UNET, "block_out_channels": (4, 8), "layers_per_block": 1, "cross_attention_dim": 8, "norm_num_groups": 2}
XL = {**XL_IMAGE, "block_out_channels": (2, 4), "projection_class_embeddings_input_dim": 80, "norm_num_groups": 1}
LCM = {"time_cond_proj_dim": 256}
UNETS = {
    "sd": SD,
    "sd_lcm": {**SD, **LCM},
    "sd2": {**UNET, **SD2},
    "plain": UNET,
    "plain_lcm": {**UNET, **LCM},
    "inpaint": {**UNET, "in_channels": 9},
    "inpaint_lcm": {**UNET, **LCM, "in_channels": 9},
    "sd2_inpaint": {**UNET, **SD2, "in_channels": 9},
    "xl": XL,
    "xl_lcm": {**XL, **LCM},
    "xl_image": XL_IMAGE,
    "xl_image_lcm": {**XL_IMAGE, **LCM},
    "xl_image_refiner": {**XL_IMAGE, "cross_attention_dim": 32},
}

VAE = dict(
    block_out_channels=[32, 64],
    in_channels=3,
    out_channels=3,
    down_block_types=["DownEncoderBlock2D"] * 2,
    up_block_types=["UpDecoderBlock2D"] * 2,
    latent_channels=4,
)
VAES = {
    "sd": (AutoencoderKL, {**VAE, "block_out_channels": [4, 8], "norm_num_groups": 2}),
    "plain": (AutoencoderKL, VAE),
    "tiny": (AutoencoderTiny, dict(in_channels=3, out_channels=3, latent_channels=4)),
}

TEXT = dict(
    bos_token_id=0,
    eos_token_id=2,
    hidden_size=32,
    intermediate_size=37,
    layer_norm_eps=1e-05,
    num_attention_heads=4,
    num_hidden_layers=5,
    pad_token_id=1,
    vocab_size=1000,
)
TEXTS = {
    "sd": {**TEXT, "hidden_size": 8, "intermediate_size": 16, "num_attention_heads": 2, "num_hidden_layers": 2},
    "plain": TEXT,
    "sd2": {**TEXT, "hidden_act": "gelu", "projection_dim": 512},
    "sd2_v": {**TEXT, "hidden_act": "gelu", "projection_dim": 64},
    "xl": {**TEXT, "hidden_act": "gelu", "projection_dim": 32},
}

BETAS = dict(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
SCHEDULERS = {
    "ddim": lambda: DDIMScheduler(**BETAS, clip_sample=False, set_alpha_to_one=False),
    "ddim_v": lambda: DDIMScheduler(**BETAS, clip_sample=False, set_alpha_to_one=False, prediction_type="v_prediction"),
    "euler_v": lambda: EulerDiscreteScheduler(**BETAS, prediction_type="v_prediction"),
    "pndm": lambda: PNDMScheduler(skip_prk_steps=True),
    "xl": lambda: EulerDiscreteScheduler(**BETAS, steps_offset=1, timestep_spacing="leading"),
}

# ---------------------------------------------------------------------------------------------------------------------
# Recipes: which stretch of which random stream a parameter is


class Stream:
    """Watches `uniform_` while a network is made: for each tensor, where in the stream it began, and its bounds."""

    def __enter__(self):
        self.offset, self.seen, self.original = 0, {}, torch.Tensor.uniform_

        def uniform_(tensor, low=0.0, high=1.0, **kwargs):
            self.seen[tensor.data_ptr()] = (self.offset, low, high)
            self.offset += tensor.numel()
            return self.original(tensor, low, high, **kwargs)

        torch.Tensor.uniform_ = uniform_
        return self

    def __exit__(self, *_):
        torch.Tensor.uniform_ = self.original


def f32(value):
    """The shortest decimal number that reads as the same f32."""
    return float(str(np.float32(value)))


def recipe(make, seed=0, before=None):
    """Makes a network from `seed`, and the recipe of its weights: `[name, shape, offset, low, high]`, sorted by offset,
    or `[name, shape, null, value, value]` for a constant. `before` is what is made first, from the same stream."""
    torch.manual_seed(seed)
    start = position_after(before, seed) if before else 0
    with Stream() as stream:
        stream.offset = start
        model = make()
    lines = []
    for name, value in model.state_dict().items():
        if value.data_ptr() in stream.seen:
            offset, low, high = stream.seen[value.data_ptr()]
            lines.append([name, list(value.shape), offset, f32(low), f32(high)])
        else:
            constant = value.flatten()[0].item()
            assert (value == constant).all(), name
            lines.append([name, list(value.shape), None, constant, constant])
    lines.sort(key=lambda line: -1 if line[2] is None else line[2])
    check_recipe(model, seed, lines)
    return model.eval(), {"seed": seed, "tensors": lines}


def position_after(make, seed, look=1 << 20):
    """How many 32-bit draws `make` takes from the stream of `seed`, which was just set: found by looking for the next
    ones, since the normal distribution takes more than one draw a value."""
    make()
    state = torch.get_rng_state()
    after = (torch.empty(8).uniform_().double() * 2**24).long().numpy()
    torch.set_rng_state(state)
    stream = np.random.RandomState(seed).randint(0, 2**32, look, np.uint32) & 0xFFFFFF
    places = [i for i in np.flatnonzero(stream[:-8] == after[0]) if (stream[i : i + 8] == after).all()]
    assert len(places) == 1
    return int(places[0])


def bake(seed, lines):
    """What a reader of a recipe does: numpy's legacy generator gives the same 32-bit draws as torch's CPU generator."""
    raw = np.random.RandomState(seed)
    values, position = {}, 0
    for name, shape, offset, low, high in lines:
        count = int(np.prod(shape))
        if offset is None:
            values[name] = np.full(shape, low, np.float32)
            continue
        raw.randint(0, 2**32, offset - position, np.uint32)
        draws = raw.randint(0, 2**32, count, np.uint32) & 0xFFFFFF
        low, high = float(np.float32(low)), float(np.float32(high))
        values[name] = (draws * 2.0**-24 * (high - low) + low).astype(np.float32).reshape(shape)
        position = offset + count
    return values


def check_recipe(model, seed, lines):
    """Every weight comes out of its recipe to the last bit."""
    baked = bake(seed, lines)
    for name, value in model.state_dict().items():
        assert np.array_equal(baked[name], value.numpy()), name


def write_recipe(folder, model, made):
    """`config.json` as save_pretrained writes it, and `recipe.json`, one tensor a line."""
    model.save_config(folder)
    lines = ",\n".join(json.dumps(line, separators=(",", ":")) for line in made["tensors"])
    (folder / "recipe.json").write_text(f'{{"seed": {made["seed"]}, "tensors": [\n{lines}\n]}}\n')


# ---------------------------------------------------------------------------------------------------------------------
# Inputs, as the tests make them


def floats(shape, seed):
    """tests/testing_utils.py: floats_tensor."""
    rng = random.Random(seed)
    count = int(np.prod(shape))
    return torch.tensor([rng.random() for _ in range(count)], dtype=torch.float).view(shape)


def tokenizer():
    """The dummy tokenizer, from its tokenizer.json."""
    model = json.loads(TOKENIZER.read_text())["model"]
    merges = [tuple(m.split(" ")) if isinstance(m, str) else tuple(m) for m in model["merges"]]
    return CLIPTokenizer(vocab=model["vocab"], merges=merges, model_max_length=77)


def image_to_image():
    return {"image": floats((1, 3, 32, 32), 0) / 2 + 0.5}


def two_images():
    return {"image": image_to_image()["image"].repeat(2, 1, 1, 1), "prompt": [PROMPT] * 2}


def inpaint():
    pixels = floats((1, 3, 32, 32), 0).permute(0, 2, 3, 1)[0]
    image = Image.fromarray(np.uint8(255 * pixels.numpy())).convert("RGB").resize((64, 64))
    mask = Image.fromarray(np.uint8(255 * np.ones_like(pixels))).convert("RGB").resize((64, 64))
    return {"image": image, "mask_image": mask}


def inpaint_tensors():
    mask = torch.ones((1, 1, 64, 64))
    mask[0, 0, :32, :32] = 0
    return {"image": 2.0 * floats((1, 3, 64, 64), 0) - 1.0, "mask_image": mask, "num_inference_steps": 4}


def inpaint_sd2():
    pixels = floats((1, 3, 32, 32), 0).permute(0, 2, 3, 1)[0].numpy()
    image = Image.fromarray(np.uint8(pixels)).convert("RGB").resize((64, 64))
    mask = Image.fromarray(np.uint8(pixels + 4)).convert("RGB").resize((64, 64))
    return {"image": image, "mask_image": mask}


def inpaint_xl():
    pixels = floats((1, 3, 32, 32), 0).permute(0, 2, 3, 1)[0].numpy()
    image = Image.fromarray(np.uint8(pixels)).convert("RGB").resize((64, 64))
    pixels[8:, 8:, :] = 255
    mask = Image.fromarray(np.uint8(pixels)).convert("L").resize((64, 64))
    return {"image": image, "mask_image": mask, "strength": 1.0}


# ---------------------------------------------------------------------------------------------------------------------
# The tests

TESTS = "tests/pipelines/"
SD_FILE = TESTS + "stable_diffusion/test_stable_diffusion.py"
SD2_FILE = TESTS + "stable_diffusion_2/test_stable_diffusion.py"
V_FILE = TESTS + "stable_diffusion_2/test_stable_diffusion_v_pred.py"
SD2_INPAINT_FILE = TESTS + "stable_diffusion_2/test_stable_diffusion_inpaint.py"
IMAGE_FILE = TESTS + "stable_diffusion/test_stable_diffusion_img2img.py"
INPAINT_FILE = TESTS + "stable_diffusion/test_stable_diffusion_inpaint.py"
XL_FILE = TESTS + "stable_diffusion_xl/test_stable_diffusion_xl.py"
XL_IMAGE_FILE = TESTS + "stable_diffusion_xl/test_stable_diffusion_xl_img2img.py"
XL_INPAINT_FILE = TESTS + "stable_diffusion_xl/test_stable_diffusion_xl_inpaint.py"

EULER, ANCESTRAL = EulerDiscreteScheduler, EulerAncestralDiscreteScheduler
TEXT_PIPE, IMAGE_PIPE, INPAINT_PIPE = "StableDiffusionPipeline", "StableDiffusionImg2ImgPipeline", "StableDiffusionInpaintPipeline"
XL_PIPE, XL_IMAGE_PIPE, XL_INPAINT_PIPE = (name.replace("Diffusion", "DiffusionXL") for name in (TEXT_PIPE, IMAGE_PIPE, INPAINT_PIPE))


def plain(guidance=6.0, **more):
    return {"prompt": PROMPT, "num_inference_steps": 2, "guidance_scale": guidance, **more}


# name: (source, test, pipeline, unet, vae, text, scheduler given to the pipeline, what replaces it then, arguments, tolerance, numbers)
CASES = {
    "sd_ddim": (SD_FILE, "test_stable_diffusion_ddim", TEXT_PIPE, "sd", "sd", "sd", "ddim", None, plain(), 1e-2,
        [0.1641, 0.4640, 0.4864, 0.2683, 0.3652, 0.4507, 0.5290, 0.3307, 0.3977]),
    "sd_lcm": (SD_FILE, "test_stable_diffusion_lcm", TEXT_PIPE, "sd_lcm", "sd", "sd", "ddim", LCMScheduler, plain(), 1e-2,
        [0.2368, 0.4900, 0.5019, 0.2723, 0.4473, 0.4578, 0.4551, 0.3532, 0.4133]),
    "sd_ddim_factor_8": (SD_FILE, "test_stable_diffusion_ddim_factor_8", TEXT_PIPE, "sd", "sd", "sd", "ddim", None,
        plain(height=136, width=136), 1e-2,
        [0.4587, 0.5238, 0.5006, 0.3869, 0.4538, 0.4228, 0.5666, 0.5814, 0.5468]),
    "sd_pndm": (SD_FILE, "test_stable_diffusion_pndm", TEXT_PIPE, "sd", "sd", "sd", "ddim", "pndm", plain(), 1e-2,
        [0.1791, 0.4611, 0.4741, 0.2336, 0.4175, 0.4484, 0.5582, 0.3556, 0.3951]),
    "sd_k_euler_ancestral": (SD_FILE, "test_stable_diffusion_k_euler_ancestral", TEXT_PIPE, "sd", "sd", "sd", "ddim", ANCESTRAL, plain(), 1e-2,
        [0.2185, 0.4534, 0.4657, 0.2452, 0.4406, 0.4375, 0.5631, 0.3755, 0.3927]),
    "sd_k_euler": (SD_FILE, "test_stable_diffusion_k_euler", TEXT_PIPE, "sd", "sd", "sd", "ddim", EULER, plain(), 1e-2,
        [0.2185, 0.4538, 0.4660, 0.2454, 0.4408, 0.4377, 0.5629, 0.3754, 0.3927]),
    "sd_negative_prompt": (SD_FILE, "test_stable_diffusion_negative_prompt", TEXT_PIPE, "sd", "sd", "sd", "pndm", None,
        plain(negative_prompt="french fries"), 1e-2,
        [0.1772, 0.4578, 0.4700, 0.2363, 0.4173, 0.4462, 0.5595, 0.3588, 0.3959]),
    "sd2_ddim": (SD2_FILE, "test_stable_diffusion_ddim", TEXT_PIPE, "sd2", "plain", "sd2", "ddim", None, plain(), 1e-2,
        [0.5679, 0.6010, 0.5052, 0.5159, 0.5389, 0.4739, 0.5074, 0.4872, 0.4843]),
    "sd2_pndm": (SD2_FILE, "test_stable_diffusion_pndm", TEXT_PIPE, "sd2", "plain", "sd2", "pndm", None, plain(), 1e-2,
        [0.5121, 0.5714, 0.4827, 0.5057, 0.5646, 0.4766, 0.5189, 0.4895, 0.4990]),
    "sd2_k_euler_ancestral": (SD2_FILE, "test_stable_diffusion_k_euler_ancestral", TEXT_PIPE, "sd2", "plain", "sd2", "ddim", "first " + ANCESTRAL.__name__, plain(), 1e-2,
        [0.4766, 0.5390, 0.4768, 0.5013, 0.5585, 0.4859, 0.5338, 0.5041, 0.5075]),
    "sd2_k_euler": (SD2_FILE, "test_stable_diffusion_k_euler", TEXT_PIPE, "sd2", "plain", "sd2", "ddim", "first " + EULER.__name__, plain(), 1e-2,
        [0.4767, 0.5389, 0.4766, 0.5015, 0.5585, 0.4859, 0.5341, 0.5041, 0.5073]),
    "sd2_unflawed": (SD2_FILE, "test_stable_diffusion_unflawed", TEXT_PIPE, "sd2", "plain", "sd2", "ddim", "trailing",
        plain(num_inference_steps=10, guidance_rescale=0.7), 1e-2,
        [0.4736, 0.5405, 0.4705, 0.4955, 0.5675, 0.4812, 0.5310, 0.4967, 0.5064]),
    "sd2_v_ddim": (V_FILE, "test_stable_diffusion_v_pred_ddim", TEXT_PIPE, "sd2", "plain", "sd2_v", "ddim_v", None, plain(), 1e-2,
        [0.6308, 0.6095, 0.5343, 0.5073, 0.4634, 0.4632, 0.4967, 0.4885, 0.4489]),
    "sd2_v_k_euler": (V_FILE, "test_stable_diffusion_v_pred_k_euler", TEXT_PIPE, "sd2", "plain", "sd2_v", "euler_v", None, plain(), 1e-2,
        [0.5419, 0.5719, 0.5558, 0.5034, 0.4559, 0.5026, 0.4736, 0.4782, 0.4725]),
    "xl_euler": (XL_FILE, "test_stable_diffusion_xl_euler", XL_PIPE, "xl", "plain", "xl", "xl", None, plain(5.0), 1e-2,
        [0.5556, 0.5318, 0.4649, 0.4321, 0.4824, 0.4624, 0.5183, 0.4981, 0.4692]),
    "xl_euler_lcm": (XL_FILE, "test_stable_diffusion_xl_euler_lcm", XL_PIPE, "xl_lcm", "plain", "xl", "xl", LCMScheduler, plain(5.0), 1e-2,
        [0.4917, 0.6555, 0.4348, 0.5219, 0.7324, 0.4855, 0.5168, 0.5447, 0.5156]),
    "img2img_default": (IMAGE_FILE, "test_stable_diffusion_img2img_default_case", IMAGE_PIPE, "plain", "plain", "plain", "pndm", None,
        plain(inputs=image_to_image), 1e-3,
        [0.4517, 0.3640, 0.4036, 0.4014, 0.4381, 0.3990, 0.3824, 0.4628, 0.4415]),
    "img2img_lcm": (IMAGE_FILE, "test_stable_diffusion_img2img_default_case_lcm", IMAGE_PIPE, "plain_lcm", "plain", "plain", "pndm", LCMScheduler,
        plain(inputs=image_to_image), 1e-3,
        [0.5915, 0.4625, 0.4547, 0.6083, 0.5414, 0.6927, 0.6253, 0.5223, 0.5449]),
    "img2img_negative_prompt": (IMAGE_FILE, "test_stable_diffusion_img2img_negative_prompt", IMAGE_PIPE, "plain", "plain", "plain", "pndm", None,
        plain(inputs=image_to_image, negative_prompt="french fries"), 1e-3,
        [0.4642, 0.3576, 0.4112, 0.4289, 0.4396, 0.4068, 0.3845, 0.4603, 0.4427]),
    "img2img_multiple_init_images": (IMAGE_FILE, "test_stable_diffusion_img2img_multiple_init_images", IMAGE_PIPE, "plain", "plain", "plain", "pndm", None,
        plain(inputs=two_images), 1e-3,
        [0.4385, 0.3589, 0.4905, 0.4607, 0.4040, 0.5551, 0.5114, 0.5269, 0.5267]),
    "img2img_tiny_autoencoder": (IMAGE_FILE, "test_stable_diffusion_img2img_tiny_autoencoder", IMAGE_PIPE, "plain", "tiny", "plain", "pndm", None,
        plain(inputs=image_to_image), 1e-3,
        [0.00551, 0.01295, 0.01731, 0.00725, 0.01140, 0.01334, 0.00152, 0.00997, 0.01265]),
    "inpaint": (INPAINT_FILE, "TestStableDiffusionInpaintPipeline::test_stable_diffusion_inpaint", INPAINT_PIPE, "inpaint", "plain", "plain", "pndm", None,
        plain(inputs=inpaint), 1e-2,
        [0.4816, 0.5766, 0.3897, 0.5448, 0.5982, 0.4359, 0.5142, 0.4836, 0.4536]),
    "inpaint_lcm": (INPAINT_FILE, "TestStableDiffusionInpaintPipeline::test_stable_diffusion_inpaint_lcm", INPAINT_PIPE, "inpaint_lcm", "plain", "plain", "pndm", LCMScheduler,
        plain(inputs=inpaint), 1e-2,
        [0.4979, 0.5907, 0.4608, 0.5595, 0.6673, 0.5135, 0.6035, 0.5464, 0.5325]),
    "inpaint_simple": (INPAINT_FILE, "TestStableDiffusionSimpleInpaintPipeline::test_stable_diffusion_inpaint", INPAINT_PIPE, "plain", "plain", "plain", "pndm", None,
        plain(inputs=inpaint), 1e-2,
        [0.6584, 0.5424, 0.5649, 0.5449, 0.5897, 0.6111, 0.5404, 0.5463, 0.5214]),
    "inpaint_simple_lcm": (INPAINT_FILE, "TestStableDiffusionSimpleInpaintPipeline::test_stable_diffusion_inpaint_lcm", INPAINT_PIPE, "plain_lcm", "plain", "plain", "pndm", LCMScheduler,
        plain(inputs=inpaint), 1e-2,
        [0.6240, 0.5355, 0.5649, 0.5378, 0.5374, 0.6242, 0.5132, 0.5347, 0.5396]),
    "inpaint_simple_euler": (INPAINT_FILE, "TestStableDiffusionSimpleInpaintPipeline::test_stable_diffusion_inpaint_euler", INPAINT_PIPE, "plain_lcm", "plain", "plain", "pndm", ANCESTRAL,
        plain(inputs=inpaint_tensors), 1e-4,
        [0.6443541, 0.55819386, 0.58656645, 0.5574256, 0.55064464, 0.64331865, 0.5232371, 0.5466772, 0.5478098]),
    "sd2_inpaint": (SD2_INPAINT_FILE, "test_stable_diffusion_inpaint", INPAINT_PIPE, "sd2_inpaint", "plain", "sd2", "pndm", None,
        plain(inputs=inpaint_sd2), 1e-2,
        [0.4858, 0.5739, 0.3934, 0.5437, 0.5925, 0.4369, 0.5121, 0.4742, 0.4538]),
    "xl_img2img_euler": (XL_IMAGE_FILE, "test_stable_diffusion_xl_img2img_euler", XL_IMAGE_PIPE, "xl_image", "plain", "xl", "xl", None,
        plain(5.0, inputs=image_to_image, strength=0.8), 1e-2,
        [0.4555, 0.4937, 0.4329, 0.6746, 0.5620, 0.4489, 0.5854, 0.5960, 0.5203]),
    "xl_img2img_euler_lcm": (XL_IMAGE_FILE, "test_stable_diffusion_xl_img2img_euler_lcm", XL_IMAGE_PIPE, "xl_image_lcm", "plain", "xl", "xl", "LCM of the pipeline's config",
        plain(5.0, inputs=image_to_image, strength=0.8), 1e-2,
        [0.5659, 0.4335, 0.4640, 0.5914, 0.5211, 0.6672, 0.6317, 0.5499, 0.5259]),
    "xl_inpaint_euler": (XL_INPAINT_FILE, "test_stable_diffusion_xl_inpaint_euler", XL_INPAINT_PIPE, "xl_image", "plain", "xl", "xl", None,
        plain(inputs=inpaint_xl), 1e-2,
        [0.7819, 0.5553, 0.5853, 0.6391, 0.6660, 0.7527, 0.6580, 0.5877, 0.5146]),
    "xl_inpaint_euler_lcm": (XL_INPAINT_FILE, "test_stable_diffusion_xl_inpaint_euler_lcm", XL_INPAINT_PIPE, "xl_image_lcm", "plain", "xl", "xl", "LCM of the pipeline's config",
        plain(inputs=inpaint_xl), 1e-2,
        [0.6611, 0.5569, 0.5531, 0.5471, 0.5918, 0.6393, 0.5074, 0.5468, 0.5185]),
    "xl_inpaint_refiner": (XL_INPAINT_FILE, "test_stable_diffusion_xl_refiner", XL_INPAINT_PIPE, "xl_image_refiner", "plain", "xl", "xl", None,
        plain(inputs=inpaint_xl), 1e-2,
        [0.7432, 0.5123, 0.5937, 0.6343, 0.6309, 0.7179, 0.6593, 0.5638, 0.5031]),
}  # fmt: skip

# ---------------------------------------------------------------------------------------------------------------------


def text_parts(name, pipeline, unet):
    """The text encoders and tokenizers, seeded as the tests seed them."""
    torch.manual_seed(0)
    config = CLIPTextConfig(**TEXTS[name])
    parts = {"text_encoder": CLIPTextModel(config), "tokenizer": tokenizer()}
    if "XL" not in pipeline:
        return {**parts, "safety_checker": None, "feature_extractor": None, "image_encoder": None}
    parts |= {"text_encoder_2": CLIPTextModelWithProjection(config), "tokenizer_2": tokenizer()}
    if unet.endswith("refiner"):
        parts |= {"text_encoder": None, "tokenizer": None}
    if pipeline != XL_PIPE:
        parts["requires_aesthetics_score"] = True
    return parts


def replace_scheduler(pipe, new):
    """What the tests do to the scheduler after the pipeline is made."""
    config = pipe.scheduler.config
    if new == "pndm":
        pipe.scheduler = SCHEDULERS["pndm"]()
    elif new == "LCM of the pipeline's config":
        pipe.scheduler = LCMScheduler.from_config(pipe.config)
    elif new is not None:
        pipe.scheduler = new.from_config(config)


def first_scheduler(name, new):
    """The scheduler that the pipeline is made with; some tests change it before."""
    scheduler = SCHEDULERS[name]()
    if new == "trailing":
        return DDIMScheduler.from_config(scheduler.config, timestep_spacing="trailing"), None
    if isinstance(new, str) and new.startswith("first "):
        return getattr(diffusers, new.removeprefix("first ")).from_config(scheduler.config), None
    return scheduler, new


def write_input(folder, tensors, name, value):
    """A picture as PNG; a tensor in [0, 1], also where the test gives it in [-1, 1] (diffusers tells by its sign)."""
    if isinstance(value, Image.Image):
        value.save(folder / f"{name}.png")
        return f"{name}.png"
    if value.min() < 0:
        value, given = value * 0.5 + 0.5, value
        assert torch.equal(value * 2 - 1, given)
    tensors[name] = value.contiguous()
    return "tensors.safetensors"


CONTEXT_NAMES = {PROMPT: "painting", None: "empty", "french fries": "french_fries"}


def keep_contexts(contexts, text, found, args):
    """Adds a run's contexts to those of its text encoder, one prompt each; returns the names they have there."""
    names, kept = {}, contexts.setdefault(text, {})
    for key, value in found.items():
        negative = key.startswith("negative_")
        word = CONTEXT_NAMES[args.get("negative_prompt")] if negative else "painting"
        name = f"{word}.{key.removeprefix('negative_')}"
        names[key] = "zeros" if not value.any() else name
        if value.any():
            assert name not in kept or torch.equal(kept[name], value[:1])
            kept[name] = value[:1].contiguous()
    return {"file": f"contexts/{text}.safetensors", **names}


def publish(name, unets, vaes, contexts):
    source, test, pipeline, unet, vae, text, scheduler, new, args, tolerance, numbers = CASES[name]
    folder = common.fresh(ROOT / "cases" / name)
    args = dict(args)
    inputs = args.pop("inputs", dict)()
    pictures = {k: inputs.pop(k) for k in ("image", "mask_image") if k in inputs}
    args |= inputs

    given, new = first_scheduler(scheduler, new)
    pipe = getattr(diffusers, pipeline)(unet=unets[unet], vae=vaes[vae], scheduler=given, **text_parts(text, pipeline, unet))  # fmt: skip
    pipe.set_progress_bar_config(disable=True)
    replace_scheduler(pipe, new)
    pipe.scheduler.save_config(folder)

    image, draws, trajectory, context, timesteps = run(pipe, {**args, **pictures}, (0,), True, "pt")
    found = image[-1, -1, -3:, -3:].flatten()
    error = (found - torch.tensor(numbers)).abs().max().item()
    tensors = {}
    files = {k: write_input(folder, tensors, k, v) for k, v in pictures.items()}
    if tensors:
        save_file(tensors, folder / "tensors.safetensors")
    names = keep_contexts(contexts, text + ("_refiner" if unet.endswith("refiner") else ""), context, args)
    prompts = [args["prompt"]] if isinstance(args["prompt"], str) else args["prompt"]
    ids = {text: tokenizer()(text, padding="max_length", max_length=77, truncation=True).input_ids
           for text in dict.fromkeys([*prompts, args.get("negative_prompt") or ""])}  # fmt: skip
    entry = {
        "name": name,
        "source": source,
        "test": test,
        "commit": "58eb52c0803ea9af3abec60841c2a093bdf1f951",
        "pipeline": pipeline,
        "unet": unet,
        "vae": vae,
        "context": names,
        "seed": 0,
        "args": args,
        "files": files,
        "slice": "the last image's last channel, its last 3 by 3 pixels, row by row",
        "expected": numbers,
        "tolerance": tolerance,
        "diffusers_0_42_1": [round(x, 6) for x in found.tolist()],
        "timesteps": timesteps.tolist(),
        "draws": [list(draw.shape) for draw in draws],
        "token_ids": {k: " ".join(map(str, v)) for k, v in ids.items()},
    }
    write_json(folder / "case.json", entry)
    verdict = "ok" if error <= tolerance else "DIFFERS"
    print(f"{name:30} error {error:.1e} of {tolerance:.0e} {verdict}", flush=True)
    return error <= tolerance


def main():
    common.quiet()
    warnings.filterwarnings("ignore")
    common.fresh(ROOT)
    unets, vaes = {}, {}
    for name, config in UNETS.items():
        unets[name], made = recipe(lambda: UNet2DConditionModel(**copy.deepcopy(config)))
        write_recipe(ROOT / "unets" / name, unets[name], made)
    for name, (cls, config) in VAES.items():
        # The test makes AutoencoderTiny after everything else, from what is left of the text encoder's stream.
        before = (lambda: CLIPTextModel(CLIPTextConfig(**TEXTS["plain"]))) if name == "tiny" else None
        vaes[name], made = recipe(lambda: cls(**config), before=before)
        write_recipe(ROOT / "vaes" / name, vaes[name], made)
    contexts = {}
    good = [publish(name, unets, vaes, contexts) for name in CASES]
    (ROOT / "contexts").mkdir()
    for name, tensors in contexts.items():
        save_file(tensors, ROOT / "contexts" / f"{name}.safetensors")
    common.drop_paths(ROOT)
    write_json(ROOT / "cases.json", sorted(CASES))
    sys.exit(0 if all(good) else 1)


if __name__ == "__main__":
    main()
