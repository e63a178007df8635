"""What every family stands on: compilation, memory, threads, validation, ladders."""
