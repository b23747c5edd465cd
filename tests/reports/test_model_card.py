"""The card of an exported net: numbers of the tables, verdicts of the intervals, and the doubts that apply."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from reports.model_card import is_synthetic, model_card
from reports.reading import Run, read_run
from reports.summaries import Summary, summarise


def facts_of(
    trial: dict[str, Any],
    *,
    source: str = "vox.csv",
    test: bool = True,
    augmentation: bool = False,
    roles: Sequence[str] = ("train", "dev"),
) -> dict[str, Any]:
    """What model.json says of a trial, as far as a card needs it."""
    return {
        "trainable": "contrastive_mixup",
        "config": {"embedding_size": 64, "augmentation": augmentation},
        "front_end": {"sample_rate_hz": 16_000},
        "weights": {"parameters": 1234567},
        "trial": {
            "id": trial["trial_id"],
            "config_id": trial["config_id"],
            "epochs": 6,
            "workers": 1,
            "code_hash": "c",
        },
        "corpus": {
            "held": [
                {"role": role, "source": source, "utterances": 9, "speakers": 3, "hours": 1.5, "fingerprint": "f" * 64}
                for role in roles
            ],
            "speakers": None,
        },
        "metrics": {"dev": {"eer": 0.1234}, "test": {"eer": 0.2345} if test else {}},
    }


def card_of(run: Run, summary: Summary, *, config: str, seed: int | None = None, **options: Any) -> str:
    """The card of a complete trial of a config, its first seed if none is said."""
    complete = (pl.col("state") == "complete") & (pl.col("config_name") == config)
    rows = summary.trials.filter(complete if seed is None else complete & (pl.col("seed") == seed))
    return model_card(run, summary, facts_of(rows.row(0, named=True), **options), {"width": 4})


@pytest.fixture(scope="module")
def several(fabricate_run: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Summary]:
    """A run of three seeds, arms and a confirmed config."""
    folder = fabricate_run(tmp_path_factory.mktemp("card") / "run", seeds=3, arms=["AP loss"], confirm=1, test=True)
    run = read_run(folder)
    return run, summarise(run)


def test_the_table_has_the_config_beside_the_baseline(several: tuple[Run, Summary]) -> None:
    """Its own numbers, then means and deviations over the seeds, as the report has them."""
    run, summary = several
    card = card_of(run, summary, config="AP loss")
    for title, name in (("its config", "AP loss"), ("the baseline “paper”", "paper")):
        one = next(each for each in summary.standings if each.name == name)
        assert one.dev is not None
        assert one.test is not None
        assert one.dev.std is not None
        assert one.test.std is not None
        means = " | ".join(f"{100 * e.mean:.2f} ± {100 * (e.std or 0):.2f}" for e in (one.dev, one.test))

        assert f"| {title} | {means} | 3 seeds |" in card
    assert "| this net | 12.34 | 23.45 | 1 |" in card
    assert "1,234,567 parameters" in card
    assert "`width = 4`" in card
    assert "arm “AP loss”, seed 1" in card


def test_the_baselines_own_card_has_one_row_of_it(several: tuple[Run, Summary]) -> None:
    """Nothing is compared with itself."""
    card = card_of(*several, config="paper")

    assert 1 == card.count("| its config |")
    assert "| the baseline “paper” |" not in card
    assert "tied with" not in card
    assert "never compared" not in card


def test_verdicts_are_those_of_the_intervals(several: tuple[Run, Summary]) -> None:
    """Better and worse where the interval says so, a doubt where it says tied."""
    run, summary = several
    for one in summary.standings:
        if one.gap is None:
            continue
        card = card_of(run, summary, config=one.name)
        verdict = one.gap.verdict(minimize=True)

        assert (f"is {verdict} on dev" in card) == (verdict in ("better", "worse"))
        assert ("On dev its config is tied with the baseline" in card) == (verdict == "tied")


def test_choices_on_dev_are_told(several: tuple[Run, Summary]) -> None:
    """The place among the seeds and among the configs, whoever asks."""
    run, summary = several
    values = summary.trials.filter(pl.col("arm") == "AP loss").sort("value")["seed"].to_list()
    cards = [card_of(run, summary, config="AP loss", seed=seed) for seed in values]
    rank = next(one.rank for one in summary.standings if one.name == "AP loss")
    places = ("best", "second best", "third best")

    for card, place in zip(cards, places, strict=True):
        assert f"it is the {place} of 3 seeds of its config" in card
        assert f"Its config is the {places[(rank or 1) - 1]} of 3 by mean dev EER" in card


def test_a_search_alone_is_one_seed(fabricate_run: Callable[..., Path], tmp_path: Path) -> None:
    """The best of many single values, without a test set."""
    run = read_run(fabricate_run(tmp_path / "run"))
    summary = summarise(run)
    best = summary.configs.row(0, named=True)
    card = card_of(run, summary, config=best["name"], test=False)

    assert "One seed: how much of its numbers is chance is unknown." in card
    assert f"Its config is the best of {summary.configs.height} by dev EER" in card
    assert "No test set was read" in card
    assert "| this net | 12.34 | – | 1 |" in card


def test_synthetic_voices_are_told(several: tuple[Run, Summary]) -> None:
    """By role; a manifest's are not."""
    assert "The voices of train, dev are synthetic" in card_of(*several, config="paper", source="synthetic?speakers=9")
    assert "synthetic" not in card_of(*several, config="paper")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("synthetic", True),
        ("synthetic?speakers=3", True),
        ("a.csv, synthetic?speakers=3", True),
        ("a.csv", False),
        ("my/synthetic.csv", False),
        ("synthetics.csv", False),
    ],
)
def test_which_sources_are_synthetic(source: str, expected: bool) -> None:
    """By the name of the source, alone or among others."""
    assert expected == is_synthetic(source)


def test_what_was_heard_and_for_what(several: tuple[Run, Summary]) -> None:
    """Trained on, chosen on, tested on; noise and rooms only where they were mixed in."""
    run, summary = several
    roles = ("train", "dev", "test", "noise", "rooms")
    plain, augmented = (card_of(run, summary, config="AP loss", roles=roles, augmentation=on) for on in (False, True))

    for role, use in (("train", "trained on"), ("dev", "chosen on"), ("test", "tested on")):
        assert f"| {role} | {use} | vox.csv |" in plain
    assert "| noise |" not in plain
    assert "| noise | mixed into what it was trained on |" in augmented
    assert "## What was heard" in plain


def test_a_corpus_that_could_not_be_listed_is_a_doubt(several: tuple[Run, Summary]) -> None:
    """Its speakers cannot be known again."""
    run, summary = several

    assert "could not be listed" in card_of(run, summary, config="AP loss")
