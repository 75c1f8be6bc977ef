"""Where utterances and labels come from: one file per corpus, and what they have in common, the `Manifest`.

Names are imported when they are first used: a header is read without pandas.
"""

from typing import TYPE_CHECKING

from lazy_loader import attach

if TYPE_CHECKING:
    from ser_lightning.corpora.loading import Corpus as Corpus
    from ser_lightning.corpora.loading import load_manifest as load_manifest
    from ser_lightning.corpora.manifest import Manifest as Manifest

__getattr__, __dir__, __all__ = attach(
    __name__, submod_attrs={"loading": ["Corpus", "load_manifest"], "manifest": ["Manifest"]}
)
