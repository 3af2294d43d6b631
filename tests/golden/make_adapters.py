"""Makes tests/golden/adapters: small random LoRAs and learned embeddings in every layout that is in use, and the latents
that diffusers makes with them. See tests/golden/README.md.

    python tests/golden/make_adapters.py

Pinned versions stand in common.py; peft 0.21.2. The models are those of make_pipelines.py.

Each LoRA runs twice: as diffusers' `load_lora_weights` reads the file, and added to the weights here, by the formula of
the method. The two must agree. Where diffusers does not read a layout, the second is the reference alone.
"""

import json
import math

import torch
from safetensors.torch import save_file

import common
import make_pipelines as models
from common import GOLDEN, write_json

ROOT = GOLDEN / "adapters"
FILES = ROOT / "files"
PARTS = ("unet", "text_encoder", "text_encoder_2")

# ---------------------------------------------------------------------------------------------------------------------
# LoRAs: {(part, path of the layer): {"down", "up", "mid", "alpha"}}


def layers_of(pipe, part, wanted):
    """The paths of the layers of a part that `wanted` chooses, and their weights."""
    module = getattr(pipe, part)
    named = ((name, layer.weight) for name, layer in module.named_modules() if getattr(layer, "weight", None) is not None)
    return {name: weight for name, weight in named if weight.ndim > 1 and "embeddings" not in name and wanted(name)}


def lora(pipe, seed, rank=2, alpha=None, mid=False, **wanted):
    """A random LoRA whose change is half as large as the weight. `wanted` chooses the layers of each part; `rank` and
    `alpha` are numbers, or functions of the path."""
    generator = torch.Generator().manual_seed(seed)
    pick = lambda value, path: value(path) if callable(value) else value
    made = {}
    for part in PARTS:
        if part not in wanted:
            continue
        for path, weight in layers_of(pipe, part, wanted[part]).items():
            r, a = pick(rank, path), pick(alpha, path)
            out, inner, kernel = weight.shape[0], weight.shape[1], tuple(weight.shape[2:])
            twice = mid and len(kernel) and kernel[0] > 1
            one = (1,) * len(kernel)
            shapes = {"down": (r, inner, *(one if twice else kernel)), "up": (out, r, *one)}
            if twice:
                shapes["mid"] = (r, r, *kernel)
            tensors = {half: torch.randn(shape, generator=generator) for half, shape in shapes.items()}
            scale = 1 if a is None else a / r
            change = product(tensors) * scale
            tensors["up"] *= 0.5 * weight.detach().std() / change.std()
            tensors = {half: tensor.half().float() for half, tensor in tensors.items()}
            if a is not None:
                tensors["alpha"] = torch.tensor(float(a))
            made[part, path] = tensors
    return made


def product(tensors):
    """What is added to a weight, by the convolutions that the method is made of."""
    down, up = tensors["down"], tensors["up"]
    if "mid" in tensors:
        # lora_up(lora_mid(lora_down(x))) of LoCon: three convolutions after each other, seen as one.
        return torch.einsum("op,pqhw,qi->oihw", up[:, :, 0, 0], tensors["mid"], down[:, :, 0, 0])
    return (up.flatten(1) @ down.flatten(1)).reshape(up.shape[0], *down.shape[1:])


def add(pipe, made, strength):
    """W += strength * alpha / rank * up down"""
    for (part, path), tensors in made.items():
        scale = tensors["alpha"].item() / tensors["down"].shape[0] if "alpha" in tensors else 1
        weight = getattr(pipe, part).get_submodule(path).weight
        weight.data += strength * scale * product(tensors).reshape(weight.shape)


# ---------------------------------------------------------------------------------------------------------------------
# Layouts


def classic(part, path):
    """The path as files have it: with `text_model.` in text encoders."""
    return path if part == "unet" or path.startswith("text_") else f"text_model.{path}"


