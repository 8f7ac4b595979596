"""SimAM put into networks that are there, and taken out again."""

import copy
import io
import pickle

import pytest
import torch
from torch import nn

import simam_edu
from simam_cases import draw
from simam_edu import SimAM
from simam_edu.attention import SqueezeExcite
from simam_edu.insertion import Insertion, insert
from simam_edu.networks import build


class Residual(nn.Module):
    """A block and a network in the style of torchvision's."""

    def __init__(self, channels):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU()

    def forward(self, x):
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu(x + y)


def residual():
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.Sequential(Residual(8), Residual(8)), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )


def transformer():
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    patches = nn.Sequential(nn.Conv2d(3, 8, 4, 4), nn.Flatten(2), nn.Linear(4, 8))
    return nn.Sequential(patches, nn.TransformerEncoder(layer, 1, enable_nested_tensor=False))


def make(make_network):
    torch.manual_seed(0)
    return make_network().eval()


class Plus(nn.Sequential):
    """What comes out is not what its last module returns."""

    def forward(self, x):
        return x + super().forward(x)


X = draw(2, 3, 8, 8)
CASES = {  # the network, the place, its argument, how many
    "residual by class": (residual, "after", nn.BatchNorm2d, 4),
    "residual by name": (residual, "before", "1.*.bn2", 2),
    "residual by Sequential": (residual, "after", "1", 1),
    "transformer": (transformer, "after", nn.Conv2d, 1),
    "resnet8": (lambda: build("resnet8", num_classes=3), "after", nn.BatchNorm2d, 9),
}


@pytest.mark.parametrize(("network", "argument", "where", "count"), CASES.values(), ids=CASES)
def test_in_it_changes_the_output_and_no_key_and_out_it_is_the_network_that_it_was(
    network, argument, where, count
):
    model = make(network)
    before, keys = model(X), list(model.state_dict())
    kinds = [type(module) for module in model.modules()]
    inserted = insert(model, **{argument: where})
    assert len(inserted.names) == count
    assert all(isinstance(model.get_submodule(name), SimAM) for name in inserted.names)
    assert not any(module.training for module in model.modules()), "in evaluation, as the network is"
    assert not torch.equal(model(X), before)
    assert list(model.state_dict()) == keys
    kept = [module for name, module in model.named_modules() if "inserted" not in name]
    assert all(isinstance(module, kind) for module, kind in zip(kept, kinds, strict=True))
    model.load_state_dict(make(network).state_dict())
    inserted.remove()
    assert [type(module) for module in model.modules()] == kinds
    assert torch.equal(model(X), before)


def test_it_stands_where_it_was_asked_for():
    model, simam = make(residual), SimAM()
    insert(model, before="1.0.bn2", after="1.0.bn1")
    insert(model, after="1")  # the last of a Sequential
    first, second = model[1]
    plain_first, plain_second = make(residual)[1]
    y = model[0](X)
    inner = plain_first.conv2(simam(plain_first.bn1(plain_first.conv1(y))).relu())
    wanted = (y + plain_first.bn2(simam(inner))).relu()
    torch.testing.assert_close(first(y), wanted)
    torch.testing.assert_close(second(wanted), simam(plain_second(wanted)))


def test_before_and_after_one_module_go_one_by_one():
    model = nn.Sequential(nn.Conv2d(3, 3, 1))
    y = model(X)
    before, after = insert(model, before="0"), insert(model, after="0", make=lambda: SimAM(lam=0.1))
    assert not torch.equal(model(X), SimAM(lam=0.1)(y))
    assert before.names == ("0.inserted_before",)
    before.remove()
    assert torch.equal(model(X), SimAM(lam=0.1)(y))
    after.remove()
    assert torch.equal(model(X), y)
    assert type(model[0]) is nn.Conv2d


