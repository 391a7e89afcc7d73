"""Events at rest: sealed into Parquet, found by their sender, merged and forgotten."""
