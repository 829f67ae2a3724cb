"""Token aggregation: seed tokens in, context tokens out."""
