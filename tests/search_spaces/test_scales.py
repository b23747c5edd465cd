import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from search_spaces.reading import ReadStudy
from search_spaces.study import Source

BODY = """
seeds = 2
[corpus]
train = "synthetic"
dev = "synthetic?seed=2"
[config]
width = 4
epochs = 3
[search]
trials = 4
[search.space]
beta_alpha = true
[resources]
workers = 2
max_lanes = 1
"""
PAPER = """
[scale.paper]
seeds = 5
trials = 24
corpus = { train = "vox2.csv" }
config = { width = 16, epochs = 500 }
resources = { workers = 4 }
"""


def test_a_scale_goes_over_the_file(read_body: Callable[..., ReadStudy], tmp_path: Path) -> None:
    """The corpus whole, config and resources value by value, seeds and trials; its paths are relative to the file."""
    read = read_body(BODY + PAPER, scale="paper")
    study = read.study

    assert {"train": (Source(source=str(tmp_path / "vox2.csv")),)} == study.corpus
    assert {"width": 16, "epochs": 500} == study.config
    assert study.search is not None
    assert (5, 24, 4, 1) == (study.seeds, study.search.trials, study.resources.workers, study.resources.max_lanes)
    assert ("paper", ("paper",)) == (read.scale, read.scales)


def test_a_scale_that_is_not_chosen_changes_nothing(read_body: Callable[..., ReadStudy]) -> None:
    """The study is the one without it, and resolved.toml says nothing of scales."""
    plain, beside = read_body(BODY), read_body(BODY + PAPER)

    assert (plain.study, plain.resolved) == (beside.study, beside.resolved)
    assert ((), None, ("paper",), None) == (plain.scales, plain.scale, beside.scales, beside.scale)


def test_other_options_go_over_a_scale(read_body: Callable[..., ReadStudy]) -> None:
    """What is typed last and by hand has the last word."""
    read = read_body(
        BODY + PAPER,
        scale="paper",
        seeds=1,
        trials=9,
        workers=1,
        sets=["width=8"],
        corpus=["test=synthetic"],
    )
    resolved = tomllib.loads(read.resolved)

    assert (1, 9, 1) == (resolved["seeds"], resolved["search"]["trials"], resolved["resources"]["workers"])
    assert {"width": 8, "epochs": 500} == resolved["config"]
    assert ["train", "test"] == list(resolved["corpus"])


def test_a_searched_knob_may_be_set_under_a_scale(read_body: Callable[..., ReadStudy]) -> None:
    """--set takes it out of the search, whatever the scale."""
    body = BODY.replace("beta_alpha = true", "beta_alpha = true\nloss = true")
    study = read_body(body + PAPER, scale="paper", sets=["loss=ce_mixup"]).study

    assert (["beta_alpha"], "ce_mixup") == (list(study.space()), study.config["loss"])


WRONG = {
    "unknown key": (
        "epochs = 3",
        "scale.paper.epochs: a scale has no such key; 'epochs' is a knob and goes into [scale",
    ),
    "resource": ("workers = 3", "scale.paper.workers: a scale has no such key; it goes into [scale.paper.resources]"),
    "misspelled": ("trails = 3", "scale.paper.trails: a scale has no such key; did you mean 'trials'?"),
    "knob": (
        "config = { widht = 3 }",
        "scale.paper.config.widht: contrastive_mixup has no knob 'widht'; did you mean 'width'?",
    ),
    "value": ("config = { width = 3 }", "scale.paper.config.width: must be one of the choices, but got 3"),
    "searched knob": (
        "config = { beta_alpha = 0.2 }",
        "scale.paper.config.beta_alpha: the knob is fixed here and searched in [search.space]; take one out",
    ),
    "knob without effect": (
        'config = { loss = "ap" }',
        "scale.paper: search.space.beta_alpha: the knob has no effect in any trial: it needs loss = ",
    ),
    "rule between knobs": (
        "config = { train_utterances = 1 }",
        "scale.paper.config.train_utterances: `train_utterances >= batch_utterances` (or 0, all) must hold",
    ),
    "role": ('corpus = { trian = "x.csv" }', "scale.paper.corpus.trian: no role 'trian'; did you mean 'train'?"),
    "no train": ('corpus = { dev = "x.csv" }', "scale.paper.corpus.train: is missing: write train = "),
    "condition": (
        'corpus = { train = { source = "x.csv", where = { age = [] } } }',
        "scale.paper.corpus.train[1].where.age: must have at least one value",
    ),
    "source": ("corpus = { train = 3 }", "scale.paper.corpus.train: must be a source or a list of sources, but got 3"),
    "empty source": ('corpus = { train = [""] }', "scale.paper.corpus.train[1]: must not be empty"),
    "key of a source": (
        'corpus = { train = { source = "x.csv", wehre = {} } }',
        "scale.paper.corpus.train[1].wehre: a source has no such key",
    ),
    "unknown resource": (
        "resources = { worker = 3 }",
        "scale.paper.resources.worker: [resources] has no such key; did you mean 'workers'?",
    ),
    "workers": ("resources = { workers = 0 }", "scale.paper.resources.workers: `workers >= 1` must hold, but got 0"),
    "seeds": ("seeds = 0", "scale.paper.seeds: `seeds >= 1` must hold, but got 0"),
    "trials": ('trials = "many"', 'scale.paper.trials: must be an integer, but got "many"'),
    "config": ("config = 3", "scale.paper.config: must be a table, but got 3"),
}


