from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from ser_lightning.papers.icassp2019 import numbers as paper
from ser_lightning.report.figures import (
    forest,
    has_curves,
    heat_map,
    render,
    sensitivity,
    sweep_curves,
)


def grid(*points: tuple[str, float, float], **further: list[float]) -> pd.DataFrame:
    """A summary of jobs given as (features, lambda, alpha)."""
    named = pd.DataFrame(points, columns=["features", "lam", "alpha"]).assign(**further)
    named.loc[named["lam"] == 0, "alpha"] = np.nan
    ua = 60 + 3 * named["lam"].clip(upper=1) + named["alpha"].fillna(0)
    numbers = {"runs": 5, "planned": 5, "ua": ua, "wa": ua - 2, "ua_half": 0.9, "wa_half": 0.8, "ua_sd": 2.0}
    return named.assign(**numbers)


COLUMNS = {"loss.lam": "lam", "loss.alpha": "alpha", "features.name": "features"}


def legend_of(figure) -> list[str]:
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def test_a_square_grid_has_lambda_on_x_and_a_line_per_alpha():
    summary = grid(*[("logmel", lam, alpha) for alpha in (0.1, 0.3, 0.5) for lam in (0, 0.5, 1)]).drop_duplicates()
    figure = sweep_curves(summary, COLUMNS, "caption")
    ua, wa = figure.axes
    assert ua.get_xlabel() == "𝜆"
    assert (ua.get_ylabel(), wa.get_ylabel()) == ("UA (%)", "WA (%)")
    assert [label.get_text() for label in ua.get_xticklabels()] == ["0", "0.5", "1"]
    assert legend_of(figure) == ["𝛼 = 0.1", "𝛼 = 0.3", "𝛼 = 0.5"]
    # Lambda 0 has no alpha and is the start of every line.
    assert all(len(container[0].get_xdata()) == 3 for container in ua.containers)


def test_the_parameter_with_more_values_is_on_x_and_lambda_0_is_a_horizontal_line():
    summary = grid(*[("logmel", lam, alpha) for alpha in (0.1, 0.5, 0.9) for lam in (0, 0.3)]).drop_duplicates()
    figure = sweep_curves(summary, COLUMNS, "caption")
    assert figure.axes[0].get_xlabel() == "𝛼"
    assert sorted(legend_of(figure)) == ["𝜆 = 0", "𝜆 = 0.3"]
    (horizontal,) = [line for line in figure.axes[0].lines if line.get_label() == "𝜆 = 0"]
    assert set(horizontal.get_ydata()) == {60.0}


def test_the_points_of_many_lines_lie_inside_the_axes():
    names = [f"front end {number}" for number in range(24)]
    figure = sweep_curves(grid(*[(name, lam, 0.5) for name in names for lam in (0.1, 0.3, 1)]), COLUMNS, "caption")
    for axes in figure.axes:
        low, high = axes.get_xlim()
        places = [place for container in axes.containers for place in container[0].get_xdata()]
        assert len(places) == 72
        assert low < min(places) < max(places) < high


def test_features_and_other_settings_have_lines_of_their_own():
    points = [(features, lam, 0.5) for features in ("logmel", "logstft") for lam in (0.1, 0.3, 1)]
    assert legend_of(sweep_curves(grid(*points), COLUMNS, "caption")) == ["log-Mel", "log-STFT"]
    rates = grid(*[("logmel", 0.3, 0.5)] * 2)
    rates.insert(3, "learning_rate", [1e-3, 1e-4])
    columns = {**COLUMNS, "optimizer.learning_rate": "learning_rate"}
    assert sweep_curves(rates, columns, "caption").axes[0].get_xlabel() == "learning_rate"


def test_a_part_without_the_setting_of_another_has_a_line_of_its_own():
    """loss=mine,center loss.tau=0.1,0.5: centre loss has no tau."""
    summary = grid(*[("logmel", lam, 0.5) for lam in (0, 0.1, 0.1, 0.1)]).drop(columns="alpha")
    summary.insert(0, "loss", [None, "mine", "mine", "center"])
    summary.insert(1, "tau", [np.nan, 0.1, 0.5, np.nan])
    columns = {"loss.name": "loss", "loss.lam": "lam", "loss.tau": "tau"}
    figure = sweep_curves(summary, columns, "caption")
    assert sorted(legend_of(figure)) == ["center", "mine, tau = 0.1", "mine, tau = 0.5"]
    assert all(container[0].get_xdata().size == 2 for container in figure.axes[0].containers)


def test_no_curves_where_nothing_varies_or_the_columns_do_not_tell_what():
    assert not has_curves(grid(("logmel", 0.3, 0.5)), COLUMNS)
    unclear = grid(("logmel", 0.3, 0.5), ("logmel", 0.3, 0.5), ("logmel", 0.3, 0.9))
    unclear["ua"] = [60.0, 61.0, 62.0]
    assert not has_curves(unclear, COLUMNS)


def fields(axes) -> list[list[str]]:
    """What is written in the fields of a map, from top to bottom as drawn."""
    written = {text.get_position(): text.get_text() for text in axes.texts}
    places = [sorted({place[side] for place in written}) for side in (0, 1)]
    rows = [[written.get((x, y), "") for x in places[0]] for y in places[1]]
    return rows if axes.yaxis_inverted() else rows[::-1]


