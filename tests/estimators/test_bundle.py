"""Bundles: the same numbers after loading; anything else than what was saved is refused, and nothing is executed."""

import dataclasses
import io
import json
import os
import shutil
import zipfile

import numpy as np
import pytest

import firstpassage as fp
from firstpassage.estimators import _members, bundle

THETA = {"v": 0.5, "a": 1.0, "z": 0.5, "t": 0.2}
X = [[0.6, 1.0], [0.9, -1.0]]


@pytest.fixture
def saved(learned, tmp_path):
    return fp.save(learned, tmp_path / "bundle")


def _resum(folder):
    """Make the checksums right again, so that later checks are reached."""
    import hashlib

    lines = [f"{hashlib.sha256((folder / n).read_bytes()).hexdigest()}  {n}\n" for n in _members.MEMBERS]
    (folder / "SHA256SUMS").write_text("".join(lines))


def _edit(folder, name, change):
    """Change a JSON member, with right checksums."""
    content = json.loads((folder / name).read_text())
    change(content)
    (folder / name).write_text(json.dumps(content))
    _resum(folder)


def test_loaded_numbers_are_those_saved(learned, saved):
    loaded = fp.load(saved)
    np.testing.assert_array_equal(loaded.log_prob(X, **THETA), learned.log_prob(X, **THETA))
    assert loaded.box == learned.box and loaded.kind == "nre"
    assert loaded.card["budget"] == 524_288 and loaded.card["settings"]["widths"] == [16, 16]


def test_a_bundle_is_small_and_readable(saved):
    assert sum(p.stat().st_size for p in saved.iterdir()) < 1_500_000
    manifest = json.loads((saved / "manifest.json").read_text())
    assert [p["name"] for p in manifest["card"]["parameters"]] == ["v", "a", "z", "t"]
    assert len(manifest["probe"]["log_ratio"]) == 16 and np.isfinite(manifest["probe"]["log_ratio"]).all()


def test_an_existing_bundle_is_replaced_only_on_request(learned, saved):
    with pytest.raises(fp.ArtefactError, match="overwrite=True"):
        fp.save(learned, saved)
    fp.save(learned, saved, overwrite=True)
    assert [p.name for p in saved.parent.iterdir()] == ["bundle"]


