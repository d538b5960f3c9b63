"""Configuration of the documentation, built by `make docs`: warnings are errors."""

from __future__ import annotations

import importlib
import json
import logging
import os
import shutil
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent
os.environ.setdefault("JAX_PLATFORMS", "cpu")
logging.getLogger("pytensor").setLevel(logging.WARNING)  # else it tells of each option that it reads again

# Modules whose public names have a page each, and what they are.
ROOMS = {
    "firstpassage": "Models, methods, bridges",
    "firstpassage.diagnostics": "Diagnostics",
    "firstpassage.plots": "Plots",
    "firstpassage.pipeline": "Pipeline",
}
MODULES = {  # documented whole
    "firstpassage.models": ["ddm", "foraging", "foraging_statistics", "lif", "records", "joint"],
    "firstpassage.densities": ["wiener", "foraging", "foraging_filter", "foraging_moments", "lif", "lif_filter"],
}
# Headings of the gallery, and how the names of their figures begin.
GALLERY = {
    "Drift-diffusion model": ("ddm-", "cavanagh-", "hierarchical-"),
    "Patch foraging": ("foraging-",),
    "Integrate-and-fire neuron": ("lif-",),
    "Normal draws and counts": ("teaching-", "cookies"),
    "What estimators cost": ("accuracy-", "break-even", "rounds"),
}


def copy_notebooks() -> None:
    """Copy the stored notebooks, which are not executed again here: Sphinx reads its own folder only."""
    folder = HERE / "tutorials" / "notebooks"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for notebook in sorted((ROOT / "notebooks").glob("*.ipynb")):
        shutil.copy(notebook, folder / notebook.name)


def write_reference() -> None:
    """Write a page for each room from its public names, so that none can be forgotten."""
    folder = HERE / "reference" / "api"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, title in ROOMS.items():
        public = [n for n in importlib.import_module(name).__all__ if f"{name}.{n}" not in ROOMS and n != "models"]
        write_page(folder / f"{name}.rst", title, name, sorted(public, key=str.lower))
    for name, modules in MODULES.items():
        write_page(folder / f"{name}.rst", f"{name.split('.')[1].capitalize()} in full", name, modules)


def write_page(path: Path, title: str, module: str, names: list[str]) -> None:
    """Write a table of names, each with a page that autosummary makes."""
    lines = [
        title,
        "=" * len(title),
        "",
        f".. currentmodule:: {module}",
        "",
        ".. autosummary::",
        "   :toctree: ../generated",
        "",
    ]
    path.write_text("\n".join([*lines, *(f"   {name}" for name in names), ""]))


def write_gallery() -> None:
    """Show every figure of `make figures` with the caption that was written beside its numbers."""
    folder = HERE / "gallery"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    lines = ["# All figures", "", "Drawn by `make figures`; the numbers of each are in `figures/`, as JSON.", ""]
    left = sorted((ROOT / "figures").glob("*.png"))
    for heading, beginnings in GALLERY.items():
        shown = [path for path in left if path.name.startswith(beginnings)]
        left = [path for path in left if path not in shown]
        lines += [f"## {heading}", ""] if shown else []
        for path in shown:
            shutil.copy(path, folder / path.name)
            caption = json.loads(path.with_suffix(".json").read_text())["caption"]
            lines += [f"![{path.stem}]({path.name})", "", f"{caption} (`{path.name}`)", ""]
    if left:
        raise ValueError(f"no heading of GALLERY has {', '.join(path.name for path in left)}. Add one to docs/conf.py.")
    (folder / "index.md").write_text("\n".join(lines), encoding="utf-8")


copy_notebooks()
write_reference()
write_gallery()

project = "firstpassage"
author = "the firstpassage developers"
copyright = "the firstpassage developers, MIT licence"

extensions = ["myst_nb", "numpydoc", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.mathjax"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "firstpassage"
html_extra_path = ["../llms.txt"]

nb_execution_mode = "off"
myst_enable_extensions = ["dollarmath", "colon_fence", "deflist"]
myst_heading_anchors = 3
suppress_warnings = ["mystnb.unknown_mime_type"]  # progress bars of notebooks, which have a text form too

autosummary_generate = True
autodoc_typehints = "none"  # numpydoc's Parameters say type, shape and unit
autodoc_default_options = {"members": True}
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
