"""Helpers shared by the scripts that make golden data for whole pictures.

Pinned: torch 2.15.0, diffusers 0.42.1, transformers 5.23.0, tokenizers 0.23.3, safetensors 0.8.0, numpy 2.4.6,
pillow 13.0.0. Everything is seeded: a second run writes the same bytes.
"""

import json
import math
import shutil
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

GOLDEN = Path(__file__).resolve().parent


def quiet():
    """One thread (two give other rounding, and slowness on a busy machine), no progress bars, warnings only where something is wrong."""
    import diffusers
    import transformers

    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    diffusers.utils.logging.set_verbosity_error()
    diffusers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()


def write_json(path, value):
    """Writes `value` with two spaces of indent and a final newline, short lists of numbers on one line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def fresh(folder):
    """Makes an empty folder, so that files of an earlier run never linger."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


# ---------------------------------------------------------------------------------------------------------------------
# Weights


@torch.no_grad()
def enliven(model, seed, gains=(), bias=0.1):
    """Gives every parameter a random value of a lively size, then rounds it to f16.

    Linear and convolution weights get the standard deviation `gain / sqrt(fan_in)`, where the gain is the first of
    `gains`, pairs `(part of the name, gain)`, that matches, else 1. Norms get weights around 1. Nothing is left zero
    or one, so that a forgotten bias or a swapped norm shows.
    """
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in sorted(model.named_parameters()):
        noise = torch.randn(parameter.shape, generator=generator)
        gain = next((g for part, g in gains if part in name), None)
        if "embedding.weight" in name and "time" not in name and "add" not in name:
            value = noise * (0.25 if "position" in name else 0.7)
        elif parameter.ndim == 1 and name.endswith("weight"):
            value = 1 + 0.2 * noise
        elif parameter.ndim == 1:
            value = noise * bias
        else:
            value = noise * (gain or 1.0) / math.sqrt(parameter[0].numel())
        parameter.copy_(value.half().float())
    return model.eval()


UNET_GAINS = (("attn1.to_q", 2.0), ("attn2.to_q", 2.0), ("attn2.to_v", 0.7), ("conv_out", 0.8))
VAE_GAINS = (("decoder.conv_out", 0.6), ("encoder.conv_out", 1.0), ("quant_conv", 0.7))
TEXT_GAINS = (("q_proj", 2.0), ("text_projection", 1.0))


# ---------------------------------------------------------------------------------------------------------------------
# A small vocabulary in CLIP's format

CORPUS = """
a photo of an astronaut riding a horse on mars, a painting of a squirrel eating a burger, a photograph of the red fox
in the snow, high quality and detailed, the sea at night with a small boat and a lighthouse, an oil painting of an old
man reading a book, blurry, low quality, watermark, text, a castle on the hill in the morning light, portrait of a young
woman with a hat, a green apple on the table, cinematic light, the cat in the box, mountains and rivers and trees
"""


