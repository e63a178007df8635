"""The conv2d ladder on a GPU."""
