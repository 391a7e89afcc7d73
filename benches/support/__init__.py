"""The workload, and measurements in processes of their own."""
