"""Records of runs that were never made, for tests of grids, sweeps and reports; small archives of files."""

import io
import tarfile


def made_record(attention="none", slot="pre_norm", seed=0, accuracy=0.85, **changes):
    return {
        "network": "resnet20", "attention": attention, "attention_options": {}, "slot": slot,
        "dataset": "cifar10", "source": "made for a test", "recipe": "budget",
        "recipe_values": {"epochs": 10, "batch_size": 64}, "seed": seed, "epochs": 10, "held_out": 0.0,
        "training_images": 50_000, "test_accuracy": accuracy, "test_loss": 0.4, "test_images": 10_000,
        "minutes": 40.0 + seed, "device": "cpu", "precision": "float32", "finished": "today",
        "environment": {"torch": "2.13.0", "processor": "a processor", "threads": 1}, "history": [],
    } | changes  # fmt: skip


def record_of(run, **changes):
    """The record of a run of a grid."""
    own = {name: getattr(run, name) for name in ("network", "dataset", "recipe", "held_out")}
    own |= {"attention_options": dict(run.attention_options), "epochs": run.total_epochs}
    return made_record(run.attention, run.slot, run.seed, **(own | changes))


def packed(folder, files):
    """A gzipped tar file of the contents of files by name, each under a path that begins with folder."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(f"{folder}{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()
