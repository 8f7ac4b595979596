"""CIFAR's binary files: read as the format says, and refused where they are not what they should be."""

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
from simam_edu.datasets.cifar import UNKNOWN, load_cifar
from simam_edu.datasets.cifar_files import CIFAR10, CIFAR100, OFFICIAL, PYTHON

PER_FILE = 20


def records(dataset, seed, *, balanced=True):
    """One small file of a CIFAR: random pixels, each class equally often or not."""
    rng = np.random.default_rng(seed)
    classes = len(dataset.classes)
    rows = rng.integers(0, 256, (PER_FILE, dataset.record_bytes), dtype=np.uint8)
    rows[:, len(dataset.labels) - 1] = np.arange(PER_FILE) % (classes if balanced else 3)
    return rows.tobytes()


def small(full):
    """The same data set with ten classes and twenty records a file, and the files' contents."""
    images = {split: PER_FILE * len(full.binary.files(split)) for split in full.images}
    dataset = replace(full, classes=full.classes[:10], images=images)
    contents = {name: records(dataset, seed) for seed, name in enumerate(dataset.binary.md5s)}
    sums = tuple(hashlib.md5(content).hexdigest() for content in contents.values())
    return replace(dataset, known={OFFICIAL: sums}), contents


def write(folder, contents):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / name).write_bytes(content)


@pytest.fixture
def at_hand(tmp_path):
    """A small CIFAR-10, the contents of its files, and the root they stand under."""
    dataset, contents = small(CIFAR10)
    write(tmp_path / dataset.binary.folder, contents)
    return dataset, contents, tmp_path


@pytest.fixture(autouse=True)
def no_other_places(monkeypatch, tmp_path):
    """Neither the reader's cache nor their variable plays a part in these tests."""
    monkeypatch.setattr(cifar, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.delenv("SIMAM_EDU_DATA", raising=False)


def read(dataset, split, root):
    return load_cifar(dataset, split, root=root, download=False)


both = pytest.mark.parametrize("full", [CIFAR10, CIFAR100], ids=lambda dataset: dataset.name)


# What is read.


@both
@pytest.mark.parametrize("split", ["train", "test"])
def test_records_are_read_as_the_format_says(full, split, tmp_path):
    dataset, contents = small(full)
    write(tmp_path / dataset.binary.folder, contents)
    found = read(dataset, split, tmp_path)
    joined = b"".join(contents[name] for name in dataset.binary.files(split))
    n = PER_FILE * len(dataset.binary.files(split))
    assert (found.images.dtype, found.labels.dtype) == (np.uint8, np.int64)
    assert (found.images.shape, found.labels.shape) == ((n, 3, 32, 32), (n,))
    for index in (0, n - 1):
        record = joined[index * dataset.record_bytes : (index + 1) * dataset.record_bytes]
        # Of CIFAR-100's two label bytes the second is the fine one.
        assert found.labels[index] == record[len(dataset.labels) - 1]
        assert found.images[index, 1, 2, 3] == record[len(dataset.labels) + 1024 + 2 * 32 + 3]
    assert (found.name, found.split, found.source, found.masks) == (dataset.name, split, OFFICIAL, None)


@pytest.mark.parametrize(
    ("dataset", "classes", "sizes"),
    [(CIFAR10, 10, [30_730_000] * 2), (CIFAR100, 100, [153_700_000, 30_740_000])],
)
def test_layouts_and_checksums_are_those_of_the_official_files(dataset, classes, sizes):
    files = {split: len(dataset.binary.files(split)) for split in ("train", "test")}
    assert [dataset.images[split] // files[split] * dataset.record_bytes for split in files] == sizes
    assert len(set(dataset.classes)) == classes
    assert list(dataset.classes) == sorted(dataset.classes), "both number their classes by the alphabet"
    known = [*dataset.known.values(), tuple(dataset.python.md5s.values())]
    assert known[0] == tuple(dataset.binary.md5s.values())
    for md5s in known:
        assert {len(bytes.fromhex(md5)) for md5 in md5s} == {16}
        assert len(set(md5s)) == len(md5s) == len(dataset.binary.md5s)


# Where it is looked for.


def test_places_are_the_root_alone_or_the_variable_and_then_the_cache(at_hand, monkeypatch, tmp_path):
    dataset, contents, root = at_hand
    write(tmp_path / "cache" / dataset.binary.folder, contents)
    for place in (root, root / dataset.binary.folder, None):  # a root may be the folder itself
        assert len(read(dataset, "test", place).labels) == PER_FILE
    monkeypatch.setenv("SIMAM_EDU_DATA", str(root))
    (root / dataset.binary.folder / "test_batch.bin").write_bytes(b"short")
    with pytest.raises(ValueError, match="truncated"):
        read(dataset, "test", None)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read(dataset, "test", tmp_path / "nowhere")


def pack(path, folder, contents):
    path.write_bytes(packed(f"{folder}/", contents))
    return path


def test_an_archive_at_hand_is_read_where_it_stands_and_fills_in_for_a_folder_that_is_not_whole(tmp_path):
    dataset, contents = small(CIFAR10)
    archive = pack(tmp_path / dataset.binary.archive, dataset.binary.folder, contents)
    found = read(dataset, "train", tmp_path)
    assert found.source == OFFICIAL
    assert list(tmp_path.iterdir()) == [archive], "nothing is written"
    write(tmp_path / dataset.binary.folder, dict(list(contents.items())[:3]))
    assert np.array_equal(read(dataset, "train", tmp_path).images, found.images)
    renamed = archive.rename(tmp_path / "mine.tgz")
    assert np.array_equal(read(dataset, "train", renamed).images, found.images)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda _: b"<html>not found</html>", r"begins with b'<html>not found</htm'"),
        (lambda content: content[:-3000], r"EOFError"),
        (lambda _: b"", r"ReadError"),
    ],
    ids=["html", "cut", "empty"],
)
def test_a_damaged_archive_is_told_with_its_checksum(damage, said, tmp_path):
    dataset, contents = small(CIFAR10)
    path = pack(tmp_path / dataset.binary.archive, dataset.binary.folder, contents)
    path.write_bytes(damage(path.read_bytes()))
    wrong = hashlib.sha256(path.read_bytes()).hexdigest()
    told = r"which is there but no whole archive"
    message = rf"binary.tar.gz, {told} .*{said}.*sha256 must be c4a3.*, got {wrong}"
    with pytest.raises(FileNotFoundError, match=message):
        read(dataset, "train", tmp_path)
    with pytest.raises(FileNotFoundError, match=f"mine.tgz, {told}"):
        read(dataset, "train", path.rename(tmp_path / "mine.tgz"))


