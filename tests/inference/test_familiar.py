from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from ser_lightning.inference.familiar import TABLE, read_familiar
from ser_lightning.runs.ledger import read_features, read_result
from ser_lightning.runs.study import read_jobs


@pytest.fixture(scope="module")
def results(study, trained):
    return [read_result(trained / "runs" / name) for name in read_jobs(study)[1].runs]


@pytest.fixture
def cache(results, trained, tmp_path):
    """A cache with the table of the study's recordings alone."""
    (own,) = {result.sound for result in results}
    write_table(tmp_path / own, pd.read_parquet(trained / "cache" / "sound" / own / TABLE))
    return tmp_path


def write_table(folder: Path, table: pd.DataFrame) -> None:
    target = folder.parent / "sound" / folder.name
    target.mkdir(parents=True)
    table.to_parquet(target / TABLE)


def known(cache: Path, result) -> pd.DataFrame:
    return pd.read_parquet(cache / "sound" / result.sound / TABLE)


def test_a_network_knows_the_recordings_of_its_train_and_dev_parts(results, trained, cache):
    familiar = read_familiar(trained / "runs", results, cache)
    contents = known(cache, results[0]).set_index("id")["content"]
    parts = [read_features(trained / "runs" / result.signature).set_index("id")["part"] for result in results]
    for name, content in contents.items():
        strangers = [number for number, part in enumerate(parts) if part.get(name, "test") == "test"]
        assert familiar.strangers(content) == strangers, name
    assert familiar.strangers("another") is None


def test_a_corpus_of_the_same_name_and_the_same_ids_is_not_the_studys(results, trained, cache):
    other = known(cache, results[0])
    other["content"] = "another's " + other["content"]
    write_table(cache / f"{results[0].corpus}-other", other)
    familiar = read_familiar(trained / "runs", results, cache)
    assert familiar == read_familiar(trained / "runs", results, trained / "cache")
    assert familiar.strangers(other["content"][0]) is None


def test_what_an_earlier_version_trained_knows_the_tables_with_all_its_utterances(results, trained, cache):
    part = known(cache, results[0]).iloc[1:]
    write_table(cache / f"{results[0].corpus}-part", part.assign(content="another's " + part["content"]))
    earlier = [replace(result, sound="") for result in results]
    familiar = read_familiar(trained / "runs", earlier, cache)
    assert familiar == read_familiar(trained / "runs", results, cache)


def test_without_a_table_of_its_recordings_a_run_is_named(results, trained, cache):
    part = known(cache, results[0]).iloc[1:]
    (cache / "sound" / results[0].sound / TABLE).unlink()
    write_table(cache / f"{results[0].corpus}-part", part)
    familiar = read_familiar(trained / "runs", results, cache)
    assert familiar.strangers(part["content"].iloc[0]) is None
    assert familiar.reason == (
        f"{cache / 'sound'} has no table of {results[0].corpus} with the recordings of run {results[0].signature}"
    )
