"""The bench on a CUDA device: ``python -m bench NAME --target cuda``.

    command.py    what the command does there
    correct.py    every rung against its reference, on odd sizes, before anything is timed
    race.py       one case in one direction: rungs, and PyTorch where it is installed
    device.py     arrays, the clock, the device's ceilings, what a launch costs
    torch_peer.py PyTorch's own operations on the same tensors

Imported only when it is asked for.
"""
