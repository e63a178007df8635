"""Rung 2: all gates of a block of units in one register tile, and a batch row's whole walk on one thread.

`batched` writes every step's pre-activations to memory, reads them again for the gates, and lets all threads
wait for one another twice a step. Here the weights are packed so that a tile's columns are the gates of the
same few units: LANES units × i, f, g, o, four vectors wide. The tile takes the step's input and the state
before it, and as it leaves the registers the gates are applied to it: no pre-activation ever reaches the second
cache. Rows of a batch have nothing to do with one another, so threads take rows, not units, each for all of the
time, and never wait. Rows of different lengths are dealt out longest first, and a row costs its own steps.

    tile.py    the product of a tile, and how weights are packed for it
    walk.py    which rows a share takes, and where their steps lie
    lstm.py  gru.py  rnn.py   the cells, forward and back through time
    units.py   few rows: threads take units instead, and meet after each step
"""
