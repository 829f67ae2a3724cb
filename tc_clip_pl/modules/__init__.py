"""The network: one main class per file."""
