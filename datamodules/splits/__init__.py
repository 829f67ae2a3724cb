"""Which clips belong to a split, with which label: list files, annotations, draws, class names, protocols."""
