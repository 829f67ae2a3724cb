"""Pictures of what the model looks at."""
