"""Loading CIFAR and shapes: what is found, what is refused, and that no half of a file is taken for whole."""

import contextlib
import errno
import hashlib
import io
import os
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pooch
import pytest

from simam_edu.datasets import cifar, load, shapes
from simam_edu.datasets.cifar import CIFAR10, CIFAR100, OFFICIAL, UNKNOWN, CifarDataset, load_cifar
from simam_edu.datasets.download import Archive

PER_FILE = 20


def records(dataset: CifarDataset, seed: int, *, balanced: bool = True) -> bytes:
    """One small file of a CIFAR: random pixels, each class equally often."""
    rng = np.random.default_rng(seed)
    classes = len(dataset.classes)
    labels = np.arange(PER_FILE) % classes if balanced else rng.integers(0, 3, PER_FILE)
    rows = rng.integers(0, 256, (PER_FILE, dataset.record_bytes), dtype=np.uint8)
    rows[:, dataset.label_bytes - 1] = labels
    return rows.tobytes()


def small(full: CifarDataset, **changes: object) -> tuple[CifarDataset, dict[str, bytes]]:
    """The same data set with twenty records a file, and the files' contents."""
    classes = full.classes[:10]
    dataset = replace(full, classes=classes, records=dict.fromkeys(full.records, PER_FILE))
    contents = {name: records(dataset, seed) for seed, name in enumerate(dataset.records)}
    sums = {name: hashlib.md5(content).hexdigest() for name, content in contents.items()}
    return replace(dataset, editions={OFFICIAL: sums}, **changes), contents  # type: ignore[arg-type]


def write(folder: Path, contents: dict[str, bytes]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / name).write_bytes(content)


@pytest.fixture
def at_hand(tmp_path: Path) -> tuple[CifarDataset, dict[str, bytes], Path]:
    dataset, contents = small(CIFAR10)
    write(tmp_path / dataset.folder, contents)
    return dataset, contents, tmp_path


