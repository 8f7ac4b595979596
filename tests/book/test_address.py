"""The address of the repository: one command sets it, and nothing else repeats it."""

import shutil
import subprocess

import pytest

import address
import notebooks
from notebooks import COLAB, repository, site
from pages import ROOT

FORK = "https://github.com/someone-else/a.fork"


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """The files that hold the address, in a folder of their own that the program works in."""
    for name in address.FILES:
        shutil.copy(ROOT / name, tmp_path / name)
    shutil.copytree(COLAB, tmp_path / "colab")
    monkeypatch.setattr(address, "COLAB", tmp_path / "colab")
    for module in (address, notebooks):
        monkeypatch.setattr(module, "ROOT", tmp_path)
    return tmp_path


def texts(folder):
    return {path: path.read_text("utf-8") for path in folder.rglob("*") if path.is_file()}


def test_make_address_sets_the_address_in_every_file_and_can_be_undone(copy):
    before, old = texts(copy), (repository(), site())
    assert address.main(f"{FORK}.git") == 0
    after = texts(copy)
    assert all(FORK in text for text in after.values())
    assert not [path for path, text in after.items() if any(url in text for url in old)]
    assert "https://someone-else.github.io/a.fork/" in after[copy / "README.md"]
    address.main(old[0])
    assert texts(copy) == before


@pytest.mark.parametrize("url", ["", "github.com/a/b", "https://github.com/a", "https://a.org/a/b"])
def test_make_address_refuses_what_is_no_repository_and_changes_nothing(copy, url, capsys):
    before = texts(copy)
    assert (address.main(url), texts(copy)) == (1, before)
    assert f"URL must be like https://github.com/owner/name, got {url!r}" in capsys.readouterr().out


def test_the_address_stands_where_make_address_sets_it_and_nowhere_else():
    either = f"{repository()}|{site()}"
    command = ["grep", "-rlIE", "--exclude-dir=__pycache__", "--exclude-dir=*.egg-info", either]
    files = [path.name for path in ROOT.iterdir() if path.is_file()]
    command += ["book", "src", "tools", ".github", ".ci", *files]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    colab = {path.relative_to(ROOT).as_posix() for path in COLAB.glob("*.ipynb")}
    assert set(run.stdout.split()) == {*address.FILES, *colab}
