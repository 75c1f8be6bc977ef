"""How the user calls the commands, for usage lines and for what is printed to be typed next."""

import sys
from pathlib import Path


def command_line(command: str) -> str:
    """`ser train` where `ser` is what was typed, else `python -m ser_lightning.train`, which needs no installation."""
    return f"ser {command}" if Path(sys.argv[0]).name == "ser" else f"python -m ser_lightning.{command}"
