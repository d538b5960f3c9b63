"""A table of trials is split into its groups, or refused by a sentence that says why."""

from __future__ import annotations

import pandas as pd
import pytest

from firstpassage.errors import DataError
from firstpassage.models import registry
from firstpassage.pipeline import _layouts
from firstpassage.pipeline._files import digest
from firstpassage.pipeline._tables import read_groups

CHOICES = _layouts.of(registry.make("ddm"))


def write(path, text):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_without_groups_all_trials_are_one(tmp_path):
    (group,) = read_groups(write(tmp_path / "t.csv", "rt,response,x\n.5,1,a\n.7,-1,b\n"), CHOICES)
    assert (group.name, group.slug) == ("all", "all")
    assert list(group.data.columns) == ["rt", "response"]
    assert group.trials == 2


def test_groups_are_the_combinations_in_order_of_appearance(tmp_path):
    table = write(tmp_path / "t.csv", "rt,response,id,stim\n.5,1,2,LL\n.6,1,1,LL\n.7,-1,2,WW\n.8,1,2,LL\n")
    groups = read_groups(table, CHOICES, by=("id", "stim"))
    assert [g.name for g in groups] == ["id=2, stim=LL", "id=1, stim=LL", "id=2, stim=WW"]
    assert [g.slug for g in groups] == ["2-LL", "1-LL", "2-WW"]
    assert [list(g.data["rt"]) for g in groups] == [[0.5, 0.8], [0.6], [0.7]]


def test_other_column_names_are_taken_over_like_named_ones(tmp_path):
    table = write(tmp_path / "t.csv", "rt,RT,choice\n500,.5,1\n700,.7,-1\n")
    (group,) = read_groups(table, CHOICES, columns={"rt": "RT", "response": "choice"})
    assert list(group.data["rt"]) == [0.5, 0.7]


def test_no_two_groups_share_a_file_name_and_none_leaves_the_folder(tmp_path):
    names = ["a/b", "a_b", "A_b", "../x", "...", "über", "x" * 300]
    pd.DataFrame({"rt": 0.5, "response": 1, "id": names}).to_csv(tmp_path / "t.csv", index=False)
    slugs = [g.slug for g in read_groups(tmp_path / "t.csv", CHOICES, by=("id",))]
    assert len({slug.casefold() for slug in slugs}) == len(names)
    assert all("/" not in slug and not slug.startswith(".") and 0 < len(slug) < 80 for slug in slugs)


@pytest.mark.parametrize(
    ("text", "by", "said"),
    [
        ("", (), "is empty"),
        ("rt,response\n", (), "no trials"),
        ("rt;response\n.5;1\n", (), "semicolons"),
        ("rt,choice\n.5,1\n", (), "has no column response; it has rt, choice"),
        ("rt,response\n.5,1\n", ("stim",), "has no column stim"),
        ("rt,response,stim\n.5,1,LL\n.6,1,\n", ("stim",), "1 of 2 are empty (first: line 3"),
        ("rt,response\n.5,1\n.5,1,2,3\n", (), "is not a CSV"),
        (b"\x89PNG\r\n\x1a\n\xff\xfe\x00", (), "is not a CSV"),
    ],
)
def test_what_is_no_table_of_trials_is_refused(tmp_path, text, by, said):
    with pytest.raises(DataError) as caught:
        read_groups(write(tmp_path / "t.csv", text), CHOICES, by=by)
    assert said in str(caught.value)


def test_missing_files_and_folders_are_refused(tmp_path):
    with pytest.raises(DataError, match="there is no file"):
        read_groups(tmp_path / "t.csv", CHOICES)
    with pytest.raises(DataError, match="is a folder"):
        read_groups(tmp_path, CHOICES)


def test_a_changed_table_has_another_digest(tmp_path):
    one, two = write(tmp_path / "1.csv", "rt\n1\n"), write(tmp_path / "2.csv", "rt\n2\n")
    assert digest(one) != digest(two)
