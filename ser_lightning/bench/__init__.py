"""How fast this is: `python -m ser_lightning.bench`. What was tried to make it so is in docs/speed.md."""
