"""Links in a Spark DataFrame: checked columns, valid links, one observation an ID."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from pyspark.sql import functions as F
from pyspark.sql import types as T

from idmerge._steps import EVIDENCE, REFUSED, REFUSED_ASSOCIATION, kind_of
from idmerge.errors import ColumnError
from idmerge.events import KINDS, Kind
from idmerge.files.kinds import kind_named
from idmerge.files.rows import as_text
from idmerge.outcome import Outcome
from idmerge.resolver import Resolver

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import pyarrow as pa
    from numpy.typing import NDArray
    from pyspark.sql import Column, DataFrame

    from idmerge.policy import Api, Policy

IN_ORDER = ["order", "kind", "first", "second"]
"""The columns of links, in the order in which they sort links."""
_NEVER_SENT = (Outcome.INVALID_ID, Outcome.MALFORMED)


def order_columns(frame: DataFrame, order: str | Sequence[str]) -> list[Column]:
    """Return the columns that ``order`` names.

    Raises:
        ColumnError: There is no such column.
    """
    names = [order] if isinstance(order, str) else list(order)
    require(frame, *names)
    return [column(name) for name in names]


def column(name: str) -> Column:
    """Return the column called ``name``, whatever is in the name."""
    return F.col("`" + name.replace("`", "``") + "`")


def require(frame: DataFrame, *names: str) -> None:
    """Raise unless ``frame`` has columns of these names.

    Raises:
        ColumnError: One is missing, or none is named.
    """
    if not names:
        raise ColumnError("order must name a column, or several, got none")
    for name in names:
        if name not in frame.columns:
            raise ColumnError(f"expected the column {name}, got {', '.join(frame.columns)}")


def stated(links: DataFrame, order: str | Sequence[str], policy: Policy) -> DataFrame:
    """Return the links that are not as if never sent; observations are links of an ID with itself.

    The columns are those of `IN_ORDER`; several order columns become one struct.

    Raises:
        ColumnError: A column is missing, or its type is wrong.
    """
    orders = order_columns(links, order)
    require(links, "kind", "first", "second")
    for name in ("first", "second"):
        found = links.schema[name].dataType
        if not _is_type_of_ids(found):
            raise ColumnError(
                f"the column {name} must hold text, integers or UUIDs (as text), got {found.simpleString()}"
            )
    kind = links.schema["kind"].dataType
    if not isinstance(kind, (T.StringType, T.IntegralType)):
        raise ColumnError(f"the column kind must hold numbers or names of kinds, got {kind.simpleString()}")
    place = orders[0] if len(orders) == 1 else F.struct(*orders)
    plain = links.select(place.alias("order"), "kind", "first", "second")
    schema = T.StructType(
        [
            plain.schema["order"],
            T.StructField("kind", T.ByteType()),
            T.StructField("first", T.StringType()),
            T.StructField("second", T.StringType()),
        ]
    )
    return plain.mapInArrow(partial(_sent, policy), schema)


def _is_type_of_ids(kind: T.DataType) -> bool:
    """Return whether values of this type can be IDs (SPEC 3); a fraction raises later."""
    if isinstance(kind, T.DecimalType):
        return kind.scale == 0
    return isinstance(kind, (T.StringType, T.IntegralType, T.FloatType, T.DoubleType))


def _texts(name: str, ids: pa.Array[Any]) -> pa.Array[Any]:
    try:
        texts: pa.Array[Any] = as_text(name, ids)
    except TypeError as error:
        raise ColumnError(str(error)) from error
    return texts


def _sent(policy: Policy, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield the links that count under ``policy``, as the core judges their operands.

    Evidence that does not count is an observation of its first ID.
    """
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.compute as pc  # noqa: PLC0415

    for batch in batches:
        order, kind = batch.columns[:2]
        first, second = _texts("first", batch.column(2)), _texts("second", batch.column(3))
        kinds = _kind_numbers(kind)
        is_evidence = kinds == EVIDENCE
        if is_evidence.any():
            is_nothing = is_evidence & ~_can_be_ids(policy, second) if policy.evidence else is_evidence
            kinds = np.where(is_nothing, np.uint8(observation_of(policy.api)), kinds)
            second = pc.if_else(pa.array(is_nothing), first, second)
        plain = [order, pa.array(kinds.astype(np.int8)), first, second]
        # Links that the API has not are as if never sent.
        has = [code for code in np.unique(kinds).tolist() if kind_of(code)[0] in KINDS[policy.api]]
        counts = pa.array(_can_be_ids(policy, first, second) & np.isin(kinds, has))
        yield pa.RecordBatch.from_arrays(plain, names=IN_ORDER).filter(counts)


def observation_of(api: Api) -> Kind:
    """Return the kind of the link of an ID with itself that stands for an observation.

    Every API takes mappings; that of the Original API is a `$merge`, as callers know it.
    """
    return Kind.MERGE if api == "original" else Kind.MAPPING


def _can_be_ids(policy: Policy, *ends: Any) -> NDArray[np.bool_]:
    """Return whether all values of each row can be IDs; there are one or two columns of them."""
    outcomes = Resolver(policy, threads=1).link_many(Kind.MAPPING, ends[0], ends[-1]).outcomes
    return ~np.isin(outcomes, _NEVER_SENT)


def _code(name: object) -> int | None:
    """Return the code of a step: that of a `Kind`, or one that `idmerge.spark.links` states."""
    if isinstance(name, int) and (REFUSED <= name <= EVIDENCE or name == REFUSED_ASSOCIATION):
        return name
    return kind_named(name)


def _kind_numbers(kinds: pa.Array[Any]) -> NDArray[np.uint8]:
    """Return the code of each kind; distinct names are looked up once."""
    encoded: Any = kinds.dictionary_encode()
    numbers = [_code(name) for name in encoded.dictionary.to_pylist()]
    if encoded.null_count or None in numbers:
        unknown = None if encoded.null_count else encoded.dictionary[numbers.index(None)].as_py()
        raise ColumnError(
            "kind must be 0, 1, 2, 8, 13 or identify, alias, merge, mapping, association, "
            f"got {unknown!r:.100}"
        )
    if not numbers:
        return np.empty(0, np.uint8)
    of_rows: NDArray[np.uint8] = np.array(numbers, np.uint8)[encoded.indices.to_numpy()]
    return of_rows


def without_repeated_observations(links: DataFrame, tasks: int) -> DataFrame:
    """Keep the first of the links of each ID with itself: they make it known and do nothing else.

    It reads ``links`` twice, so they are persisted first. At most ``tasks`` tasks look for the
    first ones: Spark does not coalesce the partitions of a shuffle (200 by default) in a frame that
    is persisted.
    """
    is_observation = F.col("first") == F.col("second")
    earliest = F.min(F.struct("order", "kind")).alias("earliest")
    seen = links.where(is_observation).groupBy("first").agg(earliest).coalesce(tasks)
    observed = seen.select("earliest.order", "earliest.kind", "first", F.col("first").alias("second"))
    return links.where(~is_observation).unionAll(observed)
