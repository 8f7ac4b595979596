"""What each of the processes does that test_distributed.py starts by torchrun."""

import contextlib
import faulthandler
import sys
from dataclasses import replace
from pathlib import Path

import torch

import toys
from simam_edu import cli, cli_study
from simam_edu.networks import NETWORKS
from simam_edu.training import DeviceImages, finish, folder, train
from simam_edu.training.distributed import join
from simam_edu.training.metrics import evaluate

# Batches of 32 and 13 images: the shards of the second differ in size. The validation images are nine.
CONFIG = replace(toys.CONFIG, held_out=9 / 54)
TRAIN, TEST = toys.toy(54), toys.toy(7, seed=1)


class Stopped(Exception):
    """What stops a run here, in the middle of its second epoch."""


def main(out: Path) -> None:
    """Train, go on, evaluate, finish; write down what this process saw."""
    NETWORKS["tiny"] = toys.NoNorm
    world = join("cpu")
    whole = train(CONFIG, TRAIN, TEST)
    folder.CHECKPOINT_SECONDS = 0.0
    seen = []

    def on_step(progress):
        seen.append(progress.seen)
        if len(seen) == 5:
            raise Stopped

    with contextlib.suppress(Stopped):
        train(CONFIG, TRAIN, TEST, folder=out / "run", on_step=on_step)
    continued = train(CONFIG, TRAIN, TEST, folder=out / "run", on_step=on_step)
    images = DeviceImages.put(TEST, torch.device("cpu"))
    found = {
        "size": world.size,
        "whole": replace(whole, network=whole.network.state_dict()),
        "continued": replace(continued, network=continued.network.state_dict()),
        "seen": seen,
        "shards": [labels.tolist() for _, labels in images.plain_batches(4, shard=world.shard)],
        "evaluated": evaluate(whole.network, images, world=world).images,
        "record": finish(CONFIG, TRAIN, TEST, folder=out / "finished"),
    }
    torch.save(found, out / f"rank-{world.rank}.pt")
    cli_study.load = lambda _, split, **__: TRAIN if split == "train" else TEST
    if cli.main([*toys.COMMAND, "--record", str(out / "records.jsonl")]) != 0:
        raise RuntimeError("the command must succeed")


if __name__ == "__main__":
    faulthandler.dump_traceback_later(80, exit=True)  # where it is, should the processes wait for each other
    main(Path(sys.argv[1]))