# The Python edition.


class Python2Pickler(pickle._Pickler):
    """Writes text, bytes and the module of numpy as Python 2 did when CIFAR was made."""

    dispatch = pickle._Pickler.dispatch.copy()

    def save_text(self, value):
        content = value if isinstance(value, bytes) else value.encode("latin1")
        self.write(pickle.BINSTRING + struct.pack("<i", len(content)) + content)
        self.memoize(value)

    dispatch[bytes] = dispatch[str] = save_text

    def save_global(self, value, name=None):
        module = value.__module__.replace("numpy._core", "numpy.core")
        self.write(f"c{module}\n{name or value.__qualname__}\n".encode())
        self.memoize(value)

    dispatch[type] = dispatch[type(len)] = dispatch[type(pickle.dumps)] = save_global


def as_python(dataset, contents):
    """The same data set in the Python edition with its checksums, and the contents of its files."""
    files = {}
    for (name, content), own in zip(contents.items(), dataset.python.md5s, strict=True):
        rows = np.frombuffer(content, np.uint8).reshape(-1, dataset.record_bytes)
        batch = {"batch_label": name, "data": rows[:, len(dataset.labels) :].copy(), "filenames": ["a.png"]}
        batch |= {key: rows[:, k].tolist() for k, key in enumerate(dataset.labels)}
        Python2Pickler(buffer := io.BytesIO(), protocol=2).dump(batch)
        files[own] = buffer.getvalue()
    sums = {name: hashlib.md5(content).hexdigest() for name, content in files.items()}
    python = replace(dataset.python, md5s=sums)
    return replace(dataset, python=python), files


