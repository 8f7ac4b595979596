"""CIFAR's files: read as the format says, and refused where they are not what they should be."""

import hashlib
import io
import os
import pickle
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from records import packed
from simam_edu.datasets import cifar, load
from simam_edu.datasets.cifar import load_cifar
from simam_edu.datasets.cifar_files import CIFAR10, CIFAR100, OFFICIAL, UNKNOWN, part

PER_FILE = 20
FORMS = ["folder", "folder itself", "archive", "archive itself"]
both = pytest.mark.parametrize("full", [CIFAR10, CIFAR100], ids=lambda dataset: dataset.name)


def small(full):
    """A CIFAR with ten classes and twenty records a file, and the binary files' contents.

    Classes are equally large in the test file and in all training files together, as in the
    real ones, but not in one of several training files.
    """
    images = {split: PER_FILE * len(part(full.binary.names, split)) for split in full.images}
    dataset = replace(full, classes=full.classes[:10], images=images)
    rows = np.random.default_rng(0).integers(
        0, 256, (sum(images.values()), dataset.record_bytes), dtype=np.uint8
    )
    label = len(dataset.labels) - 1
    rows[:, label] = np.arange(len(rows)) % 10
    rows[: images["train"], label].sort()
    names = dataset.binary.names
    files = np.split(rows, len(names))
    contents = {name: file.tobytes() for name, file in zip(names, files, strict=True)}
    return replace(dataset, known={OFFICIAL: sums(contents)}), contents


def sums(contents):
    return tuple(hashlib.md5(content).hexdigest() for content in contents.values())


class Python2Pickler(pickle._Pickler):
    """Writes text and bytes as Python 2 did when CIFAR was made."""

    def save_text(self, value):
        content = value if isinstance(value, bytes) else value.encode("latin1")
        self.write(pickle.BINSTRING + struct.pack("<i", len(content)) + content)
        self.memoize(value)

    dispatch = pickle._Pickler.dispatch | {bytes: save_text, str: save_text}


def as_python(dataset, contents):
    """The same data set and contents in the Python edition."""
    files = {}
    for name, content in zip(dataset.python.names, contents.values(), strict=True):
        rows = np.frombuffer(content, np.uint8).reshape(-1, dataset.record_bytes)
        batch = {"batch_label": name, "data": rows[:, len(dataset.labels) :].copy()}
        batch |= {key: rows[:, k].tolist() for k, key in enumerate(dataset.labels)}
        Python2Pickler(buffer := io.BytesIO(), protocol=2).dump(batch)
        files[name] = buffer.getvalue()
    return replace(dataset, pickles=sums(files)), files


def write(folder, contents):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / name).write_bytes(content)


def put(root, form, edition, contents):
    """Write an edition in a form; return what is named to find it."""
    if "folder" in form:
        write(root / edition.folder, contents)
        return root if form == "folder" else root / edition.folder
    root.mkdir(exist_ok=True)
    archive = root / (edition.archive if form == "archive" else "mine.tgz")
    archive.write_bytes(packed(f"{edition.folder}/", contents))
    return root if form == "archive" else archive


def read(dataset, split, root):
    return load_cifar(dataset, split, root=root, download=False)


@pytest.fixture
def at_hand(tmp_path):
    """A small CIFAR-10, the contents of its files, and the folder they stand in."""
    dataset, contents = small(CIFAR10)
    write(tmp_path, contents)
    return dataset, contents, tmp_path


