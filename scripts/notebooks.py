"""Execute the notebooks, one after another, and store what they show.

    python scripts/notebooks.py [01_ratio_estimation_pymc ...] [--full] [--into FOLDER] [--minutes N]

Without names all are executed, in their own folder and with this interpreter. A notebook is stored whole or not at all:
one that fails, takes longer than ten minutes or becomes larger than 1 MB is left as it was, and the exit code is 1.
--minutes sets another limit, as on a machine that has much else to do. --full asks for the full training instead of
the quick one, and a limit of a day; so does FIRSTPASSAGE_FULL=1 in the environment. What changes from run to run, such
as times of execution and states of widgets, is not stored.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

from firstpassage.estimators._atomic import write_bytes

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = ROOT / "notebooks"
LIMIT, FULL_LIMIT = 10, 24 * 60  # minutes, of a whole notebook
START_S = 300  # a kernel may take to answer, on a machine that has much else to do
LARGEST = 1_000_000  # bytes
DPI = 80  # of the stored figures, which keeps a notebook small
KERNEL = "firstpassage"
STORED_KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}
COLOUR = r"\x1b\[[0-9;]*m"  # of a terminal
WIDGET = "application/vnd.jupyter.widget-view+json"


class NotebookError(Exception):
    """Say why a notebook is not stored."""


def main() -> None:
    """Execute what is asked for, and say how long each took and how large it is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="notebooks without .ipynb, or the beginnings of their names")
    parser.add_argument("--full", action="store_true", help="full training instead of the quick one")
    parser.add_argument("--into", type=Path, default=NOTEBOOKS, help="where to store them; notebooks/ unless given")
    parser.add_argument("--minutes", type=float, help=f"limit of each notebook; {LIMIT} unless given")
    given = parser.parse_args()
    os.environ["FIRSTPASSAGE_FULL"] = "1" if given.full else os.environ.get("FIRSTPASSAGE_FULL", "0")
    usual = FULL_LIMIT if os.environ["FIRSTPASSAGE_FULL"] == "1" else LIMIT
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        offer_kernel(Path(folder))
        for path in chosen(parser, given.names):
            start, used = time.monotonic(), cpu_seconds()
            try:
                content = executed(path, limit=60 * (given.minutes or usual))
                write_bytes(given.into / path.name, content)
            except NotebookError as failure:
                failed = True
                print(f"{path.stem}: not stored: {failure}", file=sys.stderr)
                continue
            wall, cpu = (time.monotonic() - start) / 60, (cpu_seconds() - used) / 60
            print(f"{path.stem}: {wall:.1f} min, {cpu:.1f} CPU min, {len(content) / 1000:.0f} kB", flush=True)
    sys.exit(int(failed))


def cpu_seconds() -> float:
    """Add up what the kernels that have ended have used."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def chosen(parser: argparse.ArgumentParser, names: list[str]) -> list[Path]:
    """Find the notebooks that are asked for, in their order."""
    there = sorted(NOTEBOOKS.glob("*.ipynb"))
    unknown = [name for name in names if not any(path.stem.startswith(name) for path in there)]
    if unknown or not there:
        parser.error(f"there are {', '.join(path.stem for path in there) or 'no notebooks'}; got {' '.join(unknown)}")
    return [path for path in there if not names or path.stem.startswith(tuple(names))]


def offer_kernel(folder: Path) -> None:
    """Describe a kernel that runs in this interpreter, and let Jupyter find it before any other."""
    kernel = folder / "kernels" / KERNEL
    kernel.mkdir(parents=True)
    figures = f"--InlineBackend.print_figure_kwargs={{'bbox_inches': 'tight', 'dpi': {DPI}}}"
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}", "--log-level=ERROR", figures]
    (kernel / "kernel.json").write_text(json.dumps({**STORED_KERNEL, "name": KERNEL, "argv": command}))
    os.environ["JUPYTER_PATH"] = os.pathsep.join([str(folder), *filter(None, [os.environ.get("JUPYTER_PATH")])])
    os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"
    os.environ["PYTHONWARNINGS"] = "ignore:IProgress not found"  # of tqdm, which looks for ipywidgets


def executed(path: Path, *, limit: float) -> bytes:
    """Execute a notebook from top to bottom, and give what is to be stored."""
    notebook = nbformat.read(path, as_version=4)
    until = time.monotonic() + limit
    client = NotebookClient(
        notebook, kernel_name=KERNEL, resources={"metadata": {"path": str(NOTEBOOKS)}}, coalesce_streams=True,
        timeout_func=lambda _: max(1, int(until - time.monotonic())), record_timing=False, startup_timeout=START_S,
    )  # fmt: skip
    try:
        client.execute()
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        told = re.sub(COLOUR, "", str(error))[-4000:]
        raise NotebookError(f"in the cell that begins so:\n{unfinished(notebook)}\n\n{told}") from None
    strip(notebook)
    nbformat.validate(notebook)
    content = nbformat.writes(notebook).encode()
    if len(content) > LARGEST:
        raise NotebookError(f"it has {len(content)} bytes, needs <= {LARGEST}. Draw fewer or smaller figures.")
    return content


def unfinished(notebook: Any) -> str:
    """Give the first lines of the cell at which the execution stopped."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source]
    last = max((i for i, cell in enumerate(cells) if cell.execution_count or cell.outputs), default=0)
    return "\n".join(cells[last].source.splitlines()[:5])


def strip(notebook: Any) -> None:
    """Leave out what changes from run to run."""
    notebook.metadata = nbformat.from_dict({"kernelspec": STORED_KERNEL, "language_info": {"name": "python"}})
    for cell in notebook.cells:
        cell.metadata = nbformat.from_dict({k: v for k, v in cell.metadata.items() if k in ("tags",)})
        for output in cell.get("outputs", []):
            output.get("data", {}).pop(WIDGET, None)
            if "metadata" in output:
                output.metadata = nbformat.from_dict({})


if __name__ == "__main__":
    main()