def peft(made):
    """diffusers' own since PEFT: the trees of today's modules, so that CLIP goes without `text_model.`"""
    state = {}
    for (part, path), tensors in made.items():
        state[f"{part}.{path}.lora_A.weight"] = tensors["down"]
        state[f"{part}.{path}.lora_B.weight"] = tensors["up"]
    return state


def diffusers_layout(made):
    state = {}
    for (part, path), tensors in made.items():
        infix = "lora" if part == "unet" else "lora_linear_layer"
        for half in ("down", "up"):
            state[f"{part}.{classic(part, path)}.{infix}.{half}.weight"] = tensors[half]
    return state


def processors(made):
    """The oldest: attention processors, the UNet's names in text encoders."""
    old = {"q_proj": "to_q", "k_proj": "to_k", "v_proj": "to_v", "out_proj": "to_out"}
    state = {}
    for (part, path), tensors in made.items():
        parent, layer = classic(part, path).removesuffix(".0").rsplit(".", 1)
        stem = f"{parent}.processor.{layer}" if part == "unet" else f"{parent}.{old[layer]}"
        for half in ("down", "up"):
            state[f"{part}.{stem}_lora.{half}.weight"] = tensors[half]
    return state


def kohya(made, xl=False, original=None):
    """kohya's scripts and A1111; XL's UNet under the original names, which `original` gives."""
    prefix = {"unet": "lora_unet", "text_encoder": "lora_te1" if xl else "lora_te", "text_encoder_2": "lora_te2"}
    state = {}
    for (part, path), tensors in made.items():
        path = original(path) if original and part == "unet" else classic(part, path)
        stem = f"{prefix[part]}_{path.replace('.', '_')}"
        for half, tensor in tensors.items():
            state[f"{stem}.alpha" if half == "alpha" else f"{stem}.lora_{half}.weight"] = tensor
    return state


def comfy(made, original):
    """ComfyUI's node that saves a LoRA: the original names with their dots."""
    prefix = {"unet": "diffusion_model.", "text_encoder": "text_encoders.clip_l.transformer."}
    state = {}
    for (part, path), tensors in made.items():
        path = original(path) if part == "unet" else classic(part, path)
        for half in ("down", "up"):
            state[f"{prefix[part]}{path}.lora_{half}.weight"] = tensors[half]
    return state


def numbered(made, order):
    """cloneofsimo's trainer: a number a layer, in the order of `order`, a list of (part, path)."""
    state = {}
    for part in PARTS:
        paths = [path for of, path in order if of == part and (part, path) in made]
        for i, path in enumerate(paths):
            for half in ("down", "up"):
                state[f"{part}:{i}:{half}"] = made[part, path][half]
    return state


def walk(pipe, between=False):
    """The order of `_find_modules_v2`: all linear layers below modules of the classes Attention and GEGLU (CLIPAttention),
    as PyTorch keeps them. With `between`, as in diffusers before 0.15, whose blocks made their feed-forward network
    between the attentions."""
    order = []
    for part, classes in (("unet", ("Attention", "GEGLU")), ("text_encoder", ("CLIPAttention",))):
        found = []
        for name, module in getattr(pipe, part).named_modules():
            if type(module).__name__ in classes:
                inner = [n for n, layer in module.named_modules() if isinstance(layer, torch.nn.Linear)]
                found.append([(part, f"{name}.{n}") for n in inner])
        if part == "unet" and between:
            found = [group for i in range(0, len(found), 3) for group in (found[i], found[i + 2], found[i + 1])]
        order += [layer for group in found for layer in group]
    return order


