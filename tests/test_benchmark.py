"""The benchmark measures what it says; its times are not tested."""

import json

import pytest
import torch
from torch import nn

from simam_edu import SimAM, benchmark, cli, cli_bench
from simam_edu.benchmark import FORMS, Row, Timing, measure, peak_bytes, saved_bytes
from simam_edu.traffic import Traffic

SMALL = (2, 16, 6, 6)
EAGER = [name for name in FORMS if "compiled" not in name]


def test_every_form_is_measured_on_every_layout():
    for layout in ("contiguous", "channels_last"):
        rows = measure(SMALL, EAGER, layout=layout, seconds=0.0)
        assert [row.name for row in rows] == EAGER
        for row in rows:
            assert 0 < row.forward.low <= row.forward.median <= row.forward.high
            assert 0 < row.both.low <= row.both.median <= row.both.high
            assert (row.path is not None) == row.name.startswith("simam")


def test_the_ten_lines_are_simam():
    x = torch.randn(3, 5, 7, 4, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(benchmark.TenLines()(x), SimAM()(x))


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_the_ten_lines_move_fifteen_maps_forward_and_forty_backward(device):
    x = torch.zeros(2, 4, 32, 32, device=device, requires_grad=True)
    size = 4 * x.numel()
    with Traffic() as forward:
        y = benchmark.TenLines()(x)
    grad_output = torch.zeros_like(y)
    with Traffic() as backward:
        torch.autograd.grad(y, x, grad_output)
    maps = [round(moved / size, 1) for t in (forward, backward) for moved in (t.reads, t.writes)]
    assert maps == [9.0, 6.0, 24.0, 16.0]
    assert (forward.operations, backward.operations) == (11, 20)


def test_traffic_counts_an_expanded_tensor_as_its_memory_and_a_slice_as_itself():
    x = torch.zeros(8, 64)
    row, slices = x[:1].clone().expand(8, 64), x[:, :16]
    with Traffic() as traffic:
        torch.add(row, x)
    assert (traffic.reads, traffic.writes) == (4 * 64 + 4 * 512, 4 * 512)
    with Traffic() as traffic:
        slices.neg()
    assert (traffic.reads, traffic.writes) == (4 * 128, 4 * 128)
    with Traffic() as traffic:
        x.t().unsqueeze(0)
    assert (traffic.operations, traffic.reads, traffic.writes) == (0, 0, 0)


def test_saved_bytes_are_those_of_autograd():
    x = torch.zeros(4, 16, 8, 8)
    size = 4 * x.numel()
    assert saved_bytes(nn.SiLU(), x) == size
    assert saved_bytes(nn.Identity(), x) == 0
    assert saved_bytes(nn.Conv2d(16, 16, 3), x) == size  # the weight does not count
    ten_lines = saved_bytes(benchmark.TenLines(), x)
    assert 4 * size <= ten_lines < 4.2 * size
    assert size < saved_bytes(SimAM(backend="torch"), x) == size + 2 * 4 * 4 * 16


def test_peak_bytes_counts_what_lives_at_once():
    def two_at_once():
        first = torch.zeros(1000)
        second = torch.zeros(1000)
        return first + second

    def one_by_one():
        torch.zeros(1000)
        torch.zeros(1000)

    assert 12_000 <= peak_bytes(two_at_once) < 13_000
    assert 4_000 <= peak_bytes(one_by_one) < 5_000


def test_sweeps_ask_for_what_they_say(monkeypatch):
    asked = []
    monkeypatch.setattr(benchmark, "measure", lambda shape, *_, **__: asked.append(shape) or [])
    benchmark.elements_sweep()
    assert [torch.Size(shape).numel() for shape in asked] == [10**4, 10**5, 10**6, 10**7, 10**8]
    asked.clear()
    benchmark.shapes_sweep()
    assert all(5e5 < torch.Size(shape).numel() < 2e6 for shape in asked)


@pytest.mark.parametrize("kind", ["step", "inference"])
def test_a_network_that_is_timed_leaves_the_global_random_state(kind):
    before = torch.random.get_rng_state()
    steps = benchmark.network_times(kind, ("none", "simam"), batch=2, seconds=0.0)
    assert list(steps) == ["none", "simam"]
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"names": ["silu", "fast"]}, "names must be among silu, .* got fast"),
        ({"layout": "channels first"}, "layout must be contiguous or channels_last"),
    ],
)
def test_unknown_names_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        measure(SMALL, **({"names": ["silu"]} | change))


@pytest.mark.parametrize("kind", benchmark.NETWORKS)
def test_what_is_named_compiled_is_and_what_is_named_inference_does_not_train(kind, monkeypatch):
    made, compiled = [], []

    def build(*_args, **_options):
        made.append(nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 10)))
        return made[0]

    monkeypatch.setattr(benchmark, "build", build)
    monkeypatch.setattr(nn.Module, "compile", lambda network, **_: compiled.append(network))
    benchmark.network_times(kind, ("none",), batch=2, seconds=0.0)
    assert len(made) == 1
    assert compiled == (made if kind.startswith("compiled") else [])
    assert made[0].training == kind.endswith("step")
    assert (made[0][1].weight.grad is not None) == made[0].training


def test_the_command_prints_tables_and_writes_lines(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(benchmark, "SHAPES", (SMALL,))
    monkeypatch.setattr(benchmark, "network_times", lambda _kind, **_: {"none": TIME, "simam": TIME})
    file = tmp_path / "new" / "bench.jsonl"
    status = cli.main(
        ["bench", "--forms", "silu", "simam", "--seconds", "0", "--steps", "--record", str(file)]
    )
    printed = capsys.readouterr().out
    assert status == 0
    assert "(2, 16, 6, 6) contiguous" in printed
    assert "(2, 16, 6, 6) channels_last" in printed
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [line["kind"] for line in lines] == ["shape"] * 4 + ["kept"] * 4 + [
        kind for kind in ("step", "compiled step", "inference", "compiled inference") for _ in range(2)
    ]
    assert all("torch" in line["environment"] for line in lines)


TIME = Timing(median=2.0, low=1.0, high=3.0)


def test_the_table_shows_ratios_to_silu():
    def row(name, median):
        time = Timing(median=median, low=median, high=median)
        return Row(
            name=name, shape=SMALL, layout="contiguous", path=None, forward=time, both=time,
            saved=1.0, peak=2.0,
        )  # fmt: skip

    lines = cli_bench.table([row("silu", 2.0), row("ten lines", 5.0)]).splitlines()
    assert " ".join(lines[-1].split()[2:]) == "5.000 (5.000-5.000) 2.50 " * 2 + "1.00 2.0"
    assert cli_bench.steps_table("step", {"none": TIME, "simam": TIME}).splitlines()[-1].endswith("1.00")


def test_the_kernels_command_says_where_the_kernel_is(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(cli_bench.kernels, "build", lambda: tmp_path / "simam.so")
    assert cli.main(["kernels"]) == 0
    assert str(tmp_path / "simam.so") in capsys.readouterr().out

    def without_compiler():
        raise OSError("a C++ compiler is needed")

    monkeypatch.setattr(cli_bench.kernels, "build", without_compiler)
    assert cli.main(["kernels"]) == 2
    assert "a C++ compiler is needed" in capsys.readouterr().err
