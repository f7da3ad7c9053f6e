"""Files of a version are those that were registered, or refused by name; signatures hold."""

import json
import subprocess
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from flows.errors import ArtifactRefused, PenstockError, SettingsError
from flows.registry import addressed
from flows.signing import SIGNING, VERIFYING, refuse_bad_key, signature
from flows.verify import fetched, manifest_of
from flows.versions import MANIFEST, SIGNATURE

OTHERS = {"registered_model_meta", "__pycache__"}


@pytest.fixture
def version(own_desk):
    made = own_desk.publish(own_desk.candidate("1", promote=True))
    return own_desk.version(made.version)


@pytest.fixture
def stored(own_desk, version):
    """Where the version's files lie in the store."""
    uri = own_desk.client.get_model_version_download_uri(version.name, version.version)
    return Path(uri.removeprefix("file://"))


def test_a_version_is_fetched_whole_and_loads(own_desk, version, stored):
    import mlflow

    place = fetched(own_desk.home, version)
    assert manifest_of(place) == json.loads(version.tags[MANIFEST])
    assert place.is_relative_to(own_desk.home.cache)
    assert fetched(own_desk.home, version) == place
    assert list(place.parent.glob(".making-*")) == []
    with addressed(own_desk.home):
        assert mlflow.pyfunc.load_model(str(place)).metadata.metadata["penstock.task"] == "binary"
        mlflow.pyfunc.load_model(f"models:/{version.name}/1")  # leaves its mark in a local store
    assert OTHERS & {path.name for path in stored.iterdir()}
    assert fetched(own_desk.home, version) == place


@pytest.mark.parametrize(
    "name", ["artifacts/graph.onnx", "served.py", "MLmodel", "artifacts/schema.json"]
)
def test_one_byte_that_changed_is_refused_with_the_file_s_name(own_desk, version, stored, name):
    fetched(own_desk.home, version)  # a copy that was verified before is no excuse
    path = stored / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(ArtifactRefused) as caught:
        fetched(own_desk.home, version)
    assert f"{version.name} version 1" in str(caught.value)
    assert f"however: {name} has other content;" in str(caught.value)


def test_a_file_that_is_gone_or_was_added_is_refused_by_name(own_desk, version, stored):
    (stored / "requirements.txt").unlink()
    (stored / "sitecustomize.py").write_text("import os")
    with pytest.raises(
        ArtifactRefused, match=r"requirements.txt is gone; sitecustomize.py was added"
    ):
        fetched(own_desk.home, version)


def test_a_copy_that_was_changed_since_is_made_again(own_desk, version):
    place = fetched(own_desk.home, version)
    (place / "served.py").write_text("raise SystemExit")
    assert fetched(own_desk.home, version) == place
    assert manifest_of(place) == json.loads(version.tags[MANIFEST])


def test_versions_of_earlier_penstocks_are_verified_by_what_is_executed(own_desk, version, stored):
    whole = json.loads(version.tags[MANIFEST])
    names = ("artifacts/graph.onnx", "artifacts/schema.json", "served.py")
    old = {name.rpartition("/")[2]: whole[name] for name in names}
    own_desk.client.set_model_version_tag(version.name, "1", MANIFEST, json.dumps(old))
    version = own_desk.version(1)
    assert (fetched(own_desk.home, version) / "MLmodel").is_file()
    (stored / "served.py").write_text("raise SystemExit")
    with pytest.raises(ArtifactRefused, match=r"served.py has other content"):
        fetched(own_desk.home, version)


def test_a_version_that_penstock_did_not_make_is_refused(own_desk, version):
    own_desk.client.delete_model_version_tag(version.name, "1", MANIFEST)
    with pytest.raises(ArtifactRefused, match="Penstock did not make it"):
        fetched(own_desk.home, own_desk.version(1))


def test_files_that_the_store_does_not_have_are_said(own_desk, version, stored):
    stored.rename(stored.with_name("elsewhere"))
    with pytest.raises(ArtifactRefused, match=r"all of them are gone \(MLmodel, artifacts"):
        fetched(own_desk.home, version)
    with pytest.raises(PenstockError, match=r"must hand out the files of .* version 9, but"):
        fetched(own_desk.home, SimpleNamespace(name=version.name, version="9", tags=version.tags))


def test_where_there_is_no_home_none_is_made(own_desk, version, tmp_path):
    absent = replace(own_desk.home, root=tmp_path / ".penstock")
    place = fetched(absent, version)
    assert manifest_of(place) == json.loads(version.tags[MANIFEST])
    assert not absent.root.exists()


@pytest.fixture
def keys(tmp_path):
    """Two key pairs as openssl makes them: `keys("a")` are the paths of its halves."""

    def make(name):
        private, public = tmp_path / f"{name}.pem", tmp_path / f"{name}.pub"
        if not private.exists():
            openssl = ["openssl", "genpkey", "-algorithm", "ed25519", "-out", private]
            subprocess.run(openssl, check=True, capture_output=True)
            openssl = ["openssl", "pkey", "-in", private, "-pubout", "-out", public]
            subprocess.run(openssl, check=True, capture_output=True)
        return str(private), str(public)

    return make


def test_a_signed_version_is_fetched_and_an_unsigned_one_is_not(own_desk, keys, monkeypatch):
    private, public = keys("a")
    own_desk.publish(own_desk.candidate("1", promote=True))
    monkeypatch.setenv(SIGNING, private)
    own_desk.publish(own_desk.candidate("2", promote=True))
    monkeypatch.setenv(VERIFYING, public)
    assert fetched(own_desk.home, own_desk.version(2)).is_dir()
    with pytest.raises(ArtifactRefused, match=r"PENSTOCK_VERIFY_KEY=.*it has no signature"):
        fetched(own_desk.home, own_desk.version(1))
    monkeypatch.setenv(VERIFYING, keys("b")[1])
    with pytest.raises(ArtifactRefused, match="is not of that key, or not of these files"):
        fetched(own_desk.home, own_desk.version(2))


def test_a_signature_does_not_fit_another_version_or_another_manifest(own_desk, keys, monkeypatch):
    private, public = keys("a")
    monkeypatch.setenv(SIGNING, private)
    own_desk.publish(own_desk.candidate("1", promote=True))
    own_desk.publish(own_desk.candidate("2", slope=0.03, promote=True))
    monkeypatch.setenv(VERIFYING, public)
    for tag in (MANIFEST, SIGNATURE):  # what whoever can write the registry would do
        text = own_desk.version(2).tags[tag]
        own_desk.client.set_model_version_tag(own_desk.name, "1", tag, text)
    with pytest.raises(ArtifactRefused, match="not of these files"):
        fetched(own_desk.home, own_desk.version(1))


def test_a_key_that_cannot_be_used_is_said_with_the_variable(keys, tmp_path, monkeypatch):
    assert signature(model="m", key="k", manifest={}) is None
    refuse_bad_key()
    for path, why in [
        (str(tmp_path / "none.pem"), "must be readable: No such file"),
        (keys("a")[1], "must hold a PEM key"),
    ]:
        monkeypatch.setenv(SIGNING, path)
        with pytest.raises(SettingsError, match=f"PENSTOCK_SIGNING_KEY=.*{why}"):
            refuse_bad_key()
    rsa = tmp_path / "rsa.pem"
    openssl = ["openssl", "genpkey", "-algorithm", "rsa", "-out", rsa]
    subprocess.run(openssl, check=True, capture_output=True)
    monkeypatch.setenv(SIGNING, str(rsa))
    with pytest.raises(SettingsError, match="must hold an Ed25519 key"):
        refuse_bad_key()
