"""From a bundle to a verdict: what the gate says of it, written beside it, and the whole sealed.

- A pure function of the bundle and the rules: the same two have the same verdict, tonight and when
  `penstock replay` asks again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flows.bundle import LEAKS, read_bundle, seal_bundle
from flows.errors import SettingsError
from flows.json_files import read_json, write_json
from flows.model_card import NAME, model_card

if TYPE_CHECKING:
    from pathlib import Path

    from expectations.gate import Rules, Verdict
    from flows.spec import Spec

RULES, VERDICT = "rules.json", "verdict.json"
SWITCHED_OFF = "mode"
"""What decided where nothing was judged."""


def rules_of(spec: Spec) -> Rules:
    """Return what the settings ask of a model.

    Raises:
        SettingsError: a metric or an amount that does not exist.

    """
    from expectations.gate import Rules

    try:
        return Rules.of(spec.gate)
    except ValueError as error:
        raise SettingsError(f"{spec.path}: gate: {error}") from None


def judge_bundle(spec: Spec, bundle: Path) -> Verdict:
    """Judge the bundle by the settings' rules; leave rules, verdict and card in it and seal it.

    Raises:
        SettingsError: a rule does not fit the task.

    """
    from expectations.gate import judge

    rules = rules_of(spec)
    try:
        verdict = judge(read_bundle(bundle), rules)
    except ValueError as error:
        raise SettingsError(f"{spec.path}: gate: {error}") from None
    if spec.gate.mode == "disabled":
        verdict = _unjudged()
    write_json(bundle / RULES, rules.to_json())
    write_json(bundle / VERDICT, verdict.to_json())
    evidence, referee = read_json(bundle / "evidence.json"), read_json(bundle / "referee.json")
    leaks = read_json(bundle / LEAKS) if (bundle / LEAKS).is_file() else {}
    card = model_card(spec, evidence, referee, verdict, leaks=leaks.get("findings", ()))
    (bundle / NAME).write_text(card, encoding="utf-8", errors="backslashreplace")
    seal_bundle(bundle)
    return verdict


def _unjudged() -> Verdict:
    from expectations.gate import Verdict

    reason = 'nothing was judged (gate.mode = "disabled"); `penstock promote` puts the version in service'
    return Verdict(outcome="inconclusive", reasons=(reason,), decided_by=SWITCHED_OFF)
