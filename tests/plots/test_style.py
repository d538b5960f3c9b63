"""The look of figures: put on for a while, and nothing else changed."""

from collections.abc import Iterator

import matplotlib as mpl
import pytest

from firstpassage import plots


@pytest.fixture
def interactive() -> Iterator[None]:
    """Put the switch back that the tests below turn on."""
    before = mpl.is_interactive()
    yield
    mpl.interactive(before)


def test_settings_come_back_after_an_error_too() -> None:
    before = mpl.rcParams["axes.spines.top"]
    with pytest.raises(ZeroDivisionError), plots.style():
        assert mpl.rcParams["axes.spines.top"] is False
        raise ZeroDivisionError
    assert mpl.rcParams["axes.spines.top"] is before


@pytest.mark.usefixtures("interactive")
def test_a_backend_that_loads_inside_goes_on_showing_figures_outside() -> None:
    """As the one of a notebook does, at its first figure."""
    with plots.style(), plots.style():
        mpl.interactive(True)
    assert mpl.is_interactive()


@pytest.mark.usefixtures("interactive")
def test_it_does_so_after_an_error_too() -> None:
    with pytest.raises(ZeroDivisionError), plots.style():
        mpl.interactive(True)
        raise ZeroDivisionError
    assert mpl.is_interactive()
