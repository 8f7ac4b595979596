"""The address of the repository: one command sets it, and nothing else repeats it."""

import json
import re
import shutil

import pytest

import address
import notebooks
from notebooks import COLAB, cell_id, repository, site
from pages import ROOT

FORK = "https://github.com/someone-else/a.fork"
FOLDERS = ("book", "src", "tools", ".github", ".ci")
TEXTS = {".md", ".py", ".yml", ".toml", ".cff", ".bib", ".js", ".css", ".ipynb", ""}


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
    paths = [folder / name for name in address.FILES] + sorted((folder / "colab").iterdir())
    return {path.name: path.read_text("utf-8") for path in paths}


def test_make_address_sets_the_address_in_every_file_and_can_be_undone(copy):
    before, old = texts(copy), (repository(), site())
    assert address.main(f"{FORK}.git") == 0
    after = texts(copy)
    assert all(FORK in text for text in after.values())
    assert not [name for name, text in after.items() if any(url in text for url in old)]
    assert "https://someone-else.github.io/a.fork/" in after["README.md"]
    address.main(old[0])
    assert texts(copy) == before


def test_make_address_names_the_installing_cell_of_a_notebook_after_its_source(copy):
    address.main(FORK)
    for path in (copy / "colab").iterdir():
        cell = json.loads(path.read_text("utf-8"))["cells"][0]
        assert cell["id"] == cell_id("code", "".join(cell["source"]))


@pytest.mark.parametrize("url", ["", "github.com/a/b", "https://github.com/a", "https://host.org/a/b"])
def test_make_address_refuses_what_is_no_repository_and_changes_nothing(copy, url, capsys):
    before = texts(copy)
    assert (address.main(url), texts(copy)) == (1, before)
    assert f"URL must be like https://github.com/owner/name, got {url!r}" in capsys.readouterr().out


def test_the_address_stands_where_make_address_sets_it_and_nowhere_else():
    files = [path for path in ROOT.iterdir() if path.is_file()]
    files += [path for name in FOLDERS for path in (ROOT / name).rglob("*") if path.is_file()]
    made = re.compile(r"__pycache__|\.egg-info")  # by Python and by pip, from the files that are read
    read = {p: p.read_text("utf-8") for p in files if p.suffix in TEXTS and not made.search(str(p))}
    holders = {path for path, text in read.items() if repository() in text or site() in text}
    assert holders == {ROOT / name for name in address.FILES} | set(COLAB.glob("*.ipynb"))
