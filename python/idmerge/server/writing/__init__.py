"""What clients write: which of it is taken, and the records that it leaves."""
