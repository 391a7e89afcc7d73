"""Items that clients write: those that are taken, and the records that they leave."""
