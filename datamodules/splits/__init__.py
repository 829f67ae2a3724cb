"""Which clips belong to a split, with which label: lists, annotations, draws, class names."""