def original_name(pipe):
    """diffusers' path to the original one, by the counts of blocks of a pipeline's UNet."""
    layers = pipe.unet.config.layers_per_block
    attends = [hasattr(block, "attentions") for block in pipe.unet.up_blocks]
    resnet = {"conv1": "in_layers.2", "conv2": "out_layers.3", "time_emb_proj": "emb_layers.1", "conv_shortcut": "skip_connection"}  # fmt: skip

    def name(path):
        parts = path.split(".")
        if path == "conv_in":
            return "input_blocks.0.0"
        if path == "conv_out":
            return "out.2"
        if parts[0] in ("time_embedding", "add_embedding"):
            stem = "time_embed" if parts[0] == "time_embedding" else "label_emb.0"
            return f"{stem}.{ {'linear_1': 0, 'linear_2': 2}[parts[1]] }"
        if parts[0] == "mid_block":
            place, rest = (1, parts[3:]) if parts[1] == "attentions" else (2 * int(parts[2]), [resnet[parts[3]]])
            return ".".join(["middle_block", str(place), *rest])
        level, kind, layer, rest = int(parts[1]), parts[2], int(parts[3]), parts[4:]
        down = parts[0] == "down_blocks"
        block = 1 + level * (layers + 1) + layer if down else level * (layers + 1) + layer
        stem = "input_blocks" if down else "output_blocks"
        if kind == "resnets":
            return f"{stem}.{block}.0.{resnet[rest[0]]}"
        if kind == "attentions":
            return ".".join([stem, str(block), "1", *rest])
        if kind == "downsamplers":
            return f"{stem}.{block + layers}.0.op"
        return f"{stem}.{block + layers}.{1 + attends[level]}.conv"

    return name


# ---------------------------------------------------------------------------------------------------------------------
# Cases

CASES, EXPECTED = [], {}
ARGS = {"prompt": models.PROMPT, "negative_prompt": models.NEGATIVE, "height": 24, "width": 32, "num_inference_steps": 4, "guidance_scale": 5.0}  # fmt: skip


def write(name, state, metadata=None):
    """Writes a LoRA in f16, an alpha in f32."""
    FILES.mkdir(parents=True, exist_ok=True)
    state = {key: (value if value.ndim == 0 else value.half()).contiguous() for key, value in state.items()}
    save_file(state, FILES / name, {"format": "pt", **(metadata or {})})
    return name


def pipeline(model):
    """A pipeline, and the name of its class."""
    kind = models.XL if model == "sdxl" else models.SD
    return models.reference(model, kind), kind


def make(pipe, args):
    latents, _, _, context, _ = models.run(pipe, args, (5,), True, "latent")
    return latents, context


def difference(a, b):
    return ((a - b).abs().max() / b.abs().max()).item()


def case(name, model, adapters, expected, note=None, image=False, **args):
    """Writes a case: the pipeline `expected` has everything in place already."""
    args = {**ARGS, **args}
    latents, context = make(expected, args)
    assert all(t.isfinite().all() for t in (latents, context["context"])), name
    EXPECTED[f"{name}.latents"] = latents
    EXPECTED[f"{name}.context"] = context["context"][:, :24].contiguous()
    if "pooled" in context:
        EXPECTED[f"{name}.pooled"] = context["pooled"]
    if image:
        EXPECTED[f"{name}.image"] = models.run(expected, args, (5,), True, "pt")[0].half()
    CASES.append({"name": name, "note": note, "model": model, "adapters": adapters, "seed": 5, "args": args})
    plain = make(pipeline(model)[0], {**args, "prompt": args["prompt"]})[0]
    print(f"{name:22} {common.summary(latents)} moved {difference(latents, plain):.2f}", flush=True)
    assert difference(latents, plain) > 0.05, f"{name} changes too little to show anything"
    return latents, context


