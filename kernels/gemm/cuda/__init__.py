"""The matmul ladder on a GPU."""
