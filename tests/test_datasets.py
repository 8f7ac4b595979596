"""Loading by name, and downloads: what is refused, and that no half of a file is taken for whole."""

import contextlib
import errno
import hashlib
import io
import os
import tarfile
import threading
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pooch
import pytest

from simam_edu.datasets import NAMES, cifar, cifar_files, load
from simam_edu.datasets.download import Archive, fetch

FILES = {name: np.random.default_rng(seed).bytes(3000) for seed, name in enumerate(["one.bin", "two.bin"])}
NOBODY = "http://127.0.0.1:9"  # the discard port: a connection is refused at once


# By name.


def test_names_are_those_of_the_data_sets():
    assert NAMES == ("cifar10", "cifar100", "shapes")


@pytest.mark.parametrize(
    ("name", "split", "message"),
    [
        ("cifar", "train", "name must be one of cifar10, cifar100, shapes, got 'cifar'"),
        ("shapes", "val", "split must be 'train' or 'test', got 'val'"),
    ],
)
def test_unknown_names_are_refused(name, split, message):
    with pytest.raises(ValueError, match=message):
        load(name, split)


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_missing_files_are_told_with_what_to_do(name, tmp_path, monkeypatch):
    monkeypatch.setattr(cifar, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setenv("SIMAM_EDU_DATA", str(tmp_path / "named"))
    with pytest.raises(FileNotFoundError, match=r"download=True .*SIMAM_EDU_DATA.*'shapes'") as told:
        load(name, "train")
    for place in ("named", "cache"):
        assert str(tmp_path / place) in str(told.value), "says where it looked"
    with pytest.raises(FileNotFoundError, match="root") as told:
        load(name, "train", root=str(tmp_path / "root"))
    assert "cache" not in str(told.value), "an explicit place is the only one"


# Downloads, from servers on this machine.


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "*")


