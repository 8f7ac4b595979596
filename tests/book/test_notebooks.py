"""The notebooks in `book/colab`: each reads like its page, and runs where only the package is."""

import ast
import copy
import functools
import re
import sys
import tomllib
from importlib.metadata import packages_distributions

import nbformat
import pytest
from nbclient import NotebookClient

import notebooks
from book_extension import open_in_colab
from notebooks import COLAB, fill, printing
from pages import BOOK, ROOT, code_cells, notebook_pages

PAGES = notebook_pages()
INSTALLED = packages_distributions()
by_name = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)

# What MyST has and Markdown in a notebook has not.
RAW = re.compile(
    r"\{[a-z][\w:+-]*\}`"  # a role
    r"|^[> ]*(?:`{3,}|:{3,}) *\{"  # a directive
    r"|^[> ]*:{3,}|^\([\w-]+\)= *$|^%|^:[\w-]+:"  # its end, a target, a comment, an option
    r"|\$\$ *\([\w-]+\)"  # the label of an equation
    r"|\{\{ *\w+ *\}\}(?![^$]*\$)|\[\^\w+\]"  # a substitution, a footnote
    r"|[\ue000-\ue002]",  # a place that nothing has filled
    re.MULTILINE,
)


@functools.cache
def committed(page):
    return nbformat.read(COLAB / f"{page.stem}.ipynb", as_version=4)


def sources(notebook, kind):
    return [cell.source for cell in notebook.cells if cell.cell_type == kind]


def test_each_notebook_has_its_page_and_each_page_its_notebook():
    assert {path.stem for path in COLAB.iterdir()} == {page.stem for page in PAGES}
    assert not list(BOOK.glob("*.ipynb")), "the notebooks stand in book/colab"


@by_name
def test_the_notebook_is_that_of_its_page_and_has_nothing_raw(page):
    assert notebooks.is_current(page)
    notebook = committed(page)
    nbformat.validate(notebook)
    assert all(not cell.outputs for cell in notebook.cells if cell.cell_type == "code")
    for source in sources(notebook, "markdown"):
        assert not RAW.search(source), source


@pytest.mark.parametrize(
    "raw",
    [
        *("{eq}`eq-a`", "{glue:text}`a`", "```{note}", "> :::{tip}", ":::", "(a-b)=", "% aside"),
        *("$$ (eq-a)", "{{ name }}", "a[^1]", ":class: tip", "\ue000doc\ue001a\ue002"),
    ],
)
def test_raw_text_is_found(raw):
    assert RAW.search(f"words\n{raw}\nwords")


@by_name
def test_equations_are_numbered_in_their_order_and_what_is_cited_is_listed(page):
    """The chapter, then one, two, three; the appendices are counted on, one after the other."""
    text = page.read_text("utf-8")
    shown = "\n".join(sources(committed(page), "markdown"))
    tags = re.findall(r"\\tag\{(?:(\d+)\.)?(\d+)\}", shown)
    assert len(tags) == len(re.findall(r"^\$\$ \([\w-]+\)", text, flags=re.MULTILINE))
    first = 1 if any(chapter for chapter, _ in tags) else int(tags[0][1]) if tags else 1
    assert [int(number) for _, number in tags] == list(range(first, first + len(tags)))
    assert len({chapter for chapter, _ in tags}) <= 1
    cited = {key for keys in re.findall(r"\{cite:[pt]\}`([^`]+)`", text) for key in keys.split(",")}
    listed = shown.partition("## References\n")[2]
    assert listed.count("\n- ") == len(cited)


@by_name
def test_code_needs_the_package_and_what_it_depends_on(page):
    """And nothing of the tools that build the book: so a notebook runs wherever the package is."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    allowed = {re.match(r"[\w-]+", name)[0].lower() for name in project["dependencies"]}
    # A notebook has IPython, and a GPU build of torch has Triton.
    allowed |= {project["name"], "ipython", "triton"}
    for source in sources(committed(page), "code")[1:]:
        assert "glue" not in source
        for node in ast.walk(ast.parse(source)):
            modules = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            modules += [node.module] if isinstance(node, ast.ImportFrom) else []
            for top in {module.partition(".")[0] for module in modules} - sys.stdlib_module_names:
                names = {name.lower() for name in INSTALLED.get(top, [top])}
                assert names & allowed, f"{top} is not among what the package depends on"


@by_name
def test_what_the_page_hides_is_folded_and_nothing_else(page):
    cells = [cell for cell in committed(page).cells if cell.cell_type == "code"]
    assert "simam-edu @ git+https://" in cells[0].source, "the first cell installs the package"
    hidden = {"hide-cell", "remove-cell"}
    hides = [bool(hidden & cell.tags) for cell in code_cells(page.read_text("utf-8"))]
    assert [cell.metadata == notebooks.FOLDED for cell in cells] == [False, *hides]


def test_a_notebook_runs_in_a_folder_of_its_own_without_the_tools_of_the_book(tmp_path):
    notebook = copy.deepcopy(committed(BOOK / "index.md"))
    bare = "import sys\nsys.modules['myst_nb'] = None"
    notebook.cells.insert(0, nbformat.v4.new_code_cell(bare))
    where = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources=where).execute()


PAGE = """---
kernelspec:
  display_name: Python 3
  name: python3
