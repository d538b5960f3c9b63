"""The table of benchmarks: made of its JSON alone, its ratios say what they say, and no row is left out in silence."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BENCHMARKS = ROOT / "benchmarks"
TABLE = BENCHMARKS / "results" / "table.json"


@pytest.fixture(scope="module")
def rows():
    """Import the rows of the table as the driver does, and forget them afterwards."""
    known = set(sys.modules)
    sys.path.insert(0, str(BENCHMARKS))
    try:
        from table import rows

        yield rows
    finally:
        sys.path.remove(str(BENCHMARKS))
        for name in set(sys.modules) - known:
            if name.split(".")[0] in ("table", "clock", "cells", "nuts"):
                del sys.modules[name]


def run(*arguments, **options):
    """Run the driver."""
    return subprocess.run([sys.executable, str(BENCHMARKS), *arguments], capture_output=True, text=True, **options)


def table(row):
    """Make a table of one row."""
    machine = {
        "machine": "x86_64", "cores": 2, "load": 0.1, "python": "3.13", "date": "2026-01-01", "versions": {"jax": "1"},
    }  # fmt: skip
    return {"machine": machine, "groups": {"simulators": {"one": row}}}


def test_the_ratio_is_the_median_of_pairs_and_above_one_where_ours_is_better(rows):
    rate = rows.compared(rows.Side("ours", [10.0, 40.0, 90.0]), rows.Side("peer", [5.0, 10.0, 10.0]), unit="per s")
    assert rate["ratio"] == 4.0  # of 2, 4 and 9; the ratio of the medians is 4 as well, that of the means is not
    cost = rows.compared(rows.Side("ours", [2.0]), rows.Side("peer", [6.0]), unit="s", higher=False)
    assert cost["ratio"] == 3.0
    assert rate["ours"] == {"what": "ours", "repeats": 3, "median": 40.0, "least": 10.0, "largest": 90.0}


def test_different_numbers_of_repeats_give_the_ratio_of_the_medians(rows):
    found = rows.compared(rows.Side("ours", [4.0, 6.0, 80.0]), rows.Side("peer", [3.0]), unit="per s")
    assert found["ratio"] == 2.0


def test_growth_is_the_larger_over_the_smaller(rows):
    found = rows.grown(rows.Side("2,000", [30.0]), rows.Side("200", [4.0]), unit="ms")
    assert (found["ratio"], found["kind"]) == (7.5, "growth")


def test_a_stopped_peer_gives_a_least_ratio_and_two_stopped_sides_give_none(rows):
    stopped = rows.Side("peer", [2.0], stopped="stopped at 40 CPU s")
    found = rows.compared(rows.Side("ours", [8.0]), stopped, unit="per s")
    assert (found["ratio"], found["bound"]) == (4.0, "at least")
    assert "stopped at 40 CPU s" in rows.markdown(table(found | {"cpu_seconds": 1.0}))
    both = rows.compared(rows.Side("ours", [8.0], stopped="stopped, too"), stopped, unit="per s")
    assert both["ratio"] is None and "bound" not in both
    assert "not known" in rows.markdown(table(both | {"cpu_seconds": 1.0}))


def test_a_row_that_was_not_measured_is_missed_and_told(rows):
    good = rows.compared(rows.Side("ours", [1.0]), rows.Side("peer", [1.0]), unit="s") | {"cpu_seconds": 1.0}
    broken = rows.failed("ValueError: no\n  peer | here")
    found = rows.missing({"good": good, "broken": broken}, ["good", "broken", "absent"])
    assert found == {"absent": "it was not measured", "broken": "ValueError: no peer | here"}
    assert "**not measured**: ValueError: no peer \\| here" in rows.markdown(table(broken))


def test_every_line_of_the_table_has_as_many_cells_as_its_head(rows):
    good = rows.compared(rows.Side("a | b", [1.0, 2.0]), rows.Side("peer", [1.0, 3.0]), unit="s", note="Few.")
    for row in (good | {"cpu_seconds": 1.0}, good | {"measured": "2026-01-01"}, rows.failed("no")):
        lines = [line for line in rows.markdown(table(row)).splitlines() if line.startswith("|")]
        assert {line.replace("\\|", "").count("|") for line in lines} == {7}


def test_numbers_are_written_with_three_digits(rows):
    written = [rows.number(value) for value in (0.0, 0.00012345, 0.012345, 1.2345, 12.345, 123.45, 1234567.0)]
    assert written == ["0", "1.23e-04", "0.0123", "1.23", "12.3", "123", "1,234,567"]


def test_a_missing_study_fails_the_driver_after_the_others_were_read(tmp_path):
    copied = tmp_path / "benchmarks"
    for path in (*BENCHMARKS.glob("*.py"), *BENCHMARKS.glob("table/*.py"), *BENCHMARKS.glob("results/*.json")):
        target = copied / path.relative_to(BENCHMARKS)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    (copied / "results" / "table.json").unlink(missing_ok=True)
    (copied / "results" / "teaching.json").unlink()
    done = subprocess.run(
        [sys.executable, str(copied), "--groups", "studies"], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 1
    assert "not measured: long studies: teaching: FileNotFoundError: teaching.json is not stored" in done.stderr
    groups = json.loads((copied / "results" / "table.json").read_text())["groups"]
    assert "failed" in groups["long studies"]["teaching"]
    assert groups["long studies"]["wiener_sampler"]["ratio"] > 1000
    assert "not measured: simulators: ddm, 1,000 trials" in done.stderr


def test_an_unknown_study_is_refused():
    done = run("--long", "nonsense")
    assert done.returncode == 1
    assert "There are wiener_sampler" in done.stderr and "nonsense" in done.stderr


def test_every_stored_result_is_in_the_table_and_every_command_names_a_program():
    text = (BENCHMARKS / "table" / "studies.py").read_text()
    words = [node.value for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant)]
    told = " ".join(word for word in words if isinstance(word, str))
    for path in (BENCHMARKS / "results").glob("*.json"):
        if path.name not in ("table.json", "device.json"):
            assert path.stem in told, f"benchmarks/table/studies.py does not read {path.name}"
    for program in {word.split()[0] for word in words if isinstance(word, str) and word.startswith("benchmarks/")}:
        assert "{" in program or program == "benchmarks/" or (ROOT / program).exists()


@pytest.mark.skipif(not TABLE.exists(), reason="make bench has not been run")
def test_the_stored_table_is_that_of_its_numbers(rows):
    stored = json.loads(TABLE.read_text())
    assert (BENCHMARKS / "results" / "TABLE.md").read_text() == rows.markdown(stored)
