"""The code in the documentation uses public names, and runs."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import firstpassage

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*(ROOT / "docs").rglob("*.md"), ROOT / "README.md"])
PAGES = [page for page in PAGES if not {"_build", "notebooks"} & set(page.relative_to(ROOT).parts)]
RUN = [page for page in PAGES if page.parent.name == "how-to" or page.name == "README.md"]
_BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(page):
    return _BLOCK.findall(page.read_text())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_code_names_what_there_is(page):
    for block in blocks(page):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "fp":
                assert node.attr in firstpassage.__all__, f"fp.{node.attr}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page):
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_every_public_name_is_in_llms_txt():
    text = (ROOT / "llms.txt").read_text()
    missing = [name for name in firstpassage.__all__ if not re.search(rf"\b{name}\b", text)]
    assert missing == []


def trials(folder):
    """Write choices of two people, as a user's table."""
    pd = pytest.importorskip("pandas")
    from firstpassage.pipeline import _demo

    table = pd.read_csv(_demo.table())[["participant_id", "stim", "rt", "response"]]
    few = table[table["participant_id"].isin(table["participant_id"].unique()[:2])]
    few = few.groupby("participant_id").head(120)
    few.assign(coherence=(few["stim"] == "LL").astype(float)).to_csv(folder / "trials.csv", index=False)


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in RUN if blocks(page)], ids=lambda page: page.stem)
def test_code_runs(page, tmp_path):
    trials(tmp_path)
    (tmp_path / "page.py").write_text("\n".join(["if __name__ == '__main__':", *indented(blocks(page))]))
    command, env = [sys.executable, "page.py"], {**os.environ, "MPLBACKEND": "agg"}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


def indented(code):
    """Put all blocks under one guard: processes that are spawned import the page again."""
    return ["    " + line if line else line for block in code for line in block.splitlines()]
