"""Try a model by voice: `ser demo MODEL` opens a page of this machine to record on, or to drop a file."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ser_lightning.files import absolute
from ser_lightning.inference.demo import load_gradio, make_page, serve
from ser_lightning.inference.limits import limits
from ser_lightning.inference.recognizer import Recognizer
from ser_lightning.inference.server import add_page_options
from ser_lightning.inference.sources import add_source_options
from ser_lightning.invocation import Parser, command_line, end_clearly
from ser_lightning.terminal import tell


def page(
    model: str | Path, *, setting: str = "", run: str = "", trust: bool = False, output: str | Path | None = None
) -> Any:
    """The page of a model as a gradio app; a hub space calls `page("model").launch()`.

    The arguments are those of `Recognizer.load`. Raises `UserError` where there is no such model, or no gradio.
    """
    load_gradio()
    recognizer = Recognizer.load(model, setting=setting, run=run, trust=trust, output=output)
    tell(recognizer.source)
    return make_page(recognizer, limits(recognizer.source))


def main(arguments: Sequence[str] | None = None) -> None:
    """Show the page until Ctrl-C. Raises `UserError` as `page` does, and where the port cannot be had."""
    options = _parser().parse_args(arguments)
    app = page(
        options.model, setting=options.setting, run=options.run, trust=options.trust, output=absolute(options.output)
    )
    serve(app, options.port, options.browser)


def _parser() -> Parser:
    parser = Parser(
        prog=command_line("demo"),
        description="Open a page on this machine, to record speech or drop a file, and see what a model makes of it.",
    )
    parser.add_argument("model", metavar="MODEL", help="a study or a run, by name or folder, or an exported folder")
    add_page_options(parser)
    add_source_options(parser)
    return parser


def command() -> None:
    """Do what was typed."""
    end_clearly(main)


if __name__ == "__main__":
    command()