@both
@pytest.mark.parametrize("form", ["folder", "folder itself", "archive"])
def test_the_python_edition_gives_the_images_of_the_binary_one(full, form, tmp_path):
    dataset, contents = small(full)
    write(tmp_path / "binary", contents)
    dataset, files = as_python(dataset, contents)
    assert b"cnumpy.core.multiarray\n_reconstruct\n" in next(iter(files.values()))
    root = tmp_path / "root"
    write(root / dataset.python.folder, files if form != "archive" else {})
    if form == "folder itself":
        root = root / dataset.python.folder
    if form == "archive":
        pack(root / dataset.python.archive, dataset.python.folder, files)
    for split in ("train", "test"):
        found = read(dataset, split, root)
        wanted = read(dataset, split, tmp_path / "binary")
        assert np.array_equal(found.images, wanted.images)
        assert np.array_equal(found.labels, wanted.labels)
        assert found.source == wanted.source == OFFICIAL
        assert read(replace(dataset, known={}), split, root).source == PYTHON


@pytest.mark.parametrize(
    ("edition", "message"),
    [
        ("binary", r"must be at hand as data_batch_1.* got data_batch_2.bin, data_batch_3.bin, data_batch_5"),
        ("python", "got data_batch_2, data_batch_3, data_batch_5 in"),
    ],
)
def test_missing_files_are_told_with_those_that_are_there(edition, message, tmp_path):
    dataset, contents = small(CIFAR10)
    if edition == "python":
        dataset, contents = as_python(dataset, contents)
    folder = tmp_path / getattr(dataset, edition).folder
    write(folder, contents)
    for name in list(contents)[0:4:3]:
        (folder / name).unlink()
    with pytest.raises(FileNotFoundError, match=message):
        read(dataset, "train", tmp_path)
    assert len(read(dataset, "test", tmp_path).labels) == PER_FILE


