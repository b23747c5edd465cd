from dataclasses import dataclass

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from search_spaces.contrastive_mixup import ContrastiveMixup
from search_spaces.knobs import active_knobs, active_names, conditions_of, distribution_of, knob, knobs_of
from search_spaces.registry import CONFIGS, build_config


@dataclass(frozen=True)
class Chain:
    """a <- b <- c: c has an effect only through b."""

    a: str = knob("on", "first", choices=("on", "off"))
    b: str = knob("on", "second", choices=("on", "off"), when={"a": ("on",)})
    c: float = knob(1.0, "third", low=0.5, high=2.0, log=True, when={"b": ("on",)})
    d: bool = knob(False, "a switch")
    e: int = knob(3, "a count", low=1, high=5, minimum=1)


def test_knobs_keep_the_order_of_the_class() -> None:
    """Listings, columns and suggestions go by the order in which a config class declares its knobs."""

    assert list("abcde") == list(knobs_of(Chain))


@pytest.mark.parametrize(
    ("config", "active"),
    [
        (Chain(), "abcde"),
        (Chain(b="off"), "abde"),
        (Chain(a="off"), "ade"),  # b still says "on", but has no effect itself
    ],
    ids=["all", "child off", "grandparent off"],
)
def test_inactive_knobs_are_left_out_transitively(config: Chain, active: str) -> None:
    """A knob whose parent has no effect has none either, whatever the parent's value."""

    assert list(active) == list(active_knobs(config))


def test_the_paper_s_defaults_are_the_baseline() -> None:
    """The defaults are the settings of the paper."""
    config = ContrastiveMixup()
    facts = (config.loss, config.beta_alpha, config.learning_rate, config.batch_speakers, config.epochs, config.width)

    assert ("contrastive_mixup", 0.1, 1e-3, 400, 500, 16) == facts
    assert [] == config.problems()


def test_mixing_knobs_have_no_effect_without_mixing() -> None:
    """With the plain loss, and the partner's volume with mixed features, nothing is there to be set."""
    mixing = {"beta_alpha", "mixup_level", "volume", "partner"}
    names = set(knobs_of(ContrastiveMixup))

    assert names - mixing == set(active_knobs(ContrastiveMixup(loss="ap")))
    assert names - {"volume"} == set(active_knobs(ContrastiveMixup(mixup_level="log_mel")))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a", CategoricalDistribution(("on", "off"))),
        ("c", FloatDistribution(0.5, 2.0, log=True)),
        ("d", CategoricalDistribution((False, True))),
        ("e", IntDistribution(1, 5)),
    ],
)
def test_a_knob_s_own_range_is_optuna_s(name: str, expected: object) -> None:
    """Ranges are Optuna's distributions; a switch has the choices false and true."""

    assert expected == distribution_of(knobs_of(Chain)[name])


def test_a_knob_without_a_range_has_no_distribution() -> None:
    """Asking for the range of a knob that has none is an error and names the knob."""
    with pytest.raises(ValueError, match="epochs"):
        distribution_of(knobs_of(ContrastiveMixup)["epochs"])


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("loss", "ap", None),
        ("loss", "AP", 'must be one of the choices, but got "AP"'),
        ("loss", 3, "must be a string, but got 3"),
        ("learning_rate", 1, None),
        ("learning_rate", 0, "`learning_rate > 0` must hold, but got 0"),
        ("learning_rate", "1e-3", 'must be a number, but got "1e-3"'),
        ("learning_rate", True, "must be a number, but got true"),
        ("learning_rate", float("nan"), "must be a finite number, but got nan"),
        ("learning_rate", float("inf"), "must be a finite number, but got inf"),
        ("beta_alpha", 0, None),
        ("beta_alpha", 3.0, None),  # beyond the suggested range, yet it makes sense
        ("beta_alpha", -0.1, "`beta_alpha >= 0` must hold, but got -0.1"),
        ("lr_decay", 1.5, "`lr_decay <= 1` must hold, but got 1.5"),
        ("epochs", 9.0, "must be an integer, but got 9.0"),
        ("epochs", True, "must be an integer, but got true"),
        ("epochs", 0, "`epochs >= 1` must hold, but got 0"),
        ("width", 12, "must be one of the choices, but got 12"),
        ("batch_utterances", 1, "`batch_utterances >= 2` must hold, but got 1"),
        ("mels", [40], "must be an integer, but got [40]"),
    ],
)
def test_a_knob_says_why_it_cannot_have_a_value(name: str, value: object, why: str | None) -> None:
    """Types and what makes sense are checked; the suggested range does not bind a fixed value."""

    assert why == knobs_of(ContrastiveMixup)[name].why_not(value)