def lora_case(name, model, loras, read=True, **more):
    """A case of LoRAs: (file, what it is, strength). `read`: diffusers reads the files, and must agree."""
    merged, _ = pipeline(model)
    for _, made, strength in loras:
        add(merged, made, strength)
    adapters = [{"lora": file, "strength": strength} for file, _, strength in loras]
    if not read:
        return case(name, model, adapters, merged, **more)
    loaded, _ = pipeline(model)
    names = [f"a{i}" for i in range(len(loras))]
    for adapter, (file, _, _) in zip(names, loras):
        loaded.load_lora_weights(FILES / file, adapter_name=adapter)
    loaded.set_adapters(names, [strength for *_, strength in loras])
    latents, context = case(name, model, adapters, loaded, **more)
    other, other_context = make(merged, {**ARGS, **{k: v for k, v in more.items() if k in ARGS}})
    moved = max(difference(other, latents), difference(other_context["context"], context["context"]))
    print(f"{'':22} merged here: {moved:.1e}", flush=True)
    assert moved < 2e-5, name


def attention(name):
    return "attn" in name and ("to_" in name or "_proj" in name)


def attention_or_gated(name):
    return attention(name) or name.endswith("ff.net.0.proj")


def some(*parts):
    """Layers whose names contain one of the parts."""
    return lambda name: any(part in name for part in parts)


# A layer of every kind, in every place.
EVERYWHERE = some("conv_in", "conv_out", "time_embedding", "add_embedding", "downsamplers", "upsamplers", "down_blocks.1.attentions.0.proj_in", "down_blocks.1.resnets", "down_blocks.1.attentions.0.transformer_blocks.0.attn1", "mid_block.resnets.1", "mid_block.attentions.0.transformer_blocks.0.ff.net.2", "up_blocks.1.resnets.1", "up_blocks.1.attentions.0.transformer_blocks.0.attn2")  # fmt: skip


def cases_sd1():
    pipe, _ = pipeline("sd1")
    name = original_name(pipe)

    def alpha_of(path):
        return 3.0 if path.endswith("to_q") else 1.0

    made = lora(pipe, 1, 2, alpha_of, unet=EVERYWHERE, text_encoder=some("layers.1"))
    config = {
        "unet": {"r": 2, "lora_alpha": 1.0, "alpha_pattern": {"to_q": 3.0}, "target_modules": sorted({path for part, path in made if part == "unet"})},
        "text_encoder": {"r": 2, "lora_alpha": 1.0, "target_modules": sorted({path for part, path in made if part == "text_encoder"})},
    }  # fmt: skip
    packed = {f"{part}.{key}": value for part, options in config.items() for key, value in options.items()}
    file = write("peft.safetensors", peft(made), {"lora_adapter_metadata": json.dumps(packed, sort_keys=True)})
    lora_case("peft", "sd1", [(file, made, 0.7)], image=True, note="convolutions too; alpha in the metadata")

    same = lora(pipe, 2, 2, None, unet=some("mid_block.attentions.0.transformer_blocks.0.attn", "up_blocks.1.attentions.1.transformer_blocks.0.attn1"), text_encoder=some("layers.1.self_attn"))
    layouts = {"same_peft": (peft, True), "same_diffusers": (diffusers_layout, True), "same_processors": (processors, True),
               "same_kohya": (kohya, True), "same_comfy": (lambda made: comfy(made, name), False)}  # fmt: skip
    for case_name, (layout, read) in layouts.items():
        file = write(f"{case_name}.safetensors", layout(same))
        lora_case(case_name, "sd1", [(file, same, -0.6)], read, note="one LoRA in several layouts")

    locon = lora(pipe, 3, lambda path: 3 if "resnets" in path else 2, 1.0, unet=EVERYWHERE, text_encoder=some("layers.0", "layers.2.mlp"))
    file = write("kohya.safetensors", kohya(locon))
    lora_case("kohya", "sd1", [(file, locon, 1.0)], note="LoCon; two ranks, one alpha")
    lora_case("two", "sd1", [("kohya.safetensors", locon, 0.4), ("same_diffusers.safetensors", same, 0.5)], note="changes add up")

    twice = lora(pipe, 4, 2, 1.5, mid=True, unet=some("mid_block.resnets", "downsamplers", "up_blocks.0.resnets.0"))
    file = write("locon_mid.safetensors", kohya(twice))
    lora_case("locon_mid", "sd1", [(file, twice, 0.9)], False, note="convolutions decomposed twice")

    made = lora(pipe, 6, 1, None, unet=attention_or_gated, text_encoder=attention)
    file = write("numbered.safetensors", numbered(made, walk(pipe)))
    lora_case("numbered", "sd1", [(file, made, 0.8)], False, note="cloneofsimo's list")
    made = {key: tensors for key, tensors in made.items() if key[0] == "unet"}
    file = write("numbered_between.safetensors", numbered(made, walk(pipe, between=True)))
    lora_case("numbered_between", "sd1", [(file, made, 0.8)], False, note="the list in the order of older diffusers")


