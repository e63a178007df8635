"""Named cases, one check, and the calls that reach every rung."""
