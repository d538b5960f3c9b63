"""Seeds: reproducible, separate for every purpose, and checked."""

import numpy as np
import pytest

from firstpassage import ModelError, seeds


def test_same_seed_same_numbers_and_other_purpose_other_numbers():
    first = seeds.generator(5, "prior").normal(size=100)
    assert np.array_equal(first, seeds.generator(5, "prior").normal(size=100))
    assert not np.array_equal(first, seeds.generator(5, "data").normal(size=100))
    assert not np.array_equal(first, seeds.generator(6, "prior").normal(size=100))


@pytest.mark.parametrize("seed", [None, -1, 2**63, 1.0, "1", True, np.nan])
def test_bad_seeds_are_refused_with_a_remedy(seed):
    with pytest.raises(ModelError, match=r"seed must .*seed=1"):
        seeds.check(seed)


def test_numpy_integers_are_seeds():
    assert seeds.check(np.int64(4)) == 4