@pytest.mark.parametrize("options", [{}, {"scale": "paper"}, {"scale": "small"}], ids=["plain", "chosen", "another"])
@pytest.mark.parametrize(("scale", "expected"), WRONG.values(), ids=list(WRONG))
def test_a_mistake_is_one_precise_message(
    mistakes: Callable[..., list[str]], scale: str, expected: str, options: dict[str, str]
) -> None:
    """Every scale is checked whenever the file is read, and its mistakes are said once, where they stand."""
    [message] = mistakes(f"{BODY}[scale.paper]\n{scale}\n[scale.small]\nseeds = 1\n", **options)

    assert message.startswith(expected)


@pytest.mark.parametrize("options", [{}, {"scale": "paper"}], ids=["plain", "chosen"])
def test_a_mistake_of_the_study_is_not_repeated_for_its_scales(
    mistakes: Callable[..., list[str]], options: dict[str, str]
) -> None:
    """What is wrong without a scale is said once."""
    found = mistakes(BODY.replace("epochs = 3", "epohcs = 3") + PAPER, **options)

    assert 1 == len(found)
    assert found[0].startswith("config.epohcs: contrastive_mixup has no knob 'epohcs'")


def test_the_same_mistake_made_twice_is_said_twice(mistakes: Callable[..., list[str]]) -> None:
    """A scale that repeats a wrong value of the study would stay wrong if only the study were mended."""
    found = mistakes(BODY.replace("width = 4", "width = 3") + "[scale.paper]\nconfig = { width = 3 }")

    assert ["config.width", "scale.paper.config.width"] == [text.split(": ")[0] for text in found]


def test_trials_of_a_study_that_searches_nothing(mistakes: Callable[..., list[str]]) -> None:
    """A scale cannot lengthen a search that there is not."""

    assert ["scale.paper.trials: the study searches nothing, so there is no number of trials to set"] == mistakes(
        '[corpus]\ntrain = "synthetic"\n[scale.paper]\ntrials = 3'
    )


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("[[scale]]\nseeds = 1", "scale: a scale is a table with a name: write [scale.NAME], but got [{ seeds = 1 }]"),
        ("[scale]\nseeds = 1", "scale.seeds: a scale is a table with a name: write [scale.NAME], but got 1"),
        ("[[scale.paper]]\nseeds = 1", "scale.paper: a scale is a table with a name: write [scale.NAME]"),
    ],
)
def test_brackets_of_scales(mistakes: Callable[..., list[str]], body: str, expected: str) -> None:
    """A scale has a name and stands alone."""
    [message] = mistakes(BODY + body)

    assert message.startswith(expected)


def test_an_unknown_scale_has_a_nearest_name(mistakes: Callable[..., list[str]]) -> None:
    """The option is named as it was typed."""

    assert ["--scale papr: the study has no such scale; did you mean 'paper'? (choices: paper)"] == mistakes(
        BODY + PAPER, scale="papr"
    )


def test_a_wrong_option_over_a_scale_is_the_option_s(mistakes: Callable[..., list[str]]) -> None:
    """The scale's value is fine; what was put over it is not."""
    [message] = mistakes(BODY + PAPER, scale="paper", sets=["width=3"])

    assert message.startswith("--set width: must be one of the choices, but got 3")
