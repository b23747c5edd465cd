import io
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, cast

import pytest
from rich.console import Console

from search_spaces.knobs import knob, knobs_of
from search_spaces.problems import StudyError
from search_spaces.reading import ReadStudy, read_study
from search_spaces.registry import CONFIGS
from search_spaces.study import Study
from voxstudy.plan import notes, print_knobs, print_plan, resource_problems

HEAD = """
title = "What is [asked]?"
trainable = "contrastive_mixup"
objective = [{ metric = "eer", goal = "minimize" }]
seeds = 2
[corpus]
train = "synthetic"
"""


def read_text(folder: Path, body: str, **options: Any) -> ReadStudy:
    (folder / "study.toml").write_text(HEAD + body, encoding="utf-8")
    return read_study(str(folder / "study.toml"), **options)


def study_of(**keys: Any) -> Study:
    head = {
        "title": "?",
        "trainable": "contrastive_mixup",
        "objective": [{"metric": "eer", "goal": "minimize"}],
        "corpus": {"train": "synthetic"},
    }
    return Study.model_validate({**head, **keys})


def printed(what: Any, *args: Any, width: int = 160) -> str:
    """What a listing prints, with runs of blanks made one."""
    stream = io.StringIO()
    what(*args, Console(file=stream, width=width))
    return " ".join(stream.getvalue().split())


@pytest.mark.parametrize("trainable", CONFIGS)
def test_every_knob_is_listed_with_its_default_and_range(trainable: str) -> None:
    """The listing derives from the config class: nothing is left out."""
    text = printed(print_knobs, trainable)
    for each in knobs_of(CONFIGS[trainable]).values():
        assert f"{each.name} {each.default}" in text
    assert text == printed(print_knobs, None)
    assert "0.0001 to 0.01 (log)" in text
    assert "4 | 8 | 16 | 32" in text
    assert "> 0 and <= 1" in text


def test_an_unknown_trainable_has_a_nearest_name() -> None:
    """`voxstudy knobs contrastive` is a user's mistake, with the way out."""
    with pytest.raises(StudyError, match="did you mean 'contrastive_mixup'"):
        print_knobs("contrastiv_mixup", Console(file=io.StringIO()))


def test_the_plan_says_what_would_be_run(tmp_path: Path) -> None:
    """Search, arms, trials, epochs, corpus, resources and fixed knobs, in numbers; titles are no markup."""
    read = read_text(
        tmp_path,
        '[config]\nepochs = 9\n[[arm]]\nname = "AP"\nconfig = { loss = "ap" }\n'
        "[search]\ntrials = 12\nstopper = 'asha'\n[search.space]\nbeta_alpha = true\nlearning_rate = true\n"
        "[resources]\nworkers = 2\n",
    )
    text = printed(print_plan, read)
    for part in (
        "What is [asked]?",
        "minimize eer",
        "paper, AP x 2 seeds = 4 trials",
        "12 trials, asked of tpe, stopped early by asha",
        "16 in all, of 9 epochs each: at most 144 epochs",
        "corpus train synthetic",
        "corpus dev from train: its official partition, else split off by speaker",
        "corpus test from train: its official partition, if it has one; scored once by each trial of an arm or a",
        "comparison paired: by the differences between trials of the same seed",
        "fixed epochs = 9",
        'arm AP loss = "ap"',
        "a lane is 2 workers x 1 CPU; as many lanes as fit",
        "beta_alpha 0.05 to 1 0.1 loss = ce_mixup | contrastive_mixup",
    ):
        assert part in text
    assert "note" not in text


