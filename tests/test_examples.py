"""The examples in docstrings run and give what they say."""

import doctest
import importlib
import pkgutil
import warnings

import pytest

import firstpassage

MODULES = sorted(
    info.name
    for info in pkgutil.walk_packages(firstpassage.__path__, "firstpassage.")
    if not info.name.endswith("__main__")
)


# Examples that train or sample for ten seconds and more.
LONG = {
    *["bridges.correction", "bridges.numpyro", "bridges.sampling", "densities.lif_filter", "diagnostics._compare"],
    *["estimators.nle", "estimators.npe", "models.foraging_statistics"],
}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] if name.removeprefix("firstpassage.") in LONG else [])
        for name in MODULES
    ],
)
def test_examples(name):
    module = importlib.import_module(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", firstpassage.DataWarning)
        failed, _ = doctest.testmod(module, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert failed == 0


def test_there_are_examples():
    finder = doctest.DocTestFinder()
    found = [t for name in MODULES for t in finder.find(importlib.import_module(name)) if t.examples]
    assert len(found) >= 30


def test_the_results_in_readme_and_documentation_are_those_stored():
    import subprocess
    import sys
    from pathlib import Path

    script = Path(__file__).parent.parent / "scripts" / "results.py"
    done = subprocess.run([sys.executable, str(script), "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
