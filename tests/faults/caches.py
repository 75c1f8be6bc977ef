"""Caches damaged, exchanged, or of other recordings: what is computed is of the recordings as they lie there now."""

import ctypes
import os
import random
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

import ser_lightning.contents
import ser_lightning.data.audit
from ser_lightning.config import Config, compose
from ser_lightning.contents import read_sealed, write_sealed
from ser_lightning.crashes import CrashWatch
from ser_lightning.errors import UserError
from ser_lightning.features.sound import CUES, measure_corpus
from ser_lightning.files import explain_file
from ser_lightning.training.plan import forget_corpora, plan_job
from tests.faults.campaign import Ending, described, listening
from tests.faults.damage import DAMAGES, mistake

NOTE = "my notes.txt"
RECORDINGS = 20
TIME = 10**18  # nanoseconds, of all recordings
# Which root has, and so writes where by its mode nobody may
DAC_OVERRIDE, CAPABILITY_VERSION = 1, 0x20080522


@dataclass(frozen=True)
class Findings:
    """What is known of a corpus: each utterance's frames, its sound, audits, and the names of runs on it."""

    frames: dict[str, bytes]
    sound: str
    audits: list[dict[str, object]]
    signatures: list[str]


class Caches:
    """Two corpora of equal names, sizes and times, one of them with two settings, in a cache with notes in it."""

    name = "caches"
    slice = 8

    def __init__(self, folder: Path) -> None:
        self.folder, self.cache = folder, folder / "output" / "cache"
        self.corpora = [folder / "one", folder / "other"]
        noise = np.random.default_rng(0)
        for corpus in self.corpora:
            corpus.mkdir(parents=True)
            for number in range(RECORDINGS):
                wave = 0.1 * noise.standard_normal(9_000)
                soundfile.write(corpus / f"{number:02d}.wav", wave, 16_000)
                os.utime(corpus / f"{number:02d}.wav", ns=(TIME, TIME))
            rows = [f"{number:02d}.wav,{'ab'[number % 2]},{number // 5}" for number in range(RECORDINGS)]
            (corpus / "table.csv").write_text("\n".join(["path,label,speaker", *rows]))
        views = [(self.corpora[0],), (self.corpora[0], "features.max_seconds=0.52"), (self.corpora[1],)]
        self.views = [self._view(*view) for view in views]
        self.truths: list[Findings] = []
        self.files: list[list[Path]] = []
        for number in range(len(views)):
            former = self._files()
            # The registers are written when a finished folder is looked at
            self._settle([number])
            self.truths += self._settle([number])
            # The second view makes features of its own, and has the rest of the first
            shared = [file for file in former if number == 1 and "features" not in file.parts]
            own = [file for file in self._files() if file not in former or file in shared]
            self.files.append([*own, self.cache / "contents" / "table.json"])
        for place in [self.cache, *self.cache.rglob("*")]:
            if place.is_dir():
                (place / NOTE).write_text("mine")
        self.whole = self._content()

    def strike(self, draws: random.Random) -> tuple[str, Ending, str]:
        number, fault, read_only = draws.randrange(len(self.views)), draws.choice(FAULTS), draws.random() < 0.2
        try:
            description = f"view {number}: {fault(self, number, draws)}{', cache read-only' * read_only}"
            with described(description):
                return description, *self._judge(number, read_only, times=draws.choice([1, 1, 2]))
        finally:
            if self._restore():
                self._settle([number])
                # The registers have other entries now
                self.whole = self._content()

    def recordings(self, corpus: int) -> list[Path]:
        """All of a corpus."""
        return sorted(self.corpora[corpus].glob("*.wav"))

    def corpus(self, number: int) -> int:
        """Which one a view is of."""
        return number // 2

    def look(self, number: int, output: Path | None = None) -> Findings:
        """What a command makes of a view, with the cache or with another output folder."""
        view = self.views[number]
        if output is not None:
            view = view.model_copy(update={"paths": view.paths.model_copy(update={"output": str(output)})})
        forget_corpora()
        with _quick():
            planned = plan_job(view)
        store, manifest = planned[0].store, planned[0].manifest
        sound, problems = measure_corpus(manifest, Path(view.paths.output) / "cache")
        return Findings(
            {name: store.of(row).tobytes() for name, row in store.rows.items()},
            sound.to_csv() + str(problems),
            [asdict(run.audit) for run in planned],
            [run.signature for run in planned],
        )

    def _judge(self, number: int, read_only: bool, times: int) -> tuple[Ending, str]:
        """How one command ends, or two: the second finds what the first has mended."""
        before, notes = self._content(self.corpora), len(list(self.cache.rglob(NOTE)))
        refusal: Exception | None = None
        with listening() as words:
            try:
                with unwritable(self.cache) if read_only else nullcontext():
                    findings = [self.look(number) for _ in range(times)]
            except (UserError, OSError) as error:
                refusal = error
        if self._content(self.corpora) != before or len(list(self.cache.rglob(NOTE))) < notes:
            return Ending.LOST, f"a recording or a note is not as it was before; {refusal} {words}"
        if refusal is not None:
            return self._refused(refusal)
        # Progress is shown whatever happens
        lines = [line for line in words.lines if "\u2501" not in line]
        if findings != [self._truth(number)] * times:
            return Ending.WRONG, "\n".join(lines)
        return (Ending.NAMED if lines else Ending.UNHARMED), "\n".join(lines)

    def _refused(self, error: Exception) -> tuple[Ending, str]:
        message = str(error) if isinstance(error, UserError) else explain_file(error)
        if message is None:
            raise error
        if str(self.folder) not in message:
            return Ending.WRONG, f"no file is named: {message}"
        raise UserError(message) from error

    def _truth(self, number: int) -> Findings:
        """What a command that has no cache yet makes of the recordings as they are."""
        content = self._content(self.corpora)
        if content == {file: whole for file, whole in self.whole.items() if not file.startswith(str(self.cache))}:
            return self.truths[number]
        clean = self.folder / "clean"
        try:
            with listening():
                return self.look(number, clean)
        finally:
            shutil.rmtree(clean, ignore_errors=True)

    def _settle(self, numbers: Iterable[int]) -> list[Findings]:
        """Look at views, and have the registers know all their files, though they are of this moment."""
        settled, ser_lightning.contents.SETTLED = ser_lightning.contents.SETTLED, -60
        try:
            return [self.look(number) for number in numbers]
        finally:
            ser_lightning.contents.SETTLED = settled

    def _restore(self) -> bool:
        """Make all files those they were; whether any was not."""
        changed = False
        folders = {parent for name in self.whole for parent in Path(name).parents}
        for place in (self.cache, *self.cache.rglob("*")):
            if place.is_dir() and not place.is_symlink() and place not in folders:
                shutil.rmtree(place)
                changed = True
        present = self._content()
        for place in sorted({Path(file) for file in present} - {Path(file) for file in self.whole}, reverse=True):
            remove(place)
            changed = True
        for name, content in self.whole.items():
            if present.get(name) != content:
                file = Path(name)
                remove(file)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)
                if file.suffix == ".wav":
                    os.utime(file, ns=(TIME, TIME))
                changed = True
        return changed

    def _content(self, places: list[Path] | None = None) -> dict[str, bytes]:
        """Every file's content; of what is no regular file, what it is."""
        contents = {}
        for place in places or [*self.corpora, self.cache]:
            for folder, folders, files in os.walk(place):
                for name in [*files, *(name for name in folders if Path(folder, name).is_symlink())]:
                    file = Path(folder, name)
                    regular = file.is_file() and not file.is_symlink()
                    contents[str(file)] = file.read_bytes() if regular else b"\0no file"
        return contents

    def _files(self) -> list[Path]:
        return sorted(file for file in self.cache.rglob("*") if file.is_file())

    def _view(self, corpus: Path, *overrides: str) -> Config:
        return compose(
            [
                *("corpus=table", f"corpus.root={corpus}", "corpus.table=table.csv", "split.folds=[0]"),
                *(f"paths.output={self.cache.parent}", "study.name=caches", "logger=csv", *overrides),
            ]
        )


