"""Images in memory as uint8, cropped, flipped and normalized in batches on the device."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from simam_edu.datasets import ImageSet

PADDING = 4
"""Zero pixels on each side before the random crop, as in the paper."""
ALL = slice(None)


@dataclass(frozen=True, kw_only=True)
class DeviceImages:
    """Images and labels on the device, padded once, with their normalization.

    ``scale`` times a pixel value plus ``shift`` has, over the training set, mean 0 and
    standard deviation 1.

    >>> import numpy as np
    >>> images = ImageSet(
    ...     name="white", split="train", source="Made for this example.",
    ...     images=np.full((4, 3, 8, 8), 255, np.uint8),
    ...     labels=np.array([0, 0, 1, 1]), classes=("left", "right"),
    ...     mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25),
    ... )
    >>> on_device = DeviceImages.put(images, torch.device("cpu"))
    >>> x, labels = next(on_device.plain_batches(2))
    >>> x.shape, x.mean().item(), labels
    (torch.Size([2, 3, 8, 8]), 2.0, tensor([0, 0]))
    """

    padded: UInt8[Tensor, "n h_padded w_padded 3"]  # channels last: one gather reads whole pixels
    labels: Int64[Tensor, "n"]
    scale: Float[Tensor, "3"]
    shift: Float[Tensor, "3"]

    @classmethod
    def put(cls, images: ImageSet, device: torch.device) -> Self:
        """Return the images of a set, padded, on a device."""
        pixels = torch.from_numpy(images.images).permute(0, 2, 3, 1).contiguous()  # (n, h, w, 3)
        mean, std = torch.tensor(images.mean), torch.tensor(images.std)
        return cls(
            padded=F.pad(pixels, (0, 0, PADDING, PADDING, PADDING, PADDING)).to(device),
            labels=torch.from_numpy(images.labels).to(device),
            scale=(1 / (255 * std)).to(device),
            shift=(-mean / std).to(device),
        )

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def device(self) -> torch.device:
        """Where the images are."""
        return self.labels.device

    def batch(
        self,
        draw: Int64[Tensor, "4 b"],
    ) -> tuple[Float[Tensor, "b 3 h w"], Int64[Tensor, "b"]]:
        """Return a window of each chosen image, normalized, in channels_last memory; and labels.

        The rows of a draw are the images' numbers, the first row and the first column of the
        window, from 0 to twice :data:`PADDING`, which itself gives the whole image, and 1 where
        the window is mirrored.
        """
        index, top, left, flip = draw
        height, width = (side - 2 * PADDING for side in self.padded.shape[1:3])
        rows = top[:, None] + torch.arange(height, device=draw.device)  # (b, h)
        across = torch.arange(width, device=draw.device)
        # Mirroring is reading the columns backwards, so crop and flip are one gather.
        columns = left[:, None] + torch.where(flip[:, None] == 1, width - 1 - across, across)
        window = self.padded[index[:, None, None], rows[:, :, None], columns[:, None, :]]
        x = (window * self.scale + self.shift).permute(0, 3, 1, 2)  # from (b, h, w, 3)
        return x, self.labels[index]

    def draws(
        self, batch_size: int, *, generator: torch.Generator, skip: int = 0
    ) -> Iterator[Int64[Tensor, "4 b"]]:
        """Yield the draw of each batch of an epoch, after the ``skip`` that are done already.

        The images come in random order, and the last batch holds what is left. All is drawn at
        once, on the CPU, so that it is the same on every device.
        """
        order = torch.randperm(len(self), generator=generator)
        parts = []
        for index in order.split(batch_size):  # type: ignore[no-untyped-call]
            corner = torch.randint(0, 2 * PADDING + 1, (2, len(index)), generator=generator)
            flip = torch.randint(0, 2, (1, len(index)), generator=generator)
            parts.append(torch.cat([index[None], corner, flip]))
        drawn = torch.cat(parts, dim=1).to(self.device)
        yield from drawn.split(batch_size, dim=1)[skip:]  # type: ignore[no-untyped-call]

    def training_batches(
        self, batch_size: int, *, generator: torch.Generator
    ) -> Iterator[tuple[Float[Tensor, "b 3 h w"], Int64[Tensor, "b"]]]:
        """Yield every image once, in random order, randomly cropped and mirrored."""
        yield from map(self.batch, self.draws(batch_size, generator=generator))

    def plain_batches(
        self, batch_size: int, *, shard: slice = ALL
    ) -> Iterator[tuple[Float[Tensor, "b 3 h w"], Int64[Tensor, "b"]]]:
        """Yield every image once, in order and as it is; the last shard may be empty."""
        index = torch.arange(len(self), device=self.device)
        center = torch.full_like(index, PADDING)
        whole = torch.stack([index, center, center, torch.zeros_like(index)])
        for draw in whole.split(batch_size, dim=1):  # type: ignore[no-untyped-call]
            yield self.batch(draw[:, shard])
