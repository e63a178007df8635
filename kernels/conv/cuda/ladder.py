"""The rungs of conv2d on a CUDA device."""
