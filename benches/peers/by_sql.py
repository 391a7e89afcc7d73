"""Peers that cluster by joins: DuckDB by hand, and splink, which writes such joins itself."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from benches.peers.by_rules import arrow_columns
from benches.peers.peer import Peer
from benches.support.digests import digest_of_partition

if TYPE_CHECKING:
    from benches.support.workload import Columns

_NUMBER = """
create table ids as
    select id, (row_number() over ())::integer as number
    from (select left_id as id from links union select right_id from links);
create table edges as
    with pairs as (
        select a.number as a, b.number as b
        from links join ids a on a.id = left_id join ids b on b.id = right_id
    )
    select a, b from pairs union select b, a from pairs;
create table labels as select number, number as label from ids;
"""
_STEP = """
create table nearer as
    select labels.number, least(labels.label, coalesce(min(beside.label), labels.label)) as label
    from labels
    left join edges on edges.a = labels.number
    left join labels beside on beside.number = edges.b
    group by labels.number, labels.label;
create table shorter as
    select nearer.number, jump.label from nearer join nearer jump on jump.number = nearer.label;
"""
_CHANGED = "select count(*) from shorter join labels using (number) where shorter.label <> labels.label"
_NEXT = "drop table labels; drop table nearer; alter table shorter rename to labels;"


def duckdb_components(given: tuple[Any, ...]) -> pa.Table:
    """Spread the smallest number over each cluster until nothing changes."""
    import duckdb

    links = pa.table({"left_id": given[1], "right_id": given[2]})
    with duckdb.connect(config={"temp_directory": tempfile.gettempdir()}) as connection:
        connection.register("links", links)
        connection.execute(_NUMBER)
        changed = True
        while changed:
            connection.execute(_STEP)
            (changed,) = connection.execute(_CHANGED).fetchone()
            connection.execute(_NEXT)
        return connection.sql("select id, label from ids join labels using (number)").to_arrow_table()


def splink_components(given: tuple[Any, ...]) -> pa.Table:
    from splink import DuckDBAPI
    from splink.clustering import cluster_pairwise_predictions_at_threshold

    _, left, right = given
    nodes = pa.table({"id": pc.unique(pa.chunked_array([left, right]))})
    clusters = cluster_pairwise_predictions_at_threshold(
        nodes,
        pa.table({"left_id": left, "right_id": right}),
        DuckDBAPI(),
        node_id_column_name="id",
        edge_id_column_name_left="left_id",
        edge_id_column_name_right="right_id",
    )
    table = clusters.as_duckdbpyrelation().to_arrow_table()
    return pa.table({"id": table["id"], "label": table["cluster_id"]})


def table_answer(table: pa.Table, columns: Columns) -> Mapping[str, str]:
    """Put the labels in the order of our numbers."""
    rows = pc.index_in(columns.ids, value_set=table["id"].combine_chunks())
    labels = table["label"].combine_chunks().dictionary_encode().indices.to_numpy()
    return {"clusters": digest_of_partition(np.asarray(labels)[rows.to_numpy()])}


_SETTLED: dict[str, Any] = {
    "question": "link without rules",
    "given": "Arrow",
    "until": "an Arrow table of ID and label",
    "prepare": arrow_columns,
    "answer": table_answer,
}

PEERS = [
    Peer(name="duckdb", label="DuckDB", needs=("duckdb",), work=duckdb_components, **_SETTLED),
    Peer(name="splink", label="splink", needs=("splink",), work=splink_components, **_SETTLED),
]
