"""Fault injection: kills, interrupts and damage by the thousand; any violation is exit code 1."""
