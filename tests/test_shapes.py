"""Drawn shapes: the same for the same seed, and nothing but the shape tells the class."""

import numpy as np
import pytest

from simam_edu.datasets import load, shapes
from simam_edu.plots.images import image_grid

N, HALF = 1000, 500


@pytest.fixture(scope="module")
def drawn() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return shapes.draw(N, rng=np.random.default_rng(7))


def means(images: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """The mean color of the pixels in a mask, of shape (n, 3)."""
    return np.array([image[:, mask].mean(axis=1) for image, mask in zip(images, masks, strict=True)])


def accuracy_of_nearest_mean(features: np.ndarray, labels: np.ndarray) -> float:
    """Of guessing the class whose mean over the first half of the features is the nearest."""
    centers = np.array([features[:HALF][labels[:HALF] == k].mean(axis=0) for k in range(10)])
    guesses = np.linalg.norm(features[HALF:, None] - centers, axis=2).argmin(axis=1)
    return float((guesses == labels[HALF:]).mean())


def test_same_seed_same_images_of_the_types_of_the_signature(drawn):
    again = shapes.draw(N, rng=np.random.default_rng(7))
    assert all(map(np.array_equal, drawn, again))
    assert (shapes.draw(10, rng=np.random.default_rng(8))[0] != drawn[0][:10]).any()
    assert [part.dtype for part in drawn] == [np.uint8, np.int64, bool]
    assert [part.shape for part in drawn] == [(N, 3, 32, 32), (N,), (N, 32, 32)]


@pytest.mark.parametrize("n", [10, shapes.AT_ONCE, shapes.AT_ONCE + 10])
def test_classes_are_equally_large_and_mixed(n):
    labels = shapes.draw(n, rng=np.random.default_rng(1))[1]
    assert np.bincount(labels).tolist() == [n // 10] * 10
    assert (np.diff(labels) < 0).any(), "not sorted by class"


@pytest.mark.parametrize("n", [0, -10, 15])
def test_images_come_in_tens(n):
    with pytest.raises(ValueError, match="n must be a positive multiple of 10"):
        shapes.draw(n, rng=np.random.default_rng(0))


def test_splits_differ_and_their_statistics_are_those_stored():
    train, test = load("shapes", "train"), load("shapes", "test")
    assert (len(train.labels), len(test.labels)) == (4000, 1000)
    assert (train.images[:1000] != test.images).any(axis=(1, 2, 3)).all()
    assert (train.mean, train.std) == (test.mean, test.std), "both of the training split"
    pixels = train.images / 255
    np.testing.assert_allclose(pixels.mean(axis=(0, 2, 3)), train.mean, atol=1e-4)
    np.testing.assert_allclose(pixels.std(axis=(0, 2, 3)), train.std, atol=1e-4)
    assert "not photographs" in train.source


def test_every_object_fits_into_its_image_and_no_two_shapes_are_alike():
    assert 1.1 * shapes.RADII[1] + shapes.SHIFT <= shapes.SIDE / 2
    u, v = np.meshgrid(*2 * [np.linspace(-1.5, 1.5, 301)])
    areas = {name: inside(u, v) for name, inside in shapes.SHAPES.items()}
    for name, one in areas.items():
        assert 0.7 < np.hypot(u, v)[one].max() <= 1.1, f"{name} reaches as far as the others"
        for other_name, other in areas.items():
            overlap = (one & other).sum() / (one | other).sum()
            assert name == other_name or overlap < 0.85, f"{name} looks like {other_name}"


def test_objects_are_of_a_fair_size_and_differ_from_what_is_behind_them(drawn):
    images, _, masks = drawn
    area = masks.mean(axis=(1, 2))
    assert 0.04 < area.min() <= area.max() < 0.25
    gap = np.abs(means(images, masks) - means(images, ~masks)).max(axis=1) / 255
    assert gap.min() > 0.7 * shapes.COLOR_GAP, "seen in every image, waves and noise included"


def test_masks_have_no_hole_and_no_halo(drawn):
    """A pixel just outside the mask has the color of the background, not of the object."""
    images, _, masks = drawn
    shifted = np.zeros_like(masks)
    shifted[:, 3:] = masks[:, :-3]
    beside = means(images, shifted & ~masks)
    to_object = np.abs(beside - means(images, masks)).max(axis=1)
    to_background = np.abs(beside - means(images, ~masks)).max(axis=1)
    assert (to_background < to_object).mean() > 0.9


def test_color_does_not_tell_the_class(drawn):
    images, labels, masks = drawn
    spread = images.std(axis=(2, 3))
    colors = np.concatenate([means(images, masks), means(images, ~masks), spread], axis=1)
    assert accuracy_of_nearest_mean(colors, labels) < 0.17
    assert accuracy_of_nearest_mean(images.reshape(N, -1) / 255, labels) < 0.2, "nor does a mean picture"
    design = np.column_stack([colors, np.ones(N)])
    weights = np.linalg.lstsq(design[:HALF], np.eye(10)[labels[:HALF]], rcond=None)[0]
    guesses = (design[HALF:] @ weights).argmax(axis=1)
    assert (guesses == labels[HALF:]).mean() < 0.17


def test_shape_tells_the_class(drawn):
    """How far an object's pixels lie from its middle is enough, whatever its place, size and rotation."""
    _, labels, masks = drawn
    y, x = np.mgrid[:32, :32]
    profiles = []
    for mask in masks:
        distance = np.hypot(y - y[mask].mean(), x - x[mask].mean())[mask] / np.sqrt(mask.sum())
        profiles.append(np.histogram(distance, bins=8, range=(0, 1.1), density=True)[0])
    assert accuracy_of_nearest_mean(np.array(profiles), labels) > 0.9


@pytest.mark.usefixtures("unchecked")
def test_a_grid_shows_images_and_outlines(drawn):
    images, _, masks = (part[:4] for part in drawn)
    outlined = masks.copy()
    outlined[3] = False  # nothing to outline, and no warning
    figure = image_grid(images, titles=list("abcd"), masks=outlined, columns=2)
    assert [bool(axis.collections) for axis in figure.axes] == [True, True, True, False]
    np.testing.assert_array_equal(figure.axes[1].images[0].get_array(), images[1].transpose(1, 2, 0))
    with pytest.raises(ValueError, match="as many titles and masks"):
        image_grid(images, titles=list("abcd"), masks=masks[:3])
