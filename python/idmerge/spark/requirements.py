"""Requirements of the package: importable libraries, and a session with its own JVM."""

from __future__ import annotations

from typing import TYPE_CHECKING

from idmerge.errors import MissingExtraError, SparkSessionError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

INSTALL = "pip install 'pyspark>=4.1,<5' 'graphframes-py>=0.10.1' typing-extensions pyarrow pandas"


def missing(purpose: str, library: str, error: ImportError, way_out: str = "") -> MissingExtraError:
    """Return the error for a ``library`` whose import failed, or that of one it needs."""
    root = (error.name or library).partition(".")[0]
    if root == library:
        return MissingExtraError(f"{purpose} needs {library}: {INSTALL}{way_out}")
    return MissingExtraError(
        f"{purpose} needs {library}, which is installed but cannot be imported: {error}; "
        f"pip install {root}{way_out}"
    )


def check_session(frame: DataFrame) -> None:
    """Raise unless ``frame`` belongs to a session that has the JVM in reach.

    Raises:
        SparkSessionError: The session is one of Spark Connect.
    """
    from pyspark.sql.classic.dataframe import DataFrame as Classic  # noqa: PLC0415 - pyspark may be missing

    if not isinstance(frame, Classic):
        raise SparkSessionError(
            "idmerge.spark.resolve cannot run over Spark Connect: run it in a job of the cluster, "
            "with a session that SparkSession.builder.master(...) or spark-submit starts"
        )
