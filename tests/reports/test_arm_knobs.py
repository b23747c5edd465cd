"""By which knobs arms differ."""

from types import ModuleType
from typing import Any

import pytest

from reports.arm_knobs import differing_knobs, knobs_of_arms, setting_of
from reports.words import short_setting
from search_spaces.study import Study


@pytest.fixture
def study(handmade: ModuleType) -> Study:
    """Arms that differ in one knob, in several, and in their first weights alone."""
    arms: list[dict[str, Any]] = [
        {"name": "α 0.4", "config": {"beta_alpha": 0.4}},
        {"name": "AP loss", "config": {"loss": "ap", "width": 8}},
        {"name": "again", "config": {"beta_alpha": 0.4}, "init_from": "α 0.4"},
    ]
    return Study.model_validate({**handmade.STUDY, "config": {"train_utterances": 2}, "arm": arms})


def test_the_study_s_config_is_in_every_arm(study: Study) -> None:
    """And the baseline is one of them; what has no effect is left out."""
    knobs = knobs_of_arms(study)

    assert ["paper", "α 0.4", "AP loss", "again"] == list(knobs)
    assert {2} == {values["train_utterances"] for values in knobs.values()}
    assert "beta_alpha" not in knobs["AP loss"]


@pytest.mark.parametrize(
    ("chosen", "choices", "expected"),
    [
        ("paper", ("paper", "α 0.4"), "α 0.1"),
        ("α 0.4", ("paper", "α 0.4"), "α 0.4"),
        ("AP loss", ("paper", "AP loss"), "loss ap, width 8"),
        ("again", ("α 0.4", "again"), ""),
        ("paper", ("paper", "gone"), ""),
    ],
)
def test_what_tells_a_chosen_arm_from_the_others(
    study: Study, chosen: str, choices: tuple[str, ...], expected: str
) -> None:
    """Its own values of the knobs that differ; nothing where first weights differ alone, or an arm is unknown."""
    assert expected == short_setting(setting_of(chosen, choices, knobs_of_arms(study)))


def test_knobs_that_differ() -> None:
    """One that only some have an effect of differs; equal ones do not; none of none."""
    assert ("a", "c") == differing_knobs([{"a": 1, "b": 2}, {"a": 3, "b": 2, "c": 4}])
    assert () == differing_knobs([{"a": 1}, {"a": 1}])
    assert () == differing_knobs([])
