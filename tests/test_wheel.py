"""The wheel, installed alone in a new environment, has the shipped estimators and runs the first example."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from firstpassage.estimators import bundle

ROOT = Path(__file__).resolve().parents[1]
FIRST_EXAMPLE = """
import firstpassage as fp
import numpy as np
import pandas as pd

model = fp.ddm()
simulated = model.likelihood({"v": [1.0], "a": [1.2], "z": [0.5], "t": [0.3]}, trials=100, seed=1)
df = pd.DataFrame({name: values[0].ravel() for name, values in simulated.items()})
draws = fp.pretrained("ddm", "nre").sample(df, draws=200, tune=200, seed=1)
corrected = fp.pretrained("ddm", "npe").sample(df, draws=200, seed=1, correct="exact")
print(fp.__file__, *(float(d["posterior"]["v"].mean()) for d in (draws, corrected)))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


@pytest.mark.slow
def test_it_contains_the_shipped_estimators_and_the_data(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    folder = Path(bundle.__file__).parent / "pretrained"
    shipped = {path.relative_to(folder.parents[2]).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert len(shipped) > 20
    assert shipped <= names
    assert {"firstpassage/data/lif_recording.csv", "firstpassage/py.typed"} <= names
    assert not any(name.startswith(("tests", "benchmarks", "docs")) for name in names)


@pytest.mark.slow
def test_the_first_example_runs_with_what_the_wheel_asks_for(wheel, tmp_path):
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "uv", "venv", "--python", sys.executable, str(tmp_path / "venv")], check=True)
    install = [sys.executable, "-m", "uv", "pip", "install", "--python", str(python), "--constraint"]
    subprocess.run([*install, str(ROOT / "requirements.txt"), str(wheel)], check=True)
    done = subprocess.run([str(python), "-c", FIRST_EXAMPLE], cwd=tmp_path, check=True, capture_output=True, text=True)
    home, learned, corrected = done.stdout.split()[-3:]
    assert str(tmp_path) in home
    assert abs(float(learned) - float(corrected)) < 0.15
