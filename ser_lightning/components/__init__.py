"""From a yaml to checked settings to an object: a part is a class, and its constructor is its configuration."""

from ser_lightning.components.part import Part, blamed
from ser_lightning.components.validation import Text, validate

__all__ = ["Part", "Text", "blamed", "validate"]
