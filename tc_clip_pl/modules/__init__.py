"""The network, one main class a file."""