Fault = Callable[[Caches, int, random.Random], str]


def damaged_file(scene: Caches, number: int, draws: random.Random) -> str:
    file = draws.choice(scene.files[number])
    others = [other for files in scene.files for other in files if other.name == file.name and other != file]
    damages = [one for one in DAMAGES if file.stat().st_size or one.__name__ in ("lengthen", "remove", "obstruct")]
    done = draws.choice([*damages, *map(mistake, others)])(file, draws)
    return f"{file.relative_to(scene.cache)}: {done}"


def other_entry(scene: Caches, number: int, draws: random.Random) -> str:
    """Another's folder or audit, whole, in one's place."""
    kind = draws.choice(["features", "sound", "audit", "contents/features", "contents/sound"])
    entries = sorted(scene.cache.glob(f"{kind}/table-*[!k]"))
    one = draws.choice([entry for entry in entries if {entry} & {*scene.files[number], *own_folders(scene, number)}])
    other = draws.choice([entry for entry in entries if entry != one])
    remove(one)
    shutil.copytree(other, one) if other.is_dir() else shutil.copy2(other, one)
    return f"{kind}/{other.name} in place of {one.name}"


def gone(scene: Caches, number: int, draws: random.Random) -> str:
    folders = sorted(place for place in [scene.cache, *scene.cache.rglob("*")] if place.is_dir())
    folder = draws.choice(folders)
    shutil.rmtree(folder)
    return f"{folder.name}/ removed"


