"""The networks: parameter counts, the place of the attention, equal first weights."""

import pytest
import torch
from torch import nn

from simam_edu.attention import attention_factory
from simam_edu.networks import NETWORKS, BasicBlock, build


@pytest.mark.parametrize(
    ("name", "parameters"), [("resnet20", 272_474), ("resnet56", 855_770), ("resnet110", 1_730_714)]
)
def test_parameter_counts(name: str, parameters: int) -> None:
    for attention in ("none", "simam"):
        network = build(name, num_classes=10, attention=attention_factory(attention))
        assert sum(p.numel() for p in network.parameters()) == parameters


def test_depth_is_in_the_name() -> None:
    for name in NETWORKS:
        network = build(name, num_classes=10)
        main = [m for m in network.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
        shortcuts = [m for m in main if isinstance(m, nn.Conv2d) and m.kernel_size == (1, 1)]
        assert len(main) - len(shortcuts) == int(name.removeprefix("resnet"))


class Probe(nn.Module):
    """Asserts that it sees as many channels as its factory was told, and notes what it saw."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.seen: list[torch.Tensor] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        assert x.shape[1] == self.channels
        self.seen.append(x.detach())
        return x


@pytest.mark.parametrize("slot", ["pre_norm", "post_norm"])
def test_every_block_has_one_module_at_its_slot(slot) -> None:  # type: ignore[no-untyped-def]
    network = build("resnet20", num_classes=10, attention=Probe, slot=slot)
    network(torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0)))
    blocks = [m for m in network.modules() if isinstance(m, BasicBlock)]
    assert len(blocks) == 9
    for block in blocks:
        assert isinstance(block.attention, Probe)
        (seen,) = block.attention.seen
        normalized = torch.allclose(
            seen.var(dim=(0, 2, 3), correction=0), torch.ones(seen.shape[1]), atol=0.02
        )
        assert normalized == (slot == "post_norm")


def test_networks_with_and_without_simam_start_from_the_same_weights() -> None:
    states = []
    for attention in ("none", "simam"):
        torch.manual_seed(3)
        states.append(build("resnet20", num_classes=10, attention=attention_factory(attention)).state_dict())
    assert list(states[0]) == list(states[1])
    for key, value in states[0].items():
        assert torch.equal(value, states[1][key]), key


def test_simam_changes_the_output_and_the_slot_does_too() -> None:
    x = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    outputs = []
    for attention, slot in (("none", "pre_norm"), ("simam", "pre_norm"), ("simam", "post_norm")):
        torch.manual_seed(3)
        network = build("resnet20", num_classes=10, attention=attention_factory(attention), slot=slot)  # type: ignore[arg-type]
        outputs.append(network(x))
    assert outputs[0].shape == (2, 10)
    assert not torch.allclose(outputs[0], outputs[1], atol=1e-3)
    assert not torch.allclose(outputs[1], outputs[2], atol=1e-3)


def test_a_reader_can_pass_any_factory() -> None:
    network = build("resnet20", num_classes=7, attention=lambda channels: nn.GroupNorm(4, channels))
    assert network(torch.zeros(2, 3, 32, 32)).shape == (2, 7)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "resnet18"}, "network must be one of resnet20, resnet56, resnet110, got 'resnet18'"),
        ({"slot": "before"}, "slot must be one of pre_norm, post_norm"),
        ({"num_classes": 1}, "num_classes must be at least 2"),
    ],
)
def test_bad_arguments_are_refused(change: dict[str, object], message: str) -> None:
    arguments = {"name": "resnet20", "num_classes": 10} | change
    with pytest.raises(ValueError, match=message):
        build(arguments.pop("name"), **arguments)  # type: ignore[arg-type]