def test_a_module_at_several_places_has_one_attention_and_goes_on_without():
    shared = nn.ReLU()
    model = nn.Sequential(
        nn.Sequential(nn.Conv2d(3, 3, 1), shared), nn.Sequential(nn.Conv2d(3, 3, 1), shared)
    )
    before = model(X)
    inserted = insert(model, after="?")
    assert inserted.names == ("0.1.inserted_after",)
    once = SimAM()(model[0][0](X).relu())
    assert torch.equal(model(X), SimAM()(model[1][0](once).relu()))
    inserted.remove()
    assert torch.equal(model(X), before)


def saved(model):
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


@pytest.mark.parametrize("twin", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model)), saved])
def test_a_copy_is_the_same_network_with_modules_of_its_own(twin):
    model = make(residual)
    before = model(X)
    inserted = insert(model, after="1.*.bn2")
    other = twin(model)
    assert torch.equal(other(X), model(X))
    assert [type(module) for module in other.modules()] == [type(module) for module in model.modules()]
    Insertion(other, inserted.names).remove()
    assert torch.equal(other(X), before)
    assert not torch.equal(model(X), before)


@pytest.mark.filterwarnings("ignore")  # of torch.jit.trace
@pytest.mark.parametrize(
    "program",
    [
        lambda model: torch.compile(model, fullgraph=True, backend="aot_eager"),
        lambda model: torch.export.export(model, (X,), strict=False).module(),
        lambda model: torch.export.export(model, (X,), strict=True).module(),
        lambda model: torch.jit.trace(model, X),
        torch.fx.symbolic_trace,
    ],
    ids=["compile", "export", "strict export", "jit.trace", "fx"],
)
def test_a_program_of_the_network_holds_what_was_put_in(program):
    torch._dynamo.reset()
    model = nn.Sequential(nn.Conv2d(3, 8, 3), Residual(8)).eval()
    insert(model, after="1.bn2", before=nn.ReLU)
    torch.testing.assert_close(program(model)(X), model(X))


def test_it_trains_and_modules_with_weights_of_their_own_add_their_keys_only():
    model = make(residual).train()
    keys = set(model.state_dict())
    insert(model, after=nn.BatchNorm2d, make=lambda: SqueezeExcite(8))
    added = set(model.state_dict()) - keys
    assert keys < set(model.state_dict())
    assert all("inserted_after" in key for key in added)
    model(X).square().sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    assert all(module.training for module in model.modules())


def test_what_cannot_be_done_is_refused_and_nothing_is_changed():
    model = make(residual)
    kinds = [type(module) for module in model.modules()]
    inserted = insert(model, after="0")
    for message, options in {
        "before or after must say where, got neither": {},
        r"after must match a module, got 'layer9\*'; the network has the modules 0, 0.inserted_after, 1, ": (
            {"before": nn.Conv2d, "after": "layer9*"}
        ),
        "make must return a torch.nn.Module, got int": {"after": "1", "make": lambda: 3},
        "make must return a torch.nn.Module, got str": {
            "before": "1",
            "after": "1",
            "make": iter([nn.ReLU(), "ReLU"]).__next__,
        },
        r"after must match modules that compute .*, got '0', .* call remove\(\)": {
            "before": "1",
            "after": "0",
        },
    }.items():
        with pytest.raises(ValueError, match=message):
            insert(model, **options)
    with pytest.raises(ValueError, match=r"match modules that compute .*, got '0', a ModuleList"):
        insert(nn.Sequential(nn.ModuleList([nn.ReLU()])), after="0")
    with pytest.raises(ValueError, match=r"got '0', a Plus: an nn.Sequential with a forward of its own"):
        insert(nn.Sequential(Plus(nn.ReLU())), after=Plus)
    inserted.remove()
    with pytest.raises(ValueError, match=r"those of inserted modules, got '0\.inserted_after'"):
        inserted.remove()
    assert [type(module) for module in model.modules()] == kinds
    assert simam_edu.insert is insert
