"""What is said of configs with several seeds: what the interval supports, and no more."""

import math
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from reports.summaries import summarise
from reports.verdict import verdict

PAPER = (0.10, 0.12, 0.11)
BETTER = (0.07, 0.085, 0.082)
TIED = (0.10, 0.11, 0.13)
WORSE = (0.20, 0.22, 0.21)


@pytest.fixture
def rows_of(handmade: ModuleType) -> Callable[..., list[dict[str, Any]]]:
    """Trials of names with a value a seed, from seed 1; None is a failed trial."""

    def rows(**values: tuple[float | None, ...]) -> list[dict[str, Any]]:
        names = {"paper": "paper", "ap": "AP loss", "slow": "slow", "seven": "#7"}
        return [
            handmade.measured(names[key], seed, value, **({"state": "failed"} if value is None else {}))
            for key, seeds in values.items()
            for seed, value in enumerate(seeds, start=1)
        ]

    return rows


@pytest.fixture
def said(handmade: ModuleType, tmp_path: Path) -> Callable[..., str]:
    """The verdict of a study of arms over three seeds, as one text."""

    def speak(rows: list[dict[str, Any]], **facts: Any) -> str:
        study = {"seeds": 3, "search": None, **facts.pop("study", {})}
        run = handmade.run_of(tmp_path, rows, study=study, **facts)
        return "\n".join(verdict(run, summarise(run)).sentences)

    return speak


class TestTheBestMean:
    def test_is_said_with_its_spread_seeds_and_interval(self, rows_of: Any, said: Any) -> None:
        """0.07, 0.085, 0.082: mean 7.90, deviation 0.79, and 4.303 standard errors to each side."""
        text = said(rows_of(paper=PAPER, ap=BETTER))

        assert (
            "The lowest mean dev EER is 7.90 ± 0.79 % (3 seeds), by config “AP loss” with learning_rate 0.008." in text
        )
        assert "The 95 % interval of the mean is 5.93 to 9.87." in text
        assert "The baseline “paper” has 11.00 ± 1.00 % (3 seeds):" in text
        assert "Unconfirmed" not in text

    def test_better_only_where_the_interval_leaves_zero_out(self, rows_of: Any, said: Any) -> None:
        """Gains 3.0, 3.5, 2.8 points: mean 3.10, deviation 0.36, so 2.20 to 4.00."""
        text = said(rows_of(paper=PAPER, ap=BETTER))

        assert (
            "config “AP loss” is better on dev by 3.10 points, 95 % interval 2.20 to 4.00, paired over 3 seeds." in text
        )
        assert "Relative to the baseline's mean that is an improvement of 28 %." in text

    def test_a_lower_mean_that_could_be_chance_is_a_tie(self, rows_of: Any, said: Any) -> None:
        """Gains 2, 1, -2 points hold 0 within their interval."""
        text = said(rows_of(paper=(0.12, 0.12, 0.11), ap=TIED))

        assert (
            "config “AP loss” is tied with the baseline on dev: the interval −4.84 to 5.50 holds 0 (95 %, "
            "difference 0.33 points in its favour, paired over 3 seeds)" in text
        )
        assert "better" not in text.replace("looks better", "")
        assert "Relative" not in text

    def test_a_metric_to_maximize_turns_the_words(self, rows_of: Any, said: Any) -> None:
        """The highest mean is best, and lies above."""
        objective = [{"metric": "eer", "goal": "maximize"}]
        text = said(rows_of(paper=BETTER, ap=PAPER), study={"objective": objective})

        assert "The highest mean dev EER is 11.00 ± 1.00 %" in text
        assert "config “AP loss” is better on dev by 3.10 points, 95 % interval 2.20 to 4.00" in text

    def test_the_baseline_may_have_it(self, rows_of: Any, said: Any) -> None:
        """Then the next config is judged: worse is an interval too."""
        text = said(rows_of(paper=PAPER, ap=WORSE))

        assert (
            "No config beats the baseline “paper”: its mean dev EER of 11.00 ± 1.00 % (3 seeds) is the lowest." in text
        )
        assert "Next comes 21.00 ± 1.00 %: config “AP loss” is worse on dev by 10.00 points, 95 % interval" in text

    def test_a_tie_says_whom_the_difference_favours(self, rows_of: Any, said: Any) -> None:
        """A gain below 0 would be no gain."""
        text = said(rows_of(paper=(0.10, 0.12, 0.11), ap=(0.11, 0.14, 0.09)))

        assert "holds 0 (95 %, difference 0.33 points against it, paired over 3 seeds)" in text

    def test_the_best_of_several_is_flattered_by_its_choice(self, rows_of: Any, said: Any) -> None:
        """Said where two or more are compared; of the others' best if the baseline leads; not of a single one."""
        flattered = "is the best of 2 on these dev values, so the difference on dev flatters it.\n"

        assert f"Config “AP loss” {flattered}" in said(rows_of(paper=PAPER, ap=BETTER, slow=WORSE))
        assert "Config “AP loss” is the best of the 2 others on" in said(rows_of(paper=BETTER, ap=PAPER, slow=WORSE))
        assert "flatters" not in said(rows_of(paper=PAPER, ap=BETTER))

    def test_all_configs_are_counted(self, rows_of: Any, said: Any) -> None:
        """Better, tied and worse, each by its own interval; how it was decided is said once."""
        text = said(rows_of(paper=PAPER, ap=BETTER, seven=TIED, slow=WORSE))

        expected = (
            "Of the 3 configs compared with the baseline on dev over several seeds, 1 is better than the baseline, "
        )
        assert expected + "1 is tied with it and 1 is worse." in text
        assert 1 == text.count("was fixed in the study file before the run")
        assert "(by the 95 % interval of a paired t over the common seeds)" in text

    def test_welch_is_named(self, rows_of: Any, said: Any) -> None:
        """The study chose it; the words say so, and nothing of pairs."""
        text = said(rows_of(paper=PAPER, ap=BETTER), study={"comparison": "welch"})

        assert "by Welch's t over at least 3 seeds each" in text
        assert "How configs are compared (by the 95 % interval of Welch's t of two means)" in text
        assert "paired" not in text

    def test_correlation_over_the_seeds(self, rows_of: Any, said: Any) -> None:
        """PAPER and BETTER go up together by 0.94; the number and its pairs, and no claim of what pairing takes out."""
        together = "the values of config “AP loss” and of the baseline on dev correlate by 0.94 (3 pairs)."
        against = "correlate by −0.94 (3 pairs)."

        assert together in said(rows_of(paper=PAPER, ap=BETTER))
        assert against in said(rows_of(paper=PAPER, ap=tuple(0.16 - value for value in BETTER)))


