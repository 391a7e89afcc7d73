"""HTTP: requests as they come, answers, credentials, and the socket that takes them."""