def packed(folder="folder/", files=FILES):
    """A tar file of small files, each under a path that begins with folder."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(f"{folder}{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def sha256(content):
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


class Mirror(SimpleHTTPRequestHandler):
    """Serves a folder; breaks off in the middle of what lies under /broken."""

    def log_message(self, *_):
        pass

    def copyfile(self, source, outputfile):
        content = source.read()
        outputfile.write(content[: len(content) // 2] if "/broken/" in self.path else content)


@contextlib.contextmanager
def server(folder):
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Mirror, directory=str(folder))) as web:
        thread = threading.Thread(target=web.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{web.server_port}"
        finally:
            web.shutdown()
            thread.join()


GOOD, FLAT, OTHER = packed(), packed(""), packed(files=FILES | {"two.bin": bytes(3000)})


@pytest.fixture
def web(tmp_path):
    """The address of mirrors: good, broken off, bad (damaged), flat (packed anew), other files, no tar."""
    contents = {"good": GOOD, "broken": GOOD, "bad": GOOD[:-50] + bytes(50), "flat": FLAT, "other": OTHER}
    for name, content in (contents | {"not_tar": b"<html>not here</html>"}).items():
        (tmp_path / "web" / name).mkdir(parents=True)
        (tmp_path / "web" / name / "small.tar.gz").write_bytes(content)
    with server(tmp_path / "web") as address:
        yield address


def fetch_from(mirrors, root):
    """Fetch the small files; mirrors are addresses, with a checksum where it is not the good one."""
    sums = {name: hashlib.md5(content).hexdigest() for name, content in FILES.items()}
    checked = dict(mirror if isinstance(mirror, tuple) else (mirror, sha256(GOOD)) for mirror in mirrors)
    archive = Archive(file="small.tar.gz", size=len(GOOD), mirrors=checked)
    return fetch(archive, root, folder="folder", sizes=dict.fromkeys(FILES, 3000), md5s=sums)


def left_behind(root):
    return sorted(str(path.relative_to(root)) for path in root.rglob("*")) if root.exists() else []


WHOLE = ["folder", "folder/one.bin", "folder/two.bin", "small.tar.gz"]


def test_download_is_unpacked_with_a_progress_bar(web, tmp_path, capsys):
    folder = fetch_from([f"{web}/good"], tmp_path / "root")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == FILES
    assert left_behind(tmp_path / "root") == WHOLE
    assert "%" in capsys.readouterr().err


def test_an_archive_at_hand_is_not_fetched_again(tmp_path):
    for content in (GOOD, FLAT):
        (tmp_path / "small.tar.gz").write_bytes(content)
        fetch_from([NOBODY, (f"{NOBODY}/flat", sha256(FLAT))], tmp_path)
        assert left_behind(tmp_path) == WHOLE


def test_a_damaged_archive_at_hand_is_fetched_again(web, tmp_path):
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "small.tar.gz").write_bytes(GOOD[:-1])
    fetch_from([f"{web}/good"], tmp_path / "root")
    assert (tmp_path / "root" / "small.tar.gz").read_bytes() == GOOD


@pytest.mark.parametrize("broken", ["missing", "broken", "bad", "not_tar"])
def test_a_mirror_that_fails_is_followed_by_the_next(broken, web, tmp_path):
    fetch_from([NOBODY, f"{web}/{broken}", f"{web}/good"], tmp_path / "root")
    assert left_behind(tmp_path / "root") == WHOLE


def test_a_mirror_may_have_packed_the_same_files_anew(web, tmp_path):
    fetch_from([NOBODY, (f"{web}/flat", sha256(FLAT))], tmp_path / "root")
    assert left_behind(tmp_path / "root") == WHOLE


@pytest.mark.parametrize("broken", ["broken", "bad"])
def test_a_wrong_download_is_told_and_deleted(broken, web, tmp_path):
    with pytest.raises(
        ConnectionError, match=r"checksum is wrong, so the file was deleted|ChunkedEncoding|IncompleteRead"
    ):
        fetch_from([f"{web}/{broken}"], tmp_path / "root")
    assert left_behind(tmp_path / "root") == []


def test_wrong_files_in_an_archive_are_told_and_deleted(web, tmp_path):
    root = tmp_path / "root"
    with pytest.raises(ConnectionError, match=r"two.bin in .* must have 3000 bytes and MD5 .* was deleted"):
        fetch_from([(f"{web}/other", sha256(OTHER))], root)
    assert left_behind(root) == []
    fetch_from([(f"{web}/other", sha256(OTHER)), f"{web}/good"], root)
    assert left_behind(root) == WHOLE


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (packed(files={"one.bin": FILES["one.bin"]}), "must hold two.bin, got no such file"),
        (b"no tar file", "must be a whole tar file"),
        (GOOD[:-1000], "must be a whole tar file"),
        (GOOD[:3000] + bytes(8) + GOOD[3008:], "MD5|must be a whole tar file"),
    ],
    ids=["a file missing", "another format", "cut", "damaged"],
)
def test_an_archive_that_does_not_unpack_is_told_and_deleted(content, message, tmp_path):
    (tmp_path / "small.tar.gz").write_bytes(content)
    with pytest.raises(ConnectionError, match=message):
        fetch_from([(NOBODY, sha256(content))], tmp_path)
    assert left_behind(tmp_path) == []


def test_no_file_of_an_archive_leaves_its_folder(tmp_path):
    content = packed("../../")
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "small.tar.gz").write_bytes(content)
    fetch_from([(NOBODY, sha256(content))], tmp_path / "root")
    assert left_behind(tmp_path) == ["root", *(f"root/{path}" for path in WHOLE)]


def test_no_network_is_told_with_every_mirror_and_what_to_do(web, tmp_path):
    with pytest.raises(
        ConnectionError, match=r"127.0.0.1:9: Connect.*/missing: 404.*check the network.*by hand.*'shapes'"
    ):
        fetch_from([NOBODY, f"{web}/missing"], tmp_path / "root")
    assert left_behind(tmp_path / "root") == []


def no_space(*_, **__):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_full_disk_during_download_is_told_and_nothing_left(web, tmp_path, monkeypatch):
    def half(_self, _url, output_file, _pooch):
        Path(output_file).write_bytes(GOOD[:100])
        no_space()

    monkeypatch.setattr(pooch.HTTPDownloader, "__call__", half)
    with pytest.raises(OSError, match=r"root must have about \d+ MiB free, got a full disk; free") as told:
        fetch_from([f"{web}/good", f"{web}/flat"], tmp_path / "root")
    assert told.value.errno == errno.ENOSPC
    assert left_behind(tmp_path / "root") == []


@pytest.mark.parametrize("step", ["shutil.copyfileobj", "os.replace"])
def test_full_disk_during_unpacking_leaves_no_half(step, tmp_path, monkeypatch):
    (tmp_path / "small.tar.gz").write_bytes(GOOD)
    with monkeypatch.context() as patch:
        patch.setattr(step, no_space)
        with pytest.raises(OSError, match="got a full disk"):
            fetch_from([NOBODY], tmp_path)
    assert [path for path in left_behind(tmp_path) if path != "folder"] == ["small.tar.gz"]
    fetch_from([NOBODY], tmp_path)  # the archive is whole, and used
    assert left_behind(tmp_path) == WHOLE


@pytest.mark.parametrize("dataset", cifar_files.DATASETS.values(), ids=lambda dataset: dataset.name)
def test_mirrors_begin_with_the_origin_and_are_checked(dataset):
    mirrors = dataset.archive.mirrors
    assert next(iter(mirrors)) == "https://www.cs.toronto.edu/~kriz"
    digits = {"md5": 32, "sha1": 40, "sha256": 64}
    for address, known_hash in mirrors.items():
        algorithm, digest = known_hash.split(":")
        assert address.startswith("https://")
        assert len(bytes.fromhex(digest)) * 2 == digits[algorithm]


def test_load_downloads_where_it_is_told_to(web, tmp_path, monkeypatch):
    """One pass through all layers, as far as a small archive goes: its files are not those of CIFAR-10."""
    archive = replace(cifar_files.CIFAR10.archive, file="small.tar.gz", mirrors={f"{web}/good": sha256(GOOD)})
    small = replace(cifar_files.CIFAR10, archive=archive)
    monkeypatch.setitem(cifar.DATASETS, "cifar10", small)
    with pytest.raises(ConnectionError, match=r"must hold data_batch_1.bin"):
        load("cifar10", "train", root=tmp_path / "root", download=True)
    assert left_behind(tmp_path / "root") == []
