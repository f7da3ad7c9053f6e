"""What pip has installed is held against what is known; metadata as pip writes it."""

import sys
import zoneinfo

import pytest

from flows import doctor_versions


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Put the metadata of a distribution before all others, as pip writes it."""

    def install(name, version):
        place = tmp_path / "site" / f"{name.replace('-', '_')}-{version}.dist-info"
        place.mkdir(parents=True)
        (place / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        )
        monkeypatch.syspath_prepend(str(tmp_path / "site"))

    return install


@pytest.mark.parametrize(
    ("name", "version", "why", "advice"),
    [
        ("fastapi", "0.151.0", "TypeError", "fastapi<0.151"),
        ("SQLAlchemy", "2.1.0b1", "plans no scheduled run", "sqlalchemy<2.1"),
        ("lightning", "2.6.3", "steals credentials", "change every credential"),
        ("lightning", "2.6.6", "not those of pytorch_lightning", "pip uninstall lightning"),
        ("pytorch-lightning", "2.6.5", "run code", "pytorch-lightning>=2.6.6"),
    ],
)
def test_what_is_known_to_do_harm_is_named_with_the_way_out(installed, name, version, why, advice):
    installed(name, version)
    found = {finding["what"]: finding for finding in doctor_versions.known_bad()}[name]
    assert not found["ok"]
    assert found["found"].startswith(version)
    assert why in found["found"]
    assert advice in found["advice"]


def test_a_version_beside_the_constraints_is_named(installed):
    installed("pandas", "2.2.0")
    (found,) = doctor_versions.versions()
    assert not found["ok"]
    assert "pandas 2.2.0, not " in found["found"]
    assert "-c constraints.txt" in found["advice"]


def test_time_zones_without_their_data_are_said(monkeypatch):
    for name in ("tzdata", *(n for n in sys.modules if n.startswith("tzdata."))):
        monkeypatch.setitem(sys.modules, name, None)
    zoneinfo.reset_tzpath(to=[])
    zoneinfo.ZoneInfo.clear_cache()
    try:
        (found,) = doctor_versions.time_zones()
    finally:
        zoneinfo.reset_tzpath()
        zoneinfo.ZoneInfo.clear_cache()
    assert not found["ok"]
    assert "Asia/Seoul" in found["found"]
    assert "tzdata" in found["advice"]
