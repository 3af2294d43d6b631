"""A chart of what run.py measured: `python benches/peers/chart.py FOLDER/measured.json docs/performance.svg`.

Bars are times relative to ours, so that networks of different sizes share a scale; the seconds stand beside them.
"""

import json
import sys
from pathlib import Path

COLOURS = {
    "t2i": ("t2i", "#c2410c"),
    "torch_eager": ("diffusers, torch", "#475569"),
    "torch_compile": ("diffusers, torch.compile", "#94a3b8"),
    "openvino_f32": ("OpenVINO", "#0e7490"),
    "candle": ("candle", "#a16207"),
}
TITLES = {
    "text": "text encoder, 2 x 77 tokens",
    "unet-256": "UNet, 256 x 256, batch 2",
    "unet-512": "UNet, 512 x 512, batch 2",
    "vae-512": "decoder, 512 x 512",
    "picture": "picture, 512 x 512, {} steps",
}
LEFT, WIDTH, ROW, SCALE = 220, 920, 18, 120
# Longer bars are cut, and say so by their number alone.
LONGEST = 4.0


def title(case):
    name, _, steps = case.partition("-")
    return TITLES["picture"].format(steps) if name == "picture" else TITLES[case]


def text(x, y, content, extra=""):
    return f'<text x="{x}" y="{y}" {extra}>{content}</text>'


def bar(m, ours, y):
    ratio = m["median"] / ours
    name, colour = COLOURS[m["peer"]]
    width = min(ratio, LONGEST) * SCALE
    label = f"{m['median']:.2f} s, {ratio:.2f} of t2i" if m["peer"] != "t2i" else f"{m['median']:.2f} s"
    yield f'<rect x="{LEFT}" y="{y}" width="{width:.0f}" height="{ROW - 4}" fill="{colour}"/>'
    yield text(round(LEFT + width + 6), y + 11, f"{name}: {label}")


def draw(everything):
    cases = list(dict.fromkeys(m["case"] for m in everything))
    y, parts = 40, [text(12, 22, "Seconds of one call, f32, two threads: shorter is faster", 'font-size="14"')]
    for case in cases:
        of_case = [m for m in everything if m["case"] == case]
        ours = next(m["median"] for m in of_case if m["peer"] == "t2i")
        parts.append(text(LEFT - 10, y + 11, title(case), 'text-anchor="end"'))
        for m in of_case:
            parts += bar(m, ours, y)
            y += ROW
        y += 10
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y}" font-family="sans-serif" font-size="12">'
    return "\n".join([head, '<rect width="100%" height="100%" fill="white"/>', *parts, "</svg>\n"])


def main(measured, output):
    Path(output).write_text(draw(json.loads(Path(measured).read_text())))


main(*sys.argv[1:])
