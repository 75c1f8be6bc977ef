"""A report as one HTML page that needs no other file and no network."""

import base64
from collections.abc import Mapping
from functools import cache

from jinja2 import Environment, PackageLoader, Template

from ser_lightning.report.document import Block, Image, Panel, Report


def html_page(report: Report, images: Mapping[str, Image]) -> str:
    """The page, with the PNGs of its figures inside."""
    return _template().render(report=report, images=images)


def _kind(row: Block | list[Panel]) -> str:
    return "figures" if isinstance(row, list) else type(row).__name__.lower()


@cache
def _template() -> Template:
    environment = Environment(loader=PackageLoader("ser_lightning.report"), autoescape=True, trim_blocks=True)
    environment.filters["kind"] = _kind
    environment.filters["base64"] = lambda content: base64.b64encode(content).decode()
    # At the end of a line a number may part from its interval, neither ± nor a setting from its value
    environment.filters["tied"] = lambda text: text.replace("± ", "±\u00a0").replace(" = ", "\u00a0=\u00a0")
    environment.filters["is_number"] = lambda text: bool(text) and text.lstrip("+-–< ")[:1].isdigit()
    return environment.get_template("page.html")