def byte_letters():
    """The 256 letters that stand for bytes, in CLIP's order: printable ones first, then the others from U+0100 on."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("\u00a1"), ord("\u00ac") + 1), *range(ord("\u00ae"), 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return [chr(byte) for byte in printable] + [chr(256 + i) for i in range(len(others))]


def learn_merges(text, count):
    """The `count` most frequent byte pairs of `text`, merged one after the other; ties go to the smaller pair."""
    words = {}
    for word in text.replace(",", " , ").split():
        letters = (*word[:-1], word[-1] + "</w>")
        words[letters] = words.get(letters, 0) + 1
    merges = []
    while len(merges) < count:
        pairs = {}
        for word, times in words.items():
            for pair in zip(word, word[1:]):
                pairs[pair] = pairs.get(pair, 0) + times
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        words = {merge_word(word, best): times for word, times in words.items()}
    return merges


def merge_word(word, pair):
    """`word` with every adjacent `pair` joined, from the left."""
    merged, i = [], 0
    while i < len(word):
        if word[i : i + 2] == pair:
            merged.append(word[i] + word[i + 1])
            i += 2
        else:
            merged.append(word[i])
            i += 1
    return tuple(merged)


MERGES = learn_merges(CORPUS, 150)
VOCABULARY = {
    token: i
    for i, token in enumerate(
        [
            *byte_letters(),
            *(letter + "</w>" for letter in byte_letters()),
            *(a + b for a, b in MERGES),
            "<|startoftext|>",
            "<|endoftext|>",
        ]
    )
}
BOS, EOS = len(VOCABULARY) - 2, len(VOCABULARY) - 1


def write_tokenizer(folder, pad_token="<|endoftext|>"):
    """CLIP's four files: vocab.json, merges.txt, special_tokens_map.json and tokenizer_config.json."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps(VOCABULARY, ensure_ascii=False))
    lines = ["#version: 0.2", *(f"{a} {b}" for a, b in MERGES)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n")

    def special(content):
        return {"content": content, "lstrip": False, "normalized": True, "rstrip": False, "single_word": False}

    tokens = {
        "bos_token": special("<|startoftext|>"),
        "eos_token": special("<|endoftext|>"),
        "pad_token": pad_token,
        "unk_token": special("<|endoftext|>"),
    }
    write_json(folder / "special_tokens_map.json", tokens)
    added = {k: {"__type": "AddedToken", **v} if isinstance(v, dict) else v for k, v in tokens.items()}
    config = {
        "add_prefix_space": False,
        "do_lower_case": True,
        "errors": "replace",
        "model_max_length": 77,
        "tokenizer_class": "CLIPTokenizer",
        **added,
    }
    write_json(folder / "tokenizer_config.json", config)


# ---------------------------------------------------------------------------------------------------------------------
# Folders


def drop_paths(folder):
    """Removes the one entry of the configs that would name a folder of this machine."""
    for path in folder.rglob("*.json"):
        config = json.loads(path.read_text())
        if isinstance(config, dict) and config.pop("_name_or_path", None) is not None:
            path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def save_part(model, folder, **kwargs):
    """Saves a network in f16; `kwargs` are save_pretrained's: variant, max_shard_size, safe_serialization."""
    model.half().save_pretrained(folder, **kwargs)
    model.float()


def save_old_text_encoder(model, folder, **config):
    """Saves a text encoder as files of before transformers 5.6 are: every name of CLIPTextModel under `text_model.`."""
    folder.mkdir(parents=True, exist_ok=True)
    state = {name if name.startswith("text_") else f"text_model.{name}": value for name, value in model.state_dict().items()}
    state = {name: value.half().contiguous() for name, value in state.items()}
    state["text_model.embeddings.position_ids"] = torch.arange(77)[None]
    save_file(state, folder / "model.safetensors", {"format": "pt"})
    old = model.config.to_diff_dict()
    for name in ("bos_token_id", "eos_token_id", "pad_token_id", "attention_dropout", "hidden_act", "initializer_factor",
                 "initializer_range", "layer_norm_eps", "max_position_embeddings", "projection_dim"):  # fmt: skip
        old[name] = getattr(model.config, name)
    old.pop("dtype", None)
    old |= {"architectures": [type(model).__name__], "dropout": 0.0, "torch_dtype": "float32",
            "transformers_version": "4.21.0.dev0", **config}  # fmt: skip
    write_json(folder / "config.json", dict(sorted(old.items())))


def model_index(folder, pipeline, parts, **options):
    """model_index.json: `parts` maps a folder to its library and class."""
    index = {"_class_name": pipeline, "_diffusers_version": "0.42.1", **options}
    index |= {name: list(pair) for name, pair in sorted(parts.items())}
    write_json(folder / "model_index.json", index)


# ---------------------------------------------------------------------------------------------------------------------
# Watching a run


class Draws:
    """Records every `torch.randn` of a run, in order: what the seeded generators were asked for."""

    def __enter__(self):
        self.tensors, self.original = [], torch.randn

        def randn(*args, **kwargs):
            value = self.original(*args, **kwargs)
            self.tensors.append(value.detach().clone().float())
            return value

        torch.randn = randn
        return self

    def __exit__(self, *_):
        torch.randn = self.original


def generators(seeds, shared):
    """One generator for the whole batch (`shared`), or one an image."""
    made = [torch.Generator().manual_seed(seed) for seed in seeds]
    return made[0] if shared else made


def summary(tensor):
    """Smallest, largest and standard deviation, for the table."""
    return f"{tensor.min():8.3f} {tensor.max():8.3f} {tensor.std():7.3f}"


def picture(height, width, seed):
    """A smooth colourful picture with edges, as u8 [height, width, 3]; no two pixels' neighbourhoods are alike."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    rng = np.random.Generator(np.random.PCG64(seed))
    phase, pace = rng.uniform(0, 6, (3, 2)), rng.uniform(0.08, 0.3, (3, 2))
    waves = [np.sin(p[0] * y + q[0]) + np.cos(p[1] * x + q[1]) for p, q in zip(pace, phase)]
    pixels = 0.5 + 0.2 * np.stack(waves, -1)
    disc = (y - height * 0.4) ** 2 + (x - width * 0.6) ** 2 < (min(height, width) * 0.25) ** 2
    pixels[disc] = 1 - pixels[disc]
    pixels += rng.uniform(-0.03, 0.03, pixels.shape)
    return (pixels.clip(0, 1) * 255).round().astype(np.uint8)
