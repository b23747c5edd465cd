import dataclasses
import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_spaces.contrastive_mixup import ContrastiveMixup
from search_spaces.identity import config_id, trial_id
from search_spaces.knobs import active_knobs, knobs_of

NAME = "contrastive_mixup"


def test_the_identity_of_the_paper_s_config_is_fixed() -> None:
    """Stored runs go by this hash: whoever changes it makes every run directory unreadable for a continued study."""

    assert "344961d3163e" == config_id(NAME, ContrastiveMixup())


def test_a_trial_s_identity_is_the_hash_of_canonical_json() -> None:
    """Sorted keys, no blanks, the first 12 hex digits: anyone can compute it."""
    canonical = b'{"config":"344961d3163e","corpus":"fingerprint","seed":1}'

    assert hashlib.sha256(canonical).hexdigest()[:12] == trial_id("344961d3163e", 1, "fingerprint")


def test_inactive_knobs_are_no_part_of_the_identity() -> None:
    """Without mixing, two strengths of mixing are the same configuration; with mixing they are not."""
    weak, strong = (config_id(NAME, ContrastiveMixup(loss="ap", beta_alpha=alpha)) for alpha in (0.1, 0.4))

    assert weak == strong
    assert weak != config_id(NAME, ContrastiveMixup())
    assert config_id(NAME, ContrastiveMixup()) != config_id(NAME, ContrastiveMixup(beta_alpha=0.4))


MIXED = st.fixed_dictionaries(
    {
        "loss": st.sampled_from(["ap", "ce_mixup", "contrastive_mixup"]),
        "beta_alpha": st.sampled_from([0.1, 0.4]),
        "mixup_level": st.sampled_from(["waveform", "log_mel"]),
        "volume": st.sampled_from(["rms", "peak", "none"]),
        "partner": st.sampled_from(["permutation", "derangement"]),
        "width": st.sampled_from([4, 8]),
    }
)


@given(MIXED, MIXED)
def test_two_configs_are_the_same_if_and_only_if_what_has_an_effect_is(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    """Differences in inactive knobs alone make no other configuration, and any other difference does."""
    first, second = ContrastiveMixup(**one), ContrastiveMixup(**other)

    assert (active_knobs(first) == active_knobs(second)) == (config_id(NAME, first) == config_id(NAME, second))


def test_whose_weights_a_config_starts_from_is_part_of_its_identity() -> None:
    """The same knobs from other weights are another configuration; nothing to start from is no part of it."""
    ids = {config_id(NAME, ContrastiveMixup(), init) for init in (None, {}, {"config": "a"}, {"config": "b"})}

    assert 3 == len(ids)
    assert config_id(NAME, ContrastiveMixup()) == config_id(NAME, ContrastiveMixup(), {})


def test_an_integer_is_the_same_as_its_float() -> None:
    """How a value is written does not matter."""

    assert config_id(NAME, ContrastiveMixup(beta_alpha=1)) == config_id(NAME, ContrastiveMixup(beta_alpha=1.0))


def test_the_trainable_is_part_of_the_identity() -> None:
    """Two trainables with the same knobs are different configurations."""

    assert config_id(NAME, ContrastiveMixup()) != config_id("other", ContrastiveMixup())


OTHER_VALUES = {
    "loss": "ap",
    "mixup_level": "log_mel",
    "volume": "peak",
    "partner": "derangement",
    "augmentation": True,
    "negatives": "local",
    "width": 8,
    "pooling": "asp",
    "precision": "bf16",
}


@pytest.mark.parametrize("name", knobs_of(ContrastiveMixup))
def test_every_active_knob_is_part_of_the_identity(name: str) -> None:
    """No knob that has an effect can change unseen."""
    default = knobs_of(ContrastiveMixup)[name].default
    assert not isinstance(default, str) or name in OTHER_VALUES
    value = OTHER_VALUES[name] if name in OTHER_VALUES else float(default) / 2 if default == 0.95 else default + 1  # type: ignore[operator]
    changed = dataclasses.replace(ContrastiveMixup(), **{name: value})

    assert config_id(NAME, ContrastiveMixup()) != config_id(NAME, changed)


def test_trials_differ_by_config_seed_and_corpus() -> None:
    """Each of the three makes another trial."""
    ids = {trial_id("a", 1, "x"), trial_id("b", 1, "x"), trial_id("a", 2, "x"), trial_id("a", 1, "y")}

    assert 4 == len(ids)
    assert {12} == {len(one) for one in ids}
