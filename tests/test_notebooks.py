"""The notebooks: stored as executed, small, and made of what the package offers."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[1]
PATHS = sorted((ROOT / "notebooks").glob("*.ipynb"))
LARGEST = 1_000_000  # bytes
MINUTES = 10
HEADLINE = r"\w+ \w+: (short )?audit passed .*"  # of a shipped estimator, which loading prints
SIMULATOR = "simulator"  # tag of a cell that defines the simulator of one's own model


@pytest.fixture(params=PATHS, ids=lambda path: path.stem)
def notebook(request: pytest.FixtureRequest) -> Any:
    return nbformat.read(request.param, as_version=4)


def code(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def parsed(cell: Any) -> ast.Module:
    """Parse a cell without its magics."""
    return ast.parse("\n".join("pass" if line.startswith("%") else line for line in cell.source.splitlines()))


def test_they_are_numbered_without_a_gap() -> None:
    assert [path.stem[:3] for path in PATHS] == [f"{i:02d}_" for i in range(1, len(PATHS) + 1)]
    assert PATHS


def test_it_is_valid_and_begins_with_a_title(notebook: Any) -> None:
    nbformat.validate(notebook)
    assert notebook.cells[0].cell_type == "markdown"
    assert notebook.cells[0].source.startswith("# ")


def test_every_cell_was_executed_in_order_and_none_failed_or_warned(notebook: Any) -> None:
    assert [cell.execution_count for cell in code(notebook)] == list(range(1, len(code(notebook)) + 1))
    outputs = [output for cell in code(notebook) for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error"]
    told = "".join(out.text for out in outputs if out.output_type == "stream" and out.name == "stderr")
    assert not [line for line in told.splitlines() if not re.fullmatch(HEADLINE, line)]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_it_is_small(path: Path) -> None:
    assert path.stat().st_size <= LARGEST


def test_it_shows_figures(notebook: Any) -> None:
    shown = [output for cell in code(notebook) for output in cell.outputs if "image/png" in output.get("data", {})]
    assert len(shown) >= 3


def test_it_defines_nothing_that_belongs_in_the_package(notebook: Any) -> None:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    cells = [cell for cell in code(notebook) if SIMULATOR not in cell.metadata.get("tags", [])]
    assert not [node.name for cell in cells for node in ast.walk(parsed(cell)) if isinstance(node, kinds)]


def test_it_uses_public_names_only(notebook: Any) -> None:
    """Names are public that have no underscore, and that ``__all__`` lists where there is one."""
    used = [name for cell in code(notebook) for name in names(parsed(cell))]
    assert "firstpassage" in used
    assert not [name for name in used if not is_public(name)]


def names(tree: ast.Module) -> Iterator[str]:
    """List the names of the package that a cell uses, in full."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names if one.name.split(".")[0] == "firstpassage")
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "firstpassage":
            yield from (f"{node.module}.{one.name}" for one in node.names)
        elif isinstance(node, ast.Attribute):
            dotted = ast.unparse(node)
            if dotted.startswith("fp.") and dotted.replace(".", "").isidentifier():
                yield "firstpassage" + dotted[2:]


def is_public(name: str) -> bool:
    """Follow a dotted name from the package down, as long as it leads through modules."""
    found: Any = import_module("firstpassage")
    for word in name.split(".")[1:]:
        listed = vars(found).get("__all__")
        if word.startswith("_") or (
            listed is not None and word not in listed and not is_module(f"{found.__name__}.{word}")
        ):
            return False
        found = getattr(found, word, None) or import_module(f"{found.__name__}.{word}")
        if not is_module(getattr(found, "__name__", "")):
            return True
    return True


def is_module(name: str) -> bool:
    """Tell whether this is a module of the package that can be imported."""
    try:
        return name.split(".")[0] == "firstpassage" and bool(import_module(name))
    except ImportError:
        return False


@pytest.mark.parametrize("name", ["firstpassage.no_such_thing", "firstpassage._draws", "firstpassage.plots._grid.name"])
def test_a_name_that_is_not_public_is_found_out(name: str) -> None:
    assert not is_public(name)


@pytest.mark.slow
@pytest.mark.notebook
@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_it_runs_from_top_to_bottom_in_ten_minutes(path: Path, tmp_path: Path) -> None:
    command = [sys.executable, "scripts/notebooks.py", path.stem, "--into", str(tmp_path)]
    environment = os.environ | {"FIRSTPASSAGE_FULL": "0"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60 * (MINUTES + 1)
    )
    assert done.returncode == 0, done.stderr
    stored, again = (nbformat.read(one, as_version=4) for one in (path, tmp_path / path.name))
    assert [cell.source for cell in again.cells] == [cell.source for cell in stored.cells]