class TestMissingSeeds:
    """Means and ranks rest on all seeds of each side, a paired difference on the common ones alone."""

    other = "These means rest on different seeds; the difference is over the common ones."

    def test_a_lower_mean_that_is_worse_on_the_common_seeds(self, rows_of: Any, said: Any) -> None:
        """The baseline's third seed is a bad one that the arm never ran: no improvement of the means is printed."""
        text = said(rows_of(paper=(0.10, 0.101, 0.20), ap=(0.11, 0.1111, None)))

        assert text.startswith(
            "The lowest mean dev EER is 11.06 ± 0.08 % (2 of 3 seeds, 1 failed), by config “AP loss”"
        )
        assert "The baseline “paper” has 13.37 ± 5.74 % (3 seeds): config “AP loss” is worse on dev by 1.0" in text
        assert f"paired over 2 seeds. {self.other}" in text
        assert "Relative" not in text

    def test_a_higher_mean_that_is_better_on_the_common_seeds(self, rows_of: Any, said: Any) -> None:
        """The baseline's third seed is a lucky one: its mean is the lowest, but something beats it."""
        text = said(rows_of(paper=(0.10, 0.101, 0.01), ap=(0.09, 0.0909, None)))

        assert text.startswith("The lowest mean dev EER is the baseline's: 7.03 ± 5.23 % (3 seeds).")
        assert "No config beats" not in text
        assert "Next comes 9.04 ± 0.06 %: config “AP loss” is better on dev by 1.0" in text
        assert f"paired over 2 seeds. {self.other}" in text
        assert "Relative" not in text

    def test_the_same_seeds_need_no_word(self, rows_of: Any, said: Any) -> None:
        """Both lack the third; Welch's difference is that of the means, whatever their seeds."""
        both = rows_of(paper=(0.10, 0.101, None), ap=(0.09, 0.0909, None))
        welch = rows_of(paper=(0.10, 0.101, 0.102), ap=(0.05, 0.0501, None))

        for text in (said(both), said(welch, study={"comparison": "welch"})):
            assert "is better on dev" in text
            assert self.other not in text
            assert "that is an improvement of" in text

    def test_readings_of_other_seeds(self, handmade: ModuleType, rows_of: Any, said: Any) -> None:
        """The same holds on test."""
        rows = rows_of(paper=PAPER, ap=BETTER)
        text = said(rows, readings=[handmade.reading(row, row["objective"]) for row in rows[:-1]])

        assert f"on test by 3.25 points, 95 % interval 0.07 to 6.43, paired over 2 seeds. {self.other}" in text


