from typing import Any

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from search_spaces.problems import StudyError
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


def test_a_study_cannot_be_changed_in_place() -> None:
    """Whoever holds a study holds the one that was checked."""
    with pytest.raises(ValueError, match="frozen"):
        study_of().seeds = 3  # type: ignore[misc]
