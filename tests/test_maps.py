"""Gains, Grad-CAM and occlusion of networks: against the oracle, the package grad-cam, and by their laws."""

import json

import numpy as np
import pytest
import torch
from torch import nn

import grad_cam_package
from simam_cases import draw
from simam_edu import SimAM, energy, maps
from simam_edu.attention import attention_factory
from simam_edu.maps import enlarged, gains, grad_cam, occlusion, overlay
from simam_edu.networks import build
from simam_edu.wrong_simams import GALLERY


def network(**options):
    torch.manual_seed(0)
    return build("resnet8", num_classes=10, attention=attention_factory("simam", **options))


def batch(n=2, side=32):
    return torch.randn(n, 3, side, side, generator=torch.Generator().manual_seed(0))


def chain(*first):
    torch.manual_seed(0)
    return nn.Sequential(*first, nn.Conv2d(3, 4, 3), SimAM(), nn.Flatten(), nn.Linear(144, 5)).eval()


def looks(model, layer, x):
    """All that can be seen of a network, one after the other."""
    yield lambda: torch.cat([gain.flatten() for gain in gains(model, x).values()])
    yield lambda: grad_cam(model, layer, x)
    yield lambda: occlusion(model, x, size=4, stride=4, fill=-1.0)


@pytest.mark.parametrize("statistics", ["shared", "population", "leave_one_out"])
def test_gains_of_every_simam_are_those_of_the_oracle(statistics):
    model, entered = network(statistics=statistics, lam=0.01).eval(), {}
    for name, module in model.named_modules():
        if isinstance(module, SimAM):
            module.register_forward_hook(lambda _, x, __, name=name: entered.update({name: x[0].detach()}))
    found = gains(model, batch())
    assert list(found) == [f"stages.{k}.0.attention" for k in range(3)]
    for name, gain in found.items():
        wanted = energy.gain(entered[name].double().numpy(), lam=0.01, statistics=statistics)
        np.testing.assert_allclose(gain, wanted, rtol=1e-9)


def test_gains_of_a_module_whose_backend_does_not_take_float64_on_the_cpu():
    x = draw(2, 3, 4, 4)
    module = SimAM(backend="triton")
    torch.testing.assert_close(maps._gain(module, x), maps._gain(SimAM(), x))
    assert module.backend == "triton"


def test_gains_where_a_neuron_is_zero_and_where_a_channel_is():
    x = torch.tensor([[[[0.0, 1.0], [2.0, 5.0]], [[0.0, 0.0], [0.0, 0.0]], [[1e30, 0.0], [0.0, 0.0]]]])
    (found,) = gains(nn.Sequential(SimAM()), x).values()
    np.testing.assert_allclose(found, energy.gain(x.double().numpy()), rtol=1e-12)


class Padded(nn.Module):
    """A network on maps of one axis with a mask, that runs one module twice."""

    def __init__(self):
        super().__init__()
        self.simam = SimAM(dims=1)

    def forward(self, x, mask):
        return self.simam(self.simam(x, mask), mask=mask)


def test_gains_of_a_masked_module_that_runs_twice():
    x, mask = torch.randn(1, 2, 7), torch.arange(7)[None, None] < 5
    found = gains(Padded(), x, mask)
    assert list(found) == ["simam", "simam, call 2"]
    first = energy.gain(x[:, :, None, :5].double().numpy())[:, :, 0]
    np.testing.assert_allclose(found["simam"][..., :5], first, rtol=1e-9)
    assert (found["simam"][..., 5:] == 1).all(), "the module leaves what is masked as it is"
    again = (x * found["simam"])[:, :, None, :5].double().numpy()
    np.testing.assert_allclose(found["simam, call 2"][..., :5], energy.gain(again)[:, :, 0], rtol=1e-5)
    assert (found["simam, call 2"][..., 5:] == 1).all(), "a mask by its name counts, too"


class TenLines(nn.Module):
    """The copy of a reader, with the commonest mistake."""

    def forward(self, x):
        return torch.as_tensor(GALLERY["no half"](x.numpy(), 1e-4))


