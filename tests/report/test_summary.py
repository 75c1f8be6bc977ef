import dataclasses
from dataclasses import replace

import numpy as np
import pytest
import yaml

from ser_lightning.components.groups import shipped_choices
from ser_lightning.errors import UserError
from ser_lightning.report.samples import difference_row
from ser_lightning.report.scored import pairs, score_runs
from ser_lightning.report.summary import average, describe_protocol, provenance, speakers_by_id
from ser_lightning.runs.ledger import PREDICTIONS, read_result
from tests.report.simulated import Simulation, predictions, settings_of, summarise

# Recalls 3/4, 1, 0, 1/2: UA 56.25 %, and 5 of 8 right: WA 62.5 %.
FIRST = predictions(
    [("neu", "neu")] * 3
    + [("neu", "sad"), ("ang", "ang"), ("hap", "ang"), ("sad", "sad"), ("sad", "neu")]
)  # fmt: skip
# Recalls 1/2, 1, 1, 1: UA 87.5 %, and 6 of 8 right: WA 75 %.
SECOND = predictions(
    [("neu", "neu")] * 2 + [("neu", "ang")] * 2 + [("ang", "ang"), ("hap", "hap"), ("sad", "sad"), ("sad", "sad")]
)

SETTINGS = settings_of("logmel", 0.3, 0.5)


T4 = 2.7764451051977987  # 97.5 % of Student's t with 4 degrees of freedom


def of_fold(fold, test):
    """Other utterances in every fold."""
    return test.assign(id=[f"f{fold}{name}" for name in test["id"]])


def test_means_and_intervals_are_those_computed_by_hand(simulation):
    job = simulation.add_job(0, "centre", SETTINGS, folds=range(6))
    for fold, test in enumerate([FIRST, SECOND, FIRST, FIRST, SECOND]):
        simulation.finish(SETTINGS, 0, fold, of_fold(fold, test))
    (row,) = summarise([job], simulation.runs).to_dict("records")
    # Nothing differs from another job
    assert list(row)[:3] == ["name", "runs", "planned"]
    assert (row["runs"], row["planned"]) == (5, 6)
    # 56.25 three times and 87.5 twice; 62.5 three times and 75 twice
    assert (row["ua"], row["wa"]) == pytest.approx((68.75, 67.5))
    variance = (3 * 12.5**2 + 2 * 18.75**2) / 4
    assert row["ua_sd"] == pytest.approx(np.sqrt(variance))
    # New recordings of the same people: runs of other utterances have the larger of the variances by run and by
    # utterance. Recalls are 0.65, 1, 0.4, 0.7 over all runs, and an utterance is one of 4, 1, 1 or 2 of its class.
    squares = (9 + 4) * 0.35**2 + (3 + 4) * 0.65**2, 0, 3 * 0.4**2 + 2 * 0.6**2, (3 + 4) * 0.3**2 + 3 * 0.7**2
    by_utterance = sum((100 / (5 * 4 * n)) ** 2 * one for n, one in zip((4, 1, 1, 2), squares, strict=True)) * 40 / 39
    assert by_utterance < variance / 5
    assert row["ua_half"] == pytest.approx(T4 * np.sqrt(variance / 5))
    # Of WA it is the variance by utterance: 27 of 40 are right, 0.325 above the mean of 0.675
    squares = 27 * 0.325**2 + 13 * 0.675**2
    assert row["wa_half"] == pytest.approx(T4 * np.sqrt(40 / 39 * squares * (100 / 40) ** 2), rel=1e-6)


def test_four_runs_have_a_mean_and_no_interval(simulation):
    job = simulation.add_job(0, "centre", SETTINGS, folds=range(4))
    for fold, test in enumerate([FIRST, SECOND, SECOND, SECOND]):
        simulation.finish(SETTINGS, 0, fold, of_fold(fold, test))
    (row,) = summarise([job], simulation.runs).to_dict("records")
    # 56.25 and 87.5 three times: 23.4375 below the mean and 7.8125 above it
    assert (row["ua"], row["wa"]) == pytest.approx((79.6875, 71.875))
    assert row["ua_sd"] == pytest.approx(np.sqrt((23.4375**2 + 3 * 7.8125**2) / 3))
    assert np.isnan([row[name] for name in row if name.endswith(("_half", "_error", "_low", "_high"))]).all()


