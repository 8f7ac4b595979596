"""Loading by name, and downloads: what is refused, and that no half of a file is left behind."""

import contextlib
import hashlib
import threading
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from records import packed
from simam_edu.datasets import cifar, cifar_files, load
from simam_edu.datasets.download import fetch

NOBODY = "http://127.0.0.1:9"  # the discard port: a connection is refused at once
GOOD = packed("folder/", {"one.bin": np.random.default_rng(0).bytes(3000)})
FLAT = packed("", {"one.bin": b"packed anew"})
WHOLE = ["small.tar.gz"]


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
def test_missing_files_are_told_with_the_places_and_what_to_do(name, tmp_path, monkeypatch):
    monkeypatch.setattr(cifar, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setenv("SIMAM_EDU_DATA", str(tmp_path / "named"))
    with pytest.raises(FileNotFoundError, match=r"named and .*cache; .*download=True.*'shapes'"):
        load(name, "train")
    with pytest.raises(FileNotFoundError, match="root; pass"):  # an explicit place is the only one
        load(name, "train", root=str(tmp_path / "root"))


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
    handler = partial(Mirror, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as web:
        thread = threading.Thread(target=web.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{web.server_port}"
        finally:
            web.shutdown()
            thread.join()


@pytest.fixture
def web(tmp_path, monkeypatch):
    """The address of mirrors: good, broken off, bad (damaged) and flat (packed anew)."""
    monkeypatch.setenv("NO_PROXY", "*")
    damaged = GOOD[:-50] + bytes(50)
    contents = {"good": GOOD, "broken": GOOD, "bad": damaged, "flat": FLAT}
    for name, content in contents.items():
        (tmp_path / "web" / name).mkdir(parents=True)
        (tmp_path / "web" / name / "small.tar.gz").write_bytes(content)
    with server(tmp_path / "web") as address:
        yield address


def left_behind(root):
    return sorted(path.name for path in root.iterdir()) if root.exists() else []


@pytest.mark.parametrize("before", [None, GOOD[:-1]], ids=["nothing", "a damaged archive"])
def test_what_is_not_at_hand_whole_is_fetched_with_a_progress_bar(before, web, tmp_path, capsys):
    root = tmp_path / "root"
    if before:
        root.mkdir()
        (root / "small.tar.gz").write_bytes(before)
    fetched = fetch("small.tar.gz", {f"{web}/good": sha256(GOOD)}, root)
    assert fetched.read_bytes() == GOOD
    assert left_behind(root) == WHOLE
    assert "%" in capsys.readouterr().err


@pytest.mark.parametrize("before", ["missing", "broken", "bad"])
def test_a_mirror_that_fails_is_followed_by_the_next_with_its_own_checksum(before, web, tmp_path):
    good = sha256(GOOD)
    mirrors = {NOBODY: good, f"{web}/{before}": good, f"{web}/flat": sha256(FLAT)}
    assert fetch("small.tar.gz", mirrors, tmp_path / "root").read_bytes() == FLAT
    assert left_behind(tmp_path / "root") == WHOLE


@pytest.mark.parametrize(
    ("mirror", "message"),
    [("missing", "404"), ("broken", "broken: "), ("bad", "does not match the known hash")],
)
def test_what_no_mirror_gives_is_told_and_nothing_is_left(mirror, message, web, tmp_path):
    mirrors = dict.fromkeys((NOBODY, f"{web}/{mirror}"), sha256(GOOD))
    with pytest.raises(ConnectionError, match=rf"127.0.0.1:9: .*{message}.*by hand.*'shapes'"):
        fetch("small.tar.gz", mirrors, tmp_path / "root")
    assert left_behind(tmp_path / "root") == []


@pytest.mark.parametrize("dataset", cifar_files.DATASETS.values(), ids=lambda dataset: dataset.name)
def test_mirrors_begin_with_the_origin_and_are_checked(dataset):
    assert next(iter(dataset.mirrors)) == "https://www.cs.toronto.edu/~kriz"
    for address, known_hash in dataset.mirrors.items():
        algorithm, digest = known_hash.split(":")
        assert address.startswith("https://")
        assert len(bytes.fromhex(digest)) == hashlib.new(algorithm).digest_size


@pytest.mark.parametrize("told_by", ["root", "SIMAM_EDU_DATA"])
def test_load_downloads_where_it_is_told_to(told_by, web, tmp_path, monkeypatch):
    """One pass through all layers: the small archive has no files of CIFAR-10."""
    mirrors = {f"{web}/good": sha256(GOOD)}
    binary = replace(cifar_files.CIFAR10.binary, archive="small.tar.gz")
    small = replace(cifar_files.CIFAR10, binary=binary, mirrors=mirrors)
    monkeypatch.setitem(cifar.DATASETS, "cifar10", small)
    monkeypatch.setattr(cifar, "cache_folder", lambda: tmp_path / "cache")
    root = tmp_path / "place" if told_by == "root" else None
    monkeypatch.setenv("SIMAM_EDU_DATA", str(tmp_path / ("no" if root else "place")))
    with pytest.raises(FileNotFoundError, match="got no such files"):
        load("cifar10", "train", root=root, download=True)
    assert left_behind(tmp_path / "place") == WHOLE
    assert left_behind(tmp_path / "no") == left_behind(tmp_path / "cache") == []
