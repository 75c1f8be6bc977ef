"""Look at a corpus before training on it: `ser doctor [key=value ...]`; status 1 if it is ill."""

from pathlib import Path
from typing import TYPE_CHECKING

from ser_lightning.command import run_command
from ser_lightning.config import Config
from ser_lightning.errors import UserError, stop

if TYPE_CHECKING:
    import pandas as pd

    from ser_lightning.corpora import Manifest


def main(config: Config) -> None:
    """Print what the corpus is, what is wrong with its recordings, and what leaks under the configured protocol."""
    from ser_lightning.corpora.manifest import refuse_empty_classes
    from ser_lightning.data.audit import audit_splits
    from ser_lightning.data.splits import make_splits, write_splits
    from ser_lightning.features.sound import measure_corpus
    from ser_lightning.identity import digest
    from ser_lightning.report import examination

    cache = Path(config.paths.output) / "cache"
    manifest, ills = load_tolerantly(config, cache)
    sound, problems = measure_corpus(manifest, cache)
    manifest = manifest.without(problems | too_short(sound, config), max_share=1)
    sound = sound[sound["id"].isin(manifest.table["id"])]
    refuse_empty_classes(manifest)
    ills += examination.show_corpus(manifest, sound)
    if config.corpus.own.get("complete") and not ills:
        print("The counts of every speaker, kind and code are those of the full release.")
    splits = make_splits(manifest, config.split)
    ills += examination.show_leaks(splits, audit_splits(manifest, sound, splits, cache))
    # Another division by the same protocol must not take the place of one that is trained on
    name = f"{config.corpus.name}-{config.split.name}-{digest([split.digest for split in splits])}.csv"
    division = Path(config.paths.output) / "splits" / name
    write_splits(splits, division)
    print(f"This division: {division} (to train on it: split=file split.table=...)")
    if ills:
        stop("; ".join(ills))


def load_tolerantly(config: Config, cache: Path) -> tuple["Manifest", list[str]]:
    """The manifest with whatever can be used, and what would have stopped a training."""
    from ser_lightning.corpora import load_manifest
    from ser_lightning.training.plan import shortest_seconds

    shortest = shortest_seconds(config)
    try:
        return load_manifest(config.corpus, cache, shortest), []
    except UserError as error:
        tolerant = {name: False if name == "complete" else value for name, value in config.corpus.own.items()}
        corpus = config.corpus.model_copy(update={"max_bad_share": 1.0, "own": tolerant})
        try:
            return load_manifest(corpus, cache, shortest), [str(error)]
        except UserError:
            raise error from None


def too_short(sound: "pd.DataFrame", config: Config) -> dict[str, str]:
    """The recordings that turned out shorter than the network needs: id -> how short; `sound` by `measure_corpus`."""
    from ser_lightning.training.plan import shortest_seconds

    shortest = shortest_seconds(config)
    short = sound[sound["seconds"] < shortest]
    lengths = zip(short["id"], short["seconds"], strict=True)
    return {str(name): f"{seconds:.2f} s is shorter than the {shortest:g} s needed" for name, seconds in lengths}


def command() -> None:
    """Do what was typed."""
    run_command(main, "doctor")


if __name__ == "__main__":
    command()