def test_gains_of_a_simam_of_the_readers_own_are_its_own():
    x = batch()
    (found,) = gains(nn.Sequential(TenLines()), x, kind=TenLines).values()
    exact = x.double().numpy()
    np.testing.assert_allclose(found, GALLERY["no half"](exact, 1e-4) / exact, rtol=1e-9)
    with pytest.raises(ValueError, match="class SimAM, got none in Sequential"):
        gains(nn.Sequential(TenLines()), x)


@pytest.mark.parametrize("name", grad_cam_package.networks())
def test_grad_cam_is_that_of_the_package_grad_cam(name):
    model, layer = grad_cam_package.networks()[name]
    wanted = np.array(json.loads(grad_cam_package.FILE.read_text())[name])
    found = grad_cam(model, layer, grad_cam_package.images(), torch.tensor(grad_cam_package.CLASSES))
    assert found.shape[1] < 32
    assert found.amax(dim=(1, 2)).min() > 0.01, "the package adds 1e-7 to it"
    wide = enlarged(found, (32, 32))
    low, high = (end(dim=(1, 2), keepdim=True) for end in (wide.amin, wide.amax))
    np.testing.assert_allclose(((wide - low) / (high - low))[:, ::3, ::3], wanted, atol=1e-5)


def test_grad_cam_by_its_definition_and_for_the_class_that_the_network_answers():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5))
    x, layer = batch(), model[0]
    answers = model(x).argmax(dim=1)
    by_hand = [
        (model[3].weight[k] @ one.flatten(1) / 30**2).relu() for k, one in zip(answers, layer(x), strict=True)
    ]
    found = grad_cam(model, layer, x)
    torch.testing.assert_close(found.flatten(1), torch.stack(by_hand).detach())
    torch.testing.assert_close(grad_cam(model, layer, x, int(answers[0]))[0], found[0])


def test_occlusion_of_a_linear_network_is_what_the_square_takes_away():
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 4)).double()
    x = batch(side=8).double()
    found = occlusion(model, x, torch.tensor([2, 0]), size=1, stride=1, fill=0.5)
    weights = model[1].weight.reshape(4, 3, 8, 8)[[2, 0]]
    torch.testing.assert_close(found, (weights * (x - 0.5)).sum(dim=1).detach())
    parts = (weights * x).sum(dim=1).detach()
    whole = occlusion(model, x, torch.tensor([2, 0]), size=8, stride=8)
    torch.testing.assert_close(whole, parts.sum(dim=(1, 2), keepdim=True).expand_as(whole))


def test_occlusion_is_the_mean_over_all_squares_that_cover_a_pixel():
    model = nn.Sequential(nn.Flatten(), nn.Linear(48, 2, bias=False))
    nn.init.ones_(model[1].weight)  # the score is the sum of all pixels
    x = torch.zeros(1, 3, 4, 4)
    x[..., 0] = 1.0
    wanted = torch.tensor([9.0, 4.5, 4.5, 0.0]).expand(1, 4, 4)
    assert torch.equal(occlusion(model, x, 0, size=3, stride=2), wanted)


def test_occlusion_covers_every_pixel_for_the_class_that_the_network_answers():
    model, x = chain(), batch(side=8)
    found = occlusion(model, x, size=3, stride=2)
    assert found.isfinite().all()
    torch.testing.assert_close(found, occlusion(model, x, model(x).argmax(dim=1), size=3, stride=2))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32])
def test_classes_may_be_whole_numbers_of_any_dtype(dtype):
    model, x = chain(), batch(side=8)
    classes = torch.tensor([2, 0])
    torch.testing.assert_close(
        grad_cam(model, model[0], x, classes.to(dtype)), grad_cam(model, model[0], x, classes)
    )


