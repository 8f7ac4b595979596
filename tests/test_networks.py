"""The networks: parameter counts, names, the place of the attention, equal first weights."""

import hashlib
from functools import partial
from typing import get_args

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from simam_edu import SimAM
from simam_edu.attention import attention_factory
from simam_edu.networks import (
    NETWORKS,
    BasicBlock,
    BottleneckBlock,
    InvertedResidual,
    Position,
    PreBasicBlock,
    PreBottleneckBlock,
    ResNet,
    Slot,
    WideBlock,
    build,
)

POSITIONS: tuple[Position, ...] = ("before_norm", "after_norm")
# The smallest network with each kind of block, the block, and how many it has.
SMALL: dict[str, tuple[type[nn.Module], int]] = {
    "resnet8": (BasicBlock, 3),
    "resnet11_bottleneck": (BottleneckBlock, 3),
    "preresnet8": (PreBasicBlock, 3),
    "preresnet11_bottleneck": (PreBottleneckBlock, 3),
    "wrn10_2": (WideBlock, 3),
    "mobilenetv2": (InvertedResidual, 17),
}
everywhere = pytest.mark.parametrize(
    ("name", "position"), [(name, position) for name in SMALL for position in POSITIONS]
)


def images(number: int = 2) -> Tensor:
    return torch.randn(number, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def seeded(name: str, **options: object) -> nn.Module:
    torch.manual_seed(3)
    return build(name, num_classes=10, **options)  # type: ignore[arg-type]


PARAMETERS = {
    "resnet20": 272_474, "resnet56": 855_770, "resnet110": 1_730_714, "resnet110_bottleneck": 1_147_738,
    "preresnet20": 272_282, "wrn28_10": 36_479_194, "mobilenetv2": 2_296_922,
}  # fmt: skip
NAMED = {*NETWORKS, *SMALL, "resnet14", "resnet20_bottleneck", "preresnet164_bottleneck", "wrn16_4"}


@pytest.mark.parametrize("name", sorted(NAMED))
def test_depth_and_width_are_in_the_name_and_parameters_those_of_the_papers(name: str) -> None:
    with torch.device("meta"):
        network = build(name, num_classes=10, attention=SimAM)
    if name in PARAMETERS:
        assert sum(p.numel() for p in network.parameters()) == PARAMETERS[name]
    if name == "mobilenetv2":  # its name says neither
        return
    main = [
        part
        for where, part in network.named_modules()
        if isinstance(part, nn.Conv2d | nn.Linear) and "shortcut" not in where
    ]
    depth = int("".join(filter(str.isdigit, name.split("_")[0])))
    # Wide networks count the convolutions of their three shortcuts, and not the linear layer.
    assert len(main) + (2 if name.startswith("wrn") else 0) == depth
    widest = main[-1].in_features  # type: ignore[union-attr]
    factor = int(name.split("_")[1]) if name.startswith("wrn") else 4 if "bottleneck" in name else 1
    assert widest == 64 * factor


@pytest.mark.parametrize("name", SMALL)
def test_maps_shrink_and_every_parameter_learns(name: str) -> None:
    network = seeded(name, attention=attention_factory("simam"))
    sides = []
    network.stages.register_forward_hook(lambda *call: sides.append(call[-1].shape[-1]))
    logits = network(images())
    assert (sides, logits.shape) == ([4 if name == "mobilenetv2" else 8], (2, 10))
    F.cross_entropy(logits, torch.tensor([1, 2])).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


# The branch of each block as its paper draws it, with the two places where the attention may stand; then
# whether a relu follows the addition, and from where the shortcut starts. Written apart from the layouts in
# the package, which the blocks are made of.
BRANCH = {
    BasicBlock: ("conv1 bn1 relu conv2 [before_norm] bn2 [after_norm]", True, "input"),
    BottleneckBlock: ("conv1 bn1 relu conv2 [before_norm] bn2 relu conv3 bn3 [after_norm]", True, "input"),
    PreBasicBlock: ("bn1 relu conv1 bn2 relu conv2 [before_norm] [after_norm]", False, "input"),
    PreBottleneckBlock: (
        "bn1 relu conv1 bn2 relu conv2 [before_norm] bn3 relu conv3 [after_norm]", False, "input",
    ),
    WideBlock: ("bn1 relu conv1 bn2 relu conv2 [before_norm] [after_norm]", False, "active"),
    InvertedResidual: ("conv1 bn1 relu conv2 [before_norm] bn2 relu conv3 bn3 [after_norm]", False, "input"),
}  # fmt: skip


class Probe(nn.Module):
    """Asserts that it sees as many channels as its factory was told, notes them, and changes them."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, x: Tensor) -> Tensor:
        assert x.shape[1] == self.channels
        self.seen = x.detach().clone()
        return x.tanh() + 0.5


def normalized(x: Tensor) -> Tensor:
    mean, var = x.mean(dim=(0, 2, 3), keepdim=True), x.var(dim=(0, 2, 3), keepdim=True, correction=0)
    return (x - mean) / (var + 1e-5).sqrt()


def by_hand(block: nn.Module, x: Tensor, stride: int) -> tuple[Tensor, Tensor]:
    """The output of a new block in training and what its probe must see, from its weights alone."""
    branch, last_relu, start = BRANCH[type(block)]
    y, shortcut, seen = x, x, x
    for step in branch.split():
        if step.startswith("conv"):
            weight = block.get_parameter(f"{step}.weight")
            step_stride = stride if _is_strided(block, step) else 1
            groups = y.shape[1] // weight.shape[1]
            y = F.conv2d(y, weight, stride=step_stride, padding=weight.shape[-1] // 2, groups=groups)
        elif step == "relu":
            y = y.clamp_min(0)
            shortcut = y if start == "active" and shortcut is x else shortcut
        elif step.startswith("bn"):
            y = normalized(y)
        elif step == f"[{block.position}]":
            seen, y = y, y.tanh() + 0.5
    if y.shape == x.shape:
        shortcut = x
    else:
        keys = [key for key, _ in block.named_parameters() if key.startswith("shortcut")]
        if not keys:
            return y, seen  # an inverted residual of stride 2
        shortcut = F.conv2d(shortcut, block.get_parameter(keys[0]), stride=stride)
        shortcut = normalized(shortcut) if len(keys) > 1 else shortcut
    return (y + shortcut).clamp_min(0 if last_relu else -torch.inf), seen


def _is_strided(block: nn.Module, step: str) -> bool:
    return step == ("conv1" if isinstance(block, BasicBlock | PreBasicBlock | WideBlock) else "conv2")


@pytest.mark.parametrize("kind", BRANCH, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize(("channels_in", "channels_out", "stride"), [(8, 8, 1), (8, 16, 1), (8, 16, 2)])
def test_each_block_is_what_its_paper_draws(
    kind: type[nn.Module], position: Position, channels_in: int, channels_out: int, stride: int
) -> None:
    options = {"expansion": 3} if kind is InvertedResidual else {}
    torch.manual_seed(1)
    block = kind(
        channels_in, channels_out, stride=stride, attention=Probe, position=position, **options
    ).double()
    x = torch.randn(3, channels_in, 6, 6, dtype=torch.float64)
    expected, seen = by_hand(block, x.clone(), stride)
    torch.testing.assert_close(block(x.clone()), expected)
    torch.testing.assert_close(block.attention.seen, seen)


@everywhere
def test_every_block_has_one_module_at_its_position(name: str, position: Position) -> None:
    asked: list[int] = []
    network = seeded(
        name, attention=lambda channels: asked.append(channels) or Probe(channels), position=position
    )
    network(images())
    kind, number = SMALL[name]
    blocks = [part for part in network.modules() if isinstance(part, kind)]
    probes = [part for part in network.modules() if isinstance(part, Probe)]
    assert len(blocks) == number
    assert [block.attention for block in blocks] == probes
    assert asked == [probe.seen.shape[1] for probe in probes]
    assert {block.position for block in blocks} == {position}


@pytest.mark.parametrize("name", SMALL)
def test_the_positions_are_two_places_or_one_by_either_of_their_names_and_arguments(name: str) -> None:
    outputs = []
    for position, slot in zip(POSITIONS, get_args(Slot), strict=True):
        outputs.append(seeded(name, attention=Probe, position=position)(images()))
        for argument in ("slot", "position"):
            assert torch.equal(seeded(name, attention=Probe, **{argument: slot})(images()), outputs[-1])
    one_place = SMALL[name][0] in (PreBasicBlock, WideBlock)
    assert torch.equal(*outputs) == one_place


class Drawing(nn.Module):
    """Draws weights as attention modules do, and has some that must stay as they are."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, channels, 1)
        self.zero = nn.Conv2d(channels, channels, 1)
        nn.init.zeros_(self.zero.weight)
        self.drawn = self.squeeze.weight.detach().clone()

    def forward(self, x: Tensor) -> Tensor:
        return x + self.zero(self.squeeze(x))


class Louder(SimAM):
    """A subclass that asks for the channels."""

    def __init__(self, channels: int) -> None:
        super().__init__(lam=1.0 / channels)


def test_the_class_simam_is_as_good_as_its_factory_and_a_subclass_gets_the_channels() -> None:
    like = seeded("resnet8", attention=attention_factory("simam"))(images())
    assert torch.equal(seeded("resnet8", attention=SimAM)(images()), like)
    louder = [part.lam for part in seeded("resnet8", attention=Louder).modules() if isinstance(part, SimAM)]
    assert louder == [1 / 16, 1 / 32, 1 / 64]


@everywhere
def test_the_network_and_the_attention_leave_each_others_first_weights_alone(
    name: str, position: Position
) -> None:
    plain = seeded(name).state_dict()
    after = torch.get_rng_state()
    for factory in (attention_factory("simam"), Drawing):
        network = seeded(name, attention=factory, position=position)
        state = network.state_dict()
        assert [key for key in state if ".attention." not in key] == list(plain)
        assert all(torch.equal(value, state[key]) for key, value in plain.items())
        assert torch.equal(torch.get_rng_state(), after), "what is drawn later is the same too"
    modules = [part for part in network.modules() if isinstance(part, Drawing)]
    assert len(modules) == SMALL[name][1]
    for module in modules:
        assert torch.equal(module.squeeze.weight, module.drawn)
        assert not module.zero.weight.any()
    heads = {float(module.drawn.flatten()[0] * module.drawn.shape[0] ** 0.5) for module in modules}
    assert len(heads) == len(modules), "each module draws its own numbers"


def test_attention_weights_follow_the_seed() -> None:
    first, again = (seeded("resnet8", attention=Drawing).state_dict() for _ in range(2))
    assert all(torch.equal(first[key], again[key]) for key in first)
    torch.manual_seed(4)
    other = build("resnet8", num_classes=10, attention=Drawing).state_dict()
    key = "stages.0.0.attention.squeeze.weight"
    assert not torch.equal(first[key], other[key])
    # A convolution of 64 channels and the head draw alike. A stream that is not apart would repeat itself.
    last = first["stages.2.0.attention.squeeze.weight"].flatten()[:640]
    assert not torch.allclose(last, first["head.weight"].flatten())


def test_resnet20_starts_from_the_weights_of_the_recorded_runs() -> None:
    """The order of the draws, to the last bit: what torch gives each layer, then the convolutions anew."""
    shapes, channels = [(16, 3, 3, 3)], 16
    for width in (16, 32, 64):
        for _ in range(3):
            shapes += [(width, channels, 3, 3), (width, width, 3, 3)]
            shapes += [(width, channels, 1, 1)] if width != channels else []
            channels = width
    torch.manual_seed(3)
    for c_out, c_in, k, _ in shapes:
        nn.Conv2d(c_in, c_out, k, bias=False)
    head = nn.Linear(64, 10)
    drawn = [nn.init.kaiming_normal_(torch.empty(shape), mode="fan_out") for shape in shapes]
    network = seeded("resnet20")
    made = [p for p in network.parameters() if p.ndim == 4]
    assert all(torch.equal(one, other) for one, other in zip(made, drawn, strict=True))
    assert torch.equal(network.head.weight, head.weight)
    names = "\n".join(f"{key} {tuple(value.shape)}" for key, value in network.state_dict().items())
    first_release = "339b4845a30778f58896008ad0a423fe6e5ac598774ef0f79141463a3b394bf9"
    assert hashlib.sha256(names.encode()).hexdigest() == first_release


def test_he_first_weights_have_the_deviation_of_their_fan_out_six_times_the_variance_of_the_authors() -> None:
    block = seeded("mobilenetv2").stages[5][1]
    for weight, fan_out in ((block.conv2.weight, 9), (block.conv3.weight, 160)):  # depthwise, then 1x1
        assert weight.std().item() == pytest.approx((2 / fan_out) ** 0.5, rel=0.05)
    usual, authors = (seeded("resnet20", first_weights=name).stages[2][1] for name in ("he", "authors"))
    ratio = usual.conv2.weight.var() / authors.conv2.weight.var()
    assert ratio.item() == pytest.approx(6, rel=0.03)  # as many channels in as out


@pytest.mark.parametrize("name", SMALL)
def test_the_authors_first_weights_are_what_torch_draws_but_for_wide_networks(name: str) -> None:
    usual, network = seeded(name), seeded(name, first_weights="authors")
    if name.startswith("wrn"):  # they have the usual weights, and a last bias of zero
        assert usual.head.bias.abs().min() > 0
        expected = usual.state_dict() | {"head.bias": torch.zeros(10)}
        assert all(torch.equal(expected[key], value) for key, value in network.state_dict().items())
        return
    assert torch.equal(network.head.weight, usual.head.weight)
    for made in (part for part in network.modules() if isinstance(part, nn.Conv2d)):
        bound = made.weight[0].numel() ** -0.5
        assert 0.8 * bound < made.weight.abs().max() <= bound


def test_a_network_and_an_attention_of_the_readers_need_not_know_first_weights(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(NETWORKS, "bare", lambda *, num_classes, attention: nn.Linear(3, num_classes))  # noqa: ARG005
    assert build("bare", num_classes=4).out_features == 4
    with pytest.raises(TypeError, match="first_weights"):
        build("bare", num_classes=4, first_weights="authors")
    network = build("resnet8", num_classes=7, attention=lambda channels: nn.GroupNorm(4, channels))
    assert network(torch.zeros(2, 3, 32, 32)).shape == (2, 7)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        *(({"name": name}, "network must be one of resnet20, .*, mobilenetv2, got")
          for name in ("vgg16", None, "resnet020", "ResNet20", "wrn28", "wrn28_0", "resnet" + "9" * 5000)),
        ({"name": "resnet18"}, "depth of resnetD must be 6n [+] 2 .*, got 18 in 'resnet18'; .* resnet20"),
        ({"name": "resnet2"}, "the nearest is resnet8"),
        ({"name": "resnet50_bottleneck"}, "9n [+] 2 .*; the nearest is resnet47_bottleneck"),
        ({"name": "wrn20_10"}, "depth of wrnD_K must be 6n [+] 4 .*, got 20 .*; the nearest is wrn22_10"),
        *(({"name": name, "position": "before"}, "position must be one of before_norm, after_norm, .* got")
          for name in SMALL),
        ({"slot": ""}, "position must be one of before_norm, after_norm, .* got ''"),
        ({"slot": "pre_norm", "position": "after_norm"}, "slot must be left out beside position"),
        ({"first_weights": "torch"}, "first_weights must be one of he, authors, got 'torch'"),
        ({"num_classes": 1}, "num_classes must be an integer of at least 2, got 1"),
        ({"num_classes": 10.0}, "num_classes must be an integer of at least 2, got 10.0"),
        ({"attention": "simam"}, "attention must be a function .*, got 'simam'; attention_factory"),
        ({"attention": SimAM()}, r"attention must be a function .*, got SimAM\(lam=0.0001\)"),
        ({"attention": partial(SimAM, lam=0.1)}, r'is attention_factory\("simam", lam=0.1\)'),
        ({"attention": print}, "attention must return a module, got NoneType for 16 channels"),
    ],
)  # fmt: skip
def test_bad_arguments_are_refused(change: dict[str, object], message: str) -> None:
    arguments = {"name": "resnet20", "num_classes": 10} | change
    with pytest.raises(ValueError, match=message):
        build(arguments.pop("name"), **arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("sizes", [{"blocks": 0}, {"blocks": 1, "width": 0}])
def test_a_network_without_blocks_or_width_is_refused(sizes: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="blocks and width must be at least 1, got"):
        ResNet(**sizes, num_classes=10, attention=Probe)