def test_the_plan_of_a_study_as_a_researcher_writes_it(tmp_path: Path) -> None:
    """Confirmations count as trials; filters, starting weights, the table and the scales are said in words."""
    body = """
test = { source = "synthetic?seed=2", where = { gender = "F", age = { min = 20, max = 39 } } }
dev = ["synthetic?seed=3", { source = "synthetic?seed=4", where = { set = ["a", "b"], snr = { min = 5 } } }]
trials = "s3://bucket/pairs.txt"
[config]
loss = "ce_mixup"
[[arm]]
name = "AP, later"
config = { loss = "ap" }
init_from = "paper"
[[arm]]
name = "other"
init_from = { run = "s3://bucket/run", arm = "AP" }
[[arm]]
name = "one"
init_from = { run = "s3://bucket/run", trial = "0123456789ab" }
[search]
trials = 12
[search.space]
mixup_level = true
volume = true
[confirm]
top = 3
[table]
caption = "EER"
baseline = "x"
cell = [{ row = "x", column = "n", arm = "paper" }, { row = "y", column = "n", confirmed = 1 }]
[scale.paper]
seeds = 5
[scale.small]
seeds = 3
"""
    text = printed(print_plan, read_text(tmp_path, body), width=200)
    for part in (
        "scales paper, small trainable",
        "paper, 'AP, later', other, one x 2 seeds = 8 trials",
        "confirm the 3 best of the search x 2 seeds = 6 trials",
        "trials 26 in all",
        "corpus test synthetic?seed=2 where gender = F, age 20 to 39; scored once by each trial of an arm",
        "corpus dev synthetic?seed=3 + synthetic?seed=4 where set = a | b, snr >= 5",
        "corpus trials s3://bucket/pairs.txt; the pairs of test that are scored",
        'arm AP, later loss = "ap"; starts from paper, seed by seed',
        "arm other starts from AP of s3://bucket/run",
        "arm one starts from trial 0123456789ab of s3://bucket/run",
        "table EER: 2 rows x 1 column, compared with x",
    ):
        assert part in text
    assert "note" not in text
    scaled = printed(print_plan, read_text(tmp_path, body, scale="small"), width=200)

    assert "scales paper, small; this is small" in scaled
    assert "the 3 best of the search x 3 seeds = 9 trials" in scaled


@dataclass(frozen=True)
class Plain:
    """A trainable whose baseline makes no use of one of its knobs."""

    metrics: ClassVar[dict[str, str]] = {"eer": "minimize"}
    roles: ClassVar[tuple[str, ...]] = ("train",)
    needs: ClassVar[dict[str, tuple[str, ...]]] = {}

    net: str = knob("plain", "which net", choices=("plain", "deep"))
    blocks: int = knob(2, "how many", low=1, high=4, when={"net": ("deep",)})
    epochs: int = knob(1, "epochs", minimum=1)

    def problems(self) -> list[Any]:
        return []

    def notes(self, _workers: int) -> list[str]:
        return []


