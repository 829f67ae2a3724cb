"""Seeded weights and inputs for the parity cases of X-CLIP, ActionCLIP, A5 and Vita-CLIP.

Nothing but expected outputs is stored: every tensor of a reference checkpoint is drawn from a generator seeded with
(case seed, tensor name). `xclip_etc_cases.json` lists names and shapes, `<system>.safetensors` the expected outputs.

    from xclip_etc_weights import load_case, make_state_dict, make_video
    case = load_case("xclip")               # settings; expected tensors under "expected"
    state_dict = make_state_dict(case)      # the reference's own names and layouts
    video = make_video(case)                # float32 (batch, frames, 3, size, size), already normalised
"""

from __future__ import annotations

import json
import math
import re
import zlib
from pathlib import Path

import torch

HERE = Path(__file__).parent
# Last words of the names of embeddings and prompt vectors.
TABLES = ("embedding", "embeddings", "embed", "prompts", "token", "ctx")


def _generator(seed: int, name: str) -> torch.Generator:
    return torch.Generator().manual_seed(zlib.crc32(f"{seed}/{name}".encode()))


def _is_table(name: str) -> bool:
    parts = re.split(r"[./]", name)
    owner = parts[-2] if parts[-1] == "weight" and len(parts) > 1 else parts[-1]
    if owner in ("proj", "patch_embed"):
        return False
    return owner.lower().endswith(TABLES)


def make_tensor(seed: int, name: str, shape: tuple[int, ...]) -> torch.Tensor:
    """One tensor; the rule depends on its name and shape alone."""
    last = re.split(r"[./]", name)[-1]
    if last == "logit_scale":
        return torch.tensor(3.0)
    noise = torch.randn(shape, generator=_generator(seed, name))
    if last == "alpha":
        return 0.5 * noise
    if "bias" in last:
        return 0.05 * noise
    if _is_table(name):
        return 0.5 * noise
    if len(shape) == 1:  # the weight of a layer norm
        return 1.0 + 0.1 * noise
    fan_in = math.prod(shape[1:]) if "weight" in last else shape[0]  # bare matrices are used as x @ W
    gain = 2.0 if last == "in_proj_weight" or "q_proj" in name or "k_proj" in name else 1.0
    return noise * gain * fan_in**-0.5


def make_state_dict(case: dict) -> dict[str, torch.Tensor]:
    return {name: make_tensor(case["seed"], name, tuple(shape)) for name, shape in case["parameters"].items()}


def make_video(case: dict) -> torch.Tensor:
    """A smooth moving pattern plus noise: (batch, frames, 3, size, size), float32."""
    batch, frames, size = case["batch"], case["frames"], case["image_size"]
    generator = _generator(case["seed"], "video")
    coarse = torch.randn((batch, 3, 8, 8), generator=generator)
    noise = torch.randn((batch, frames, 3, 8, 8), generator=generator)
    clips = torch.stack([torch.roll(coarse, (t % 8, (2 * t) % 8), dims=(-2, -1)) for t in range(frames)], dim=1)
    clips = (clips + 0.3 * noise).flatten(0, 1)
    clips = torch.nn.functional.interpolate(clips, size=size, mode="bilinear", align_corners=False)
    return clips.unflatten(0, (batch, frames)).contiguous()


def load_case(name: str, root: Path = HERE) -> dict:
    """A case's settings, with its expected tensors under "expected" where they have been made."""
    case = json.loads((root / "xclip_etc_cases.json").read_text())[name]
    stored = root / f"{name}.safetensors"
    if stored.exists():
        from safetensors.torch import load_file

        case["expected"] = load_file(stored)
    return case
