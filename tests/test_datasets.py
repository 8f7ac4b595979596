"""Loading by name, and downloads: what is refused, and that no half of a file is taken for whole."""

import contextlib
import errno
import hashlib
import os
import threading
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pooch
import pytest

from records import packed
from simam_edu.datasets import cifar, cifar_files, load
from simam_edu.datasets.download import fetch

FILES = {name: np.random.default_rng(seed).bytes(3000) for seed, name in enumerate(["one.bin", "two.bin"])}
NOBODY = "http://127.0.0.1:9"  # the discard port: a connection is refused at once


# By name.


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


GOOD, FLAT = packed("folder/", FILES), packed("", FILES)


@pytest.fixture
def web(tmp_path):
    """The address of mirrors: good, broken off, bad (damaged), flat (packed anew), no tar."""
    contents = {"good": GOOD, "broken": GOOD, "bad": GOOD[:-50] + bytes(50), "flat": FLAT}
    for name, content in (contents | {"not_tar": b"<html>not here</html>"}).items():
        (tmp_path / "web" / name).mkdir(parents=True)
        (tmp_path / "web" / name / "small.tar.gz").write_bytes(content)
    with server(tmp_path / "web") as address:
        yield address


def fetch_from(mirrors, root):
    """Fetch the small archive; mirrors are addresses, with a checksum where it is not the good one."""
    checked = dict(mirror if isinstance(mirror, tuple) else (mirror, sha256(GOOD)) for mirror in mirrors)
    return fetch("small.tar.gz", checked, root)


def left_behind(root):
    return sorted(str(path.relative_to(root)) for path in root.rglob("*")) if root.exists() else []


WHOLE = ["small.tar.gz"]


@pytest.mark.parametrize("before", [None, GOOD[:-1]], ids=["nothing", "a damaged archive"])
def test_what_is_not_at_hand_whole_is_fetched_with_a_progress_bar(before, web, tmp_path, capsys):
    if before:
        (tmp_path / "root").mkdir()
        (tmp_path / "root" / "small.tar.gz").write_bytes(before)
    assert fetch_from([f"{web}/good"], tmp_path / "root").read_bytes() == GOOD
    assert left_behind(tmp_path / "root") == WHOLE
    assert "%" in capsys.readouterr().err


@pytest.mark.parametrize("content", [GOOD, FLAT], ids=["good", "packed anew"])
def test_an_archive_at_hand_is_not_fetched_again(content, tmp_path):
    (tmp_path / "small.tar.gz").write_bytes(content)
    fetch_from([NOBODY, (f"{NOBODY}/flat", sha256(FLAT))], tmp_path)
    assert left_behind(tmp_path) == WHOLE


@pytest.mark.parametrize("before", ["missing", "broken", "bad", "not_tar"])
@pytest.mark.parametrize("last", [("good", GOOD), ("flat", FLAT)], ids=["good", "packed anew"])
def test_a_mirror_that_fails_is_followed_by_the_next(before, last, web, tmp_path):
    name, content = last
    fetched = fetch_from([NOBODY, f"{web}/{before}", (f"{web}/{name}", sha256(content))], tmp_path / "root")
    assert fetched.read_bytes() == content
    assert left_behind(tmp_path / "root") == WHOLE


DAMAGED = "checksum is wrong, so the file was deleted|ChunkedEncoding|IncompleteRead"
NETWORK = r"127.0.0.1:9: Connect.*/missing: 404.*check the network.*by hand.*'shapes'"


@pytest.mark.parametrize(
    ("mirrors", "message"),
    [(["broken"], DAMAGED), (["bad"], DAMAGED), ([NOBODY, "missing"], NETWORK)],
    ids=["broken off", "damaged", "no network"],
)
def test_what_no_mirror_gives_is_told_with_each_of_them_and_nothing_is_left(mirrors, message, web, tmp_path):
    with pytest.raises(ConnectionError, match=message):
        fetch_from([name if name == NOBODY else f"{web}/{name}" for name in mirrors], tmp_path / "root")
    assert left_behind(tmp_path / "root") == []


def test_full_disk_during_download_is_told_and_nothing_left(web, tmp_path, monkeypatch):
    def half(_self, _url, output_file, _pooch):
        Path(output_file).write_bytes(GOOD[:100])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(pooch.HTTPDownloader, "__call__", half)
    with pytest.raises(OSError, match=r"root must have about \d+ MB free, got a full disk; free") as told:
        fetch_from([f"{web}/good", f"{web}/flat"], tmp_path / "root")
    assert told.value.errno == errno.ENOSPC
    assert left_behind(tmp_path / "root") == []


def test_a_wrong_archive_at_hand_is_told_where_nothing_better_comes(tmp_path):
    (tmp_path / "small.tar.gz").write_bytes(b"<html>not here</html>")
    with pytest.raises(ConnectionError, match=r"small.tar.gz is there, but has none of the known checksums"):
        fetch_from([NOBODY], tmp_path)


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS, errno.EPERM])
def test_a_place_that_cannot_be_written_is_told_with_what_to_do(code, web, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError(code, os.strerror(code), "tmpx7q2")

    monkeypatch.setattr(pooch.core, "temporary_file", refuse)
    with pytest.raises(OSError, match=r"must be a folder that can be written, got .*--data") as told:
        fetch_from([f"{web}/good"], tmp_path)
    assert str(tmp_path) in str(told.value)
    assert "tmpx7q2" not in str(told.value)
    assert left_behind(tmp_path / "root") == []


def test_a_file_in_the_place_of_the_folder_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"file must be a folder that can be written"):
        fetch_from([NOBODY], tmp_path / "file")


@pytest.mark.parametrize("dataset", cifar_files.DATASETS.values(), ids=lambda dataset: dataset.name)
def test_mirrors_begin_with_the_origin_and_are_checked(dataset):
    mirrors = dataset.binary.mirrors
    assert next(iter(mirrors)) == "https://www.cs.toronto.edu/~kriz"
    digits = {"md5": 32, "sha1": 40, "sha256": 64}
    for address, known_hash in mirrors.items():
        algorithm, digest = known_hash.split(":")
        assert address.startswith("https://")
        assert len(bytes.fromhex(digest)) * 2 == digits[algorithm]


@pytest.mark.parametrize("told_by", ["root", "SIMAM_EDU_DATA"])
def test_load_downloads_where_it_is_told_to(told_by, web, tmp_path, monkeypatch):
    """One pass through all layers, as far as a small archive goes: its files are not those of CIFAR-10."""
    full, mirrors = cifar_files.CIFAR10, {f"{web}/good": sha256(GOOD)}
    small = replace(full, binary=replace(full.binary, archive="small.tar.gz", mirrors=mirrors))
    monkeypatch.setitem(cifar.DATASETS, "cifar10", small)
    monkeypatch.setattr(cifar, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setenv("SIMAM_EDU_DATA", str(tmp_path / "place" if told_by != "root" else tmp_path / "no"))
    root = tmp_path / "place" if told_by == "root" else None
    with pytest.raises(FileNotFoundError, match=r"small.tar.gz, which does not hold them"):
        load("cifar10", "train", root=root, download=True)
    assert left_behind(tmp_path / "place") == WHOLE
    assert not (tmp_path / "no").exists()
    assert not (tmp_path / "cache").exists()
