"""How fast this is: `python -m benchmarks`. What was tried to make it so is in docs/speed.md."""