@pytest.fixture(autouse=True)
def no_other_places(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither the reader's cache nor their variable plays a part in these tests."""
    monkeypatch.setattr(cifar, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.delenv("SIMAM_EDU_DATA", raising=False)


@pytest.mark.parametrize("full", [CIFAR10, CIFAR100], ids=lambda d: d.name)
def test_records_are_read_as_the_format_says(full: CifarDataset, tmp_path: Path) -> None:
    dataset, contents = small(full)
    write(tmp_path / dataset.folder, contents)
    for split in ("train", "test"):
        found = load_cifar(dataset, split, root=tmp_path, download=False)
        joined = b"".join(contents[name] for name in dataset.files[split])
        first = np.frombuffer(joined[: dataset.record_bytes], np.uint8)
        assert found.images.dtype == np.uint8
        assert found.images.shape == (PER_FILE * len(dataset.files[split]), 3, 32, 32)
        assert (
            found.labels[0] == first[dataset.label_bytes - 1]
        )  # for CIFAR-100 the fine label, not the coarse
        assert found.images[0, 1, 2, 3] == first[dataset.label_bytes + 1024 + 2 * 32 + 3]
        assert found.source == OFFICIAL


def test_root_may_be_the_folder_itself(at_hand) -> None:  # type: ignore[no-untyped-def]
    dataset, _, root = at_hand
    assert len(load_cifar(dataset, "test", root=root / dataset.folder, download=False).labels) == PER_FILE


def test_places_are_the_variable_then_the_cache(at_hand, monkeypatch, tmp_path) -> None:  # type: ignore[no-untyped-def]
    dataset, contents, root = at_hand
    write(tmp_path / "cache" / dataset.folder, contents)
    assert len(load_cifar(dataset, "test", root=None, download=False).labels) == PER_FILE
    monkeypatch.setenv("SIMAM_EDU_DATA", str(root))
    (root / dataset.folder / "test_batch.bin").write_bytes(b"short")
    with pytest.raises(ValueError, match="truncated"):  # the variable's folder comes first
        load_cifar(dataset, "test", root=None, download=False)


def test_a_root_that_is_given_is_the_only_place(at_hand, monkeypatch, tmp_path) -> None:  # type: ignore[no-untyped-def]
    dataset, _, root = at_hand
    monkeypatch.setenv("SIMAM_EDU_DATA", str(root))
    with pytest.raises(FileNotFoundError, match="nowhere"):
        load_cifar(dataset, "test", root=tmp_path / "nowhere", download=False)


def test_missing_files_are_told_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"download=True .*SIMAM_EDU_DATA.*'shapes'"):
        load("cifar10", "train", root=tmp_path)


def test_one_missing_file_is_told(at_hand) -> None:  # type: ignore[no-untyped-def]
    dataset, _, root = at_hand
    (root / dataset.folder / "data_batch_3.bin").unlink()
    with pytest.raises(FileNotFoundError, match=r"data_batch_3.bin must stand beside"):
        load_cifar(dataset, "train", root=root, download=False)


@pytest.mark.parametrize("change", [-1, -3073, 1])
def test_file_of_a_wrong_length_is_refused(at_hand, change: int) -> None:  # type: ignore[no-untyped-def]
    dataset, contents, root = at_hand
    content = contents["data_batch_2.bin"]
    wrong = content[:change] if change < 0 else content + b"x"
    (root / dataset.folder / "data_batch_2.bin").write_bytes(wrong)
    with pytest.raises(
        ValueError, match=rf"data_batch_2.bin must have {len(content)} bytes, got {len(wrong)}"
    ):
        load_cifar(dataset, "train", root=root, download=False)


def test_swapped_files_are_told_by_their_checksums(at_hand) -> None:  # type: ignore[no-untyped-def]
    dataset, contents, root = at_hand
    folder = root / dataset.folder
    (folder / "data_batch_1.bin").write_bytes(contents["test_batch.bin"])
    with pytest.raises(
        ValueError, match=r"data_batch_1.bin must hold its own records, got those of test_batch"
    ):
        load_cifar(dataset, "train", root=root, download=False)


def test_the_same_file_twice_is_told_without_checksums(at_hand) -> None:  # type: ignore[no-untyped-def]
    dataset, contents, root = at_hand
    dataset = replace(dataset, editions={})
    (root / dataset.folder / "data_batch_1.bin").write_bytes(contents["data_batch_2.bin"])
    with pytest.raises(ValueError, match="two with the same content"):
        load_cifar(dataset, "train", root=root, download=False)


def test_a_file_of_the_other_split_is_told_without_checksums(at_hand) -> None:  # type: ignore[no-untyped-def]
    dataset, _, root = at_hand
    dataset = replace(dataset, editions={})
    # The official training batches are balanced only together, the test batch by itself.
    (root / dataset.folder / "data_batch_1.bin").write_bytes(records(dataset, 9, balanced=False))
    with pytest.raises(ValueError, match="images of each class, got from"):
        load_cifar(dataset, "train", root=root, download=False)


def test_file_of_the_other_cifar_is_refused(at_hand) -> None:  # type: ignore[no-untyped-def]
    dataset, _, root = at_hand
    hundred, contents = small(CIFAR100)
    (root / dataset.folder / "test_batch.bin").write_bytes(contents["test.bin"])
    with pytest.raises(ValueError, match="a file of another data set"):
        load_cifar(dataset, "test", root=root, download=False)
    assert hundred.record_bytes == dataset.record_bytes + 1


def test_label_out_of_range_is_told_with_its_place(at_hand) -> None:  # type: ignore[no-untyped-def]
    dataset, contents, root = at_hand
    damaged = bytearray(contents["test_batch.bin"])
    damaged[7 * dataset.record_bytes] = 10
    (root / dataset.folder / "test_batch.bin").write_bytes(damaged)
    with pytest.raises(ValueError, match=r"test_batch.bin, record 7, must have a label from 0 to 9, got 10"):
        load_cifar(dataset, "test", root=root, download=False)


def test_files_with_unknown_checksums_are_taken_and_told(at_hand) -> None:  # type: ignore[no-untyped-def]
    dataset, _, root = at_hand
    found = load_cifar(replace(dataset, editions={}), "test", root=root, download=False)
    assert found.source == UNKNOWN


# Downloads, from servers on this machine.


def packed(dataset: CifarDataset, contents: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in contents.items():
            member = tarfile.TarInfo(f"{dataset.folder}/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def server(folder: Path) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as web:
        thread = threading.Thread(target=web.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{web.server_port}"
        web.shutdown()
        thread.join()


@pytest.fixture
def mirrored(tmp_path: Path) -> Iterator[tuple[CifarDataset, str, Path]]:
    """A small CIFAR whose archive lies on a server of this machine, under /good and, damaged, under /bad."""
    dataset, contents = small(CIFAR10)
    archive = packed(dataset, contents)
    for name, content in (("good", archive), ("bad", archive[:-100] + bytes(100))):
        (tmp_path / "web" / name).mkdir(parents=True)
        (tmp_path / "web" / name / "small.tar.gz").write_bytes(content)
    known = f"sha256:{hashlib.sha256(archive).hexdigest()}"
    with server(tmp_path / "web") as address:
        origin = Archive(
            file="small.tar.gz", size=len(archive), known_hash=known, mirrors=(f"{address}/good",)
        )
        yield replace(dataset, archive=origin), address, tmp_path / "root"


def from_mirrors(dataset: CifarDataset, *mirrors: str) -> CifarDataset:
    return replace(dataset, archive=replace(dataset.archive, mirrors=mirrors))


def left_behind(root: Path) -> list[str]:
    return sorted(path.name for path in root.rglob("*")) if root.exists() else []


def test_download_unpacks_and_is_not_repeated(mirrored, capsys) -> None:  # type: ignore[no-untyped-def]
    dataset, _, root = mirrored
    found = load_cifar(dataset, "train", root=root, download=True)
    assert found.source == OFFICIAL
    assert "%" in capsys.readouterr().err  # the progress bar
    offline = from_mirrors(dataset)
    again = load_cifar(offline, "train", root=root, download=True)
    np.testing.assert_array_equal(again.images, found.images)
    for file in (root / dataset.folder).iterdir():
        file.unlink()
    from_archive = load_cifar(from_mirrors(dataset, "http://127.0.0.1:9"), "test", root=root, download=True)
    assert len(from_archive.labels) == PER_FILE


def test_nothing_is_downloaded_unasked(mirrored) -> None:  # type: ignore[no-untyped-def]
    dataset, _, root = mirrored
    with pytest.raises(FileNotFoundError):
        load_cifar(dataset, "train", root=root, download=False)
    assert left_behind(root) == []


def test_mirrors_are_tried_in_turn(mirrored) -> None:  # type: ignore[no-untyped-def]
    dataset, address, root = mirrored
    several = from_mirrors(
        dataset, "http://127.0.0.1:9", f"{address}/missing", f"{address}/bad", f"{address}/good"
    )
    assert load_cifar(several, "test", root=root, download=True).source == OFFICIAL


def test_wrong_checksum_is_told_and_the_file_deleted(mirrored) -> None:  # type: ignore[no-untyped-def]
    dataset, address, root = mirrored
    with pytest.raises(ConnectionError, match="the checksum is wrong, so the file was deleted"):
        load_cifar(from_mirrors(dataset, f"{address}/bad"), "test", root=root, download=True)
    assert left_behind(root) == []


def test_no_network_is_told_with_every_mirror_and_what_to_do(mirrored) -> None:  # type: ignore[no-untyped-def]
    dataset, _, root = mirrored
    unreachable = from_mirrors(dataset, "http://127.0.0.1:9", "http://127.0.0.1:10")
    with pytest.raises(ConnectionError, match=r"127.0.0.1:9.*127.0.0.1:10.*by hand.*'shapes'"):
        load_cifar(unreachable, "test", root=root, download=True)
    assert left_behind(root) == []


def no_space(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_full_disk_during_download_is_told_and_nothing_left(mirrored, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    dataset, _, root = mirrored
    whole = pooch.HTTPDownloader.__call__

    def half(self, url, output_file, *rest, **options):  # type: ignore[no-untyped-def]
        Path(output_file).write_bytes(b"the first half")
        no_space()
        return whole(self, url, output_file, *rest, **options)

    monkeypatch.setattr(pooch.HTTPDownloader, "__call__", half)
    with pytest.raises(OSError, match=r"MiB free, got a full disk") as told:
        load_cifar(dataset, "test", root=root, download=True)
    assert told.value.errno == errno.ENOSPC
    assert left_behind(root) == []


def test_full_disk_during_unpacking_is_told_and_no_folder_left(mirrored, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    dataset, _, root = mirrored
    root.mkdir()
    (root / "small.tar.gz").write_bytes((root.parent / "web" / "good" / "small.tar.gz").read_bytes())
    monkeypatch.setattr("shutil.copyfileobj", no_space)
    with pytest.raises(OSError, match=r"MiB free, got a full disk"):
        load_cifar(dataset, "test", root=root, download=True)
    assert left_behind(root) == ["small.tar.gz"]  # whole, and used next time
    monkeypatch.undo()
    offline = from_mirrors(dataset, "http://127.0.0.1:9")
    assert load_cifar(offline, "test", root=root, download=True).source == OFFICIAL


def test_file_in_the_archive_must_be_the_one_expected(mirrored) -> None:  # type: ignore[no-untyped-def]
    dataset, _, root = mirrored
    sums = dict(dataset.editions[OFFICIAL], **{"test_batch.bin": "0" * 32})
    with pytest.raises(ValueError, match=r"test_batch.bin in .* must have .* MD5 0000"):
        load_cifar(replace(dataset, editions={OFFICIAL: sums}), "test", root=root, download=True)
    assert left_behind(root) == ["small.tar.gz"]


# The real images, where they are at hand.

DATA = os.environ.get("SIMAM_EDU_DATA")


@pytest.mark.skipif(not DATA, reason="set SIMAM_EDU_DATA to a folder that holds cifar-10-batches-bin")
def test_real_cifar10() -> None:
    train, test = (load("cifar10", split, root=DATA) for split in ("train", "test"))
    assert train.images.shape == (50_000, 3, 32, 32)
    assert test.images.shape == (10_000, 3, 32, 32)
    assert np.bincount(train.labels).tolist() == [5000] * 10
    assert train.labels[:10].tolist() == [6, 9, 9, 4, 1, 1, 2, 7, 8, 3]
    assert train.source != UNKNOWN
    assert train.source == test.source
    pixels = train.images[:10_000] / 255
    np.testing.assert_allclose(pixels.mean(axis=(0, 2, 3)), train.mean, atol=0.01)
    np.testing.assert_allclose(pixels.std(axis=(0, 2, 3)), train.std, atol=0.01)


# Shapes.


@pytest.fixture(scope="module")
def drawn() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return shapes.draw(600, rng=np.random.default_rng(7))


def test_shapes_are_the_same_for_the_same_seed(drawn) -> None:  # type: ignore[no-untyped-def]
    again = shapes.draw(600, rng=np.random.default_rng(7))
    for one, other in zip(drawn, again, strict=True):
        np.testing.assert_array_equal(one, other)
    assert (shapes.draw(600, rng=np.random.default_rng(8))[0] != drawn[0]).any()


def test_shapes_are_balanced_and_masked(drawn) -> None:  # type: ignore[no-untyped-def]
    images, labels, masks = drawn
    assert images.dtype == np.uint8
    assert images.shape == (600, 3, 32, 32)
    assert np.bincount(labels).tolist() == [60] * 10
    area = masks.mean(axis=(1, 2))
    assert area.min() > 0.04
    assert area.max() < 0.35


def test_splits_differ_and_their_statistics_are_those_stored() -> None:
    train, test = load("shapes", "train"), load("shapes", "test")
    assert len(train.labels) == 4000
    assert len(test.labels) == 1000
    assert (train.images[:1000] != test.images).any(axis=(1, 2, 3)).all()
    pixels = train.images / 255
    np.testing.assert_allclose(pixels.mean(axis=(0, 2, 3)), train.mean, atol=0.001)
    np.testing.assert_allclose(pixels.std(axis=(0, 2, 3)), train.std, atol=0.001)
    assert train.masks is not None
    assert "not photographs" in train.source


def test_the_object_stands_out_and_its_color_does_not_tell_the_class(drawn) -> None:  # type: ignore[no-untyped-def]
    images, labels, masks = drawn
    inside = np.array([image[:, mask].mean(axis=1) for image, mask in zip(images, masks, strict=True)])
    outside = np.array([image[:, ~mask].mean(axis=1) for image, mask in zip(images, masks, strict=True)])
    assert np.median(np.abs(inside - outside).max(axis=1)) > 40
    colors = np.concatenate([inside, outside], axis=1)
    centers = np.array([colors[:300][labels[:300] == k].mean(axis=0) for k in range(10)])
    guesses = np.linalg.norm(colors[300:, None] - centers, axis=2).argmin(axis=1)
    assert (guesses == labels[300:]).mean() < 0.2


def test_shapes_differ_from_each_other() -> None:
    axis = np.linspace(-1.2, 1.2, 97)
    u, v = (grid.ravel() for grid in np.meshgrid(axis, axis))
    drawn = [inside(u, v) for inside in shapes.SHAPES.values()]
    for k, one in enumerate(drawn):
        for other in drawn[:k]:
            assert (one & other).sum() / (one | other).sum() < 0.85


@pytest.mark.parametrize("n", [0, -10, 15])
def test_shapes_come_in_tens(n: int) -> None:
    with pytest.raises(ValueError, match="n must be a positive multiple of 10"):
        shapes.draw(n, rng=np.random.default_rng(0))


@pytest.mark.parametrize(
    ("name", "split", "message"),
    [("cifar", "train", "name must be one of cifar10, cifar100, shapes"), ("shapes", "val", "split must be")],
)
def test_unknown_names_are_refused(name: str, split: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load(name, split)  # type: ignore[arg-type]
