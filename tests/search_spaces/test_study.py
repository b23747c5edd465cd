from dataclasses import dataclass
from typing import Any, ClassVar, cast

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, RandomSampler, TPESampler

from search_spaces.checks import study_problems
from search_spaces.identity import config_id
from search_spaces.knobs import active_knobs, knob, values_of
from search_spaces.problems import StudyError
from search_spaces.registry import CONFIGS
from search_spaces.study import Study


def study_of(**keys: Any) -> Study:
    head = {
        "title": "?",
        "trainable": "contrastive_mixup",
        "objective": [{"metric": "eer", "goal": "minimize"}],
        "corpus": {"train": "synthetic"},
    }
    return Study.model_validate({**head, **keys})


def searching(config: dict[str, Any] | None = None, /, **space: Any) -> Study:
    return study_of(config=config or {}, search={"trials": 4, "space": space})


class Recorder:
    """A trial that always answers with what it was told, and keeps what it was asked, in order."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers, self.asked = answers, list[str]()

    def suggest_categorical(self, name: str, *_range: Any, **_options: Any) -> Any:
        self.asked.append(name)
        return self.answers[name]

    suggest_float = suggest_int = suggest_categorical


def test_a_config_is_defaults_then_fixed_then_params() -> None:
    """The trainable's defaults, over them [config], over them a trial's own values."""
    config = study_of(config={"epochs": 9, "width": 8}).config_of({"width": 4})

    assert (9, 4, 0.1) == (config.epochs, config.width, config.beta_alpha)


def test_a_param_that_is_no_knob_is_an_error() -> None:
    """A run whose knobs are gone from the code is not read as if they were never there."""
    with pytest.raises(StudyError, match="gamma"):
        study_of().config_of({"gamma": 1.0})


def test_the_space_has_all_forms_of_a_range() -> None:
    """`true`, an interval, logarithmic, in steps, choices; in the order of the class."""
    study = searching(
        embedding_size={"low": 32, "high": 128, "step": 32},
        learning_rate={"low": 1e-4, "high": 1, "log": True},
        crop_s={"low": 1, "high": 2, "step": 0.5},
        loss=True,
        width={"choices": [4, 8]},
        batch_speakers={"low": 8, "high": 64, "log": True},
    )

    assert {
        "loss": CategoricalDistribution(("ap", "ce_mixup", "contrastive_mixup")),
        "learning_rate": FloatDistribution(1e-4, 1.0, log=True),
        "batch_speakers": IntDistribution(8, 64, log=True),
        "crop_s": FloatDistribution(1.0, 2.0, step=0.5),
        "width": CategoricalDistribution((4, 8)),
        "embedding_size": IntDistribution(32, 128, step=32),
    } == study.space()
    assert ["loss", "learning_rate", "batch_speakers", "crop_s", "width", "embedding_size"] == list(study.space())


@pytest.mark.parametrize(
    ("config", "answers", "asked"),
    [
        ({}, {"loss": "ap"}, ["loss", "learning_rate"]),
        ({}, {"loss": "ce_mixup"}, ["loss", "beta_alpha", "mixup_level", "volume", "learning_rate"]),
        ({}, {"loss": "ce_mixup", "mixup_level": "log_mel"}, ["loss", "beta_alpha", "mixup_level", "learning_rate"]),
    ],
    ids=["no mixing", "mixing", "features mixed"],
)
def test_knobs_without_effect_are_not_asked_for(
    config: dict[str, Any], answers: dict[str, Any], asked: list[str]
) -> None:
    """Parents are asked before children, and what they answer decides whether a child is asked at all."""
    study = searching(config, volume=True, learning_rate=True, mixup_level=True, beta_alpha=True, loss=True)
    given = {"mixup_level": "waveform", "volume": "rms", "learning_rate": 1e-3, "beta_alpha": 0.2} | answers
    trial = Recorder(given)

    assert {name: given[name] for name in asked} == study.suggest(trial)
    assert asked == trial.asked


def test_fixed_parents_count_too() -> None:
    """A child of a fixed parent is asked for if the fixed value, or the default, gives it an effect."""
    space = {"beta_alpha": True, "learning_rate": True}
    answers = {"beta_alpha": 0.2, "learning_rate": 1e-3}

    assert ["learning_rate"] == list(searching({"loss": "ap"}, **space).suggest(Recorder(answers)))
    assert ["beta_alpha", "learning_rate"] == list(searching(**space).suggest(Recorder(answers)))


def test_optuna_trials_answer_within_the_ranges() -> None:
    """Real Optuna trials are asked; what they suggest is inside the space and makes a config."""
    study = searching(loss=True, beta_alpha=True, learning_rate=True, embedding_size={"low": 32, "high": 64, "step": 8})
    sweep = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(20):
        trial = sweep.ask()
        params = study.suggest(trial)

        assert params == trial.params
        assert (params["loss"] != "ap") == ("beta_alpha" in params)
        assert params["embedding_size"] in range(32, 65, 8)
        assert params == {name: getattr(study.config_of(params), name) for name in params}


@dataclass(frozen=True)
class Deep:
    """Four levels: a choice, then a count, then a switch, then a number."""

    metrics: ClassVar[dict[str, str]] = {"eer": "minimize"}
    roles: ClassVar[tuple[str, ...]] = ("train",)
    needs: ClassVar[dict[str, tuple[str, ...]]] = {}
    sample_rate: ClassVar[int] = 16_000

    net: str = knob("plain", "which net", choices=("plain", "deep"))
    blocks: int = knob(1, "how many", low=1, high=4, minimum=1, when={"net": ("deep",)})
    skips: bool = knob(False, "whether blocks are skipped", when={"blocks": (2, 4)})
    drop: float = knob(0.1, "how many are skipped", low=0.05, high=0.5, when={"skips": (True,)})

    def problems(self) -> list[Any]:
        return []


@pytest.fixture
def deep(monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a trainable whose knobs are those of `Deep`."""
    monkeypatch.setitem(cast("dict[str, Any]", CONFIGS), "deep", Deep)
    return "deep"