def test_one_run_has_no_spread_and_no_run_no_mean(simulation):
    one = simulation.add_job(0, "one", SETTINGS, folds=[0])
    none = simulation.add_job(1, "none", settings_of("logmel", 3.0, 0.5), folds=[0])
    simulation.finish(SETTINGS, 0, 0, FIRST)
    summary = summarise([one, none], simulation.runs)
    assert list(summary["runs"]) == [1, 0]
    assert summary["ua"][0] == pytest.approx(56.25)
    assert summary[["ua_half", "wa_half", "ua_sd"]].isna().all(axis=None)
    assert np.isnan(summary["ua"][1])


def test_jobs_without_lambda_share_runs_and_have_no_alpha(simulation):
    settings = [settings_of("logmel", lam, alpha) for alpha in (0.1, 0.9) for lam in (0.0, 0.5)]
    jobs = [simulation.add_job(number, f"job {number}", of, folds=[0]) for number, of in enumerate(settings)]
    for of in settings:
        simulation.finish(of, 0, 0, FIRST if of["loss"]["lam"] else SECOND)
    summary = summarise(jobs, simulation.runs)
    assert jobs[0].runs == jobs[2].runs
    assert list(summary["alpha"].isna()) == [True, False, True, False]
    assert summary["ua"].tolist() == pytest.approx([87.5, 56.25, 87.5, 56.25])
    assert provenance(jobs, simulation.runs).planned == 3


def test_settings_that_differ_have_a_column(simulation):
    rates = [settings_of("logmel", 0.3, 0.5, learning_rate=rate) for rate in (1e-3, 1e-4)]
    stft = settings_of("logstft", 0.3, 0.5)
    jobs = [simulation.add_job(number, "job", of, folds=[0]) for number, of in enumerate([*rates, stft])]
    summary = average(jobs, {}, {})
    assert summary["learning_rate"].tolist() == [1e-3, 1e-4, 3e-4]
    # The number of steps goes by the features, which have a column already.
    assert list(summary)[:4] == ["name", "features", "learning_rate", "runs"]


def test_a_paired_difference_takes_the_folds_both_have(simulation):
    without = settings_of("logmel", 0.0, 0.5)
    reference = simulation.add_job(0, "without", without, folds=[0, 1, 2])
    job = simulation.add_job(1, "with", SETTINGS, folds=[0, 1, 2])
    for fold, test in enumerate([FIRST, FIRST, FIRST]):
        simulation.finish(without, 0, fold, test)
    simulation.finish(SETTINGS, 0, 0, SECOND)
    simulation.finish(SETTINGS, 0, 1, FIRST)
    gain = difference_row(pairs(job, reference, score_runs([job, reference], simulation.runs)), {})
    assert (gain["runs"], gain["ua"], gain["wa"]) == (2, 15.625, 6.25)
    # Two pairs are too few for an interval, and for a p-value
    assert np.isnan([gain["ua_half"], gain["ua_p"]]).all()


@pytest.mark.parametrize("damage", ["missing", "garbage", "truncated"])
def test_damaged_predictions_are_named_with_their_mending(simulation, damage):
    job = simulation.add_job(0, "centre", SETTINGS, folds=[0])
    folder = simulation.finish(SETTINGS, 0, 0, FIRST)
    if damage == "missing":
        (folder / PREDICTIONS).unlink()
    elif damage == "garbage":
        (folder / PREDICTIONS).write_bytes(b"PAR1 no more")
    else:
        FIRST[:3].assign(part="test").to_parquet(folder / PREDICTIONS)
    with pytest.raises(UserError) as error:
        summarise([job], simulation.runs)
    assert str(folder / PREDICTIONS) in str(error.value)
    assert f"move the folder {folder} elsewhere and repeat the study" in str(error.value)


