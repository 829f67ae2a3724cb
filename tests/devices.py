"""Where the tests of kernels run: a GPU, or Triton's interpreter on the CPU."""

import torch

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
