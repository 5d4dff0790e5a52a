"""Sphinx configuration."""

import re
import runpy
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.util.nodes import make_refnode

import ccvae_pyro

project = "ccvae_pyro"
author = "The ccvae_pyro developers"
copyright = f"2026, {author}"
version = release = ccvae_pyro.__version__
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.viewcode"]
extensions += ["sphinx.ext.autosummary", "sphinx_copybutton", "sphinx_design"]
extensions += ["sphinx-mathjax-offline"]  # formulas without requests to other hosts
myst_enable_extensions = ["amsmath", "attrs_inline", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "force"  # run every notebook at every build
nb_execution_raise_on_error = True
nb_execution_timeout = 600
nb_execution_in_temp = True
nb_merge_streams = True
nb_output_stderr = "remove"  # progress bars
copybutton_exclude = ".linenos, .gp, .go"
exclude_patterns = ["results", "explorer/*", "_build"]
nitpicky = True  # an unresolved reference to this package is a warning
others = "argparse|arviz|collections|matplotlib|numpy|pathlib|pyro|torch|xarray"
nitpick_ignore_regex = [("py:.*", rf"({others})\..*")]
nitpick_ignore_regex += [
    ("py:class", "nn.Module|Tensor|TorchDistribution|Normal|Label|Network|Figure|Factors")
]
nitpick_ignore_regex += [("py:class", r".*\b(Item|T|P)")]  # a type variable
html_theme = "furo"
html_title = "ccvae_pyro"
pygments_style, pygments_dark_style = "friendly", "native"  # styles with red and green diffs
html_static_path = ["static"]
html_css_files = ["wide.css"]
autodoc_inherit_docstrings = False
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"


def resolve_by_name(
    app: Any, env: Any, node: nodes.Element, text: nodes.Element
) -> nodes.Element | None:
    """Resolves a reference by another path of a documented name.

    The API documents a name in its package, as ``ccvae_pyro.interventions.edit``. References
    also use ``ccvae_pyro.edit``, the module that defines it, or the name alone.
    """
    target = node.get("reftarget", "")
    if node.get("refdomain") != "py" or not re.fullmatch(r"(ccvae_pyro\.)?[\w.]+", target):
        return None
    name = target.rpartition(".")[2]
    if node.get("reftype") == "mod":  # a module is documented by its package
        name = target.rpartition(".")[0].rpartition(".")[2]
    elif "." in target and not target.startswith("ccvae_pyro."):
        return None
    objects = env.domains["py"].objects
    paths = [path for path in objects if re.fullmatch(rf"ccvae_pyro\.(\w+\.)*{name}", path)]
    if not paths:
        return None
    path = min(paths, key=lambda path: path.count("."))
    found = objects[path]
    return make_refnode(app.builder, node["refdoc"], found.docname, found.node_id, text, path)


def build_explorer(app: Any, error: Exception | None) -> None:
    """Builds the explorer, which is not a page of Sphinx, next to its page."""
    if error is None and app.builder.format == "html":
        page = runpy.run_path(str(Path(__file__).parent / "explorer" / "build.py"))
        faces = page["avatar_faces"](Path(app.doctreedir) / "data")
        page["build"](ccvae_pyro.load_pretrained("avatars"), Path(app.outdir) / "explorer", faces)


def setup(app: Any) -> None:
    """Connects the handlers; Sphinx calls this."""
    app.connect("missing-reference", resolve_by_name)
    app.connect("build-finished", build_explorer)