@both
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("edition", ["binary", "python"])
def test_records_are_read_as_the_format_says_and_nothing_is_written(full, form, edition, tmp_path):
    dataset, contents = small(full)
    files = contents
    if edition == "python":
        dataset, files = as_python(dataset, contents)
    root = put(tmp_path / "root", form, getattr(dataset, edition), files)
    before = sorted(tmp_path.rglob("*"))
    for split, n in dataset.images.items():
        found = read(dataset, split, root)
        joined = b"".join(contents[name] for name in part(dataset.binary.names, split))
        assert (found.images.dtype, found.images.shape) == (np.uint8, (n, 3, 32, 32))
        for index in (0, n - 1):
            record = joined[index * dataset.record_bytes : (index + 1) * dataset.record_bytes]
            # Of CIFAR-100's two label bytes the second is the fine one.
            assert found.labels[index] == record[len(dataset.labels) - 1]
            assert found.images[index].tobytes() == record[len(dataset.labels) :]
        assert (found.name, found.split, found.source) == (dataset.name, split, OFFICIAL)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("dataset", "classes", "sizes"),
    [(CIFAR10, 10, [30_730_000] * 2), (CIFAR100, 100, [153_700_000, 30_740_000])],
)
def test_layouts_and_checksums_are_those_of_the_official_files(dataset, classes, sizes):
    files = {split: len(part(dataset.binary.names, split)) for split in ("train", "test")}
    lengths = [dataset.images[split] // files[split] * dataset.record_bytes for split in files]
    assert lengths == sizes
    assert len(set(dataset.classes)) == classes
    assert list(dataset.classes) == sorted(dataset.classes), "numbered by the alphabet"
    for md5s in (*dataset.known.values(), dataset.pickles):
        assert {len(bytes.fromhex(md5)) for md5 in md5s} == {16}
        assert len(set(md5s)) == len(md5s) == len(dataset.binary.names) == len(dataset.python.names)


def test_places_are_the_root_or_else_the_variable_and_the_cache(at_hand, monkeypatch, tmp_path):
    dataset, contents, root = at_hand
    monkeypatch.setattr(cifar, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.delenv("SIMAM_EDU_DATA", raising=False)
    write(tmp_path / "cache" / dataset.binary.folder, contents)
    assert read(dataset, "test", None).source == OFFICIAL
    (root / "test_batch.bin").write_bytes(b"short")
    monkeypatch.setenv("SIMAM_EDU_DATA", str(root))
    with pytest.raises(ValueError, match="must have 61460 bytes, got 5"):
        read(dataset, "test", None)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read(dataset, "test", tmp_path / "nowhere")


def test_an_archive_fills_in_for_a_folder_that_is_not_whole(at_hand):
    dataset, contents, root = at_hand
    (root / "data_batch_2.bin").unlink()
    assert read(dataset, "test", root).source == OFFICIAL
    with pytest.raises(FileNotFoundError, match=r"must be at hand as data_batch_1.bin, "):
        read(dataset, "train", root)
    put(root, "archive", dataset.binary, contents)
    assert read(dataset, "train", root).source == OFFICIAL


@pytest.mark.parametrize(
    "damage",
    [lambda _: b"<html>not found</html>", lambda content: content[:-3000], lambda _: b""],
    ids=["html", "cut", "empty"],
)
def test_a_damaged_archive_is_told(damage, tmp_path):
    dataset, contents = small(CIFAR10)
    path = put(tmp_path, "archive itself", dataset.binary, contents)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=r"mine.tgz must be a whole tar archive.*delete it"):
        read(dataset, "train", path)


class Harmful:
    """A pickle that makes a file when it is read."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_a_pickle_that_is_not_the_official_one_is_not_read(tmp_path):
    dataset, files = as_python(*small(CIFAR10))
    harm = tmp_path / "run"
    write(tmp_path, files | {"test_batch": pickle.dumps(Harmful(harm), protocol=2)})
    with pytest.raises(ValueError, match="must have the MD5"):
        read(dataset, "test", tmp_path)
    assert not harm.exists()


LENGTH, UNEQUAL = "data_batch_2.bin must have 61460 bytes", "of each of the 10 classes, got from"
FIRST, SECOND, TEST = "data_batch_1.bin", "data_batch_2.bin", "test_batch.bin"


@pytest.mark.parametrize(
    ("change", "split", "message"),
    [
        (lambda c: {SECOND: c[SECOND][:-1]}, "train", LENGTH),
        (lambda c: {SECOND: c[SECOND] + bytes(3073)}, "train", LENGTH),
        (lambda c: {FIRST: c[TEST], TEST: c[FIRST]}, "train", UNEQUAL),
        (lambda c: {FIRST: c[TEST], TEST: c[FIRST]}, "test", UNEQUAL),
        (lambda c: {FIRST: c[SECOND]}, "train", UNEQUAL),
        (lambda c: {TEST: b"\x0a" + c[TEST][1:]}, "test", "labels up to 10"),
        (lambda _: {TEST: small(CIFAR100)[1]["test.bin"]}, "test", "test_batch.bin must have"),
    ],
    ids=["1 short", "record long", "train is of another split", "test is of another split",
         "one file twice", "no label", "the other CIFAR"],
)  # fmt: skip
def test_a_file_that_is_another_is_refused(at_hand, change, split, message):
    dataset, contents, root = at_hand
    write(root, change(contents))
    with pytest.raises(ValueError, match=message):
        read(dataset, split, root)


def test_one_file_with_an_unknown_checksum_makes_its_split_unknown(at_hand):
    dataset, contents, root = at_hand
    write(root, {SECOND: contents[SECOND][:-1] + b"\x00"})
    assert read(dataset, "train", root).source == UNKNOWN
    assert read(dataset, "test", root).source == OFFICIAL


# The real images, where they are at hand.


@pytest.fixture(scope="module")
def real():
    data = os.environ.get("SIMAM_EDU_DATA")
    if not data:
        pytest.skip("set SIMAM_EDU_DATA to a folder that holds cifar-10-batches-bin")
    return load("cifar10", "train", root=data), load("cifar10", "test", root=data)


def test_real_images_are_all_there_and_say_where_they_are_from(real):
    train, test = real
    for found, each in ((train, 5000), (test, 1000)):
        assert found.images.shape == (10 * each, 3, 32, 32)
        assert np.bincount(found.labels).tolist() == [each] * 10
    assert train.labels[:10].tolist() == [6, 9, 9, 4, 1, 1, 2, 7, 8, 3]
    assert train.source == test.source != UNKNOWN


def test_real_images_have_red_first_and_the_stored_statistics(real):
    """The first training image is a frog on brown ground: more red than blue."""
    train, _ = real
    frog = train.images[0].astype(int)
    np.testing.assert_allclose(frog[:, 0, 0], (59, 62, 63), atol=25)
    assert frog[0].mean() > frog[2].mean() + 15
    planes = train.images[::5].transpose(1, 0, 2, 3).reshape(3, -1)
    counts = np.array([np.bincount(plane, minlength=256) for plane in planes])
    values = np.arange(256) / 255
    mean = counts @ values / counts.sum(axis=1)
    std = np.sqrt(counts @ values**2 / counts.sum(axis=1) - mean**2)
    # A re-encoding, and a fifth of the images, move them by less than this.
    np.testing.assert_allclose(mean, train.mean, atol=0.003)
    np.testing.assert_allclose(std, train.std, atol=0.006)
