"""Generated videos with known content."""