class TestTheTestSet:
    def test_leads(self, handmade: ModuleType, rows_of: Any, said: Any) -> None:
        """It chose nothing, so it stands directly behind the headline, before dev."""
        rows = rows_of(paper=PAPER, ap=BETTER, slow=WORSE)
        lines = said(rows, readings=[handmade.reading(row, 2 * row["objective"]) for row in rows]).split("\n")

        assert lines[1].startswith("On the test set, read once at the end of a trial, config “AP loss” has a mean EER")
        assert lines[2].startswith("The baseline “paper” has 11.00 ± 1.00 % (3 seeds):")
        assert lines[3].endswith("so the difference on dev flatters it; the test set chose nothing.")

    def test_is_compared_like_dev(self, handmade: ModuleType, rows_of: Any, said: Any) -> None:
        """The best config of dev and the baseline, by their readings."""
        rows = rows_of(paper=PAPER, ap=BETTER)
        text = said(rows, readings=[handmade.reading(row, 2 * row["objective"]) for row in rows])

        assert (
            "On the test set, read once at the end of a trial, config “AP loss” has a mean EER of 15.80 ± 1.59 %"
            in text
        )
        assert "and the baseline 22.00 ± 2.00 % (3 seeds): config “AP loss” is better on test by 6.20 points" in text

    @pytest.mark.parametrize(
        ("arm", "expected"),
        [
            ("AP loss", "it was not read for the baseline, so there is nothing to compare with."),
            ("paper", "The test set was read for 1 config, but not for config “AP loss”."),
        ],
    )
    def test_read_for_some_arms_only(
        self, handmade: ModuleType, rows_of: Any, said: Any, arm: str, expected: str
    ) -> None:
        """What is missing is said, not guessed."""
        rows = rows_of(paper=PAPER, ap=BETTER)

        assert expected in said(rows, readings=[handmade.reading(row, 0.1) for row in rows if row["arm"] == arm])

    def test_unread_is_no_word(self, rows_of: Any, said: Any) -> None:
        """A study without a test set says nothing of one."""
        assert "test set" not in said(rows_of(paper=PAPER, ap=BETTER))


class TestOddRuns:
    @pytest.mark.parametrize(
        ("values", "expected"),
        [
            (
                {"paper": PAPER, "ap": PAPER},
                "is tied with the baseline on dev: the two do not differ at all, paired over 3 seeds",
            ),
            ({"paper": (0.5,) * 3, "ap": (0.25,) * 3}, "better on dev by 25.00 points, 95 % interval 25.00 to 25.00"),
            ({"paper": PAPER, "ap": (0.07, None, 0.08)}, "7.50 ± 0.71 % (2 of 3 seeds, 1 failed), by config “AP loss”"),
            ({"paper": PAPER, "ap": (0.07, None, 0.08)}, "paired over 2 seeds"),
            ({"paper": PAPER, "ap": (0.07, math.nan, 0.08)}, "2 of 3 seeds, 1 without a usable value"),
            ({"paper": PAPER, "ap": (0.07, 0.08)}, "2 of 3 seeds, 1 not started"),
            (
                {"paper": (0.1, None, 0.12), "ap": BETTER},
                "The baseline “paper” has 11.00 ± 1.41 % (2 of 3 seeds, 1 failed)",
            ),
            (
                {"paper": (0.1, None, None), "ap": BETTER},
                "is 3.00 points below on dev, but paired over 1 seed has no interval",
            ),
            (
                {"paper": (0.1, None, None), "ap": (None, 0.1, 0.2)},
                "no seed measured both on dev, so config “AP loss” cannot be",
            ),
            ({"paper": (None,) * 3, "ap": BETTER}, "There is no baseline to compare with: the arm “paper” failed."),
            ({"paper": (None,) * 3, "ap": BETTER}, "The one config with several seeds, config “AP loss”,"),
            ({"ap": BETTER}, "There is no baseline to compare with: the arm “paper” has not run."),
            ({"paper": PAPER}, "The one config with several seeds, the baseline “paper”, has a mean dev EER of 11.00"),
            ({"paper": PAPER, "seven": (None,) * 3}, "6 trials: 3 complete and 3 failed."),
            ({"paper": (0.1,), "ap": (0.2,)}, "Unconfirmed: one seed a config"),
            ({"paper": (None,) * 3, "ap": (None,) * 3}, "All 6 trials failed: there is no result."),
            ({"paper": (math.nan,) * 3}, "3 trials are complete, but no dev EER can be used"),
        ],
    )
    def test_are_said_in_words(
        self, rows_of: Any, said: Any, values: dict[str, tuple[float | None, ...]], expected: str
    ) -> None:
        """Failed, missing and equal seeds have their sentences."""
        assert expected in said(rows_of(**values), epochs=[])

    def test_seeds_added_later(self, rows_of: Any, said: Any) -> None:
        """Five seeds are asked for: one arm has them, the others have three yet."""
        five = (*BETTER, 0.08, 0.07)
        text = said(rows_of(paper=PAPER, ap=five), study={"seeds": 5, "arm": [{"name": "AP loss", "config": {}}]})

        assert "(5 seeds), by config “AP loss”" in text
        assert "11.00 ± 1.00 % (3 of 5 seeds, 2 not started)" in text
        assert "paired over 3 seeds" in text
        assert "The run is not finished: 8 of the 10 trials of the arms have ended." in text