def test_provenance_says_what_the_numbers_are_of(simulation):
    jobs = [simulation.add_job(0, "centre", SETTINGS, folds=[0, 1, 2])]
    for fold in range(3):
        simulation.finish(SETTINGS, 0, fold, FIRST)
    facts = provenance(jobs, simulation.runs)
    assert facts.caption == (
        "synthetic demo | paper protocol (random, speaker-dependent) | 3 folds x 1 repetition | "
        "95 % intervals for new recordings of the same speakers, not for other speakers | "
        "test shares with training: speakers 100 %, sentences 50 %, recordings 0 % | "
        "by length, silence, level alone: UA 30 %"
    )
    # In each of the three parts
    assert (facts.utterances, facts.class_counts) == (24, {"neu": 12, "ang": 3, "hap": 3, "sad": 6})
    assert (facts.steps, facts.learning_rate, facts.seconds) == ("3520", "0.0003", 180.0)
    assert facts.note == "the paper's own"


@pytest.mark.parametrize(
    "share, question, words",
    [
        (0.0, "new people", "95 % intervals for other speakers"),
        (0.01, "same people", "95 % intervals for new recordings of the same speakers, not for other speakers"),
        (None, "same people", "95 % intervals for new recordings of the same speakers, not for other speakers"),
    ],
)
def test_the_caption_says_whom_the_intervals_are_for(simulation, share, question, words):
    simulation.speaker = share
    jobs = [simulation.add_job(0, "centre", SETTINGS, folds=[0])]
    simulation.finish(SETTINGS, 0, 0, FIRST)
    utterances = FIRST[["id", "label"]].assign(speaker="anna")
    facts = provenance(jobs, simulation.runs, utterances)
    assert facts.question == question
    assert facts.caption.split(" | ")[3] == words
    assert provenance(jobs, simulation.runs, utterances.assign(speaker="")).question == "same people"
    # One run, of eight utterances by one speaker
    summary = average(jobs, score_runs(jobs, simulation.runs), speakers_by_id(utterances))
    assert summary["ua_half"].isna().all()
    assert "interval" not in facts.beside(summary).caption


def test_one_run_that_shares_its_speakers_is_enough_to_say_nothing_of_others(simulation):
    jobs = [simulation.add_job(0, "centre", SETTINGS, folds=[0, 1])]
    for fold, share in enumerate((0.0, 0.01)):
        simulation.speaker = share
        simulation.finish(SETTINGS, 0, fold, FIRST)
    assert provenance(jobs, simulation.runs).question == "same people"


def test_the_caption_counts_seeds(simulation):
    settings = [{**SETTINGS, "seed": seed} for seed in (0, 1, 2)]
    jobs = [simulation.add_job(seed, f"seed={seed}", one, folds=[0, 1]) for seed, one in enumerate(settings)]
    for one in settings:
        for fold in (0, 1):
            simulation.finish(one, 0, fold, FIRST)
    assert provenance(jobs, simulation.runs).caption.split(" | ")[2] == "2 folds x 1 repetition x 3 seeds"


def test_the_caption_says_what_runs_use_beside_the_protocol(simulation):
    jobs = [simulation.add_job(0, "centre", SETTINGS, folds=[0, 1])]
    for fold, uses in enumerate((["a pretrained network", "a voice's other speech"], ["a pretrained network"])):
        folder = simulation.finish(SETTINGS, 0, fold, FIRST)
        replace(simulation.result(SETTINGS, 0, fold, FIRST, FIRST), uses=uses).write(folder)
    assert provenance(jobs, simulation.runs).caption.split(" | ")[-2:] == [
        "a pretrained network",
        "some runs: a voice's other speech",
    ]


def test_caption_says_when_runs_are_missing(simulation):
    jobs = [simulation.add_job(0, "centre", SETTINGS, folds=[0, 1, 2], repeats=2)]
    simulation.finish(SETTINGS, 0, 0, FIRST)
    assert provenance(jobs, simulation.runs).caption.split(" | ")[2:4] == [
        "1 fold x 1 repetition",
        "unfinished: 1 of 6 runs",
    ]