def cases_sd2_and_sdxl():
    pipe, _ = pipeline("sd2")
    made = lora(pipe, 7, 2, 1.0, unet=some("mid_block"), text_encoder=some("layers.0"))
    file = write("sd2_kohya.safetensors", kohya(made))
    lora_case("sd2_kohya", "sd2", [(file, made, 0.8)], note="linear projections")

    pipe, _ = pipeline("sdxl")
    wanted = {"unet": EVERYWHERE, "text_encoder": some("layers.1"), "text_encoder_2": some("layers.0", "layers.1.mlp")}
    made = lora(pipe, 8, 2, 1.0, **wanted)
    file = write("sdxl_kohya.safetensors", kohya(made, True, original_name(pipe)))
    lora_case("sdxl_kohya", "sdxl", [(file, made, 0.8)], note="original names, two text encoders")
    made = lora(pipe, 9, 2, None, unet=some("mid_block.attentions.0.transformer_blocks.1"), text_encoder=some("layers.1"), text_encoder_2=some("layers.0.self_attn"))
    file = write("sdxl_peft.safetensors", peft(made))
    lora_case("sdxl_peft", "sdxl", [(file, made, 1.2)])


# ---------------------------------------------------------------------------------------------------------------------
# Learned embeddings


def vectors(seed, n, dim):
    """As large as the embeddings of common.py's text encoders."""
    return 0.7 * torch.randn(n, dim, generator=torch.Generator().manual_seed(seed))


def write_pickle(name, value):
    FILES.mkdir(parents=True, exist_ok=True)
    torch.save(value, FILES / name)
    return name


def embedding_case(name, model, file, load, token=None, **more):
    """A case of a learned embedding; `load` does with the pipeline what diffusers has for the file."""
    pipe, _ = pipeline(model)
    load(pipe)
    return case(name, model, [{"embedding": file, "token": token}], pipe, **more)


