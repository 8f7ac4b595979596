"""Two processes that torchrun starts, compared with one; and what torchrun's variables may say."""

import json
import os
import subprocess
import sys

import pytest
import torch

import two_processes
from simam_edu import cli, cli_study
from simam_edu.networks import NETWORKS
from simam_edu.training import DeviceImages, loop, train
from simam_edu.training.distributed import World, join, read_world
from toys import COMMAND, CONFIG, NoNorm, load, toy


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """The folder of the run, what it printed, and what each of two processes found."""
    out = tmp_path_factory.mktemp("two")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
               two_processes.__file__, str(out)]  # fmt: skip
    variables = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    run = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=100, check=False)
    assert run.returncode == 0, run.stderr
    return out, run.stdout, [torch.load(out / f"rank-{rank}.pt", weights_only=False) for rank in (0, 1)]


@pytest.fixture(scope="module")
def one():
    """The weights at first, and the result of one process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(NETWORKS, "tiny", NoNorm)
        first = loop.new_network(two_processes.CONFIG, 2).state_dict()
        return first, train(two_processes.CONFIG, two_processes.TRAIN, two_processes.TEST)


def test_two_processes_train_and_score_the_network_of_one(two, one):
    begin, alone = one
    first, second = (found["whole"] for found in two[2])
    assert first.processes == second.processes == two[2][0]["size"] == 2
    assert first.network["seen"] == second.network["seen"] > 0, "the buffers of the first"
    for key, value in alone.network.named_parameters():
        assert torch.equal(first.network[key], second.network[key]), key
        torch.testing.assert_close(first.network[key], value, rtol=1e-5, atol=1e-7, msg=key)
        assert (value - begin[key]).abs().max() > 1e-4, f"{key} must have moved, or this says nothing"
    for found in (first, second):
        for ours, wanted in zip(found.epochs, alone.epochs, strict=True):
            assert (ours.train.images, ours.held_out.images) == (45, 9)
            assert ours.train.loss == pytest.approx(wanted.train.loss, rel=1e-6)
            assert ours.held_out.loss == pytest.approx(wanted.held_out.loss, rel=1e-6)
        assert (found.test.images, found.test.accuracy) == (7, alone.test.accuracy)
        assert found.test.loss == pytest.approx(alone.test.loss, rel=1e-6)


def test_each_image_is_evaluated_exactly_once(two):
    labels = two_processes.TEST.labels.tolist()
    assert [found["shards"] for found in two[2]] == [
        [labels[0:4:2], labels[4:7:2]],
        [labels[1:4:2], labels[5:7:2]],
    ]
    assert [found["evaluated"] for found in two[2]] == [7, 7]


def test_two_processes_that_were_stopped_go_on_to_the_same_numbers(two):
    for found in two[2]:
        whole, continued = found["whole"], found["continued"]
        assert found["seen"] == [32, 45, 45, 77, 90, 90, 90, 122, 135, 135]
        assert [epoch.train for epoch in whole.epochs] == [epoch.train for epoch in continued.epochs]
        assert whole.test == continued.test
        for key, value in whole.network.items():
            assert torch.equal(continued.network[key], value), key


def test_the_first_process_alone_writes(two):
    out, printed, (first, second) = two
    assert first["record"] == second["record"] == json.loads((out / "finished/record.json").read_text())
    assert first["record"]["processes"] == 2
    (line,) = (out / "records.jsonl").read_text().splitlines()
    assert printed.splitlines() == [line]


def test_torchruns_variables_give_rank_and_shard_and_without_them_there_is_one_process():
    assert read_world({}) == join("cpu") == World(rank=0, size=1, local_rank=0)
    assert not torch.distributed.is_initialized()
    variables = {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1"}
    world = read_world(variables)
    assert (world.rank, world.size, world.local_rank) == (5, 8, 1)
    assert list(range(20))[world.shard] == [5, 13]
    for wrong in ({"WORLD_SIZE": "8"}, variables | {"RANK": "two"}):
        with pytest.raises(ValueError, match="RANK, WORLD_SIZE, LOCAL_RANK must be as torchrun"):
            read_world(wrong)


@pytest.mark.usefixtures("tiny")
def test_a_command_joins_the_processes_once(tmp_path, monkeypatch):
    joined = []
    for module in (cli_study, loop):
        monkeypatch.setattr(module, "join", lambda device: (joined.append(device), World())[1])
    monkeypatch.setattr(cli_study, "load", load)
    assert cli.main([*COMMAND, "--folder", str(tmp_path / "run")]) == 0
    assert cli.main([*COMMAND, "--record", str(tmp_path / "records.jsonl")]) == 0
    assert joined == ["cpu", "cpu"]


@pytest.mark.usefixtures("tiny")
def test_a_batch_with_fewer_images_than_processes_is_refused():
    images = DeviceImages.put(toy(34), torch.device("cpu"))
    assert loop.first_state(CONFIG, images, 2, World(size=2)).batches == 2
    with pytest.raises(ValueError, match="an image for each of 3 processes, got 2"):
        loop.first_state(CONFIG, images, 2, World(size=3))


def test_each_process_of_a_machine_has_a_device_of_its_own(monkeypatch):
    assert World(size=2).device("cpu") == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert World().device("auto") == torch.device("mps")
    for world, name in ((World(), "cuda"), (World(size=2), "mps")):
        with pytest.raises(ValueError, match=f"device must be one of .*cpu.* got '{name}'"):
            world.device(name)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert World(rank=3, size=4, local_rank=1).device("auto") == torch.device("cuda", 1)
    assert World().device("auto") == torch.device("cuda")


def test_a_process_without_an_image_adds_nothing(monkeypatch):
    images = DeviceImages.put(toy(3), torch.device("cpu"))
    others = [[(1.0, 1.0, 2.0)], [(0.5, 1.0, 1.0)], []]  # of each batch loss, correct, images
    monkeypatch.setattr(World, "gather", lambda _, own: [*others, own])
    metrics = loop.evaluate(torch.nn.Identity(), images, world=World(rank=3, size=4))
    assert (metrics.images, metrics.loss, metrics.accuracy) == (3, 0.5, 2 / 3)