def test_steps_that_were_said_in_epochs(simulation):
    settings = [settings_of(features, 0.3, 0.5) for features in ("logmel", "logstft")]
    jobs = [simulation.add_job(number, "a job", of, folds=[0, 1]) for number, of in enumerate(settings)]
    for of, fold, test in ((settings[0], 0, FIRST), (settings[0], 1, FIRST), (settings[1], 0, FIRST)):
        folder = simulation.finish(of, 0, fold, test)
        config = yaml.safe_load((folder / "config.yaml").read_text())
        config["corpus"]["training"] = {
            "epochs": 1.5,
            "batch_size": 32,
            "learning_rate": 0.0003,
            "note": "the corpus's",
        }
        config["trainer"] = {"epochs": 1.5, "max_steps": None}
        (folder / "config.yaml").write_text(yaml.safe_dump(config))
        # 64 and 32 training utterances are 2 steps and 1 of 32; the log-STFT run was trained longer
        result = read_result(folder)
        utterances = {"train": 64 - 32 * fold, "dev": 8 + 32 * fold, "test": 8}
        steps = 10 if of is settings[1] else (3, 2)[fold]
        dataclasses.replace(result, utterances=utterances, steps=steps).write(folder)
    facts = provenance(jobs, simulation.runs)
    assert facts.steps == "2 to 3 (logmel), 10 (logstft)"
    assert facts.epochs == "1.5 to 2 (logmel), 5 (logstft)"
    assert facts.note == "the corpus's"
    assert provenance(jobs[1:], simulation.runs).note == (
        "not this corpus's own setting, which is 1.5 epochs of 32 utterances at 0.0003"
    )


def test_the_corpus_note_is_not_repeated_for_other_steps(simulation):
    settings = settings_of("logmel", 0.3, 0.5)
    settings["trainer"]["max_steps"] = 40
    jobs = [simulation.add_job(0, "short", settings, folds=[0])]
    simulation.finish(settings, 0, 0, FIRST)
    assert "3520 steps of 32 utterances at 0.0003" in provenance(jobs, simulation.runs).note


@pytest.mark.parametrize("other", [{"corpus": "emodb"}, {"protocol": "speaker"}])
def test_corpora_and_protocols_are_never_mixed(simulation, other):
    mixed = Simulation(simulation.output, **other)
    jobs = [simulation.add_job(0, "one", SETTINGS, folds=[0]), mixed.add_job(1, "other", SETTINGS, folds=[0])]
    simulation.finish(SETTINGS, 0, 0, FIRST)
    mixed.finish(SETTINGS, 0, 0, FIRST)
    with pytest.raises(UserError, match="different corpora or protocols"):
        provenance(jobs, simulation.runs)


@pytest.mark.parametrize(("most", "mixed"), [(None, True), (182, False)])
def test_folds_may_use_unlike_numbers_of_utterances_and_settings_on_a_fold_if_training_is_limited(
    simulation, most, mixed
):
    """As those of split=text, which leaves others out of each; a corpus that has grown is another."""
    settings = [
        {**settings_of("logmel", lam, 0.5), "split": {**SETTINGS["split"], "max_train": most}} for lam in (0, 1)
    ]
    jobs = [simulation.add_job(number, f"loss.lam={number}", one, folds=[0, 1]) for number, one in enumerate(settings)]
    for fold, recordings in enumerate((FIRST, FIRST.iloc[:-1])):
        simulation.finish(settings[0], 0, fold, recordings)
        simulation.finish(settings[1], 0, fold, FIRST)
    assert provenance(jobs[:1], simulation.runs).finished == 2
    if mixed:
        with pytest.raises(
            UserError, match=r"different corpora or protocols: demo \(\d+ utterances of .*; demo \(\d+ utt"
        ):
            provenance(jobs, simulation.runs)
    else:
        assert provenance(jobs, simulation.runs).finished == 4


def test_without_a_finished_run_there_is_nothing_to_report(simulation):
    jobs = [simulation.add_job(0, "centre", SETTINGS)]
    with pytest.raises(UserError, match="no run of this study has finished"):
        provenance(jobs, simulation.runs)


def test_every_protocol_that_ships_is_described_but_for_divisions_of_one_s_own():
    names = [choice.name for choice in shipped_choices() if choice.group == "split"]
    assert [name for name in names if describe_protocol(name) == "a division of one's own"] == ["file"]
