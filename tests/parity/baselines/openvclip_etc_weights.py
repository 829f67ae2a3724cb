"""Seeded weights and inputs for the parity cases of Open-VCLIP, FROSTER, ViFi-CLIP, MAXI and OST.

Nothing but settings and expected outputs is stored: every tensor of a case is drawn from a generator seeded with
(seed, tensor name). `openvclip_etc_cases.json` holds the settings, `<system>.safetensors` the expected outputs.

    from openvclip_etc_weights import clip_weights, load_case, make_tensor, make_video
    case = load_case("openvclip")                 # settings; expected tensors under "expected"
    weights = clip_weights(case, case["seed"])    # OpenAI CLIP's own names and layouts
    video = make_video(case)                      # float32 (batch, frames, 3, size, size), already normalised
"""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import torch

HERE = Path(__file__).parent


def _generator(seed: int, name: str) -> torch.Generator:
    return torch.Generator().manual_seed(zlib.crc32(f"{seed}/{name}".encode()))


def make_tensor(seed: int, name: str, shape: tuple[int, ...]) -> torch.Tensor:
    """One tensor; the rule depends on its name and shape alone. Names of inputs begin with "input/"."""
    if name == "logit_scale":
        return torch.tensor(3.0, dtype=torch.float32)
    noise = torch.randn(shape, generator=_generator(seed, name), dtype=torch.float32)
    if name.startswith("input/") or name.endswith("class_embedding"):
        return noise
    if any(part.startswith("ln_") for part in name.split(".")):
        return 1.0 + 0.1 * noise if name.endswith("weight") else 0.05 * noise
    if name.endswith("bias"):
        return 0.02 * noise
    if "VPT" in name:  # prompt vectors; the reference rounds them to float16 when it uses them
        return (0.5 * noise).half().float()
    if name.endswith(("ctx", "token_embedding.weight", "positional_embedding")):
        return 0.5 * noise
    fan_in = shape[0] if name.endswith(("proj", "text_projection")) else noise[0].numel()  # bare matrices: x @ W
    gain = 2.0 if name.endswith("in_proj_weight") else 1.0
    return noise * gain * fan_in**-0.5


def clip_shapes(case: dict) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a CLIP state dict (OpenAI's naming) of the case's size; heads are 64 wide."""
    vision, text, joint = case["vision_width"], case["text_width"], case["embed_dim"]
    patch, tokens = case["patch_size"], (case["image_size"] // case["patch_size"]) ** 2 + 1
    shapes: dict[str, tuple[int, ...]] = {
        "logit_scale": (),
        "positional_embedding": (77, text),
        "text_projection": (text, joint),
        "token_embedding.weight": (49408, text),
        "visual.class_embedding": (vision,),
        "visual.positional_embedding": (tokens, vision),
        "visual.proj": (vision, joint),
        "visual.conv1.weight": (vision, 3, patch, patch),
    }
    norms = {"visual.ln_pre": vision, "visual.ln_post": vision, "ln_final": text}
    for prefix, width, layers in (("visual.", vision, case["vision_layers"]), ("", text, case["text_layers"])):
        for i in range(layers):
            block = f"{prefix}transformer.resblocks.{i}"
            shapes |= {f"{block}.attn.in_proj_weight": (3 * width, width), f"{block}.attn.in_proj_bias": (3 * width,)}
            linears = {
                "attn.out_proj": (width, width),
                "mlp.c_fc": (4 * width, width),
                "mlp.c_proj": (width, 4 * width),
            }
            for name, shape in linears.items():
                shapes |= {f"{block}.{name}.weight": shape, f"{block}.{name}.bias": shape[:1]}
            norms |= {f"{block}.ln_1": width, f"{block}.ln_2": width}
    for name, width in norms.items():
        shapes |= {f"{name}.weight": (width,), f"{name}.bias": (width,)}
    return shapes


def clip_weights(case: dict, seed: int) -> dict[str, torch.Tensor]:
    return {name: make_tensor(seed, name, shape) for name, shape in clip_shapes(case).items()}


def make_video(case: dict) -> torch.Tensor:
    """A smooth moving pattern plus noise: (batch, frames, 3, size, size), float32."""
    batch, frames, size = case["batch"], case["frames"], case["image_size"]
    generator = _generator(case["seed"], "video")
    coarse = torch.randn((batch, 3, 8, 8), generator=generator, dtype=torch.float32)
    noise = torch.randn((batch, frames, 3, 8, 8), generator=generator, dtype=torch.float32)
    clips = torch.stack([torch.roll(coarse, (t % 8, (2 * t) % 8), dims=(-2, -1)) for t in range(frames)], dim=1)
    clips = (clips + 0.3 * noise).flatten(0, 1)
    clips = torch.nn.functional.interpolate(clips, size=size, mode="bilinear", align_corners=False)
    return clips.unflatten(0, (batch, frames)).contiguous()


def load_case(name: str, root: Path = HERE) -> dict:
    """A case's settings, with its expected tensors under "expected" where they have been made."""
    case = json.loads((root / "openvclip_etc_cases.json").read_text())[name]
    stored = root / f"{name}.safetensors"
    if stored.exists():
        from safetensors.torch import load_file

        case["expected"] = load_file(stored)
    return case
