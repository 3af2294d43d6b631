"""Stable Diffusion 1.5 with random weights, and inputs for its parts.

    python benches/peers/weights.py FOLDER                # diffusers' layout, f32, 4.3 GB
    python benches/peers/weights.py FOLDER --xl --half    # UNet and codec of XL, f16, 5.3 GB

A time does not depend on what the weights are. Their spread keeps the network finite, and the inputs are those of a
picture: two latents, a timestep, two encoded prompts.
"""

import argparse
import json
import shutil
from pathlib import Path

import torch
import transformers
from diffusers import AutoencoderKL, EulerDiscreteScheduler, UNet2DConditionModel
from safetensors.torch import save_file

TOKENIZER = Path(__file__).parents[2] / "tests/golden/pipelines/sd1/tokenizer"
TOKENS, WIDTH, XL_WIDTH = 77, 768, 2048
# Of XL: the second encoder's text, and sizes of the picture.
POOLED, TIME_IDS = 1280, [1024.0, 1024.0, 0.0, 0.0, 1024.0, 1024.0]
INDEX = {
    "_class_name": "StableDiffusionPipeline",
    "scheduler": ["diffusers", "EulerDiscreteScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
    "safety_checker": [None, None],
    "feature_extractor": [None, None],
    "requires_safety_checker": False,
}


def unet():
    return UNet2DConditionModel(sample_size=64, cross_attention_dim=WIDTH)


def xl_unet():
    return UNet2DConditionModel(
        sample_size=128,
        block_out_channels=(320, 640, 1280),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=(1, 2, 10),
        attention_head_dim=(5, 10, 20),
        cross_attention_dim=XL_WIDTH,
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=256,
        projection_class_embeddings_input_dim=POOLED + 6 * 256,
    )


def vae():
    return AutoencoderKL(
        block_out_channels=(128, 256, 512, 512),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=2,
        sample_size=512,
    )


def text_encoder():
    # The end of a prompt is the highest id, as configs of 1.x say it.
    config = transformers.CLIPTextConfig(
        hidden_size=WIDTH, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12, vocab_size=49408,
        hidden_act="quick_gelu", bos_token_id=0, eos_token_id=2, pad_token_id=1, architectures=["CLIPTextModel"],
    )  # fmt: skip
    return transformers.CLIPTextModel(config)


@torch.no_grad()
def randomised(model, half):
    for name, parameter in model.named_parameters():
        if parameter.ndim > 1:
            parameter.normal_(0, parameter[0].numel() ** -0.5)
        else:
            is_norm = "norm" in name and name.endswith("weight")
            parameter.normal_(1.0 if is_norm else 0.0, 0.02)
    return model.half() if half else model


def save_text_encoder(model, folder):
    """With the names of the published files, `text_model.`, which transformers 5 leaves out and all programs read."""
    model.config.save_pretrained(folder)
    prefixed = {"text_model." + name.removeprefix("text_model."): t for name, t in model.state_dict().items()}
    save_file({name: t.contiguous() for name, t in prefixed.items()}, folder / "model.safetensors", {"format": "pt"})


def make(folder, xl, half):
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    # Random numbers by the thousand million are quicker on a GPU, where there is one.
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        randomised(xl_unet() if xl else unet(), half).save_pretrained(folder / "unet", max_shard_size="10GB")
        randomised(vae(), half).save_pretrained(folder / "vae")
        if not xl:
            save_text_encoder(randomised(text_encoder(), half), folder / "text_encoder")
    schedule = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}
    EulerDiscreteScheduler(**schedule).save_pretrained(folder / "scheduler")
    shutil.copytree(TOKENIZER, folder / "tokenizer", dirs_exist_ok=True)
    save_file(inputs(xl), folder / "inputs.safetensors")
    # Last, because it says that the folder is whole.
    (folder / "model_index.json").write_text(json.dumps(INDEX, indent=2))


def inputs(xl):
    tensors = {f"latent-{side}": torch.randn(2, 4, side // 8, side // 8) for side in (256, 512, 1024)}
    tensors["context"] = torch.randn(2, TOKENS, XL_WIDTH if xl else WIDTH)
    tensors["timesteps"] = torch.full((2,), 500.0)
    tensors["ids"] = torch.randint(0, 49000, (2, TOKENS)).float()
    if xl:
        tensors |= {"pooled": torch.randn(2, POOLED), "time_ids": torch.tensor([TIME_IDS] * 2)}
    return tensors


def main():
    parser = argparse.ArgumentParser(description="Stable Diffusion with random weights")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--xl", action="store_true", help="the networks of XL, without text encoders")
    parser.add_argument("--half", action="store_true", help="weights of f16")
    chosen = parser.parse_args()
    make(chosen.folder, chosen.xl, chosen.half)


if __name__ == "__main__":
    main()
