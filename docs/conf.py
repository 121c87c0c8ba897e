"""Tell Sphinx how the documentation becomes a site."""  # noqa: INP001

import builtins
from pathlib import Path, PurePosixPath
import posixpath
import re
import sys
from typing import TYPE_CHECKING

from pygments.lexers.special import TextLexer

if TYPE_CHECKING:
    from docutils.nodes import Element, TextElement, reference
    from sphinx.addnodes import pending_xref
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS.parent))

import sensorvision  # noqa: E402

REPOSITORY = "https://github.com/sensorvision-ha/sensorvision"
LOCAL_LINK = re.compile(r"(?<=\]\()(\.\.?/[^)#\s]*)")
OPTION = re.compile(r"`[^`]*`|(?<![\w-])(--[a-z][a-z-]*)")

project = "SensorVision"
copyright = "the SensorVision contributors, MIT licence"  # noqa: A001
version = sensorvision.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_click",
    "sphinx_copybutton",
]
exclude_patterns = ["images", "board/wiring"]

myst_heading_anchors = 4
myst_enable_extensions = ["attrs_inline"]

# The docstrings write `code` as Markdown does.
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 80
toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_title = f"SensorVision {version}"
html_show_sphinx = False
html_copy_source = False
copybutton_prompt_text = "$ "


def link_out_of_the_docs(app: Sphinx, docname: str, source: list[str]) -> None:
    """Lead what points at a file beside the documentation to the repository."""
    folder = PurePosixPath("docs", docname).parent

    def lead(found: re.Match[str]) -> str:
        path = posixpath.normpath(folder / found[1])
        return (
            found[1] if path.startswith("docs/") else f"{REPOSITORY}/blob/main/{path}"
        )

    source[0] = LOCAL_LINK.sub(lead, source[0])


def link_to_what_is_public(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, shown: TextElement
) -> Element | reference | None:
    """Lead a type to the name that it is imported by, and leave foreign ones unlinked.

    Of ours, one that is nowhere in the reference is warned of; what a function raises is
    ours unless it is Python's.
    """
    module, _, name = node.get("reftarget", "").rpartition(".")
    is_raised = node.get("reftype") == "exc" and not hasattr(builtins, name)
    is_ours = module.split(".")[0] == "sensorvision" or (not module and is_raised)
    if module and not is_ours:
        return shown
    found = env.domains.python_domain.resolve_xref(
        env, node["refdoc"], app.builder, "obj", f"sensorvision.{name}", node, shown
    )
    return found if found is not None or is_ours else shown


def keep_colon(
    app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]
) -> None:
    """Let what stands before a colon in a property's docstring not pass for its type."""
    if what == "property" and lines:
        lines[:1] = re.split(r"(?<=:) ", lines[0], maxsplit=1)


def keep_signs(app: Sphinx, context: object, lines: list[str]) -> None:
    """Let a star in a command's help be no markup, and two dashes not become one."""

    def mark(found: re.Match[str]) -> str:
        return f"``{found[1]}``" if found[1] else found[0]

    lines[:] = [
        line if line.startswith("..") else OPTION.sub(mark, line.replace("*", r"\*"))
        for line in lines
    ]


def setup(app: Sphinx) -> None:
    """Register the above with Sphinx."""
    app.add_lexer("csv", TextLexer)
    app.connect("source-read", link_out_of_the_docs)
    app.connect("autodoc-process-docstring", keep_colon, priority=400)
    app.connect("sphinx-click-process-description", keep_signs)
    app.connect("sphinx-click-process-options", keep_signs)
    app.connect("sphinx-click-process-epilog", keep_signs)
    app.connect("missing-reference", link_to_what_is_public)
