"""Other ways to the same answers, on the same links, in turns with ours."""
