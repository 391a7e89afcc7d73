"""Questions of readers to a server, and its answers."""
