"""A part that was chosen: what it is made of stays as it was said."""

from ser_lightning.config import compose
from tests.components.test_code import write

MINE = """
class Mine:
    sample_rate, rate, shortest, bins = 16_000, 100, 160, 1
    def __init__(self, *, sizes: list[int] = [3, 2]):
        self.size = sizes.pop()
    def __call__(self, wave):
        return wave[::160, None]
"""


def test_a_constructor_that_writes_into_its_settings_changes_them_for_no_other(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, {"mine.py": MINE, "conf/features/mine.yaml": "_target_: mine.Mine\n"})
    part = compose(["features=mine", f"paths.output={tmp_path}"]).features
    assert [part.make().size, part.make().size] == [2, 2]
    assert part.own == {"sizes": [3, 2]}
