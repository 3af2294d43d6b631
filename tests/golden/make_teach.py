"""Makes tests/golden/teach: one step of textual inversion and one of LoRA with prior preservation, in torch, on the tiny
models of make_pipelines.py: the loss, and its gradient by what learns.

    python tests/golden/make_teach.py

Pinned versions stand in common.py. Writes to tests/golden/teach/:
  cases.json            the cases: model, captions, timesteps, weights, word or LoRA, loss
  tensors.safetensors   <case>/x0, <case>/eps, <case>/vectors[_2] (a word's), <case>/<part>.<path>.down and .up (a LoRA's),
                        and the gradients of the last two kinds under grad/
"""

import torch
from diffusers import DDPMScheduler
from safetensors.torch import save_file

import common
import make_adapters as adapters
from common import GOLDEN, write_json

OUT = GOLDEN / "teach"
WORD = "<new>"
CASES, TENSORS = [], {}


def conditioning(pipe, captions, size):
    """What diffusers' training scripts tell the UNet, with gradients."""
    context, pooled = [], None
    for part in ("text_encoder", "text_encoder_2"):
        encoder = getattr(pipe, part, None)
        if encoder is None:
            continue
        tokenizer = getattr(pipe, part.replace("text_encoder", "tokenizer"))
        ids = tokenizer(pipe.maybe_convert_prompt(captions, tokenizer), padding="max_length", truncation=True, return_tensors="pt").input_ids  # fmt: skip
        output = encoder(ids, output_hidden_states=True)
        if hasattr(pipe, "text_encoder_2"):
            context.append(output.hidden_states[-2])
            pooled = output[0]
        else:
            context.append(output.last_hidden_state)
    added = None
    if pooled is not None:
        added = {"text_embeds": pooled, "time_ids": torch.tensor([[*size, 0.0, 0.0, *size]] * len(captions))}
    return torch.cat(context, -1), added


def case(name, model, captions, weights, timesteps, learn, **more):
    """One step; `learn` prepares the pipeline, and gives what has gradients by name."""
    pipe, _ = adapters.pipeline(model)
    for part in adapters.PARTS:
        if getattr(pipe, part, None) is not None:
            getattr(pipe, part).requires_grad_(False)
    gradients = learn(pipe)
    generator = torch.Generator().manual_seed(len(CASES) + 1)
    x0, eps = (torch.randn(len(captions), 4, 4, 6, generator=generator) for _ in range(2))
    scheduler = DDPMScheduler.from_config(pipe.scheduler.config)
    timesteps = torch.tensor(timesteps)
    noisy = scheduler.add_noise(x0, eps, timesteps)
    kind = scheduler.config.prediction_type
    target = scheduler.get_velocity(x0, eps, timesteps) if kind == "v_prediction" else eps
    context, added = conditioning(pipe, captions, (32.0, 48.0))
    output = pipe.unet(noisy, timesteps, context, added_cond_kwargs=added).sample
    each = (output - target).square().mean((1, 2, 3))
    loss = (each * torch.tensor(weights)).sum()
    loss.backward()
    TENSORS.update({f"{name}/x0": x0, f"{name}/eps": eps})
    for key, tensor in gradients.items():
        TENSORS[f"{name}/{key}"] = tensor.detach().clone()
        TENSORS[f"{name}/grad/{key}"] = gradient_of(tensor, key)
    CASES.append({"name": name, "model": model, "captions": captions, "weights": weights, "timesteps": timesteps.tolist(),
                  "word": WORD, "loss": loss.item(), **more})  # fmt: skip
    print(f"{name:12} loss {loss.item():.6f}", {key: f"{TENSORS[f'{name}/grad/{key}'].abs().max():.2e}" for key in list(gradients)[:4]})


def gradient_of(tensor, key):
    if tensor.grad is None:
        raise ValueError(f"no gradient of {key}")
    assert tensor.grad.isfinite().all() and tensor.grad.abs().max() > 0, key
    return tensor.grad.clone()


def word(vectors):
    """Learns a word of `vectors` vectors."""

    def learn(pipe):
        learned = {}
        for i, part in enumerate(("text_encoder", "text_encoder_2")):
            encoder = getattr(pipe, part, None)
            if encoder is None:
                continue
            tokenizer = getattr(pipe, part.replace("text_encoder", "tokenizer"))
            dim = encoder.config.hidden_size
            vector = 0.7 * torch.randn(vectors, dim, generator=torch.Generator().manual_seed(50 + i))
            pipe.load_textual_inversion(vector, token=WORD, text_encoder=encoder, tokenizer=tokenizer)
            table = encoder.get_input_embeddings()
            first = tokenizer.convert_tokens_to_ids(WORD)
            vector.requires_grad_(True)
            whole = torch.cat([table.weight.detach()[:first], vector, table.weight.detach()[first + vectors :]])
            del table.weight
            table.weight = whole
            learned["vectors" if i == 0 else "vectors_2"] = vector
        return learned

    return learn


def low_rank(rank, **wanted):
    """Learns a LoRA of the attention of some parts, in the middle of a training: nothing of it is zero."""

    def learn(pipe):
        made = adapters.lora(pipe, 60, rank, None, **wanted)
        learned = {}
        for (part, path), tensors in made.items():
            layer = getattr(pipe, part).get_submodule(path)
            weight = layer.weight.detach()
            halves = [tensors[half].requires_grad_(True) for half in ("down", "up")]
            del layer.weight
            layer.weight = weight + halves[1] @ halves[0]
            learned.update({f"{part}.{adapters.classic(part, path)}.{half}": tensor for half, tensor in zip(("down", "up"), halves)})
        return learned

    return learn


def main():
    common.quiet()
    common.fresh(OUT)
    captions = [f"a photo of a {WORD}", f"the {WORD} on the hill"]
    case("word", "sd1", captions, [0.5, 0.5], [30, 700], word(2))
    case("word_sd2", "sd2", captions, [0.5, 0.5], [30, 700], word(1))
    case("word_xl", "sdxl", captions, [0.5, 0.5], [30, 700], word(2))
    captions = ["a photo of a castle", "a picture of a hat", "a photo of a house"]
    case("lora", "sd1", captions, [0.5, 0.5, 0.3], [30, 700, 400], low_rank(2, unet=adapters.attention, text_encoder=adapters.attention), parts=["unet", "text_encoder"], rank=2)  # fmt: skip
    case("lora_xl", "sdxl", captions, [0.5, 0.5, 0.3], [30, 700, 400], low_rank(1, unet=adapters.attention), parts=["unet"], rank=1)
    write_json(OUT / "cases.json", CASES)
    save_file({name: value.contiguous() for name, value in TENSORS.items()}, OUT / "tensors.safetensors")
    print(sum(path.stat().st_size for path in OUT.iterdir()), "bytes")


if __name__ == "__main__":
    main()