def test_knobs_without_effect_in_the_baseline_are_shown_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A searched knob that the baseline makes no use of has no value there, and none that a range could leave out."""
    monkeypatch.setitem(cast("dict[str, Any]", CONFIGS), "plain", Plain)
    text = (
        HEAD.replace("contrastive_mixup", "plain") + "[search]\ntrials = 3\n[search.space]\nnet = true\nblocks = true"
    )
    (tmp_path / "study.toml").write_text(text)
    plan = printed(print_plan, read_study(str(tmp_path / "study.toml")))

    assert "net plain | deep plain blocks 1 to 4 no effect net = deep" in plan
    assert "note" not in plan


def test_noise_and_rooms_are_in_the_plan(tmp_path: Path) -> None:
    """Where they are heard is said, and that a folder is not there."""
    text = printed(print_plan, read_text(tmp_path, 'noise = "synthetic"\nrooms = "/nowhere/rirs"\n'))

    assert "corpus noise synthetic; heard in training where augmentation = true" in text
    assert "note: no such file on this machine: /nowhere/rirs (corpus rooms)" in text


def test_the_plan_of_the_demo_has_no_notes() -> None:
    """The shipped study is an example to follow."""

    assert [] == notes(read_study("demo").study)


def test_the_plan_without_a_search_is_the_arms(tmp_path: Path) -> None:
    """The baseline is always run."""

    assert "2 in all, of 500 epochs each" in printed(print_plan, read_text(tmp_path, ""))


SPACE = {"beta_alpha": True}


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (
            {"search": {"trials": 3, "space": {"beta_alpha": {"low": 0.3, "high": 1.0}}}},
            "the range of beta_alpha leaves the baseline out: 0.1 is not in 0.3 to 1",
        ),
        (
            {"search": {"trials": 3, "space": {"loss": {"choices": ["ap", "ce_mixup"]}}}},
            "the range of loss leaves the baseline out: contrastive_mixup is not in ap | ce_mixup",
        ),
        (
            {"search": {"trials": 3, "space": {"learning_rate": {"low": 1e-4, "high": 1e-2}}}},
            "learning_rate is searched linearly, though its own range is logarithmic: add log = true",
        ),
        ({"config": {"loss": "ap", "beta_alpha": 0.2}}, "the fixed beta_alpha has no effect: it needs loss = ce_mixup"),
        (
            {"seeds": 2, "arms": [{"name": "AP", "config": {"loss": "ap", "beta_alpha": 0.2}}]},
            "beta_alpha of the arm 'AP' has no effect: it needs loss = ce_mixup",
        ),
        ({"search": {"trials": 3, "grace": 2, "space": SPACE}}, "grace and reduction have no effect without a stopper"),
        (
            {"search": {"trials": 3, "stopper": "median", "reduction": 2, "space": SPACE}},
            "reduction has no effect with the median stopper",
        ),
        (
            {"config": {"epochs": 2}, "search": {"trials": 3, "stopper": "asha", "grace": 2, "space": SPACE}},
            "asha never stops a trial: grace = 2 is not under the number of epochs",
        ),
        (
            {"search": {"trials": 3, "space": {"batch_speakers": {"low": 300, "high": 500, "step": 40}}}},
            "the range of batch_speakers leaves the baseline out: 400 is not in 300 to 500 in steps of 40",
        ),
        ({"arms": [{"name": "AP", "config": {"loss": "ap"}}]}, "one seed gives no interval"),
        ({"confirm": {"top": 1}, "search": {"trials": 3, "space": SPACE}}, "one seed gives no interval"),
        (
            {"corpus": {"train": "synthetic", "trials": "s3://bucket/pairs.txt"}},
            "trials without test: the list can only be of the official test partition of train",
        ),
        ({"corpus": {"train": "/nowhere/m.csv"}}, "no such file on this machine: /nowhere/m.csv (corpus train)"),
    ],
)
def test_what_is_allowed_and_probably_not_meant_is_noted(keys: dict[str, Any], expected: str) -> None:
    """A setting without effect, a range that cannot beat the baseline fairly, a file that is not here."""
    [note] = notes(study_of(**keys))

    assert note.startswith(expected)


@pytest.mark.parametrize(
    ("resources", "cpus", "gpus", "places"),
    [
        ({}, 1, 0, []),
        ({"workers": 2}, 2, 0, []),
        ({"workers": 2, "cpus_per_worker": 2}, 2, 0, ["resources.workers"]),
        ({"workers": 2, "gpus_per_worker": 0.5}, 2, 1, []),
        ({"workers": 10, "gpus_per_worker": 0.1}, 16, 1, []),
        ({"gpus_per_worker": 1}, 2, 0, ["resources.gpus_per_worker"]),
        ({"workers": 4, "gpus_per_worker": 0.6}, 16, 3, ["resources.gpus_per_worker"]),  # 2.4 <= 3, yet one a GPU
        ({"workers": 2, "gpus_per_worker": 2}, 16, 4, []),
        ({"workers": 2, "gpus_per_worker": 2}, 16, 3, ["resources.gpus_per_worker"]),
        ({"workers": 3}, 16, 0, ["config.batch_speakers"]),
        (
            {"workers": 3, "cpus_per_worker": 9, "gpus_per_worker": 1},
            16,
            2,
            ["resources.workers", "resources.gpus_per_worker", "config.batch_speakers"],
        ),
    ],
)
def test_demands_that_can_never_be_met(resources: dict[str, Any], cpus: int, gpus: int, places: list[str]) -> None:
    """A lane must fit where it runs, whole: CPUs, shares of single GPUs, and a batch dealt out evenly."""
    found = resource_problems(study_of(resources=resources), cpus, gpus, "this machine")

    assert places == [problem.place for problem in found]


def test_batches_of_arms_and_searches_must_be_dealt_out_too() -> None:
    """A value that only one trial would have is found before that trial starts."""
    study = study_of(
        resources={"workers": 2},
        arms=[{"name": "odd", "config": {"batch_speakers": 25}}],
        search={"trials": 3, "space": {"batch_speakers": {"low": 10, "high": 14}}},
    )
    found = resource_problems(study, 2, 0, "this machine")

    assert [("arm[1].config.batch_speakers", 25), ("search.space.batch_speakers", 11)] == [
        (problem.place, problem.value) for problem in found
    ]
    assert "this machine" not in str(found[0])
    assert "batch_speakers=25, workers=2" in str(found[0])


@pytest.mark.parametrize(("negatives", "places"), [("gather", []), ("local", ["config.batch_speakers"])])
def test_a_worker_s_share_must_tell_speakers_apart(negatives: str, places: list[str]) -> None:
    study = study_of(resources={"workers": 2}, config={"batch_speakers": 2, "negatives": negatives})

    assert places == [problem.place for problem in resource_problems(study, 2, 0, "this machine")]


LOCAL = {"negatives": "local"}


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"config": LOCAL, "space": {"batch_speakers": {"choices": [2, 4]}}}, [("search.space.batch_speakers", 2)]),
        (
            {"config": LOCAL, "space": {"batch_speakers": {"low": 2, "high": 4, "step": 2}}},
            [("search.space.batch_speakers", 2)],
        ),
        (
            {"space": {"batch_speakers": {"choices": [4, 2]}, "negatives": True}},
            [("search.space.batch_speakers", 2)],
        ),
        ({"space": {"batch_speakers": {"choices": [2, 4]}}}, []),
        ({"config": {"batch_speakers": 2}, "space": {"negatives": True}}, [("search.space.negatives", "local")]),
        ({"config": {"batch_speakers": 2}, "arms": [{**LOCAL, "batch_speakers": 8}]}, []),
        ({"config": {"batch_speakers": 2}, "arms": [LOCAL]}, [("arm[1].config.negatives", "local")]),
        ({"config": LOCAL, "arms": [{"batch_speakers": 2}]}, [("arm[1].config.batch_speakers", 2)]),
        ({"config": {**LOCAL, "batch_speakers": 2}, "arms": [{"width": 8}]}, [("config.batch_speakers", 2)]),
        ({"config": LOCAL, "arms": [{"negatives": "gather", "batch_speakers": 2}]}, []),
    ],
    ids=str,
)
def test_batches_are_judged_as_a_trial_would_have_them(keys: dict[str, Any], expected: list[Any]) -> None:
    """Negatives and speakers of one config together, whichever table each of them is from."""
    study = study_of(
        resources={"workers": 2},
        config=keys.get("config", {}),
        arms=[{"name": str(n), "config": config} for n, config in enumerate(keys.get("arms", []))],
        search={"trials": 3, "space": keys["space"]} if "space" in keys else None,
    )

    assert expected == [(each.place, each.value) for each in resource_problems(study, 2, 0, "this machine")]


AS_AP = 'beta_alpha = 0 mixes nothing: what is trained is loss = "ap", whatever mixup_level, volume and partner'
AS_GATHER = 'negatives = "local" is "gather" with one worker'
BANK = {"train": "synthetic", "noise": "synthetic", "rooms": "synthetic"}


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"config": {"beta_alpha": 0.0}}, f"{AS_AP} (paper)"),
        (
            {
                "seeds": 2,
                "arms": [
                    {"name": "a", "config": {"beta_alpha": 0.0}},
                    {"name": "b", "config": {"loss": "ce_mixup", "beta_alpha": 0.0}},
                    {"name": "c", "config": {"loss": "ap"}},
                ],
            },
            f"{AS_AP} (a, b)",
        ),
        (
            {"search": {"trials": 3, "space": {"beta_alpha": {"low": 0.0, "high": 1.0}}}},
            f"{AS_AP} (the search)",
        ),
        ({"config": LOCAL}, f"{AS_GATHER} (paper)"),
        ({"search": {"trials": 3, "space": {"negatives": True}}}, f"{AS_GATHER} (the search)"),
        ({"config": LOCAL, "resources": {"workers": 2}}, None),
        ({"corpus": BANK}, "noise and rooms are heard by nothing, as augmentation is true nowhere; yet every worker"),
        ({"corpus": BANK, "search": {"trials": 3, "space": {"augmentation": True}}}, None),
        ({"corpus": BANK, "config": {"augmentation": True}}, None),
    ],
    ids=str,
)
def test_trainings_that_are_the_same_are_noted(keys: dict[str, Any], expected: str | None) -> None:
    """Arms that can only measure the same thing twice, and roles that change nothing but the corpus's name."""
    found = notes(study_of(**keys))

    assert [] == found if expected is None else len(found) == 1 and found[0].startswith(expected)


def test_a_demand_says_what_there_is() -> None:
    """The sentence has both numbers and where they were counted."""
    [problem] = resource_problems(study_of(resources={"workers": 4}), 2, 0, "the cluster")

    assert "resources.workers: a lane of 4 workers x 1 CPUs needs 4 CPUs, but the cluster has 2" == str(problem)


def test_the_plan_needs_neither_torch_nor_ray() -> None:
    """`check` and `knobs` answer at once."""
    code = "import sys, voxstudy.plan; print([m for m in ('torch', 'ray', 'polars', 'pyarrow') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "[]" == done.stdout.strip()
