"""Batch scoring of a registered model: one source in, predictions with a status per row out.

- Text is read as it was for training: the options travel with the version.
- A bad row is never dropped and never silently scored: its prediction is null, its status names
  the rule that it broke.
- Chunk by chunk, so that a table larger than memory is scored too; the output appears whole or not
  at all, and says which version answered.
"""

from __future__ import annotations

import datetime as dt
import json
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.errors import PenstockError, SettingsError
from flows.home import find_home
from flows.json_files import read_json
from flows.registry import resolve
from flows.scored import Output, check_place

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pyarrow as pa

    from flows.answers import Answerer
    from flows.chunks import Source
    from flows.data_spec import DataSpec
    from flows.score_drift import Watch

STATUSES = 50
"""Statuses that the summary counts one by one, the most frequent first."""


def score(
    model: str,
    source: str | Path,
    out: Path,
    *,
    spec: Path | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Predict the rows of `source` with a registered model and write them to `out`.

    `out` holds the source's columns, then `prediction`, a probability per class and `status`
    ("ok", or the rules that the row broke). `spec` says how text is read; left out: as it was read
    for training. `say` is told how far the work is.

    Raises:
        SettingsError: `out` is neither Parquet nor CSV.
        DataRefused: the source cannot be read or lacks a column.
        ArtifactRefused: the model's files are not those that were registered.
        PenstockError: no such model, or it cannot be loaded.

    """
    check_place(out)
    return answer_all(Chosen.of(model, spec), source, out, spec=spec, say=say)


def answer_all(
    chosen: Chosen,
    source: str | Path,
    out: Path,
    *,
    spec: Path | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Do what `score` does with a version that was found and verified."""
    from flows.answers import Answerer
    from flows.chunks import open_source

    say("reading the head of the source")
    table = open_source(str(source), chosen.reading(spec), Path.cwd())
    if out.resolve() in [path.resolve() for path in table.files]:
        msg = f"OUT must not be a file that is read, found {out} among those of IN"
        raise SettingsError(msg)
    if chosen.unwatched:
        say(f"drift is not looked at: {chosen.unwatched}")
    say("loading the model")
    with Answerer(chosen.folder, chosen.said) as answerer:
        return Scoring(chosen, table, answerer, out, say).run()


def sentence(done: Mapping[str, Any]) -> str:
    """Say what was done, with counts."""
    text = f"{done['rows']:,} rows scored by {done['model']}, {done['bad_rows']:,} bad"
    drifted = (done.get("drift") or {}).get("drifted")
    text += f"; {done['drift']['sentence']}" if drifted else ""
    return f"{text}; wrote {done['out']}"


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """The version that answers, its files verified."""

    version: Any
    folder: Path
    digest: str
    """Over the digests of all its files."""
    profile: Mapping[str, Any] | None = None
    """Of the rows that it was trained on, by which drift is told; None where it has none."""
    unwatched: str = ""
    """Why its profile cannot be trusted; drift is not looked at then."""

    @classmethod
    def of(cls, model: str, spec: Path | None = None) -> Chosen:
        """Find a model in the home of the settings, or of the working directory, and verify it."""
        from flows.score_drift import profile_of
        from flows.stage import digest_of
        from flows.verify import fetched, manifest

        home = find_home(spec.absolute().parent if spec else Path.cwd())
        version = resolve(home, model)
        folder = fetched(home, version)
        digest = digest_of(manifest(version))
        profile, trouble = profile_of(home, version)
        return cls(
            version=version, folder=folder, digest=digest, profile=profile, unwatched=trouble
        )

    @property
    def said(self) -> str:
        """What messages call it."""
        return f"{self.version.name} version {self.version.version}"

    def reading(self, spec: Path | None) -> DataSpec:
        """Return how text is read: as the settings say, else as it was for training."""
        from flows.data_spec import ColumnSpec, DataSpec
        from flows.settings import load_spec

        schema = read_json(self.folder / "artifacts" / "schema.json")
        if spec:
            return _looked_for(load_spec(spec).data, schema)
        try:
            options = json.loads(self.version.tags.get("penstock.reading") or "{}")
        except ValueError:  # MLflow cuts long tags
            msg = f"how text was read for {self.said} is not whole; give its settings with --spec"
            raise PenstockError(msg) from None
        options["columns"] = {
            n: ColumnSpec(**keys) for n, keys in options.get("columns", {}).items()
        }
        data = DataSpec(source="-", target=schema["target"], **options)
        return _looked_for(data, schema)

    @property
    def facts(self) -> dict[str, str]:
        """What the output says of who answered."""
        return {
            "model": self.version.name,
            "version": str(self.version.version),
            "digest": self.digest,
            "run_id": self.version.run_id,
            "scored_at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        }


@dataclass
class Scoring:
    """One source on its way through one model."""

    chosen: Chosen
    source: Source
    answerer: Answerer
    out: Path
    say: Callable[[str], None]
    counts: Counter[str] = field(default_factory=Counter)

    def run(self) -> dict[str, Any]:
        """Answer all rows and write them; return the summary."""
        started = time.monotonic()
        added = self.answerer.schema(self.source.schema)
        kept = [name for name in self.source.schema.names if name not in added.names]
        schema = _joined(self.source.schema, kept, added)
        facts, watch = self.chosen.facts, self._watch()
        with Output(self.out, schema, facts) as output:
            for rows, answers in self.answerer.answers(self.source.tables(), added):
                watch.take(rows, answers)
                output.write(_together(rows.select(kept), answers, schema))
                self._count(answers)
                self._tell(time.monotonic() - started)
            summary = self._summary(kept) | {"drift": watch.found()}
            output.finish(summary)
        seconds = time.monotonic() - started
        return {
            **facts,
            "model": self.chosen.said,
            "name": facts["model"],
            **summary,
            "out": str(self.out),
            "seconds": round(seconds, 3),
            "rows_per_second": round(self.rows / seconds),
        }

    @property
    def rows(self) -> int:
        """Rows answered so far, bad ones among them."""
        return self.counts.total()

    def _watch(self) -> Watch:
        """What compares the batch with the training rows."""
        from flows.score_drift import Watch

        schema = read_json(self.chosen.folder / "artifacts" / "schema.json")
        return Watch(profile=self.chosen.profile, schema=schema, said=self.chosen.said)

    def _count(self, answers: pa.Table) -> None:
        found = answers["status"].value_counts()
        self.counts.update({pair["values"].as_py(): pair["counts"].as_py() for pair in found})

    def _tell(self, seconds: float) -> None:
        share = f"{self.source.share:.0%} of the source, " if self.source.share < 1 else ""
        self.say(f"{self.rows:,} rows, {share}{self.rows / max(seconds, 0.001):,.0f} a second")

    def _summary(self, kept: list[str]) -> dict[str, Any]:
        listed = dict(self.counts.most_common(STATUSES))
        if rest := self.rows - sum(listed.values()):
            listed["other rules"] = rest
        replaced = [name for name in self.source.schema.names if name not in kept]
        return {
            "rows": self.rows,
            "bad_rows": self.rows - self.counts["ok"],
            "statuses": listed,
            "replaced_columns": replaced,
        }


def _looked_for(data: DataSpec, schema: Mapping[str, Any]) -> DataSpec:
    """Return the settings with the model's columns, by which a header is known where it is not due."""
    if not data.skip_lines:
        return data
    return data.model_copy(update={"only": tuple(each["name"] for each in schema["columns"])})


def _joined(source: pa.Schema, kept: list[str], added: pa.Schema) -> pa.Schema:
    import pyarrow as pa

    return pa.schema([*(source.field(name) for name in kept), *added])


def _together(rows: pa.Table, answers: pa.Table, schema: pa.Schema) -> pa.Table:
    import pyarrow as pa

    return pa.Table.from_arrays([*rows.columns, *answers.columns], schema=schema)