def test_an_integer_becomes_a_float_where_the_knob_is_one() -> None:
    """1 and 1.0 are the same value of a float knob."""

    assert "1.0" == repr(build_config("contrastive_mixup", {"beta_alpha": 1}).beta_alpha)


def test_more_utterances_in_a_batch_than_a_speaker_has_are_a_problem() -> None:
    """A rule between knobs names the knob to change, and 0 (all utterances) is free of it."""
    found = ContrastiveMixup(train_utterances=2, batch_utterances=3).problems()

    assert ["train_utterances"] == [problem.place for problem in found]
    assert [] == ContrastiveMixup(train_utterances=0, batch_utterances=3).problems()


@pytest.mark.parametrize(("negatives", "expected"), [("gather", [400, 400, 400]), ("local", [400, 200, 100])])
def test_a_query_is_told_apart_from_the_batch_or_from_a_worker_s_share(negatives: str, expected: list[int]) -> None:
    """One, two and four workers share a batch of 400 speakers."""

    assert expected == [ContrastiveMixup(negatives=negatives).loss_speakers(workers) for workers in (1, 2, 4)]


@pytest.mark.parametrize("trainable", CONFIGS)
def test_every_knob_has_a_sentence_and_every_condition_can_be_met(trainable: str) -> None:
    """Each condition of `when=` names values that its parent can have."""
    knobs = knobs_of(CONFIGS[trainable])
    for one in knobs.values():
        assert one.sentence
        for parent, allowed in (one.when or {}).items():
            assert [None] * len(allowed) == [knobs[parent].why_not(value) for value in allowed]


def test_conditions_are_inherited() -> None:
    """A knob needs what the knob needs that it names; what both need must hold together."""

    assert {} == conditions_of(knobs_of(Chain), "a")
    assert {"a": ("on",), "b": ("on",)} == conditions_of(knobs_of(Chain), "c")


@dataclass(frozen=True)
class Contradiction:
    """c needs a = on, and by way of b that it is off."""

    a: str = knob("on", "first", choices=("on", "off"))
    b: str = knob("on", "second", choices=("on", "off"), when={"a": ("off",)})
    c: float = knob(1.0, "third", when={"a": ("on",), "b": ("on",)})


def test_a_knob_that_can_never_have_an_effect_is_a_mistake_in_the_class() -> None:
    """Its conditions hold one by one, but never together."""
    with pytest.raises(AssertionError, match="c can never have an effect"):
        knobs_of(Contradiction)


def test_active_names_need_values_of_all_parents() -> None:
    """Knobs without conditions are always active."""

    assert ["a", "b", "d", "e"] == active_names(knobs_of(Chain), {"a": "on", "b": "off"})


@pytest.mark.parametrize("name", ["crop_s", "eval_crop_s"])
def test_a_crop_is_a_minute_at_most(name: str) -> None:
    """Longer than any voice that can be made."""
    knob = knobs_of(ContrastiveMixup)[name]

    assert knob.why_not(60.0) is None
    assert f"`{name} <= 60` must hold, but got 60.5" == knob.why_not(60.5)
