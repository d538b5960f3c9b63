"""One small trained estimator for all tests of this room."""

import pytest

import firstpassage as fp


@pytest.fixture(scope="session")
def settings():
    return fp.NRE(fp.ddm(), widths=(16, 16), evidence_widths=(8,), epoch_pairs=65_536, validation=4096)


@pytest.fixture(scope="session")
def folder(settings, tmp_path_factory):
    into = tmp_path_factory.mktemp("run") / "ddm-nre"
    settings.fit(budget=524_288, seed=1, into=into)
    return into


@pytest.fixture(scope="session")
def learned(folder):
    return fp.load(folder)
