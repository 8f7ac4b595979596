"""The benchmark measures what it says; its times are not tested."""

import json
from unittest.mock import Mock

import pytest
import torch
from torch import nn

from simam_edu import SimAM, benchmark, cli, cli_bench
from simam_edu.benchmark import FORMS, Row, Timing, measure, peak_bytes, saved_bytes
from simam_edu.traffic import Traffic

SMALL = (2, 16, 6, 6)
EAGER = [name for name in FORMS if "compiled" not in name]
TIME = Timing(median=2.0, low=1.0, high=3.0)


@pytest.mark.parametrize("layout", benchmark.LAYOUTS)
def test_every_form_is_measured_on_every_layout(layout):
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
    with Traffic() as forward:
        y = benchmark.TenLines()(x)
    grad_output = torch.zeros_like(y)
    with Traffic() as backward:
        torch.autograd.grad(y, x, grad_output)
    maps = [round(moved / x.nbytes, 1) for t in (forward, backward) for moved in (t.reads, t.writes)]
    assert maps == [9.0, 6.0, 24.0, 16.0]
    assert (forward.operations, backward.operations) == (11, 20)


ZEROS = torch.zeros(8, 64)
EXPANDED = torch.zeros(1, 64).expand(8, 64)


@pytest.mark.parametrize(
    ("operation", "reads", "writes"),
    [
        (lambda: torch.add(EXPANDED, ZEROS), 64 + 512, 512),
        (ZEROS[:, :16].neg, 128, 128),
        (lambda: ZEROS.t().unsqueeze(0), 0, 0),
    ],
)
def test_traffic_counts_an_expanded_tensor_as_its_memory_and_a_slice_as_itself(operation, reads, writes):
    with Traffic() as traffic:
        operation()
    assert (traffic.reads, traffic.writes, traffic.operations) == (4 * reads, 4 * writes, int(reads > 0))


def test_saved_bytes_are_those_of_autograd():
    x = torch.zeros(4, 16, 8, 8)
    assert saved_bytes(nn.SiLU(), x) == x.nbytes
    assert saved_bytes(nn.Identity(), x) == 0
    assert saved_bytes(nn.Conv2d(16, 16, 3), x) == x.nbytes, "the weight does not count"
    assert 4 * x.nbytes <= saved_bytes(benchmark.TenLines(), x) < 4.2 * x.nbytes


def test_peak_bytes_counts_what_lives_at_once():
    def one_by_one():
        torch.zeros(1000)
        torch.zeros(1000)

    assert 12_000 <= peak_bytes(lambda: torch.zeros(1000) + torch.zeros(1000)) < 13_000
    assert 4_000 <= peak_bytes(one_by_one) < 5_000


def test_shapes_have_the_elements_that_they_say():
    assert [torch.Size(shape).numel() for shape in benchmark.ELEMENTS] == [10**k for k in range(4, 9)]
    assert all(5e5 < torch.Size(shape).numel() < 2e6 for shape in benchmark.CUTS)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"names": ["silu", "fast"]}, "names must be among 'silu', .* got 'fast'"),
        ({"layout": "channels first"}, "layout must be contiguous or channels_last"),
    ],
)
def test_unknown_names_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        measure(SMALL, **({"names": ["silu"]} | change))


@pytest.mark.parametrize("kind", benchmark.NETWORKS)
def test_what_is_named_compiled_is_and_what_is_named_inference_does_not_train(kind, monkeypatch):
    made, compiled = [], []

    def build(*_args, attention, **_options):
        made.append(nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 10)))
        assert (attention is None) == (len(made) == 1)
        return made[-1]

    monkeypatch.setattr(benchmark, "build", build)
    monkeypatch.setattr(nn.Module, "compile", lambda network, **_: compiled.append(network))
    before = torch.random.get_rng_state()
    assert list(benchmark.network_times(kind, ("none", "simam"), batch=2, seconds=0.0)) == ["none", "simam"]
    assert torch.equal(torch.random.get_rng_state(), before), "the global random state is left"
    assert compiled == (made if kind.startswith("compiled") else [])
    for network in made:
        assert network.training == kind.endswith("step")
        assert (network[1].weight.grad is not None) == network.training


@pytest.mark.parametrize(
    ("kind", "name", "message"), [("infer", "none", "kind must"), ("step", "no", "names must")]
)
def test_an_unknown_kind_or_form_of_a_network_is_refused(kind, name, message):
    with pytest.raises(ValueError, match=message):
        benchmark.network_times(kind, [name])


def test_the_command_prints_tables_and_writes_lines(monkeypatch, tmp_path, capsys):
    for name in ("SHAPES", "ELEMENTS", "CUTS"):
        monkeypatch.setattr(benchmark, name, (SMALL,))
    monkeypatch.setattr(benchmark, "network_times", lambda _kind, **_: {"none": TIME, "simam": TIME})
    file = tmp_path / "new" / "bench.jsonl"
    options = ["--forms", "silu", "simam", "--seconds", "0", "--sweeps", "--steps", "--record", str(file)]
    assert cli.main(["bench", *options]) == 0
    printed = capsys.readouterr().out
    assert "\n(2, 16, 6, 6) contiguous\n" in printed
    assert "\n(2, 16, 6, 6) channels_last\n" in printed
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    kinds = ["shape"] * 4 + ["elements"] * 3 + ["cut"] * 6 + ["kept"] * 6
    assert [line["kind"] for line in lines] == kinds + [kind for kind in benchmark.NETWORKS for _ in range(2)]
    assert all("torch" in line["environment"] for line in lines)


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


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (("--seconds", "-1"), "seconds must be at least 0, got -1.0"),
        (("--device", "cuda"), "device must be one of cpu on this machine"),
    ],
)
def test_what_cannot_be_timed_is_refused(option, message, monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert cli.main(["bench", "--forms", "silu", *option]) == 2
    assert message in capsys.readouterr().err


def test_the_kernels_command_tells_what_is_needed(monkeypatch, capsys):
    monkeypatch.setattr(cli_bench.kernels, "build", Mock(side_effect=OSError("a C++ compiler is needed")))
    assert cli.main(["kernels"]) == 2
    assert "a C++ compiler is needed" in capsys.readouterr().err
