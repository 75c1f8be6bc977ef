"""How the user calls the commands, for usage lines and for what is printed to be typed next; and how they end."""

import signal
import sys
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from ser_lightning.errors import UserError, stop
from ser_lightning.files import explain_file
from ser_lightning.terminal import lasting_output


def command_line(command: str) -> str:
    """`ser train` where `ser` is what was typed, else `python -m ser_lightning.train`, which needs no installation."""
    return f"ser {command}" if Path(sys.argv[0]).name == "ser" else f"python -m ser_lightning.{command}"


class Parser(ArgumentParser):
    """Says what is wrong with a command line in one line."""

    def error(self, message: str) -> NoReturn:
        """End the program with status 2."""
        stop(f"{message}; --help says what is taken", status=2)


def end_at_sigterm() -> None:
    """Let SIGTERM end this process as Ctrl-C does: worker processes end, loggers are closed, what is begun removed."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))


def end_clearly(main: Callable[[], object], interrupted: str = "interrupted") -> None:
    """Call the `main` of a command; what the user can mend, and Ctrl-C, ends the program with one clear line."""
    end_at_sigterm()
    with lasting_output():
        try:
            main()
        except UserError as error:
            stop(error)
        except KeyboardInterrupt:
            stop(interrupted, status=130)
        except OSError as error:
            if (message := explain_file(error)) is None:
                raise
            stop(message)