class Harmful:
    """A pickle that makes a file when it is read."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("known", [False, True], ids=["unknown checksum", "known checksum"])
def test_a_pickle_that_runs_code_is_not_read(known, tmp_path):
    dataset, files = as_python(*small(CIFAR10))
    files["test_batch"] = pickle.dumps(Harmful(tmp_path / "run"), protocol=2)
    if known:
        sums = dataset.python.md5s | {"test_batch": hashlib.md5(files["test_batch"]).hexdigest()}
        dataset = replace(dataset, python=replace(dataset.python, md5s=sums))
    write(tmp_path / dataset.python.folder, files)
    error, message = (
        (pickle.UnpicklingError, "array must be all") if known else (ValueError, "must have the MD5")
    )
    with pytest.raises(error, match=message):
        read(dataset, "test", tmp_path)
    assert not (tmp_path / "run").exists()


# What is refused.


def of_length(change):
    def files(c):
        content = c["data_batch_2.bin"]
        return {"data_batch_2.bin": content[:change] if change < 0 else content + bytes(change)}

    return files


def exchanged(one, other):
    return lambda c: {one: c[other], other: c[one]}


def unbalanced(name):
    # The real training batches have equally large classes only together, the test batch by itself.
    return lambda _: {name: records(CIFAR10, 9, balanced=False)}


LENGTH = r"data_batch_2.bin must have 61460 bytes, got {}: .*download=True"
UNEQUAL = "the {} files in .* of each class, got from .* swapped"
SWAPPED = r"bin must hold its own records, got those of .* swapped; rename"


@pytest.mark.parametrize(
    ("files", "split", "checksums", "message"),
    [
        (of_length(-1), "train", True, LENGTH.format(61459)),
        (of_length(-3073), "train", True, LENGTH.format(58387)),
        (of_length(1), "train", True, LENGTH.format(61461)),
        (of_length(3073), "train", True, LENGTH.format(64533)),
        (exchanged("data_batch_1.bin", "test_batch.bin"), "train", True, SWAPPED),
        (exchanged("data_batch_5.bin", "data_batch_2.bin"), "train", True, SWAPPED),
        (lambda c: {"data_batch_1.bin": c["data_batch_2.bin"]}, "train", False, "two with the same content"),
        (unbalanced("data_batch_1.bin"), "train", False, UNEQUAL.format("train")),
        (unbalanced("test_batch.bin"), "test", False, UNEQUAL.format("test")),
        (lambda _: {"test_batch.bin": small(CIFAR100)[1]["test.bin"]}, "test", True, "of another data set"),
    ],
    ids=["1 short", "record short", "1 long", "record long", "splits exchanged", "batches exchanged",
         "one file twice", "train is of another split", "test is of another split", "the other CIFAR"],
)  # fmt: skip
def test_a_file_that_is_another_is_refused_with_or_without_checksums(
    at_hand, files, split, checksums, message
):
    dataset, contents, root = at_hand
    write(root / dataset.binary.folder, files(contents))
    with pytest.raises(ValueError, match=message):
        read(dataset if checksums else replace(dataset, known={}), split, root)


@both
def test_a_label_out_of_range_is_told_with_its_place(full, tmp_path):
    dataset, contents = small(full)
    name = dataset.binary.files("test")[0]
    damaged = bytearray(contents[name])
    damaged[7 * dataset.record_bytes + len(dataset.labels) - 1] = 10
    write(tmp_path / dataset.binary.folder, contents | {name: damaged})
    with pytest.raises(ValueError, match=rf"{name}, record 7, must have a label from 0 to 9, got 10"):
        read(dataset, "test", tmp_path)


# What is said of the images.


TOLD = " (says its SOURCE.txt; the checksums are not the official ones)"


@pytest.mark.parametrize(
    ("note", "source"),
    [
        (None, UNKNOWN),
        (b"", UNKNOWN),
        (b"\n", UNKNOWN),
        (b"CIFAR-10 in shades of grey \nand more about it\n", "CIFAR-10 in shades of grey" + TOLD),
        ("Größe\n".encode("latin1"), "Gr\ufffd\ufffde" + TOLD),
        ("\ufeffGrau\r\nmehr".encode(), "Grau" + TOLD),
        ("Grau\nmehr".encode("utf-16"), "Grau" + TOLD),
    ],
    ids=["none", "empty", "empty line", "two lines", "latin-1", "byte order mark", "utf-16"],
)
def test_files_with_unknown_checksums_are_taken_and_their_note_is_told_in_any_encoding(note, source, at_hand):
    dataset, _, root = at_hand
    if note is not None:
        (root / dataset.binary.folder / "SOURCE.txt").write_bytes(note)
    assert read(replace(dataset, known={}), "test", root).source == source
    assert read(dataset, "test", root).source == OFFICIAL, "checksums are believed before a note"
    write(root / dataset.binary.folder, {"data_batch_3.bin": records(dataset, 99)})
    assert read(dataset, "train", root).source == source, "one unknown file makes the split unknown"
    assert read(dataset, "test", root).source == OFFICIAL


# The real images, where they are at hand.

DATA = os.environ.get("SIMAM_EDU_DATA")


@pytest.fixture(scope="module")
def real():
    if not DATA:
        pytest.skip("set SIMAM_EDU_DATA to a folder that holds cifar-10-batches-bin")
    return load("cifar10", "train", root=DATA), load("cifar10", "test", root=DATA)


def test_real_images_are_all_there_and_say_where_they_are_from(real):
    train, test = real
    assert train.images.shape == (50_000, 3, 32, 32)
    assert test.images.shape == (10_000, 3, 32, 32)
    assert np.bincount(train.labels).tolist() == [5000] * 10
    assert np.bincount(test.labels).tolist() == [1000] * 10
    assert train.labels[:10].tolist() == [6, 9, 9, 4, 1, 1, 2, 7, 8, 3]
    assert train.source == test.source != UNKNOWN


def test_real_images_have_red_first_and_the_stored_statistics(real):
    """The first training image is a frog on brown ground: more red than blue, as its top left pixel."""
    train, _ = real
    frog = train.images[0].astype(int)
    np.testing.assert_allclose(frog[:, 0, 0], (59, 62, 63), atol=25)
    assert frog[0].mean() > frog[2].mean() + 15
    counts = np.zeros((3, 256))
    for some in np.split(train.images, 20):  # a few at a time bounds the memory
        counts += [np.bincount(some[:, c].ravel(), minlength=256) for c in range(3)]
    values = np.arange(256) / 255
    mean = counts @ values / counts.sum(axis=1)
    std = np.sqrt(counts @ values**2 / counts.sum(axis=1) - mean**2)
    # A re-encoding moves them by less than this.
    np.testing.assert_allclose(mean, train.mean, atol=0.003)
    np.testing.assert_allclose(std, train.std, atol=0.006)
