"""The options that every dataset of a run shares, and the checks of option values."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal, get_args

from datamodules.errors import DataError

Decoder = Literal["auto", "pyav", "decord", "torchcodec"]
OnBadVideo = Literal["raise", "skip"]
SpatialViews = Literal[1, 3]
FrameSampling = Literal["center", "random"]
Remainder = Literal["drop", "keep"]
ValidationViews = Literal["center", "test"]
# Option -> its least and its largest value. The largest ones are far above any use, but below what ends in a kill by
# the operating system: 1024 frames of 224 x 224 pixels are 0.6 GB as float32, for every clip of a batch.
BOUNDS: dict[str, tuple[int, int | None]] = {
    "num_frames": (1, 1024),
    "image_size": (1, 2048),
    "batch_size": (1, 65536),
    "global_batch_size": (1, None),
    "num_temporal_views": (1, 1024),
    "num_workers": (0, 1024),
    "worker_timeout": (0, None),
    "cache_gb": (1, None),
    "seed": (0, None),
}


@dataclass(frozen=True)
class ClipOptions:
    """How clips are sampled, decoded and batched. `check` validates the values.

    Attributes:
        num_frames: Number T of frames per view.
        image_size: Height and width of the square frames, in pixels.
        batch_size: Videos per batch on one device.
        global_batch_size: Videos per optimizer step, over all devices and accumulated batches. The trainer derives the
            accumulation from it; None means no accumulation.
        remainder: Training clips left at the end of an epoch after the last whole optimizer step: `drop`, as in the
            published runs, or `keep` for a shorter step in which every clip counts. An epoch of less than one step is
            always kept. Which clips are left changes with the epoch.
        num_workers: Decoding processes per loader. None divides the CPU cores among the devices, at most 8 each.
        worker_timeout: Seconds to wait for a batch before the run stops, in case a decoder hangs; 0 waits forever.
        decoder: Library that decodes the files. `auto` is `pyav`, which returns the right frames from any container.
        exact_decoding: Decode frames in full size and resize them by torchvision. Otherwise the decoder shrinks them:
            faster for large videos, while real clips differ by under 1 of 255 grey levels on average.
        cache: Folder in which the frames of clips are kept once they are decoded, resized but not cropped, for all
            workers, runs and epochs: of a training clip all frames, of a test clip those of its views. About 0.26 MB a
            frame; the cached frames equal the decoded ones. None decodes the clips in every epoch.
        cache_gb: Greatest size of that folder, in GB. Once it is full, or its disk has less than 4 GB left, the clips
            that it lacks are decoded every time.
        on_bad_video: `raise` stops the run at an unreadable clip; `skip` leaves it out and reports it in
            `VideoBatch.skipped`.
        num_temporal_views: Temporal views per test video.
        num_spatial_views: Crops per temporal view: 1 (center) or 3.
        frame_sampling: Frames of an evaluation view: `center` of each segment, or `random` as in the released TC-CLIP
            code.
        window_seconds: Seconds of a clip that a view covers by evenly spaced frames: a random window in training,
            windows from the start to the end of the clip as test views. None covers the whole clip.
        val_views: Views of a validation clip: one `center` view, or the views of `test`.
        mean: Mean of red, green and blue (0..255) to subtract. The default is what TC-CLIP was trained with.
        std: Standard deviation of red, green and blue (0..255) to divide by.
        seed: Seed of the clip order, of every random draw on a clip, and of the K-shot draw.
    """

    num_frames: int = 16
    image_size: int = 224
    batch_size: int = 8
    global_batch_size: int | None = None
    remainder: Remainder = "drop"
    num_workers: int | None = None
    worker_timeout: int = 600
    decoder: Decoder = "auto"
    exact_decoding: bool = False
    cache: str | None = None
    cache_gb: int = 100
    on_bad_video: OnBadVideo = "raise"
    num_temporal_views: int = 2
    num_spatial_views: SpatialViews = 1
    frame_sampling: FrameSampling = "center"
    window_seconds: float | None = None
    val_views: ValidationViews = "center"
    mean: tuple[float, float, float] = (123.675, 116.28, 103.53)
    std: tuple[float, float, float] = (58.395, 57.12, 57.375)
    seed: int = 1024

    def check(self) -> None:
        """Check the values.

        Not done on construction: jsonargparse would bury the message in one about types.

        Raises:
            DataError: A value is too small or too large, or none of the known ones.
        """
        for name, (least, most) in BOUNDS.items():
            check_range(name, getattr(self, name), least, most)
        if self.window_seconds is not None and not 0 < self.window_seconds < float("inf"):
            raise DataError(f"--data.window_seconds is {self.window_seconds:g}; it must be above 0.")
        # The command line checks these words by their types; a Python caller has no such check.
        check_choice("decoder", self.decoder, get_args(Decoder))
        check_choice("on_bad_video", self.on_bad_video, get_args(OnBadVideo))
        check_choice("num_spatial_views", self.num_spatial_views, get_args(SpatialViews))
        check_choice("frame_sampling", self.frame_sampling, get_args(FrameSampling))
        check_choice("remainder", self.remainder, get_args(Remainder))
        check_choice("val_views", self.val_views, get_args(ValidationViews))


def check_range(name: str, value: float | None, least: int, most: int | None = None) -> None:
    """Check that an option is between two bounds, inclusive; None means "not set".

    Raises:
        DataError: It is not.
    """
    if value is not None and not least <= value:
        raise DataError(f"--data.{name} is {value}; it must be at least {least}.")
    if value is not None and most is not None and value > most:
        raise DataError(f"--data.{name} is {value}; it must be at most {most}, as more would exhaust the memory.")


def check_share(name: str, value: float) -> None:
    """Check that an option is a share of something that is to be divided: more than none and less than all of it.

    Raises:
        DataError: It is not.
    """
    if not 0 < value < 1:
        raise DataError(f"--data.{name} is {value}; it must be between 0 and 1.")


def check_positive(**options: int | None) -> None:
    """Check that whole-number options are at least 1; None means "not set".

    Raises:
        DataError: A value is 0 or less.
    """
    for name, value in options.items():
        check_range(name, value, 1)


def check_choice(name: str, value: object, known: Collection[object]) -> None:
    """Check that an option has one of the known values.

    Raises:
        DataError: It does not; the message lists the known values.
    """
    if value not in known:
        raise DataError(f"--data.{name} is {value!r}; choose one of {', '.join(map(str, known))}.")
