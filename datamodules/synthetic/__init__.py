"""Generated videos with known content, for the demo and the tests."""
