"""Suites of pytest-benchmark: each call timed, each answer checked."""