@pytest.mark.parametrize("classes", [5, -1, 1.0, True, [1, 2, 3], torch.tensor([[1], [2]])])
def test_classes_that_there_are_not_are_refused(classes):
    model, x = chain(), batch(side=8)
    for call in (lambda: grad_cam(model, model[0], x, classes), lambda: occlusion(model, x, classes)):
        with pytest.raises(ValueError, match="classes must be one whole number from 0 to 4, or one for each"):
            call()


@pytest.mark.parametrize("answer", [lambda x: x, lambda x: {"logits": x}])
def test_a_network_that_returns_no_logits_is_refused(answer):
    model = nn.Sequential(nn.Identity())
    model.forward = answer
    for call in (lambda: grad_cam(model, model[0], batch(side=8)), lambda: occlusion(model, batch(side=8))):
        with pytest.raises(ValueError, match=r"network must return logits \(n, classes\), got"):
            call()


def test_a_layer_without_a_map_and_squares_that_leave_pixels_out_are_refused():
    model, x = chain(), batch(side=8)
    for layer, got in ((model[3], r"\(2, 5\)"), (nn.Conv2d(3, 3, 1), "no call of it")):
        with pytest.raises(ValueError, match=rf"layer must return maps \(n, c, h, w\), got {got}"):
            grad_cam(model, layer, x)
    unused = nn.Sequential(model)
    unused.add_module("aside", nn.Conv2d(3, 3, 1))
    unused.forward = lambda x: (unused.aside(x), model(x))[1]
    with pytest.raises(ValueError, match="layer must be one that the score depends on"):
        grad_cam(unused, unused.aside, x)
    for size, stride in ((0, 1), (9, 4), (8, 0), (7, 8)):
        with pytest.raises(ValueError, match="size must be from 1"):
            occlusion(model, x, size=size, stride=stride)


def test_compiled_in_inference_mode_and_with_layers_that_write_in_place_the_maps_are_the_same():
    x, model = batch(side=8), chain(nn.Hardtanh(0.0, 1.0))
    before, wanted = x.clone(), [look() for look in looks(model, model[1], x)]
    compiled = torch.compile(model, backend="eager")
    with torch.no_grad():
        compiled(x)  # a program without hooks is there now
    found = [look() for look in looks(compiled, model[1], x)]
    with torch.inference_mode():
        found += [look() for look in looks(model, model[1], x.clone())]
        assert torch.is_inference_mode_enabled()
    model[0].inplace = True
    found += [look() for look in [*looks(model, model[1], x)][1:]]
    assert all(map(torch.equal, found, [*wanted, *wanted, *wanted[1:]]))
    assert not any(one.requires_grad for one in found)
    assert torch.equal(x, before)
    model[2] = nn.ReLU(inplace=True)
    relu = nn.Sequential(*model[:2], nn.ReLU(), *model[3:])
    assert torch.equal(grad_cam(model, model[1], x), grad_cam(relu, model[1], x)), "of the layer's own output"


def fails(_):
    raise RuntimeError("in the middle")


def test_the_network_is_left_as_it_was_after_an_error_too():
    model, x = network().train(), batch()
    model.stages[1].eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    for look in looks(model, model.stages[0], x[:, :, :8, :8]):
        look()
    model.head.forward = fails
    for look in looks(model, model.stages[0], x):
        with pytest.raises(RuntimeError, match="in the middle"):
            look()
    assert [module.training for module in model.modules()] == modes
    assert not any(module._forward_hooks for module in model.modules())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in model.parameters())


def test_the_overlay_is_the_image_the_colors_or_what_lies_between():
    image, shown = np.random.default_rng(0).random((3, 8, 8)), torch.eye(4)
    assert np.array_equal(overlay(image, shown, strength=0.0), image.transpose(1, 2, 0))
    colors = overlay(image, shown, strength=1.0)
    assert np.allclose(colors[0, 0], [0.993248, 0.906157, 0.143936]), "viridis ends in yellow"
    assert np.allclose(overlay(image, shown, strength=0.25), 0.25 * colors + 0.75 * image.transpose(1, 2, 0))
    assert np.isfinite(overlay(image, torch.ones(4, 4))).all(), "a map without any contrast"
