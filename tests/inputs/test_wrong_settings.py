"""Input 88: settings that are wrong, each refused before the data is touched."""

from inputs_page import numbered, table_of

from flows.errors import SettingsError

WRONG_SETTINGS = {
    "88 a negative number in the settings": (
        "[train]\nepochs = -3",
        "case.toml:8: train.epochs: must be greater",
        "-3",
    ),
    "88 a key twice": ("[train]\nepochs = 3\nepochs = 4", "case.toml: not valid TOML", "line 9"),
    "88 NaN in the settings": (
        "[train]\nlr = nan",
        "case.toml:8: train.lr: must be a finite number",
        "nan",
    ),
    "88 a seed of 2^64": (
        "[train]\nseed = 18446744073709551616",
        "case.toml:8: train.seed: must be less",
        "18",
    ),
    "88 a bare yes": ("[train]\nlog_target = yes", "case.toml: not valid TOML", "line 8"),
    "88 text instead of a number": (
        '[train]\nepochs = "ten"',
        "case.toml:8: train.epochs: must be a",
        "'ten'",
    ),
    "88 an unknown section": ("[trian]\nepochs = 3", "case.toml:7: trian", "did you mean train?"),
}


@table_of(WRONG_SETTINGS, "text", "where", "found")
def test_every_mistake_is_refused_with_file_line_key_and_value(case, text, where, found):
    case.rest = text
    message = case.refusal(SettingsError)  # there is no table: the settings come first
    assert where in message
    assert found in message


@numbered("88 an unknown key")
def test_88_settings_are_refused_before_the_data_is_touched(case):
    case.data = "separater = ';'"
    message = case.refusal(SettingsError)
    assert "case.toml" in message
    assert "did you mean separator?" in message


@numbered("88 brackets within brackets, 5,000 deep")
def test_88_settings_that_would_exhaust_the_reader_are_refused(case):
    case.rest = f"[train]\nepochs = {'[' * 5_000}{']' * 5_000}"
    message = case.refusal(SettingsError)
    assert "case.toml: not valid TOML" in message
    assert len(message) < 2_000  # TOML has no aliases, so there is no alias bomb