---
# A title

```{note} Mind $x$
:class: tip
See {eq}`eq-a`.

$$
a
= b
$$ (eq-a)
```

(section)=
## A section
% an aside
Of `{eq}` and ``{doc}`x` `` and {ref}`words <section>`, {cite:p}`one,two`.

```text
{doc}`as it is`
```

```{dropdown} A hint
Look.
```

```{figure-move} bowl
:name: fig-bowl
:alt: A bowl.

Its lowest point.
```

```{predict} Is $a$ large?
:right: 1

- yes
- no

It is.
```

```{index} a, b
```

```{table} Sizes
:name: tab-a

| a |
|---|
| 1 |
```

```{code-cell} ipython3
from myst_nb import glue
a = 1
for n in range(2):
    glue(
        f"a-{n}",
        f"{a:.2f}", display=False)
```
"""


def drafted(text, tmp_path):
    page = tmp_path / "page.md"
    page.write_text(text, encoding="utf-8")
    return notebooks.draft(page)


def test_each_construct_becomes_what_a_notebook_shows(tmp_path):
    notebook = fill(drafted(PAGE, tmp_path), lambda role, content: f"<{role} {content}>")
    text, references = sources(notebook, "markdown")
    assert re.split(r"\n{2,}", text) == [
        "# A title",
        "> **Mind $x$**\n>\n> See <eq eq-a>.\n>\n> $$ a = b \\tag{<number eq-a>} $$",
        "## A section\nOf `{eq}` and ``{doc}`x` `` and <ref words <section>>, <cite:p one,two>.",
        "```text\n{doc}`as it is`\n```",
        "<details><summary>A hint</summary>",
        "Look.",
        "</details>",
        "> **A figure to move** stands on <page fig-bowl>. Its lowest point.",
        "**Predict first.** Is $a$ large?",
        "- yes\n- no",
        "<details><summary>The answer</summary>",
        "It is.",
        "</details>",
        "*Sizes*",
        "| a |\n|---|\n| 1 |",
    ]
    assert references == "## References\n\n- <reference one>\n- <reference two>"
    code = sources(notebook, "code")[1]
    assert code == 'a = 1\nfor n in range(2):\n    print(f"a-{n}:", f"{a:.2f}")'


@pytest.mark.parametrize("text", ["{abbr}`a`", "```{tabs}\n```", ":::{figure} a.png\n:::"])
def test_what_has_no_form_in_a_notebook_is_refused(text, tmp_path):
    with pytest.raises(ValueError, match=r"say in tools/notebooks\.py how"):
        drafted(PAGE + text + "\n", tmp_path)


@pytest.mark.parametrize(
    ("old", "new"),
    [("a = 1", "a = 2"), ("## A s", "## The s"), ("Look.", "Look. And look."), ("one,", "")],
)
def test_a_page_that_has_changed_is_told(old, new, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(notebooks, "COLAB", tmp_path)
    monkeypatch.setattr(notebooks, "notebook_pages", lambda: [tmp_path / "page.md"])
    notebook = fill(drafted(PAGE, tmp_path), lambda *_: "1.5 [and](more)")
    nbformat.write(notebook, tmp_path / "page.ipynb")
    assert notebooks.main() == 0
    names = {cell.id for cell in notebook.cells}
    after = {cell.id for cell in drafted(PAGE.replace(old, new), tmp_path).cells}
    assert len(names - after) <= 2, "all other cells keep their names"
    assert notebooks.main() == 1
    assert "run `make notebooks`: book/colab/page.ipynb" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("source", "printed"),
    [
        ("import numpy as np\nfrom myst_nb import glue", "import numpy as np"),
        ('glue("a", 1)\nglue("b", f(2), display=False)', 'print("a:", 1)\nprint("b:", f(2))'),
        ("glue(name, 1)", 'print(name + ":", 1)'),
        ('glue(\n    "a",\n    1,\n)\nglue("b", 2)', 'print("a:", 1)\nprint("b:", 2)'),
    ],
)
def test_glue_prints_in_a_notebook_and_its_import_is_taken_out(source, printed):
    assert printing(source) == printed


def test_the_button_opens_the_notebook_in_its_folder():
    github = "https://host/github/a/b/blob/main/book"
    buttons = [{"text": "Colab", "url": f"{github}/gain.md"}, {"text": ".md"}]
    context = {"header_buttons": [{}, {"buttons": buttons}]}
    open_in_colab(None, "book/gain", "page.html", context, None)
    assert buttons[0]["url"] == f"{github}/colab/gain.ipynb"
