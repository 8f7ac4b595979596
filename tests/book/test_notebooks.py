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
from notebooks import COLAB, fill, printing, site
from pages import BOOK, ROOT, code_cells, notebook_pages

PAGES = notebook_pages()
INSTALLED = packages_distributions()
read_places = functools.cache(notebooks.read_places)
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


def text_of(page):
    return page.read_text(encoding="utf-8")


@functools.cache
def committed(page):
    return nbformat.read(COLAB / f"{page.stem}.ipynb", as_version=4)


def sources(notebook, kind):
    return [cell.source for cell in notebook.cells if cell.cell_type == kind]


def test_each_notebook_has_its_page_and_each_page_its_notebook():
    assert {path.stem for path in COLAB.iterdir()} == {page.stem for page in PAGES}
    assert not list(BOOK.glob("*.ipynb")), "the notebooks stand in book/colab"


@by_name
def test_the_notebook_says_what_its_page_says(page):
    places = read_places(page)
    assert all(text.strip() and "\\ue00" not in text for _, _, text in places)


@by_name
def test_the_notebook_is_valid_and_has_nothing_raw(page):
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
def test_equations_are_numbered_in_their_order_and_references_name_them(page):
    """The chapter, then one, two, three; a reference to an equation of the page has the same number."""
    places = read_places(page)
    labels = re.findall(r"^\$\$ \(([\w-]+)\)", text_of(page), flags=re.MULTILINE)
    tags = {content: text for role, content, text in places if role == "number"}
    assert list(tags) == labels
    chapters = {tag.rpartition(".")[0] for tag in tags.values()}
    numbers = [int(tag.rpartition(".")[2]) for tag in tags.values()]
    first = numbers[0] if chapters == {""} else 1  # the appendices are counted on, one after the other
    assert numbers == list(range(first, first + len(tags)))
    assert len(chapters) <= 1
    for role, content, text in places:
        if role == "eq":
            assert text == f"Eq. {tags[content]}" if content in tags else text.startswith("[Eq. ")


@by_name
def test_links_have_the_title_of_what_they_lead_to(page):
    for role, content, text in read_places(page):
        text = re.sub("[“”]", '"', text).replace("’", "'")  # the build sets quotation marks
        if role == "doc":
            title, name = re.fullmatch(r"(?:(.*) <)?(\w+)>?", content).groups()
            heading = re.search(r"^# (.*)$", text_of(BOOK / f"{name}.md"), flags=re.MULTILINE)[1]
            assert text == f"[{title or heading}]({site()}book/{name}.html)"
        if role == "ref":
            title, label = re.fullmatch(r"(?:(.*) <)?([\w-]+)>?", content).groups()
            holder = next(p for p in BOOK.glob("*.md") if f"\n({label})=\n" in text_of(p))
            heading = re.search(rf"^\({label}\)=\n#+ (.*)$", text_of(holder), flags=re.MULTILINE)[1]
            same = holder == page
            link = f"[{title or heading}]({site()}book/{holder.stem}.html#{label})"
            assert text == (title or heading if same else link)


@by_name
def test_what_is_cited_is_listed_at_the_end(page):
    places = read_places(page)
    cited = {key for role, keys, _ in places if role.startswith("cite:") for key in keys.split(",")}
    listed = [key for role, key, _ in places if role == "reference"]
    assert set(listed) == cited
    assert len(listed) == len(cited)
    texts = {text for role, _, text in places if role.startswith("cite:")}
    assert all(re.search(r"\[.*\d{4}.*\]\(http.*/bibliography\.html#", text) for text in texts)
    assert ("## References" in committed(page).cells[-1].source) == bool(cited)


@by_name
def test_code_needs_the_package_and_what_it_depends_on(page):
    """And nothing of the tools that build the book: so a notebook runs wherever the package is."""
    project = tomllib.loads(text_of(ROOT / "pyproject.toml"))["project"]
    allowed = {re.match(r"[\w-]+", name)[0].lower() for name in project["dependencies"]}
    allowed |= {
        project["name"],
        "ipython",
        "triton",
    }  # a notebook has the first, a GPU build of torch the other
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
    hides = [bool({"hide-cell", "remove-cell"} & cell.tags) for cell in code_cells(text_of(page))]
    folded = [
        cell.metadata.get("cellView") == "form" and cell.metadata.jupyter.source_hidden for cell in cells
    ]
    assert folded == [False, *hides]


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
    assert text.split("\n\n") == [
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
    ]
    assert references == "## References\n\n- <reference one>\n- <reference two>"
    assert sources(notebook, "code")[1] == 'a = 1\nfor n in range(2):\n    print(f"a-{n}:", f"{a:.2f}")'


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("```{index} a, b\n```", ""),
        ("```{table} Sizes\n:name: tab-a\n\n| a |\n|---|\n| 1 |\n```", "*Sizes*\n\n| a |\n|---|\n| 1 |"),
    ],
)
def test_an_index_entry_is_left_out_and_a_table_keeps_its_caption(text, shown):
    assert notebooks.markdown(text) == shown


@pytest.mark.parametrize("text", ["{abbr}`a`", "```{tabs}\n```", ":::{figure} a.png\n:::"])
def test_what_has_no_form_in_a_notebook_is_refused(text, tmp_path):
    with pytest.raises(ValueError, match=r"say in tools/notebooks\.py how"):
        drafted(PAGE + text + "\n", tmp_path)


def test_a_cell_keeps_its_name_when_another_is_put_before_it(tmp_path):
    before, after = (
        drafted(text, tmp_path) for text in (PAGE, PAGE.replace("## A s", "```{code-cell}\n1\n```\nS"))
    )
    assert before.cells[-2].id == after.cells[-2].id
    assert len({cell.id for cell in after.cells}) == len(after.cells)


@pytest.mark.parametrize(
    ("old", "new"), [("a = 1", "a = 2"), ("## A s", "## The s"), ("Look.", "Look. And look."), ("one,", "")]
)
def test_a_page_that_has_changed_no_longer_agrees_with_its_notebook(old, new, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(notebooks, "COLAB", tmp_path)
    monkeypatch.setattr(notebooks, "notebook_pages", lambda: [tmp_path / "page.md"])
    notebook = fill(drafted(PAGE, tmp_path), lambda *_: "1.5 [and](more)")
    nbformat.write(notebook, tmp_path / "page.ipynb")
    assert notebooks.main() == 0
    (tmp_path / "page.md").write_text(PAGE.replace(old, new), encoding="utf-8")
    assert notebooks.main() == 1
    assert "run `make notebooks`" in capsys.readouterr().out


def test_glue_that_nothing_prints_is_taken_out():
    assert printing("import numpy as np\nfrom myst_nb import glue") == "import numpy as np"
    assert printing('glue("a", 1)\nglue("b", f(2), display=False)') == 'print("a:", 1)\nprint("b:", f(2))'
    assert printing("glue(name, 1)") == 'print(name + ":", 1)'
    assert printing('glue(\n    "a",\n    1,\n)\nglue("b", 2)') == 'print("a:", 1)\nprint("b:", 2)'


def test_the_button_opens_the_notebook_in_its_folder():
    buttons = [{"text": "Colab", "url": "https://host/github/a/b/blob/main/book/gain.md"}, {"text": ".md"}]
    open_in_colab(None, "book/gain", "page.html", {"header_buttons": [{}, {"buttons": buttons}]}, None)
    assert buttons[0]["url"] == "https://host/github/a/b/blob/main/book/colab/gain.ipynb"