class TestTrainedWeights:
    """An arm that starts from trained weights was trained longer than what it is compared with."""

    @pytest.mark.parametrize(
        ("origin", "whose"),
        [
            ("paper", "“paper”"),
            ({"run": "runs/x", "arm": "paper"}, "“paper” of the run runs/x"),
            ({"run": "runs/x", "trial": "t7"}, "trial t7 of the run runs/x"),
        ],
    )
    def test_are_named(self, rows_of: Any, said: Any, origin: Any, whose: str) -> None:
        """With their owner, once as what the arm starts from, once beside its epoch 0; also with one seed."""
        arm = {"name": "AP loss", "config": {}, "init_from": origin}
        for values in ({"paper": PAPER, "ap": BETTER}, {"paper": (0.1,), "ap": (0.05,)}):
            rows = [{**row, "init": "t" if row["arm"] == "AP loss" else None} for row in rows_of(**values)]
            text = said(rows, study={"arm": [arm]})

            assert f"“AP loss” starts from the trained weights of {whose}, so it was trained longer." in text
            assert f"Before its own training, from the weights of {whose}, this net has" in text


class TestBesideTheSearch:
    def test_a_mean_over_search_trials_is_no_trial(self, handmade: ModuleType, rows_of: Any, said: Any) -> None:
        """A config that the search tried twice: its value is a mean, and it is said of the config."""
        searched = [handmade.trial(n, objective=v, config_id="c7") for n, v in ((7, 0.04), (8, 0.06))]
        text = said([*searched, *rows_of(paper=PAPER)], study={"search": {"trials": 2, "space": {"beta_alpha": True}}})

        assert "The search saw 5.00 % with config #7 (mean of 2 search trials): the best of many configs" in text
        assert "1 more config is unconfirmed (measured by the search alone, or with one seed)" in text

    def test_a_better_single_seed_is_no_result(self, handmade: ModuleType, rows_of: Any, said: Any) -> None:
        """The search's best value was picked out of many; what its config has over the seeds stands beside it."""
        rows = [
            handmade.trial(7, objective=0.05),
            handmade.trial(8, objective=0.2),
            *rows_of(paper=PAPER, seven=BETTER),
        ]
        text = said(rows, study={"search": {"trials": 2, "space": {"beta_alpha": True}}, "confirm": {"top": 1}})

        assert "The lowest mean dev EER is 7.90 ± 0.79 % (3 seeds), by config #7 with" in text
        assert (
            "The search saw 5.00 % with trial #7: the best of many single-seed trials looks better than it is." in text
        )
        assert "Over the study's seeds that config has 7.90 ± 0.79 %." in text
        assert "1 more config is unconfirmed (one seed)" in text

    def test_a_search_that_found_nothing_better_is_no_warning(
        self, handmade: ModuleType, rows_of: Any, said: Any
    ) -> None:
        """Then there is nothing to take back."""
        rows = [handmade.trial(8, objective=0.2), *rows_of(paper=PAPER)]

        assert "The search saw" not in said(rows, study={"search": {"trials": 1, "space": {"beta_alpha": True}}})
