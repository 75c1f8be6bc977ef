"""The console script `ser`: `ser train ...` is `python -m ser_lightning.train ...`.

A command's module is imported when that command is asked for, and no other.
"""

import sys
from difflib import get_close_matches
from importlib import import_module

from ser_lightning import __version__
from ser_lightning.errors import stop
from ser_lightning.terminal import lasting_output

# name -> the module whose `command` it is, and what it does
COMMANDS = {
    "train": ("ser_lightning.train", "train one configuration on its folds; with -m, a sweep"),
    "reproduce": ("ser_lightning.reproduce", "the paper's study on a corpus, with its report"),
    "report": ("ser_lightning.report.__main__", "figures, tables and a page of a study; compare two"),
    "status": ("ser_lightning.status", "what is done, running, failed or missing of a study"),
    "predict": ("ser_lightning.predict", "recognise emotions in recordings by what a study has trained"),
    "export": ("ser_lightning.export", "a study's model to use elsewhere: ONNX, weights and a card"),
    "doctor": ("ser_lightning.doctor", "look at a corpus before training on it"),
    "download": ("ser_lightning.download", "get an open corpus and check its files"),
    "demo": ("ser_lightning.demo", "a page to record on, or to drop a file, and see what a model makes of it"),
    "dashboard": ("ser_lightning.dashboard", "a saved W&B workspace for a study"),
    "explore": ("ser_lightning.explore", "a page of this machine: see and hear what a study gets wrong"),
}
MISUSED = 2  # argparse's exit status


def main() -> None:
    """Run the command that the first word names, on the words after it."""
    with lasting_output():
        _run()


def _run() -> None:
    word, words = (sys.argv[1], sys.argv[2:]) if len(sys.argv) > 1 else ("", [])
    if word in ("-h", "--help"):
        print(usage())
    elif word == "--version":
        print(f"ser_lightning {__version__}")
    elif word in COMMANDS:
        sys.argv[1:] = words
        import_module(COMMANDS[word][0]).command()
    elif word:
        stop(explain(word), status=MISUSED)
    else:
        print(usage(), file=sys.stderr)
        sys.exit(MISUSED)


def usage() -> str:
    """What `ser --help` prints."""
    width = max(map(len, COMMANDS)) + 2
    return "\n".join(
        [
            "Losses for speech emotion recognition, trained, swept and reported.",
            "",
            "usage: ser COMMAND ...",
            "",
            "Commands; `ser COMMAND --help` says what each takes:",
            *(f"  {name:<{width}}{purpose}" for name, (_, purpose) in COMMANDS.items()),
            "",
            "Flags:",
            f"  {'--help':<{width}}this",
            f"  {'--version':<{width}}the version of ser_lightning",
        ]
    )


def explain(word: str) -> str:
    """Why a first word is no command, and which one was probably meant.

    >>> explain("trian")
    'there is no command trian; did you mean train?'
    """
    close = get_close_matches(word, COMMANDS, n=1)
    if close:
        return f"there is no command {word}; did you mean {close[0]}?"
    if "=" in word or word.startswith("-"):
        return f"a command comes first: ser train {word} ..."
    return f"there is no command {word}; there are {', '.join(COMMANDS)}"


if __name__ == "__main__":
    main()
