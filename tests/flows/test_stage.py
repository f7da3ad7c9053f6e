"""Stages: reuse by content, atomic artifacts, damage noticed."""

import json

import pytest

from flows.stage import Parts, Store, sources_of


def parts(**changes):
    return Parts(
        **{"inputs": {"a": "1"}, "settings": {"k": 1}, "code": "c", "versions": "v", **changes}
    )


def writes(text):
    def work(out):
        (out / "deep").mkdir()
        (out / "deep" / "file.txt").write_text(text, encoding="utf-8")
        return {"length": len(text)}

    return work


def refuses(_):
    raise AssertionError("this stage must not run")


@pytest.fixture
def store(tmp_path):
    warnings = []
    store = Store(tmp_path / "cache", warnings.append)
    store.heard = warnings
    return store


def test_an_artifact_is_reused_when_nothing_it_depends_on_changed(store):
    first = store.make("s", parts(), writes("x"))
    again = store.make("s", parts(), refuses)
    assert (again.reused, again.digest, again.facts) == (True, first.digest, {"length": 1})


@pytest.mark.parametrize(
    "change", [{"inputs": {"a": "2"}}, {"settings": {"k": 2}}, {"code": "d"}, {"versions": "w"}]
)
def test_any_change_makes_the_stage_again(store, change):
    store.make("s", parts(), writes("x"))
    assert not store.make("s", parts(**change), writes("x")).reused


def test_the_same_result_has_the_same_digest_whatever_led_to_it(store):
    first = store.make("s", parts(), writes("x"))
    second = store.make("s", parts(code="d"), writes("x"))
    assert first.digest == second.digest


def test_a_stage_that_fails_leaves_nothing(store):
    def fails(out):
        (out / "half.txt").write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        store.make("s", parts(), fails)
    assert store.find("s", parts().key) is None
    assert list((store.root / "s").iterdir()) == []


def _flip(path):
    data = bytearray(path.read_bytes())
    data[0] ^= 1
    path.write_bytes(bytes(data))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (_flip, "other content"),
        (lambda p: p.unlink(), "is gone"),
        (lambda p: p.write_text("longer"), "has 6 bytes, not 1"),
    ],
)
def test_a_damaged_artifact_is_made_again_and_named(store, damage, said):
    artifact = store.make("s", parts(), writes("x"))
    damage(artifact.path / "deep" / "file.txt")
    again = store.make("s", parts(), writes("x"))
    assert (again.reused, again.digest) == (False, artifact.digest)
    assert said in store.heard[0]
    assert "file.txt" in store.heard[0]


def test_a_manifest_that_was_edited_is_a_miss(store):
    artifact = store.make("s", parts(), writes("x"))
    path = artifact.path / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["files"] = {}
    path.write_text(json.dumps(manifest))
    assert store.find("s", parts().key) is None


def test_a_change_is_named():
    before = parts().record()
    now = parts(inputs={"a": "1", "b": "2"}, settings={"k": 2}, code="d")
    assert now.changes(before) == ["input b", "setting k", "code"]


def test_a_stage_s_code_is_its_module_with_what_it_imports_of_ours_anywhere():
    found = sources_of("flows.agree")
    assert "flows.agree" in found
    assert "expectations.propose" in found  # imported inside a function
    assert not [
        name for name in found if name.partition(".")[0] not in ("flows", "models", "expectations")
    ]
