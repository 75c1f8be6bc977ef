"""Jobs: which are one, how those are joined and called, and which rows are of other code."""

from hypothesis import given
from hypothesis import strategies as st

from ser_lightning.runs.jobs import Job, join_jobs, mixed_origins, short_names
from tests.report.simulated import parts_of


def test_rows_of_other_code_of_the_same_part_are_named():
    rows = [
        Job(f"{loss} {lam}", parts_of(loss, lam), origin={"loss": version, "loss.words": "w", "corpus": "c"})
        for loss, lam, version in (("mine", 0.1, "a1"), ("mine", 1.0, "b2"), ("center", 0.1, "c3"))
    ]
    assert mixed_origins(rows) == ["the code of loss=mine"]
    assert mixed_origins(rows[1:]) == []
    # another file by another name is a setting that varies
    named = [parts_of("mine", 0.1, **{"loss.words": name}) for name in ("a.txt", "b.txt", "b.txt")]
    files = [Job("", one, origin={"loss.words": content}) for one, content in zip(named, "xyz", strict=True)]
    assert mixed_origins(files[:2]) == []
    assert mixed_origins(files) == ["the content of loss.words"]


def test_runs_from_other_content_of_what_a_setting_names_are_not_averaged():
    def joined(before, now):
        return join_jobs(
            Job("", {}, ["a"], [[0, 0]], origin=before), Job("", {}, ["b"], [[0, 1]], origin={"features": "f", **now})
        ).runs

    weights = "features.weights"
    assert joined({"features": "f", weights: "x"}, {weights: "x"}) == ["a", "b"]
    assert joined({"features": "f", weights: "x"}, {weights: "y"}) == ["b"]
    # An earlier version has not noted it
    assert joined({"features": "f"}, {weights: "y"}) == ["a", "b"]
    assert joined({"features": "g"}, {weights: "y"}) == ["b"]
    assert joined({"features": "f", weights: "x"}, {}) == ["b"]


def test_a_joined_job_is_called_by_what_both_set_or_as_it_is_called_now():
    def joined(former, now):
        return join_jobs(Job(former, {}, ["a"], [[0, 0]]), Job(now, {}, ["a"], [[0, 0]])).name

    assert joined("corpus=emodb loss.lam=0", "loss.lam=0 loss=mine") == "loss.lam=0"
    assert joined("plain softmax", "regularised softmax") == "regularised softmax"
    assert joined("plain seed=1", "regular seed=1") == "regular seed=1"


def test_long_names_leave_out_what_others_tell():
    front = "corpus=emodb features=pretrained features.layers=3 features.padding=30s"
    names = ["corpus=emodb features=egemaps model=none head=svm"]
    names += [
        f"{front} normalise={by} model=statistics model.dropout=0.3 loss.lam={lam}" for by in "ab" for lam in "01"
    ]
    assert short_names([Job(name, {}) for name in names]) == [
        "features=egemaps",
        *(f"features=pretrained normalise={by} loss.lam={lam}" for by in "ab" for lam in "01"),
    ]
    assert short_names([Job(names[1], {})]) == [names[1]]


WORDS = [f"{key}={value}" for key in "abcdefgh" for value in "01"]


@given(st.lists(st.frozensets(st.sampled_from(WORDS), min_size=1), unique=True, min_size=2, max_size=6))
def test_short_names_tell_jobs_apart(words):
    names = [" ".join(sorted(several)) for several in words]
    assert len(set(short_names([Job(name, {}) for name in names]))) == len(names)
