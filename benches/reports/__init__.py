"""Measurements that are recorded or quoted, as in the tables and charts of docs/performance.md."""
