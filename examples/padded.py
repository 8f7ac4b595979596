"""A padded batch of sounds with a mask: each sound gets the logits that it has alone.

Sounds of different lengths are padded with zeros to one batch. Zeros are neurons to SimAM: they move the mean
and the variance of every channel, so that the answer for one sound depends on the longest one in its batch.
The mask takes the padding out.

    python examples/padded.py
"""

import argparse
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from simam_edu import SimAM

BANDS, CHANNELS, CLASSES = 20, 32, 10


class Tagger(nn.Module):
    """Two convolutions over time with SimAM after each, and the mean over time."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv1d(BANDS, CHANNELS, 5, padding=2)
        self.second = nn.Conv1d(CHANNELS, CHANNELS, 5, padding=2)
        self.simam = SimAM(dims=1)  # maps of one axis; it has no weights, so that one serves both
        self.head = nn.Linear(CHANNELS, CLASSES)

    def forward(self, x: Tensor, valid: Tensor, *, masked: bool = True) -> Tensor:
        """Return logits of sounds (n, bands, time); ``valid``, (n, 1, time), is False in the padding."""
        mask = valid if masked else None
        for convolution in (self.first, self.second):
            x = self.simam(convolution(x), mask).relu()
            x = x * valid  # so that the next filter sees zeros beyond the end, as it does without padding
        logits: Tensor = self.head(x.sum(-1) / valid.sum(-1))
        return logits


def batch(sounds: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Return sounds (bands, time) as one padded batch, and where it is valid."""
    padded = pad_sequence([sound.T for sound in sounds], batch_first=True).mT
    lengths = torch.tensor([sound.shape[-1] for sound in sounds])
    return padded, (torch.arange(padded.shape[-1]) < lengths[:, None])[:, None]


@torch.no_grad()
def main(arguments: Sequence[str] | None = None) -> dict[str, float]:
    """Compare a batch with each sound alone; print and return the largest difference of the logits."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--sounds", type=int, default=16)
    count = parser.parse_args(arguments).sounds
    torch.manual_seed(0)
    network = Tagger().eval()
    # Noise that swells and fades, from half a second to three at 100 frames a second.
    sounds = [torch.randn(BANDS, 50 + 250 * k // count) for k in range(count)]
    sounds = [sound * torch.linspace(0, 3, sound.shape[-1]).sin().abs() for sound in sounds]
    alone = torch.cat([network(*batch([sound])) for sound in sounds])
    together = {"with the mask": network(*batch(sounds)), "without": network(*batch(sounds), masked=False)}
    found = {name: (logits - alone).abs().max().item() for name, logits in together.items()}
    print(
        f"logits of {count} sounds, of size {alone.abs().max():.2f}; a padded batch against each sound alone:"
    )
    for name, difference in found.items():
        print(f"{name:<16}differs by up to {difference:.1e}")
    return found


if __name__ == "__main__":
    main()