def odd_register(scene: Caches, number: int, draws: random.Random) -> str:
    """A register, duly sealed, of which entries are what another version may have written."""
    file = draws.choice([file for file in scene.files[number] if file.is_relative_to(scene.cache / "contents")])
    entries = read_sealed(file)
    odd = draws.choice([None, 7, "abc", [], ["0" * 64], [1, 2, 3], {"a": 1}, [[1]], True])
    content = draws.choice([dict.fromkeys(entries, odd), odd, {**entries, "nowhere": odd, "": odd, "\0": odd}])
    write_sealed(file, content)
    return f"{file.name} has entries {odd!r}, {type(content).__name__}"


def leftovers(scene: Caches, number: int, draws: random.Random) -> str:
    """What processes leave that were killed while they made a store."""
    folder = draws.choice([place for place in own_folders(scene, number) if (place / "seal.json").is_file()])
    (folder / NOTE).unlink()
    folder.rename(folder.with_name(f"{folder.name}.elsewhere-1.unfinished"))
    for file in scene.cache.rglob("*.lock"):
        file.unlink()
    return f"{folder.name} was left unfinished"


def other_sound(scene: Caches, number: int, draws: random.Random) -> str:
    """The other corpus's sound, or one's own in another order, under equal names, sizes and times."""
    corpus, order = scene.corpus(number), [*range(RECORDINGS)]
    draws.shuffle(order)
    source = scene.recordings(draws.randrange(2))
    contents = [source[place].read_bytes() for place in order]
    count = draws.choice([1, 2, RECORDINGS])
    anew = draws.random() < 0.5
    for file, content in zip(scene.recordings(corpus)[:count], contents, strict=False):
        if anew:
            file.unlink()
        file.write_bytes(content)
        os.utime(file, ns=(TIME, TIME))
    return f"{count} recordings of {source[0].parent.name} {'anew' * anew} in {scene.corpora[corpus].name}"


