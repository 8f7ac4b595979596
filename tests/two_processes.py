"""What each of the processes does that test_distributed.py starts by torchrun."""

import faulthandler
import sys
from collections.abc import Iterator
from pathlib import Path

import torch

from simam_edu import cli, cli_study
from simam_edu.networks import NETWORKS
from simam_edu.training import DeviceImages, Progress, TrainConfig, TrainResult, finish, folder, train
from simam_edu.training.distributed import join
from simam_edu.training.metrics import evaluate
from toys import NoNorm, toy

# Batches of 32 and 13 images: the parts of the second differ in size. The held-out images are nine.
CONFIG = TrainConfig(network="tiny", recipe="smoke", epochs=3, seed=2, held_out=9 / 54, device="cpu")
TRAIN, TEST = toy(54), toy(7, seed=1)


class Stopped(Exception):
    """What stops a run here."""


def stopped_and_continued(place: Path) -> tuple[TrainResult, list[int]]:
    """Stop in the middle of the second epoch and go on."""
    folder.CHECKPOINT_SECONDS = 0.0
    left: Iterator[int] = iter(range(4))
    seen = []

    def on_step(progress: Progress) -> None:
        seen.append(progress.seen)
        if next(left, None) is None:
            raise Stopped

    try:
        train(CONFIG, TRAIN, TEST, folder=place, on_step=on_step)
    except Stopped:
        pass
    else:
        raise RuntimeError("the run must stop")
    return train(CONFIG, TRAIN, TEST, folder=place, on_step=lambda progress: seen.append(progress.seen)), seen


def main(out: Path) -> None:
    """Train, evaluate, go on, finish; write down what this process saw."""
    NETWORKS["tiny"] = NoNorm
    world = join("cpu")
    whole = train(CONFIG, TRAIN, TEST)
    continued, seen = stopped_and_continued(out / "run")
    images = DeviceImages.put(TEST, torch.device("cpu"))
    parts = [labels for _, labels in images.plain_batches(4, shard=world.shard)]
    found = {
        "size": world.size,
        "network": whole.network.state_dict(),
        "continued": continued.network.state_dict(),
        "same_scores": [e.train for e in whole.epochs] == [e.train for e in continued.epochs]
        and whole.test == continued.test,
        "seen": seen,
        "losses": [epoch.train.loss for epoch in whole.epochs],
        "held_out": [(epoch.held_out.images, epoch.held_out.loss) for epoch in whole.epochs],
        "test": (whole.test.images, whole.test.loss, whole.test.accuracy),
        "part": torch.cat(parts).tolist(),
        "seven": evaluate(whole.network, images, world=world).images,
        "record": finish(CONFIG, TRAIN, TEST, folder=out / "finished"),
    }
    torch.save(found, out / f"rank-{world.rank}.pt")
    cli_study.load = lambda _, split, **__: TRAIN if split == "train" else TEST
    command = "train --network tiny --recipe smoke --epochs 1 --device cpu --record"
    if cli.main([*command.split(), str(out / "records.jsonl")]) != 0:
        raise RuntimeError("the command must succeed")


if __name__ == "__main__":
    faulthandler.dump_traceback_later(80, exit=True)  # where it is, should the processes wait for each other
    main(Path(sys.argv[1]))
