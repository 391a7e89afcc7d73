"""What readers ask of a server."""
