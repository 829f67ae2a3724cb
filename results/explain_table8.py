"""Print what seeds and context tokens of the plain world CLIP cover (Table 8): `python results/explain_table8.py`."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from datamodules.options import ClipOptions
from datamodules.synthetic.actions import SEEN
from datamodules.synthetic.behaviors import LENGTH, SIZE
from datamodules.synthetic.drawing import Frames, draw_frames
from datamodules.synthetic.films import NUM_DISTRACTORS, draw_film, stack_frames
from datamodules.transforms.augmentation import normalize
from tc_clip_pl import TCCLIP

NUM_FRAMES, IMAGE_SIZE, PATCH_SIZE = 8, 64, 8
ACTIONS = [action for action in SEEN if action.family in ("a striped thing", "two discs")]
FILMS_PER_ACTION = 8
SELECTIONS = (
    "averaged_cls_attention",
    "head_wise_cls_attention",
    "ats",
    "patch_saliency",
    "head_wise_key_norm",
    "averaged_key_norm",
)
AGGREGATIONS = ("bipartite", "kmeans", "dpc_knn", "random")


def draw_films() -> tuple[Tensor, Tensor]:
    """Return films (B, T, 3, H, W), normalized, and which patches (B, T * P) the actors cover by 30 % or more."""
    films = [draw_film(action, 0, 30_000 + number) for action in ACTIONS for number in range(FILMS_PER_ACTION)]
    chosen = np.linspace(0, LENGTH - 1, NUM_FRAMES).astype(int)
    frames = stack_frames(films, np.tile(chosen, (len(films), 1)))
    hidden = frames.actors.clone()
    hidden[:, NUM_DISTRACTORS:, SIZE] = 0
    pictures = draw_frames(frames, IMAGE_SIZE)
    without = draw_frames(Frames(hidden, frames.waves, frames.ground), IMAGE_SIZE)
    differs = ((pictures.float() - without.float()).abs().sum(1, keepdim=True) > 30).float()
    covered = F.avg_pool2d(differs, PATCH_SIZE).reshape(len(films), -1) > 0.3
    options = ClipOptions()
    return normalize(pictures.unflatten(0, (len(films), -1)), options.mean, options.std), covered


@torch.inference_mode()
def find_sources(video: Tensor, **config: str) -> list[Tensor]:
    """Return the (B, K, T * P) sources of the context tokens of each layer that makes some."""
    model = TCCLIP.from_pretrained(
        "world", num_frames=NUM_FRAMES, prompting="template", num_context_tokens=32, **config
    ).eval()
    model.set_class_names([action.name for action in ACTIONS])
    return [sources for sources in model(video, return_sources=True).sources if sources is not None]


def main() -> None:
    """Print both tables."""
    video, on_actor = draw_films()
    print("| seeds | share of the actors' patches that are seeds, layers 1 to 3 |\n|---|---|")
    for name in SELECTIONS:
        shares = [(s.any(1) & on_actor).sum() / on_actor.sum() for s in find_sources(video, seed_selection=name)]
        print(f"| {name} | {', '.join(f'{share:.2f}' for share in shares)} |")
    print("\n| aggregation | context tokens of actors alone | patches in the largest one |\n|---|---|---|")
    for name in AGGREGATIONS:
        layers = find_sources(video, aggregation=name)
        shares = [(s & on_actor[:, None]).sum(-1) / s.sum(-1).clamp_min(1) for s in layers]
        counts = ", ".join(f"{(share > 0.8).sum(1).float().mean():.1f}" for share in shares)
        print(f"| {name} | {counts} | {', '.join(f'{s.sum(-1).amax(-1).float().mean():.0f}' for s in layers)} |")


if __name__ == "__main__":
    main()