def cases_embeddings():
    def word(text):
        return {"prompt": f"a painting of a {text} horse", "negative_prompt": f"blurry, {text}, text"}

    one = vectors(21, 1, 16)[0]
    file = write_pickle("learned_embeds.bin", {"<birb-style>": one})
    load = lambda pipe: pipe.load_textual_inversion(FILES, weight_name="learned_embeds.bin")
    embedding_case("embedding_one", "sd1", file, load, **word("<birb-style>"))
    embedding_case("embedding_capitals", "sd1", file, load, note="words are found in capitals, too", **word("<Birb-STYLE>"))
    load = lambda pipe: pipe.load_textual_inversion(FILES, weight_name="learned_embeds.bin", token="zebra-like")
    embedding_case("embedding_renamed", "sd1", file, load, token="zebra-like", note="not between spaces", **word("xzebra-likey"))

    three = vectors(22, 3, 16)
    save_file({"<three>": three}, FILES / "learned_embeds.safetensors", {"format": "pt"})
    load = lambda pipe: pipe.load_textual_inversion(FILES, weight_name="learned_embeds.safetensors")
    long = {"prompt": " , ".join(["an old castle on the hill"] * 8) + " <three> horse", "negative_prompt": "<three>"}
    embedding_case("embedding_three", "sd1", "learned_embeds.safetensors", load, note="read as three tokens", **word("<three>"))
    embedding_case("embedding_cut", "sd1", "learned_embeds.safetensors", load, note="the prompt is cut within the three", **long)

    a1111 = {"string_to_token": {"*": 265}, "string_to_param": {"*": vectors(23, 2, 16)}, "name": "easy negative",
             "step": 100, "sd_checkpoint": None, "sd_checkpoint_name": None}  # fmt: skip
    file = write_pickle("a1111.pt", a1111)
    load = lambda pipe: pipe.load_textual_inversion(FILES, weight_name="a1111.pt")
    embedding_case("embedding_a1111", "sd1", file, load, **word("easy negative"))

    save_file({"emb_params": vectors(24, 2, 16)}, FILES / "kohya-word.safetensors")
    load = lambda pipe: pipe.load_textual_inversion(FILES, weight_name="kohya-word.safetensors", token="kohya-word")
    embedding_case("embedding_kohya", "sd1", "kohya-word.safetensors", load, note="the name of the file is the word", **word("kohya-word"))

    state = {"clip_l": vectors(25, 2, 16), "clip_g": vectors(26, 2, 24)}
    save_file(state, FILES / "xl-word.safetensors")

    def load_xl(pipe):
        pipe.load_textual_inversion(state["clip_l"], token="xl-word", text_encoder=pipe.text_encoder, tokenizer=pipe.tokenizer)
        pipe.load_textual_inversion(state["clip_g"], token="xl-word", text_encoder=pipe.text_encoder_2, tokenizer=pipe.tokenizer_2)

    embedding_case("embedding_xl", "sdxl", "xl-word.safetensors", load_xl, **word("xl-word"))
    load = lambda pipe: pipe.load_textual_inversion(FILES, weight_name="learned_embeds.bin")
    embedding_case("embedding_xl_first", "sdxl", "learned_embeds.bin", load, note="the second encoder reads the word as letters", **word("<birb-style>"))  # fmt: skip


def case_words_in_loras():
    """Words that stand in the file of a LoRA: cloneofsimo's, marked in the metadata, and A1111's bundles."""
    pipe, _ = pipeline("sd1")
    made = lora(pipe, 6, 1, None, unet=attention_or_gated)
    first, second = vectors(31, 2, 16)
    state = {"<s1>": first, "<s2>": second}
    file = write("numbered_words.safetensors", {**numbered(made, walk(pipe)), **state}, {"<s1>": "<embed>", "<s2>": "<embed>"})
    for token, vector in state.items():
        pipe.load_textual_inversion({token: vector.half().float()})
    add(pipe, made, 0.8)
    case("numbered_words", "sd1", [{"lora": file, "strength": 0.8}], pipe, prompt="a <s1> <s2> horse")

    pipe, _ = pipeline("sd1")
    made = lora(pipe, 32, 1, None, text_encoder=some("layers.1.mlp"))
    bundled = {"bundle_emb.word.string_to_param.*": vectors(33, 2, 16)}
    file = write("bundle.safetensors", {**kohya(made), **bundled})
    pipe.load_textual_inversion({"word": vectors(33, 2, 16).half().float()})
    add(pipe, made, 1.0)
    case("bundle", "sd1", [{"lora": file, "strength": 1.0}], pipe, prompt="a word horse")


def main():
    common.quiet()
    common.fresh(ROOT)
    cases_sd1()
    cases_sd2_and_sdxl()
    cases_embeddings()
    case_words_in_loras()
    write_json(ROOT / "cases.json", CASES)
    save_file({name: value.contiguous() for name, value in EXPECTED.items()}, ROOT / "expected.safetensors")
    print(sum(path.stat().st_size for path in ROOT.rglob("*") if path.is_file()), "bytes")


if __name__ == "__main__":
    main()
