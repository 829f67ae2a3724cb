"""Draws frames of the generated world from their parameters, many at once, on any device."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

COLORS: dict[str, tuple[int, int, int]] = {
    "red": (225, 45, 40),
    "green": (45, 185, 65),
    "blue": (50, 85, 235),
    "yellow": (240, 215, 45),
    "purple": (165, 60, 200),
    "white": (240, 240, 240),
}
TEXTURES = ("plain", "striped", "dotted", "checkered", "ringed")
RING_WIDTH = 0.45  # of the radius
TABLE_SIZE = 720  # directions in which the outline of a shape is stored

# Values of an actor in one frame, the last dimension of `Frames.actors`. x, y and size are in units of the frame; the
# angles, `angle` and the width of the `gap` that an open ring has, in radians; colors in 0..255.
CHANNELS = ("x", "y", "size", "angle", "gap", "red", "green", "blue", "shape", "texture")
# Values of a wave of the background: its two wave numbers and its phase, in radians, and its amplitude, in gray levels.
WAVE_CHANNELS = ("kx", "ky", "phase", "amplitude")


@dataclass
class Frames:
    """The parameters of N frames.

    Attributes:
        actors: (N, M, len(CHANNELS)), painted in this order; a size of 0 hides one.
        waves: (N, W, len(WAVE_CHANNELS)).
        ground: (N, 3) mean color of the background, 0..255.
    """

    actors: Tensor
    waves: Tensor
    ground: Tensor

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Frames:
        """Return the parameters on `device`."""
        return Frames(*(tensor.to(device, non_blocking=non_blocking) for tensor in vars(self).values()))


def _polygon(corners: int, inner: float = 0.0) -> Callable[[Tensor], Tensor]:
    """Return the outline of a regular polygon, or of a star whose inner corners have the radius `inner`.

    A corner points up.
    """

    def outline(theta: Tensor) -> Tensor:
        sector = 2 * math.pi / corners
        # The angle from the nearest corner; y points down in pictures.
        along = torch.remainder(theta + torch.pi / 2 + sector / 2, sector) - sector / 2
        if not inner:
            return math.cos(sector / 2) / (sector / 2 - along.abs()).cos()
        # The edge from the outer corner (1, 0) to the inner one at half a sector, met by a ray at |along|.
        x, y = inner * math.cos(sector / 2), inner * math.sin(sector / 2)
        return y / (y * along.cos() + (1 - x) * along.abs().sin())

    return outline


def _box(width: float, height: float) -> Callable[[Tensor], Tensor]:
    return lambda theta: torch.minimum(width / theta.cos().abs(), height / theta.sin().abs())


def _heart(theta: Tensor) -> Tensor:
    """Return the outline of the usual parametric heart, seen from its middle."""
    t = torch.arange(4 * TABLE_SIZE, device=theta.device) * (2 * torch.pi / (4 * TABLE_SIZE))
    x = t.sin() ** 3
    y = -(13 * t.cos() - 5 * (2 * t).cos() - 2 * (3 * t).cos() - (4 * t).cos()) / 16
    direction = torch.atan2(y, x)
    nearest = (theta[:, None] - direction).abs().argmin(1)
    return torch.hypot(x, y)[nearest]


# Shape -> its radius in each direction, for a size of 1. All shapes are star-shaped, so that one lookup draws any.
SHAPES: dict[str, Callable[[Tensor], Tensor]] = {
    "disc": torch.ones_like,
    "square": _box(0.85, 0.85),
    "triangle": lambda theta: 1.15 * _polygon(3)(theta),
    "heart": _heart,
    "diamond": _polygon(4),
    "star": lambda theta: 1.2 * _polygon(5, 0.42)(theta),
    "cross": lambda theta: torch.maximum(_box(1.05, 0.33)(theta), _box(0.33, 1.05)(theta)),
    "flower": lambda theta: 0.8 + 0.3 * (5 * theta).cos(),
    "bar": _box(1.15, 0.4),
    "hexagon": _polygon(6),
    "ring": torch.ones_like,
}
SHAPE_NUMBER = {name: number for number, name in enumerate(SHAPES)}


def draw_frames(frames: Frames, size: int) -> Tensor:
    """Draw frames.

    Args:
        frames: Their parameters, on any device.
        size: Height and width in pixels.

    Returns:
        (N, 3, size, size) uint8.
    """
    centers = (torch.arange(size, device=frames.actors.device) + 0.5) / size
    y, x = torch.meshgrid(centers, centers, indexing="ij")
    kx, ky, phase, amplitude = frames.waves[..., None, None].unbind(2)
    picture = (amplitude * (kx * x + ky * y + phase).sin()).sum(1, keepdim=True) + frames.ground[..., None, None]
    for actor in frames.actors.unbind(1):
        picture = _paint(picture, actor, x, y, size)
    return picture.clamp(0, 255).round().byte()


@cache
def _outline_table(device: torch.device) -> Tensor:
    """Return the radius of every shape in every direction: (shapes, TABLE_SIZE)."""
    theta = (torch.arange(TABLE_SIZE, device=device) + 0.5) * (2 * torch.pi / TABLE_SIZE) - torch.pi
    return torch.stack([outline(theta) for outline in SHAPES.values()])


def _paint(picture: Tensor, actor: Tensor, x: Tensor, y: Tensor, size: int) -> Tensor:
    """Paint one actor, (N, channels), over (N, 3, H, W)."""
    values = dict(zip(CHANNELS, actor[:, :, None, None].unbind(1), strict=True))
    extent = values["size"].clamp_min(1e-4)
    right, down = (x - values["x"]) / extent, (y - values["y"]) / extent
    cos, sin = values["angle"].cos(), values["angle"].sin()
    u, v = cos * right + sin * down, cos * down - sin * right
    radius, theta = torch.hypot(u, v), torch.atan2(v, u)
    shape = actor[:, CHANNELS.index("shape")].long()
    column = ((theta + torch.pi) * (TABLE_SIZE / (2 * torch.pi))).long().clamp(0, TABLE_SIZE - 1)
    outline = _outline_table(actor.device)[shape[:, None, None], column]
    # Distances in pixels, so that edges are one pixel wide and smooth at any size.
    inside = (outline - radius) * extent * size
    is_ring = (shape == SHAPE_NUMBER["ring"])[:, None, None]
    inside = torch.where(is_ring, _cut_ring(inside, radius, theta, values["gap"], extent * size), inside)
    opacity = ((inside + 0.5).clamp(0, 1) * (values["size"] > 0))[:, None]
    color = actor[:, [CHANNELS.index(name) for name in ("red", "green", "blue")], None, None]
    ink = _texture(values["texture"], u, v, radius)[:, None]
    # Textures alternate the color with a dark shade of it.
    return picture + opacity * (color * (0.15 + 0.85 * ink) - picture)


def _cut_ring(inside: Tensor, radius: Tensor, theta: Tensor, gap: Tensor, pixels: Tensor) -> Tensor:
    hole = (radius - (1 - RING_WIDTH)) * pixels
    cut = (theta.abs() - gap / 2) * radius * pixels
    return torch.minimum(torch.minimum(inside, hole), cut)


def _texture(texture: Tensor, u: Tensor, v: Tensor, radius: Tensor) -> Tensor:
    """Return the share of the full color, in [0, 1]."""
    stripes = torch.sin(7.5 * u)
    checks = torch.sin(6.5 * u) * torch.sin(6.5 * v)
    dots = torch.cos(7.5 * u) + torch.cos(7.5 * v) - 0.6
    rings = torch.cos(10 * radius)
    ink = torch.ones_like(u)
    for number, wave in enumerate((stripes, dots, checks, rings), start=1):
        ink = torch.where(texture == number, (3 * wave).clamp(-1, 1) * 0.5 + 0.5, ink)
    return ink
