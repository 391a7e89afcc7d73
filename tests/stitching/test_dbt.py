"""The dbt package in contrib/dbt: the events and persons that `idmerge.stitch` gives, by DuckDB."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import pytest

import idmerge
from idmerge import DurableResolver
from idmerge.testing import events as workload
from paths import ROOT

if TYPE_CHECKING:
    from collections.abc import Sequence

PACKAGE = ROOT / "contrib" / "dbt"
SENT = "$distinct_id_before_identity"
PROFILE = """\
idmerge_test:
  target: test
  outputs:
    test: {type: duckdb, path: "warehouse.duckdb", threads: 1}
"""


def has_dbt() -> bool:
    """Return whether there is a dbt that speaks to DuckDB; a check of its version takes seconds."""
    program = shutil.which("dbt")
    return program is not None and any(
        (Path(program).resolve().parent.parent / "lib").glob("python*/site-packages/dbt/adapters/duckdb")
    )


pytestmark = pytest.mark.skipif(
    not has_dbt(),
    reason="dbt is missing: pip install 'dbt-core<1.11' dbt-duckdb, in an environment of its own",
)


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a copy of the package as a project with a profile, in the working directory."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(PACKAGE, "project")
    Path("profiles.yml").write_text(PROFILE)
    return tmp_path


def build(*, stitched: str) -> None:
    """Run ``dbt build``, which also runs the package's tests of the data."""
    options = {"DBT_SEND_ANONYMOUS_USAGE_STATS": "false", "DBT_PROFILES_DIR": ".", "DO_NOT_TRACK": "1"}
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    call = ["dbt", "--no-version-check", "build", "--project-dir", "project", "--profile", "idmerge_test"]
    done = subprocess.run(
        [*call, "--vars", json.dumps({"idmerge_stitched": stitched})],
        env=environment | options,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARN=0 ERROR=0 SKIP=0" in done.stdout


def load(events: pa.Table, mapping: Any) -> None:
    """Write the tables that the package reads."""
    with duckdb.connect("warehouse.duckdb") as connection:
        connection.register("new_events", events)
        connection.register("new_mapping", pa.table(mapping))
        connection.execute("CREATE OR REPLACE TABLE events AS FROM new_events")
        connection.execute("CREATE OR REPLACE TABLE mapping AS FROM new_mapping")


def model(name: str, names: Sequence[str]) -> list[tuple[Any, ...]]:
    """Return the rows of a model that dbt has built."""
    with duckdb.connect("warehouse.duckdb", read_only=True) as connection:
        return sorted(connection.table(name).select(quoted(names)).fetchall(), key=repr)


def quoted(names: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def sent(count: int) -> Path:
    path = Path("events.ndjson")
    path.write_text("".join(json.dumps(event) + "\n" for event in workload(count, seed=6)), encoding="utf-8")
    return path


def raw_of(stitched: pa.Table) -> pa.Table:
    """Return the events as they were sent."""
    return stitched.drop_columns("distinct_id").rename_columns({SENT: "distinct_id"})


def rows(table: pa.Table, names: Sequence[str]) -> list[tuple[Any, ...]]:
    with duckdb.connect() as connection:
        connection.register("stitched", table)
        return sorted(connection.sql("FROM stitched").select(quoted(names)).fetchall(), key=repr)


def check(stitched: pa.Table, resolver: idmerge.Resolver) -> None:
    """Compare the models with what `idmerge.stitch` and the resolver say."""
    names = stitched.column_names
    assert model("stitched_events", names) == rows(stitched, names)
    counts: dict[str, int] = {}
    for person in stitched.column("distinct_id").to_pylist():
        if person is not None:
            counts[person] = counts.get(person, 0) + 1
    sizes: dict[str, int] = {}
    for canonical in resolver.mapping().to_pydict()["canonical_id"]:
        sizes[canonical] = sizes.get(canonical, 0) + 1
    expected = [(person, sizes.get(person, 1), counts.get(person, 0)) for person in {*counts, *sizes}]
    assert model("persons", ["canonical_id", "ids", "events"]) == sorted(expected, key=repr)


@pytest.mark.parametrize("stitched", ["view", "incremental"])
def test_dbt_builds_the_events_and_persons_that_idmerge_stitches(stitched: str) -> None:
    path = sent(2000)
    with DurableResolver.open("ids.idmerge") as resolver:
        for piece in idmerge.files.scan(str(path)):
            if not isinstance(piece, idmerge.files.BadLine):
                piece.apply_to(resolver)
        resolver.commit()
        whole = pa.table(idmerge.stitch(path, resolver))
        load(raw_of(whole).slice(0, 1200), {"distinct_id": ["a"], "canonical_id": ["a"]})
        build(stitched=stitched)  # Before anything is known of most IDs.
        load(raw_of(whole), resolver.mapping())
        build(stitched=stitched)  # More events, and nearly every person is another one.
        check(whole, resolver)
        for position in range(10):
            resolver.retract(position)
        resolver.commit()
        later = pa.table(idmerge.stitch(path, resolver))
        assert later != whole
        load(raw_of(later), resolver.mapping())
        build(stitched=stitched)
        check(later, resolver)