def test_something_else_is_never_overwritten(learned, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("irreplaceable")
    with pytest.raises(fp.ArtefactError, match="exists"):
        fp.save(learned, tmp_path / "thesis", overwrite=True)
    assert (tmp_path / "thesis" / "chapter.txt").read_text() == "irreplaceable"


def test_only_what_was_trained_can_be_saved(tmp_path):
    for wrong in (fp.ddm().exact, fp.NRE(fp.ddm()), None):
        with pytest.raises(fp.ModelError, match="only a trained"):
            fp.save(wrong, tmp_path / "x")


def test_a_save_that_was_cut_off_between_its_renames_leaves_the_old_bundle(learned, saved):
    os.rename(saved, saved.with_name("bundle.old-1-abcd"))
    assert fp.load(saved).kind == "nre"


def test_a_file_in_the_way_and_a_folder_that_cannot_be_made(learned, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(fp.ArtefactError, match="exists"):
        fp.save(learned, tmp_path / "file")
    with pytest.raises(fp.ArtefactError, match="cannot write"):
        fp.save(learned, tmp_path / "file" / "bundle")


@pytest.mark.parametrize("name", [*_members.MEMBERS, "SHA256SUMS"])
def test_truncated_or_flipped_bytes_are_refused(saved, name):
    """T19, a sample of it; the slow test runs all."""
    content = (saved / name).read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(12):
        (saved / name).write_bytes(content[: rng.integers(len(content))])
        with pytest.raises(fp.ArtefactError):
            fp.load(saved)
        flipped = bytearray(content)
        flipped[rng.integers(len(content))] ^= int(rng.integers(1, 256))
        (saved / name).write_bytes(bytes(flipped))
        with pytest.raises(fp.ArtefactError):
            fp.load(saved)
    (saved / name).write_bytes(b"")
    with pytest.raises(fp.ArtefactError):
        fp.load(saved)


def _missing(folder):
    (folder / "config.json").unlink()


def _extra(folder):
    (folder / "payload.py").write_text("open('canary', 'w')")


def _keras(folder):
    shutil.move(folder / "arrays.npz", folder / "model.keras")


def _symlink(folder):
    shutil.move(folder / "arrays.npz", folder.parent / "elsewhere.npz")
    (folder / "arrays.npz").symlink_to(folder.parent / "elsewhere.npz")


def _newer(folder):
    _edit(folder, "manifest.json", lambda m: m.update(schema=2))


def _no_card(folder):
    _edit(folder, "manifest.json", lambda m: m.pop("card"))


def _other_model(folder):
    _edit(folder, "manifest.json", lambda m: m["card"].update(model="moons"))


def _other_order(folder):
    _edit(folder, "manifest.json", lambda m: m["card"]["parameters"].reverse())


def _unknown_module(folder):
    _edit(folder, "config.json", lambda c: c.update(activation="os.system"))


def _unknown_setting(folder):
    _edit(folder, "manifest.json", lambda m: m["card"]["model_settings"].update(evil=1))


def _probe_differs(folder):
    _edit(folder, "manifest.json", lambda m: m["probe"]["log_ratio"].__setitem__(0, 9.0))


def _not_json(folder):
    (folder / "manifest.json").write_text("[1, 2")
    _resum(folder)


def _pickle(folder):
    buffer = io.BytesIO()
    np.savez(buffer, **{"pair/0/kernel": np.array([{"a": 1}], dtype=object)})
    (folder / "arrays.npz").write_bytes(buffer.getvalue())
    _resum(folder)


def _bomb(folder):
    with zipfile.ZipFile(folder / "arrays.npz", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("pair/0/kernel.npy", b"\0" * (_members._LARGEST + 1))
    _resum(folder)


def _slip(folder):
    with zipfile.ZipFile(folder / "arrays.npz", "w") as packed:
        packed.writestr("../../canary", b"x")
    _resum(folder)


def _nan_weights(folder):
    with np.load(folder / "arrays.npz") as stored:
        arrays = {name: stored[name] for name in stored.files}
    arrays["pair/0/kernel"][0, 0] = np.nan
    np.savez(folder / "arrays.npz", **arrays)
    _resum(folder)


BAD = {
    "a missing member": (_missing, r"missing \['config.json'\]"),
    "an extra member": (_extra, r"unexpected \['payload.py'\]"),
    "a foreign .keras": (_keras, r"unexpected \['model.keras'\]"),
    "a link": (_symlink, "plain file"),
    "a newer version": (_newer, "bundle version 2"),
    "no card": (_no_card, "not a bundle that firstpassage wrote"),
    "another model's name": (_other_model, "your own model 'moons'"),
    "another order": (_other_order, "Names, order and box"),
    "an unknown function": (_unknown_module, "not a bundle that firstpassage wrote"),
    "an unknown setting": (_unknown_setting, "cannot be made"),
    "other numbers than saved": (_probe_differs, "other values than when it was saved"),
    "broken JSON": (_not_json, "is not JSON"),
    "a pickle": (_pickle, "cannot be read"),
    "a zip bomb": (_bomb, "unpacks to more"),
    "a zip slip": (_slip, "not a bundle|cannot be read|finite floats"),
    "weights that are not finite": (_nan_weights, "finite floats"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_bundles_are_refused(saved, name):
    damage, message = BAD[name]
    damage(saved)
    with pytest.raises(fp.ArtefactError, match=message):
        fp.load(saved)
    assert not list(saved.parent.parent.glob("**/canary"))


@pytest.mark.parametrize("make", ["nothing", "file", "empty"])
def test_what_is_no_bundle_is_refused(tmp_path, make):
    path = tmp_path / "bundle"
    if make == "file":
        path.write_text("x")
    if make == "empty":
        path.mkdir()
    with pytest.raises(fp.ArtefactError, match="bundle"):
        fp.load(path)


def test_a_model_with_another_box_is_refused(saved):
    with pytest.raises(fp.ArtefactError, match="Names, order and box"):
        fp.load(saved, model=fp.ddm(bounds={"v": (-4, 4)}))


def test_a_bundle_keeps_its_box(settings, tmp_path):
    wide = dataclasses.replace(settings, model=fp.ddm(bounds={"v": (-5, 5)}), validation=1024)
    fp.save(wide.fit(budget=4096, seed=1), tmp_path / "wide")
    assert fp.load(tmp_path / "wide").box["v"] == (-5.0, 5.0)


def test_what_is_not_shipped_is_named():
    with pytest.raises(fp.ArtefactError, match="no 'snpe' estimator of 'ddm' is shipped"):
        fp.pretrained("ddm", "snpe")


def test_a_full_disk_leaves_the_old_bundle(learned, saved, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    before = fp.load(saved).log_prob(X, **THETA)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(fp.ArtefactError, match="No space left on device"):
        fp.save(learned, saved, overwrite=True)
    monkeypatch.undo()
    np.testing.assert_array_equal(fp.load(saved).log_prob(X, **THETA), before)
    assert [p.name for p in saved.parent.iterdir()] == ["bundle"]


def test_the_whole_audit_of_what_is_shipped_agrees_with_the_short_one_in_its_card():
    for model, method in fp.pipeline.list_shipped():
        whole = fp.pipeline.audit_card(model, method)
        card = json.loads((bundle.shelf() / f"{model}-{method}" / "manifest.json").read_text())["card"]["audit"]
        assert card["headline"] == whole["headline"]
        assert {name: item["state"] for name, item in card["items"].items()} == {
            name: item["state"] for name, item in whole["items"].items()
        }
        assert all(item["numbers"] for item in whole["items"].values() if item["state"] != "not tested")


def test_there_is_no_audit_of_what_is_not_shipped():
    with pytest.raises(fp.ArtefactError, match="no 'snpe' estimator of 'ddm' is shipped"):
        fp.pipeline.audit_card("ddm", "snpe")
