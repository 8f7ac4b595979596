"""Two processes that torchrun starts, compared with one; and what torchrun's variables may say."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import two_processes
from simam_edu import cli, cli_study
from simam_edu.networks import NETWORKS
from simam_edu.training import DeviceImages, TrainConfig, TrainResult, loop, train
from simam_edu.training.distributed import World, join, read_world
from toys import NoNorm, toy

HERE = Path(__file__).resolve().parent


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, list[dict[str, Any]]]:
    """The folder of the run, what it printed, and what each of two processes found."""
    out = tmp_path_factory.mktemp("two")
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
        str(HERE / "two_processes.py"), str(out),
    ]  # fmt: skip
    variables = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    run = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=100, check=False)
    assert run.returncode == 0, run.stderr
    return out, run.stdout, [torch.load(out / f"rank-{rank}.pt", weights_only=False) for rank in (0, 1)]


@pytest.fixture(scope="module")
def one() -> TrainResult:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(NETWORKS, "tiny", NoNorm)
        return train(two_processes.CONFIG, two_processes.TRAIN, two_processes.TEST)


def test_two_processes_train_the_network_of_one(two, one) -> None:  # type: ignore[no-untyped-def]
    _, _, (first, second) = two
    assert first["size"] == second["size"] == 2
    begin = first_weights()
    for key, value in one.network.state_dict().items():
        assert torch.equal(first["network"][key], second["network"][key]), key
        torch.testing.assert_close(first["network"][key], value, rtol=1e-5, atol=1e-7, msg=key)
        assert (value - begin[key]).abs().max() > 1e-4, f"{key} must have moved, or this says nothing"
    assert first["losses"] == second["losses"]
    assert first["losses"] == pytest.approx([epoch.train.loss for epoch in one.epochs], rel=1e-6)


def first_weights() -> dict[str, torch.Tensor]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(NETWORKS, "tiny", NoNorm)
        return loop.new_network(two_processes.CONFIG, 2).state_dict()


def test_each_image_is_evaluated_exactly_once(two, one) -> None:  # type: ignore[no-untyped-def]
    _, _, (first, second) = two
    labels = two_processes.TEST.labels.tolist()
    # Batches of four: the first process takes the first and third of each, the other the rest.
    assert first["part"] == [labels[k] for k in (0, 2, 4, 6)]
    assert second["part"] == [labels[k] for k in (1, 3, 5)]
    for found in (first, second):
        assert found["seven"] == found["test"][0] == 7
        assert found["test"][1:] == pytest.approx((one.test.loss, one.test.accuracy), rel=1e-6)
        assert [images for images, _ in found["held_out"]] == [9, 9, 9]
        wanted = [epoch.held_out.loss for epoch in one.epochs]
        assert [loss for _, loss in found["held_out"]] == pytest.approx(wanted, rel=1e-6)


def test_two_processes_that_were_stopped_go_on_to_the_same_numbers(two) -> None:  # type: ignore[no-untyped-def]
    _, _, found = two
    for rank in found:
        assert rank["same_scores"]
        assert rank["seen"] == [32, 45, 45, 77, 90, 90, 90, 122, 135, 135]
        for key, value in rank["network"].items():
            assert torch.equal(rank["continued"][key], value), key


def test_the_first_process_alone_writes(two) -> None:  # type: ignore[no-untyped-def]
    out, printed, (first, second) = two
    assert first["record"] == second["record"]
    assert first["record"]["processes"] == 2
    assert json.loads((out / "finished" / "record.json").read_text()) == first["record"]
    (line,) = (out / "records.jsonl").read_text().splitlines()
    assert printed.splitlines() == [line]


def test_without_torchrun_there_is_one_process() -> None:
    assert read_world({}) == World(rank=0, size=1, local_rank=0)
    assert join("cpu").size == 1
    assert not torch.distributed.is_initialized()


@pytest.mark.usefixtures("tiny")
def test_a_command_joins_the_processes_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    joined: list[str] = []
    for module in (cli_study, loop):
        monkeypatch.setattr(module, "join", lambda device: (joined.append(device), World())[1])
    monkeypatch.setattr(cli_study, "load", lambda *_, **__: toy(40))
    command = ["train", "--network", "tiny", "--recipe", "smoke", "--epochs", "1", "--device", "cpu"]
    assert cli.main([*command, "--folder", str(tmp_path / "run")]) == 0
    assert cli.main([*command, "--record", str(tmp_path / "records.jsonl")]) == 0
    assert joined == ["cpu", "cpu"]


def test_torchruns_variables_are_read() -> None:
    variables = {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1"}
    world = read_world(variables)
    assert (world.rank, world.size, world.local_rank) == (5, 8, 1)
    assert list(range(20))[world.shard] == [5, 13]


@pytest.mark.parametrize(
    "variables",
    [
        {"WORLD_SIZE": "2"},
        {"WORLD_SIZE": "2", "RANK": "2", "LOCAL_RANK": "0"},
        {"WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "1"},
        {"WORLD_SIZE": "0", "RANK": "0", "LOCAL_RANK": "0"},
        {"WORLD_SIZE": "two", "RANK": "0", "LOCAL_RANK": "0"},
        {"WORLD_SIZE": "2", "RANK": "-1", "LOCAL_RANK": "0"},
    ],
)
def test_variables_that_do_not_fit_are_refused(variables: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="RANK, WORLD_SIZE and LOCAL_RANK must be as torchrun sets them"):
        read_world(variables)


@pytest.mark.usefixtures("tiny")
def test_a_batch_with_fewer_images_than_processes_is_refused() -> None:
    config = TrainConfig(network="tiny", recipe="smoke", device="cpu")
    images = DeviceImages.put(toy(34), torch.device("cpu"))
    assert loop.first_state(config, images, 2, World(size=2)).batches == 2
    with pytest.raises(ValueError, match="an image for each of 3 processes, got 2"):
        loop.first_state(config, images, 2, World(size=3))


def test_the_devices_of_several_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert World(size=2).device("cpu") == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert World(rank=3, size=4, local_rank=1).device("cuda") == torch.device("cuda", 1)
    assert World().device("cuda") == torch.device("cuda")
    with pytest.raises(ValueError, match="at most its CUDA cards, 2, got a process with local rank 2"):
        World(rank=2, size=3, local_rank=2).device("cuda")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    with pytest.raises(ValueError, match="device must be cpu or cuda for 2 processes, got 'mps'"):
        World(size=2).device("mps")


def test_a_process_without_an_image_adds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    images = DeviceImages.put(toy(3), torch.device("cpu"))
    others = [[(1.0, 1.0, 2.0)], [(0.5, 1.0, 1.0)], []]  # of each batch loss, correct, images
    monkeypatch.setattr(World, "gather", lambda _, own: [*others, own])
    score = loop.evaluate(torch.nn.Identity(), images, world=World(rank=3, size=4))
    assert (score.images, score.loss, score.accuracy) == (3, 0.5, 2 / 3)
