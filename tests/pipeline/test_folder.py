"""A run folder belongs to one run and one process, and loses nothing that is not its own."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from firstpassage.errors import ArtefactError, DataError
from firstpassage.pipeline import run_folder

SETTINGS = {"seed": 1, "methods": ("nre", "exact")}


def write(path: Path, *, settings=SETTINGS, force: bool = False, name: str = "draws/all-nre.nc") -> None:
    with run_folder(path, command="fit", settings=settings, force=force) as folder:
        folder.write(name, b"numbers")


def contents(path: Path) -> set[str]:
    return {str(p.relative_to(path)) for p in path.rglob("*") if p.is_file()}


def test_a_run_leaves_its_settings_log_and_environment_and_no_lock(tmp_path):
    write(tmp_path / "run")
    assert contents(tmp_path / "run") == {"config.json", "environment.txt", "run.log", "draws/all-nre.nc"}
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["settings"] == {"seed": 1, "methods": ["nre", "exact"]}
    assert "numpy==" in (tmp_path / "run" / "environment.txt").read_text()


def test_the_same_run_may_be_written_again(tmp_path):
    write(tmp_path)
    write(tmp_path)


def test_another_run_is_refused_and_kept(tmp_path):
    write(tmp_path)
    before = contents(tmp_path)
    with pytest.raises(ArtefactError, match=r"another run \(with other seed\)"):
        write(tmp_path, settings=SETTINGS | {"seed": 2})
    assert contents(tmp_path) == before


def test_force_replaces_a_run_but_nothing_of_the_users(tmp_path):
    write(tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    write(tmp_path, settings=SETTINGS | {"seed": 2}, force=True, name="draws/other.nc")
    assert {"notes.txt", "draws/other.nc"} <= contents(tmp_path)
    assert "draws/all-nre.nc" not in contents(tmp_path)


@pytest.mark.parametrize("force", [False, True])
def test_a_folder_of_something_else_is_refused_even_by_force(tmp_path, force):
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(ArtefactError, match="holds no run"):
        write(tmp_path, force=force)
    assert contents(tmp_path) == {"thesis.tex"}


@pytest.mark.parametrize("below", ["", "run"])
def test_a_path_that_is_a_file_is_refused(tmp_path, below):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ArtefactError, match=r"is a file|Not a directory"):
        write(tmp_path / "file" / below)
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(ArtefactError, match="Permission denied"):
        write(tmp_path / "run")
    with pytest.raises(ArtefactError, match="Permission denied"):
        write(tmp_path)


def test_a_second_process_is_refused(tmp_path):
    with run_folder(tmp_path / "run", command="fit", settings={"seed": 1}):
        code = (
            "import sys; from firstpassage.pipeline import run_folder\n"
            "with run_folder(sys.argv[1], command='fit', settings={'seed': 1}): pass"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / "run")], capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 1
        assert "another process is writing" in done.stderr
    write(tmp_path / "run", settings={"seed": 1})


def test_a_full_disk_is_told_and_leaves_no_half_file(tmp_path):
    code = (
        "import resource, sys; from firstpassage.pipeline import run_folder\n"
        "with run_folder(sys.argv[1], command='fit', settings={}) as folder:\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))\n"
        "    folder.write('draws/all-nre.nc', b'x' * 200_000)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=60)
    assert "ArtefactError: cannot write" in done.stderr
    assert contents(tmp_path) == {"config.json", "environment.txt", "run.log"}
    assert "cannot write" in (tmp_path / "run.log").read_text()


def test_the_log_of_the_package_goes_into_the_folder_only_while_it_runs(tmp_path):
    logger = logging.getLogger("firstpassage.estimators")
    before = (logging.getLogger("firstpassage").level, list(logging.getLogger("firstpassage").handlers))
    with run_folder(tmp_path, command="fit", settings={}):
        logger.info("within")
    logger.info("after")
    text = (tmp_path / "run.log").read_text()
    assert "within" in text
    assert "after" not in text
    package = logging.getLogger("firstpassage")
    assert (package.level, list(package.handlers)) == before


def test_the_reason_of_an_early_end_is_in_the_log(tmp_path):
    with pytest.raises(DataError), run_folder(tmp_path, command="fit", settings={}):
        raise DataError("the third eye")
    assert "the third eye" in (tmp_path / "run.log").read_text()
