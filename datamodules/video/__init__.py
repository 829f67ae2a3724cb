"""From a file on disk to a batch of clips: decoding, frame sampling, samplers, loaders."""
