"""Benchmarks: ours, the reference and the peers, on one workload, with their answers checked."""
