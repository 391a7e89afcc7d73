"""Measurements that are recorded or quoted: the tables and charts of docs/performance.md among them."""