def test_a_map_has_a_field_per_alpha_and_lambda_and_lambda_0_fills_its_column():
    summary = grid(("logmel", 0.0, 0.5), *[("logmel", lam, alpha) for lam in (0.3, 3.0) for alpha in (0.1, 0.9)])
    figure = heat_map("lam", "alpha", {"log-Mel": summary}, "caption")
    (axes,) = figure.axes
    # 60, plus alpha, plus 3 x lambda up to 1; the larger alpha on top, as on an axis
    assert fields(axes) == [["60.0\n±0.9", "61.8\n±0.9", "63.9\n±0.9"], ["60.0\n±0.9", "61.0\n±0.9", "63.1\n±0.9"]]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0", "0.3", "3"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["0.1", "0.9"]
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_title()) == ("𝜆", "𝛼", "log-Mel")
    np.testing.assert_allclose(axes.collections[0].get_array(), [[60, 61, 63.1], [60, 61.8, 63.9]])
    assert figure.get_supxlabel() == "caption | UA (%); mean of 5 runs with 95 % interval"
    # Bright fields have dark numbers
    colours = {text.get_text()[:4]: text.get_color() for text in axes.texts}
    assert (colours["60.0"], colours["63.9"]) == ("white", "black")


def test_maps_of_several_inputs_share_their_colours_and_leave_out_what_was_not_run():
    mel = grid(*[("logmel", lam, alpha) for lam in (0.3, 3.0) for alpha in (0.1, 0.9)][:3])
    stft = grid(("logstft", 0.3, 0.1), ("logstft", 3.0, 0.9)).assign(ua=[40.0, 50.0], ua_half=np.nan, runs=1)
    left, right = heat_map("lam", "alpha", {"log-Mel": mel, "log-STFT": stft}, "caption").axes
    assert fields(left) == [["61.8\n±0.9", ""], ["61.0\n±0.9", "63.1\n±0.9"]]
    assert fields(right) == [["", "50.0"], ["40.0", ""]]
    assert left.collections[0].get_clim() == right.collections[0].get_clim() == (40, pytest.approx(63.1))


def test_the_paper_is_drawn_only_when_given():
    points = grid(*[("logmel", lam, 0.5) for lam in (0, 0.003, 0.03, 0.3, 3)])
    assert legend_of(sensitivity(points, "lam", "caption")) == ["UA", "WA"]
    figure = sensitivity(points, "lam", "caption", paper.FIG3B)
    assert legend_of(figure) == ["UA", "WA", "UA, paper", "WA, paper"]
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["0", "0.003", "0.03", "0.3", "3"]


@pytest.mark.parametrize(
    "runs, halves, note",
    [
        ([5, 5], [0.9, 0.9], "mean of 5 runs with 95 % interval"),
        ([5, 25], [0.9, 0.9], "mean of 5 to 25 runs with 95 % interval"),
        ([4, 5], [np.nan, 0.9], "mean of 4 to 5 runs with 95 % interval"),
        ([4, 3], [np.nan, np.nan], "mean of at most 4 runs, without an interval"),
        ([1, 1], [np.nan, np.nan], "single runs"),
    ],
)
def test_every_figure_carries_its_caption_and_what_its_bars_are(runs, halves, note):
    points = grid(("logmel", 0.3, 0.1), ("logmel", 0.3, 0.5)).assign(runs=runs, ua_half=halves, wa_half=halves)
    figure = sensitivity(points, "alpha", "demo | 3 folds x 1 repetition")
    assert figure.get_supxlabel() == f"demo | 3 folds x 1 repetition | {note}"


def test_a_single_run_may_have_an_interval():
    """Of one official division it is by the speakers that are tested."""
    figure = sensitivity(grid(("logmel", 0.3, 0.1), ("logmel", 0.3, 0.5)).assign(runs=1), "alpha", "demo")
    assert figure.get_supxlabel().endswith(" with 95 % interval")
    assert "1 runs" not in figure.get_supxlabel()


def test_equal_figures_give_equal_bytes():
    points = grid(("logmel", 0.3, 0.1), ("logmel", 0.3, 0.5))
    for kind in ("png", "pdf"):
        assert render(sensitivity(points, "alpha", "c"), kind) == render(sensitivity(points, "alpha", "c"), kind)


def test_no_line_of_a_caption_is_wider_than_the_figure():
    shares = ", ".join(f"{noun} 100 %" for noun in ("speakers", "dialogues", "sentences", "takes", "recordings"))
    caption = f"demo | 5 folds x 1 repetition | test shares with training: {shares}"
    figure = sensitivity(grid(("logmel", 0.3, 0.1), ("logmel", 0.3, 0.5)), "alpha", caption)
    lines = figure.get_supxlabel().splitlines()
    assert max(map(len, lines)) <= 23 * figure.get_figwidth()
    assert " ".join(lines).replace(" | ", " ").startswith(caption.replace(" | ", " "))


def test_settings_of_several_lines_do_not_run_into_each_other():
    names = ["one two three\nfour five six\nseven eight nine", "ten", "eleven\ntwelve"]
    rows = pd.DataFrame({"job": [0, 2], "ua": [1.0, -2.0], "ua_half": [0.5, 0.5]})
    figure = forest({"ten": rows}, list(enumerate(names)), "caption")
    render(figure, "png")
    (axes,) = figure.axes
    boxes = [label.get_window_extent() for label in axes.get_yticklabels()]
    assert [label.get_text() for label in axes.get_yticklabels()] == names
    assert all(upper.y0 >= lower.y1 for upper, lower in pairwise(boxes))
    assert axes.containers[0][0].get_ydata().tolist() == [axes.get_yticks()[0], axes.get_yticks()[2]]