def exchanged(scene: Caches, number: int, draws: random.Random) -> str:
    """Recordings, or whole corpora, that have changed places."""
    if draws.random() < 0.3:
        one, other = scene.corpora
    else:
        one = draws.choice(scene.recordings(scene.corpus(number)))
        other = draws.choice([file for file in [*scene.recordings(0), *scene.recordings(1)] if file != one])
    between = scene.folder / "between"
    one.rename(between)
    other.rename(one)
    between.rename(other)
    return f"{one.parent.name}/{one.name} and {other.parent.name}/{other.name} exchanged"


def spoilt(scene: Caches, number: int, draws: random.Random) -> str:
    """A recording that is damaged, short, silent or no file."""
    file = draws.choice(scene.recordings(scene.corpus(number)))
    kind = draws.choice(["silent", "short", "link", "damaged"])
    if kind in ("silent", "short"):
        wave = np.zeros(9_000) if kind == "silent" else np.full(2_000, 0.1)
        soundfile.write(file, wave, 16_000)
    elif kind == "link":
        target = draws.choice(scene.recordings(draws.randrange(2)))
        file.unlink()
        file.symlink_to(target)
        kind = f"link to {target.parent.name}/{target.name}"
    else:
        kind = draws.choice(DAMAGES)(file, draws)
    if file.is_file():
        os.utime(file, ns=(TIME, TIME))
    return f"{file.parent.name}/{file.name}: {kind}"


def there_and_back(scene: Caches, number: int, draws: random.Random) -> str:
    """Other sound for a while, of which the cache has learnt."""
    corpus, kept = scene.corpora[scene.corpus(number)], scene.folder / "kept"
    corpus.rename(kept)
    shutil.copytree(kept, corpus)
    present = scene.recordings(scene.corpus(number))
    for file, other in zip(present, draws.sample(present[::-1], len(present)), strict=True):
        file.write_bytes((kept / other.name).read_bytes())
        os.utime(file, ns=(TIME, TIME))
    with listening():
        scene.look(number)
    shutil.rmtree(corpus)
    kept.rename(corpus)
    return f"{corpus.name} had other sound for a while"


FAULTS: tuple[Fault, ...] = (
    *(damaged_file, damaged_file, damaged_file, other_entry, other_entry, gone, odd_register, leftovers),
    *(other_sound, other_sound, exchanged, spoilt, spoilt, there_and_back),
)


def own_folders(scene: Caches, number: int) -> list[Path]:
    """The folders of the cache that a view uses."""
    return list(dict.fromkeys(file.parent for file in scene.files[number]))


def remove(place: Path) -> None:
    """Whatever it is."""
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)


@contextmanager
def _quick() -> Iterator[None]:
    """Without what takes longest: the forest of an audit, and the process that watches who reads."""

    def add_cues(train: pd.DataFrame, test: pd.DataFrame, classes: list[str]) -> float:
        return float(pd.concat([train, test])[list(CUES)].sum().sum())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ser_lightning.data.audit, "_cue_ua", add_cues)
        patch.setattr(CrashWatch, "__enter__", lambda self: self)
        yield


@contextmanager
def unwritable(folder: Path) -> Iterator[None]:
    """A folder, with all in it, that nobody may write to while this is entered, root neither."""
    places = [place for place in [folder, *folder.rglob("*")] if place.is_dir() and not place.is_symlink()]
    for place in places:
        place.chmod(0o555)
    try:
        with _without_override():
            yield
    finally:
        for place in places:
            place.chmod(0o755)


@contextmanager
def _without_override() -> Iterator[None]:
    """This thread, and those that it starts, keep to the modes of files."""
    libc, header = ctypes.CDLL(None), (ctypes.c_uint32 * 2)(CAPABILITY_VERSION, 0)
    capabilities = (ctypes.c_uint32 * 6)()  # effective, permitted and inheritable, in two halves
    libc.capget(header, capabilities)
    effective = capabilities[0]
    capabilities[0] = effective & ~(1 << DAC_OVERRIDE)
    libc.capset(header, capabilities)
    try:
        yield
    finally:
        capabilities[0] = effective
        libc.capset(header, capabilities)
