"""What the owners of a corpus allow, as they say it of the recordings. None of them speaks of weights trained on it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Licence:
    """Under what a corpus is given.

    Attributes:
        name: as people call it.
        identifier: Hugging Face's, for model cards; '' where a corpus is given to single persons, who may not pass on
            what they have on the terms that they got it on.
        conditions: what it asks of those who use it, a word or two each.
    """

    name: str
    identifier: str = ""
    conditions: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.name} ({', '.join(self.conditions)})" if self.conditions else self.name


NON_COMMERCIAL, SHARE_ALIKE, NO_DERIVATIVES = "non-commercial", "share-alike", "no derivatives"
CC0 = Licence("CC0 1.0", "cc0-1.0")
CC_BY_NC_SA = Licence("CC BY-NC-SA 4.0", "cc-by-nc-sa-4.0", (NON_COMMERCIAL, SHARE_ALIKE))
# Its sources differ: CC BY-NC in some, and this, which is stricter, in others
CC_BY_NC_ND = Licence("CC BY-NC-ND 4.0", "cc-by-nc-nd-4.0", (NON_COMMERCIAL, NO_DERIVATIVES))
ODBL = Licence("ODbL 1.0, its contents DbCL 1.0", "odbl", (SHARE_ALIKE,))
