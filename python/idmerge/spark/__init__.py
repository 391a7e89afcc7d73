"""Resolving and stitching on Apache Spark: links, mapping and stitched events as DataFrames.

Three calls: `links` returns the links that events state, `resolve` the mapping from IDs to
canonical IDs, `stitch` the events with canonical IDs. The mapping is that of one `idmerge.Resolver`
which was fed every link in order; not nearly, but row for row. Why that is so:

1. A link is judged by its own two IDs, the claims on them, and the two clusters that hold them
   (SPEC 2). A cluster only grows by accepted links. So nothing that a link reads or writes lies
   outside of the connected component, in the graph of *all stated* links, rejected ones included,
   that holds it.
2. The canonical ID is chosen among its members (SPEC 5), by which of them became known first.
   That compares IDs of one component, and the order of the links is the same wherever they are
   replayed.
3. Links that are malformed or name what can be no ID are as if never sent (SPEC 2, steps 1 and 2),
   so they leave before components are found. Blocked IDs join nothing, here as everywhere.
4. An ordinary event makes its ID known and does nothing else. So does a `$merge` of an ID with
   itself (SPEC 2, step 3), so that is how `links` states one. Only the first one of each ID counts.

Hence any division of the links in which every component stays whole gives the same answer, if each
part is replayed in order. Parts are drawn by a hash of the component; a task holds several
components and gives them to one resolver. To put two components into one part changes nothing, so
vertices of the graph are 64-bit hashes of IDs: two IDs of one hash only share a part.

Components are found by `idmerge.connected_components` in one task up to 20 million links, above
that by the star algorithm of this package, which needs nothing but Spark; or, on request, by
GraphFrames, whose jar the session must have (docs/scale.md says how to get it). Links that one task
may replay need no components at all: they are one part. Idmerge itself must be installed wherever
Python runs.
"""

from idmerge.spark.requirements import missing as _missing

try:
    import pyspark as _pyspark  # noqa: F401 - whether it is there
except ImportError as error:
    raise _missing("idmerge.spark", "pyspark", error) from error

from idmerge.spark.events import links
from idmerge.spark.resolving import resolve
from idmerge.spark.stitching import stitch

__all__ = ["links", "resolve", "stitch"]