MIXUP_SPACE = {"loss": True, "mixup_level": True, "volume": True, "beta_alpha": True, "learning_rate": True}
DEEP_SPACE: dict[str, Any] = {"drop": True, "skips": True, "blocks": True, "net": True}


@pytest.mark.parametrize("sampler", [RandomSampler(seed=0), TPESampler(seed=0)], ids=["random", "tpe"])
@pytest.mark.parametrize(
    ("trainable", "config", "space", "num_patterns"),
    [
        ("contrastive_mixup", {}, MIXUP_SPACE, 3),
        ("contrastive_mixup", {"loss": "ce_mixup"}, MIXUP_SPACE, 2),
        ("deep", {}, DEEP_SPACE, 4),
        ("deep", {"net": "deep", "blocks": 3}, DEEP_SPACE, 1),
        ("deep", {"net": "deep", "blocks": 4}, DEEP_SPACE, 2),
    ],
    ids=["mixing", "mixing with a fixed loss", "deep", "deep without skips", "deep with skips"],
)
def test_no_inactive_value_is_ever_set(
    trainable: str, config: dict[str, Any], space: dict[str, Any], num_patterns: int, sampler: BaseSampler, deep: str
) -> None:
    """Of 500 sampled trials, each has exactly the searched knobs that have an effect in its config, and no others."""
    searched = {name: entry for name, entry in space.items() if name not in config}
    study = study_of(trainable=trainable, config=config, search={"trials": 500, "space": searched})
    sweep = optuna.create_study(sampler=sampler)
    patterns, ids = set(), dict[str, str]()
    for _ in range(500):
        trial = sweep.ask()
        params = study.suggest(trial)
        built = study.config_of(params)
        sweep.tell(trial, len(params) + sum(value for value in params.values() if isinstance(value, float)))

        assert params == trial.params
        assert set(params) == set(active_knobs(built)) & set(searched)
        # What is not set could be anything: it is no part of the identity. What is set is a part of it.
        assert ids.setdefault(config_id(trainable, built), str(params)) == str(params)
        patterns.add(frozenset(params))

    assert num_patterns == len(patterns)


def test_every_config_has_one_identity_for_what_has_an_effect(deep: str) -> None:
    """Over all configs of four levels: the same identity if and only if the active knobs are the same."""
    configs = [
        Deep(net, blocks, skips, drop)
        for net in ("plain", "deep")
        for blocks in (1, 2, 3, 4)
        for skips in (False, True)
        for drop in (0.1, 0.2)
    ]
    ids: dict[str, set[str]] = {}
    for config in configs:
        ids.setdefault(config_id(deep, config), set()).add(str(active_knobs(config)))

    assert {1} == {len(same) for same in ids.values()}
    assert len({str(active_knobs(config)) for config in configs}) == len(ids) == 9
    assert 32 == len({str(values_of(config)) for config in configs})


@pytest.mark.parametrize(
    ("config", "space", "expected"),
    [
        ({"net": "deep"}, {"blocks": True, "drop": True, "skips": True}, []),
        ({}, {"blocks": True}, ['blocks: the knob has no effect in any trial: it needs net = "deep", but net is']),
        ({}, {"drop": True}, ['drop: the knob has no effect in any trial: it needs net = "deep", but net is "plain"']),
        (
            {"net": "deep", "blocks": 3},
            {"skips": True, "drop": True},
            [
                "skips: the knob has no effect in any trial: it needs blocks = 2 or 4, but blocks is 3",
                "drop: the knob has no effect in any trial: it needs blocks = 2 or 4, but blocks is 3",
            ],
        ),
        (
            {"net": "deep"},
            {"blocks": {"low": 1, "high": 3, "step": 2}, "skips": True},
            ["skips: the knob has no effect in any trial: it needs blocks = 2 or 4, but blocks never has it"],
        ),
        (
            {"net": "deep"},
            {"blocks": {"choices": [1, 3]}, "skips": True},
            ["skips: the knob has no effect in any trial: it needs blocks = 2 or 4, but blocks never has it"],
        ),
        (
            {"net": "deep", "skips": False},
            {"blocks": True, "drop": True},
            ["drop: the knob has no effect in any trial: it needs skips = true, but skips is false"],
        ),
    ],
    ids=["all", "parent", "grandparent", "fixed count", "steps", "choices", "switch"],
)
def test_a_searched_knob_without_any_effect_is_refused(
    config: dict[str, Any], space: dict[str, Any], expected: list[str], deep: str
) -> None:
    """Whatever forbids it: a fixed value or a range, of the knob that it names or of one further up."""
    raw = {
        "title": "?",
        "trainable": deep,
        "objective": [{"metric": "eer", "goal": "minimize"}],
        "corpus": {"train": "synthetic"},
        "config": config,
        "search": {"trials": 4, "space": space},
    }
    found = [str(problem).removeprefix("search.space.") for problem in study_problems(raw)]

    assert len(expected) == len(found)
    assert [] == [text for text, start in zip(found, expected, strict=True) if not text.startswith(start)]


def test_a_study_cannot_be_changed_in_place() -> None:
    """Whoever holds a study holds the one that was checked."""
    with pytest.raises(ValueError, match="frozen"):
        study_of().seeds = 3  # type: ignore[misc]
