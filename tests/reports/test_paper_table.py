"""A paper's table: every number from plain loops and scipy, the papers' own figures, odd runs, three formats."""

import math
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import scipy.stats
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reports.latex import latex_label, latex_text
from reports.manifest import RunError
from reports.page import render
from reports.paper_table import Missing, PaperTable, paper_table
from reports.reading import Run
from reports.statistics import relative_improvement
from reports.summaries import summarise
from reports.table_render import render_table
from reports.table_text import paper_section, table_text

DATA = Path(__file__).parent / "data"
SEARCH = {"trials": 2, "space": {"beta_alpha": True}}
NASTY = "a_b & 50% #1 α~^\\"


class Bench:
    """Puts a run together arm by arm."""

    def __init__(self, handmade: ModuleType) -> None:
        self._handmade = handmade
        self.trials: list[dict[str, Any]] = []
        self.readings: list[dict[str, Any]] = []

    def arm(
        self, name: str, dev: list[float | None], test: list[float | None] | None = None, **facts: Any
    ) -> list[dict[str, Any]]:
        """Complete trials of an arm with the seeds 1, 2, …; None is a trial that failed."""
        return self._measure(name, {"arm": name}, dev, test, facts)

    def confirm(self, number: int, dev: list[float | None], **facts: Any) -> list[dict[str, Any]]:
        """Trials that confirm the config of the search's number."""
        return self._measure(f"k{number}", {"phase": "confirm", "arm": None, "number": number}, dev, None, facts)

    def search(self, number: int, value: float | None, **facts: Any) -> None:
        """A trial of the search, whose config is named after its number; without a value it failed."""
        state = "failed" if value is None else "complete"
        known = {"config_id": f"k{number}", "objective": value, "state": state, "seed": 1_000_000 + number}
        self.trials.append({**self._handmade.trial(number), **known, **facts})

    def run(self, folder: Path, table: dict[str, Any] | None = None, **facts: Any) -> Run:
        """The run, for a study of three seeds."""
        study = {"seeds": 3, "table": table, **facts}
        return self._handmade.run_of(folder, self.trials, readings=self.readings, study=study)

    def _measure(
        self,
        key: str,
        who: dict[str, Any],
        dev: list[float | None],
        test: list[float | None] | None,
        facts: dict[str, Any],
    ) -> list[dict[str, Any]]:
        rows = []
        for seed, value in enumerate(dev, start=1):
            state = "failed" if value is None else "complete"
            known = {"trial_id": f"t{key}{seed}", "config_id": key, "seed": seed, "state": state, "objective": value}
            rows.append({**self._handmade.trial(None), **known, **who, **facts})
            if test is not None and test[seed - 1] is not None:
                self.readings.append(self._handmade.reading(rows[-1], test[seed - 1]))
        self.trials += rows
        return rows


@pytest.fixture
def bench(handmade: ModuleType) -> Bench:
    """An empty bench."""
    return Bench(handmade)


def one_column(*names: str, **facts: Any) -> dict[str, Any]:
    """A table of a row an arm, compared with "paper"."""
    return {"caption": "T", "baseline": "paper", "cell": [{"row": name, "arm": name} for name in names], **facts}


def shown(run: Run) -> dict[str, list[str]]:
    """The texts of each row."""
    return {line.head: [cell.text for cell in line.cells] for line in table_text(paper_table(run)).lines}


class TestNumbers:
    """The computed structure."""

    @pytest.mark.filterwarnings("ignore:Precision loss")  # scipy, of values that hardly differ
    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        values=st.lists(
            st.lists(
                st.tuples(
                    st.one_of(st.none(), st.just(math.nan), st.floats(0.01, 0.6).map(lambda x: round(x, 4))),
                    st.one_of(st.none(), st.just(math.nan), st.floats(0.01, 0.6).map(lambda x: round(x, 4))),
                ),
                min_size=4,
                max_size=4,
            ),
            min_size=3,
            max_size=3,
        ),
        method=st.sampled_from(["paired", "welch"]),
        metric=st.sampled_from(["eer", "min_dcf"]),
    )
    def test_every_number_against_plain_loops(
        self, handmade: ModuleType, tmp_path: Path, values: list[Any], method: str, metric: str
    ) -> None:
        """Means, deviations, gains, differences, intervals, verdicts and what is missing, from the formulas."""
        bench, factor = Bench(handmade), {"eer": 1, "min_dcf": 2}[metric]
        names = ["paper", "a", "b"]
        plain: dict[tuple[str, str], dict[int, float]] = {}
        for name, rows in zip(names, values, strict=True):
            bench.arm(name, [dev for dev, _ in rows], [None if dev is None else test for dev, test in rows])
            for split, place in (("dev", 0), ("test", 1)):
                plain[name, split] = {
                    seed: factor * row[place]
                    for seed, row in enumerate(rows, start=1)
                    if row[0] is not None and row[place] is not None and math.isfinite(row[place])
                }
        table = paper_table(bench.run(tmp_path, one_column(*names, metric=metric), seeds=4, comparison=method))

        for name in names:
            cell = table.cells[name, ""]
            for split in ("dev", "test"):
                found, expected = cell.estimate(split), list(plain[name, split].values())
                assert (len(expected) or None) == (found and found.n)
                if expected:
                    assert found is not None
                    assert slow_mean(expected) == pytest.approx(found.mean, rel=1e-12)
                    assert (found.std is None) == (len(expected) < 2)
                    assert slow_std(expected) == pytest.approx(found.std or 0.0, rel=1e-9, abs=1e-15)
            if name != "paper":
                self._check_comparison(cell.comparison, plain, name, method)
        assert table.cells["paper", ""].comparison is None
        assert slow_missing(plain, names, table.has_test) == {(m.name, m.split, m.seed) for m in table.missing}

    def _check_comparison(
        self, found: Any, plain: dict[tuple[str, str], dict[int, float]], name: str, method: str
    ) -> None:
        both_read = plain[name, "test"] and plain["paper", "test"]
        split = "test" if both_read else "dev"
        ours, theirs = plain[name, split], plain["paper", split]
        assert split == found.split
        if not ours or not theirs:
            assert (None, None, "unknown") == (found.gain, found.difference, found.verdict)
            return
        base, mean = slow_mean(list(theirs.values())), slow_mean(list(ours.values()))
        assert (base - mean) / base * 100 == pytest.approx(found.gain, rel=1e-9, abs=1e-9)
        common = sorted(set(ours) & set(theirs))
        if method == "paired":
            if not common:
                assert found.difference is None
                return
            first, second = [ours[s] for s in common], [theirs[s] for s in common]
        else:
            first, second = list(ours.values()), list(theirs.values())
        difference = found.difference
        assert slow_mean(first) - slow_mean(second) == pytest.approx(difference.mean, rel=1e-9, abs=1e-12)
        if min(len(first), len(second)) < 2:
            assert (None, None, "unknown") == (difference.low, difference.high, found.verdict)
            return
        steps = [x - y for x, y in zip(first, second, strict=False)]
        flat = slow_std(steps) < 1e-12 if method == "paired" else max(slow_std(first), slow_std(second)) < 1e-12
        if flat:
            assert difference.mean == pytest.approx(difference.low, abs=1e-9)
            return
        if method == "paired":
            tested = scipy.stats.ttest_rel(first, second)
        else:
            tested = scipy.stats.ttest_ind(first, second, equal_var=False)
        interval = tested.confidence_interval(0.95)
        assert interval.low == pytest.approx(difference.low, rel=1e-6, abs=1e-9)
        assert interval.high == pytest.approx(difference.high, rel=1e-6, abs=1e-9)
        verdict = "better" if difference.high < 0 else "worse" if difference.low > 0 else "tied"
        assert verdict == found.verdict

    @pytest.mark.parametrize(
        ("baseline", "mixup", "gain"),
        [(14.80, 12.38, 16.35), (12.32, 10.53, 14.53), (9.43, 8.26, 12.41), (6.63, 6.05, 8.75)],
    )
    def test_gains_of_the_contrastive_mixup_papers_table_3(self, baseline: float, mixup: float, gain: float) -> None:
        """Zhang et al. 2022, Table 3: 2, 3, 5 and 10 utterances per speaker (printed with one decimal, cut off)."""
        found = relative_improvement(mixup, baseline, minimize=True)

        assert gain == round(found or 0.0, 2)

    def test_gain_of_a_metric_to_be_maximised(self) -> None:
        """More is better there, and nothing is a percentage of 0."""
        assert 25.0 == relative_improvement(0.625, 0.5, minimize=False)
        assert -25.0 == relative_improvement(0.375, 0.5, minimize=False)
        assert relative_improvement(0.3, 0.0, minimize=True) is None

    def test_chosen_on_dev(self, bench: Bench, tmp_path: Path) -> None:
        """Of several arms the one with the best mean on dev, whatever its test says; the row names it."""
        bench.arm("paper", [0.2, 0.2, 0.2], [0.3, 0.3, 0.3])
        bench.arm("α 0.1", [0.12, 0.13, 0.14], [0.1, 0.1, 0.1])
        bench.arm("α 0.4", [0.11, 0.12, 0.13], [0.2, 0.21, 0.22])
        bench.arm("α 0.8", [0.01, None, None])
        cells = [{"row": "paper", "arm": "paper"}, {"row": "mixup", "arm": ["α 0.1", "α 0.4"]}]
        run = bench.run(tmp_path, one_column(cell=cells))
        cell = paper_table(run).cells["mixup", ""]

        assert ("α 0.4", ("α 0.1", "α 0.4")) == (cell.name, cell.choices)
        assert cell.test is not None
        assert 0.21 == pytest.approx(cell.test.mean)
        assert "Chosen on dev, of 2 arms the one with the best mean there: “α 0.4” for “mixup”." in notes_of(run)

    def test_confirmed_configs_in_the_order_of_the_search(self, bench: Bench, tmp_path: Path) -> None:
        """Ranked by the mean over the search's trials of a config; those not confirmed have no rank."""
        bench.arm("paper", [0.2, 0.2, 0.2])
        for number, value, config in (
            (0, 0.10, "k0"),
            (1, 0.30, "k1"),
            (2, 0.04, "k1"),
            (3, 0.05, "k3"),
            (4, None, "k4"),
        ):
            bench.search(number, value, config_id=config)
        bench.confirm(1, [0.1, 0.11, 0.12])
        bench.confirm(0, [0.3, 0.31, 0.32])
        cells = [{"row": "paper", "arm": "paper"}, *({"row": f"{n}", "confirmed": n} for n in (1, 2, 3))]
        run = bench.run(tmp_path, one_column(cell=cells), confirm={"top": 3})
        table = paper_table(run)

        assert ["#0", "#1", None] == [table.cells[f"{n}", ""].name for n in (1, 2, 3)]
        assert "Not confirmed yet: “3” (the search's third best)." in notes_of(run)
        assert ["–", "–", "–"] == shown(run)["3"]

    def test_a_config_that_equals_an_arm_is_confirmed_by_it(self, bench: Bench, tmp_path: Path) -> None:
        """Its trials are the arm's; outside the best that were asked for it stays an arm."""
        bench.arm("paper", [0.2, 0.2, 0.2])
        bench.arm("k2", [0.1, 0.1, 0.1])
        bench.search(1, 0.05)
        bench.search(2, 0.06)
        bench.confirm(1, [0.1, 0.11, 0.12])
        cells = [{"row": f"{n}", "confirmed": n} for n in (1, 2)]
        names = {
            top: [
                c.name
                for c in paper_table(
                    bench.run(tmp_path, one_column(cell=cells), confirm={"top": top}, search=SEARCH)
                ).cells.values()
            ]
            for top in (1, 2)
        }

        assert {1: ["#1", None], 2: ["#1", "k2"]} == names

    def test_nothing_is_the_searchs_best_while_it_runs(self, bench: Bench, tmp_path: Path) -> None:
        """An arm that leads for now is no config of the search; trials that confirmed an earlier end are."""
        bench.arm("paper", [0.2, 0.2, 0.2])
        bench.arm("k2", [0.1, 0.1, 0.1])
        bench.search(1, 0.05)
        bench.search(2, 0.04)
        bench.confirm(1, [0.1, 0.11, 0.12])
        cells = [{"row": f"{n}", "confirmed": n} for n in (1, 2)]
        names = []
        for asked, running in ((3, False), (2, True), (2, False)):
            more = Bench(bench._handmade)
            more.trials = list(bench.trials)
            if running:
                more.search(3, 0.5, state="running")
            study = {"confirm": {"top": 2}, "search": {**SEARCH, "trials": asked}}
            run = more.run(tmp_path, one_column(cell=cells), **study)
            names.append([cell.name for cell in paper_table(run).cells.values()])

        assert [["#1", None], ["#1", None], ["k2", "#1"]] == names

    def test_a_config_is_the_same_as_itself(self, bench: Bench, tmp_path: Path) -> None:
        """The best of the search may be the baseline: no difference, no interval, no correlation."""
        bench.arm("paper", [0.2, 0.21, 0.23])
        bench.arm("a", [0.1, 0.11, 0.12])
        bench.search(1, 0.05, config_id="paper")
        bench.search(2, 0.06)
        cells = [{"row": n, "arm": n} for n in ("paper", "a")] + [{"row": "found", "confirmed": 1}]
        run = bench.run(tmp_path, one_column(cell=cells), confirm={"top": 1}, search=SEARCH)

        assert ["21.33 ± 1.53 (3)", "", "same as the baseline"] == shown(run)["found"]
        assert "Correlation with “paper” over the seeds: “a” 0.98 (3 pairs)." in notes_of(run)
        assert "is unknown for" not in notes_of(run)
        assert "“found” is the search's best config, paper." in notes_of(run)

    def test_without_a_table_the_arms_and_confirmed_configs_are_one(self, bench: Bench, tmp_path: Path) -> None:
        """The baseline, the arms as the study orders them, then the search's best; an arm stands there once."""
        for name in ("second", "first", "paper"):
            bench.arm(name, [0.2, 0.21, 0.2])
        bench.search(7, 0.05)
        bench.search(3, 0.01)
        bench.search(5, 0.02, config_id="first")
        bench.confirm(7, [0.1, 0.11, 0.12])
        bench.confirm(3, [0.1, 0.11, 0.12])
        arms = [{"name": "first", "config": {"loss": "ap"}}, {"name": "second", "config": {"width": 8}}]
        table = paper_table(bench.run(tmp_path, arm=arms, confirm={"top": 3}))

        assert ("paper", "first", "second", "#3", "#7") == table.rows
        assert ("",) == table.columns
        assert all(cell.comparison is not None for row, cell in table.cells.items() if row != ("paper", ""))

    def test_unknown_metric_is_refused(self, bench: Bench, tmp_path: Path) -> None:
        """With the metrics that there are and the nearest."""
        with pytest.raises(
            RunError, match=r"table\.metric must be one of eer, min_dcf, but got 'min_dfc'; did you mean"
        ):
            paper_table(bench.run(tmp_path, one_column("paper", metric="min_dfc")))


def slow_mean(values: list[float]) -> float:
    total = 0.0
    for value in values:
        total += value
    return total / len(values)


def slow_std(values: list[float]) -> float:
    if len(values) < 2:
        return 0.0
    mean, total = slow_mean(values), 0.0
    for value in values:
        total += (value - mean) ** 2
    return math.sqrt(total / (len(values) - 1))


def slow_missing(
    plain: dict[tuple[str, str], dict[int, float]], names: list[str], has_test: bool
) -> set[tuple[str, str, int]]:
    found = set()
    for name in names:
        for seed in (1, 2, 3, 4):
            if seed not in plain[name, "dev"]:
                found.add((name, "dev", seed))
            elif has_test and seed not in plain[name, "test"]:
                found.add((name, "test", seed))
    return found


def notes_of(run: Run) -> str:
    """All notes as one text."""
    return " ".join(table_text(paper_table(run)).notes)


class TestOddRuns:
    """Sensible words, no crash."""

    def test_one_seed(self, bench: Bench, tmp_path: Path) -> None:
        """A mean without a deviation, a gain, and a dash where an interval would be; nothing is bold."""
        bench.arm("paper", [0.2])
        bench.arm("a", [0.1])
        run = bench.run(tmp_path, one_column("paper", "a"), seeds=1)

        assert {
            "paper": ["20.00 (one seed)", "", "baseline"],
            "a": ["10.00 (one seed)", "+50.00", "– (one seed)"],
        } == shown(run)
        assert not [c for line in table_text(paper_table(run)).lines for c in line.cells if c.is_bold]
        assert not re.search("Bold|nterval|Correlation", notes_of(run))

    def test_one_common_seed(self, bench: Bench, tmp_path: Path) -> None:
        """Two seeds each, of which one is common, are no pairs; Welch needs none."""
        bench.arm("paper", [0.2, 0.22, None])
        bench.arm("a", [None, 0.1, 0.11])
        bench.arm("b", [None, None, 0.11])
        run = bench.run(tmp_path, one_column("paper", "a", "b"))
        welch = bench.run(tmp_path, one_column("paper", "a", "b"), comparison="welch")

        assert ["– (one common seed)", "– (no common seed)"] == [shown(run)[row][-1] for row in "ab"]
        assert re.fullmatch(r"−10.50 \[.*\] \w+", shown(welch)["a"][-1])
        assert "– (one seed)" == shown(welch)["b"][-1]

    def test_nan_metrics(self, bench: Bench, tmp_path: Path) -> None:
        """A trial that measured nothing finite is missing, and said to be."""
        bench.arm("paper", [0.2, 0.21, 0.22])
        bench.arm("a", [0.1, math.nan, math.inf])
        bench.arm("b", [math.nan, math.nan, math.nan])
        run = bench.run(tmp_path, one_column("paper", "a", "b"))

        assert "10.00 (1 of 3 seeds)" == shown(run)["a"][0]
        assert ["–", "–", "–"] == shown(run)["b"]
        assert "“a” (seeds 2 and 3 no finite value) and “b” (seeds 1, 2 and 3 no finite value)" in notes_of(run)

    def test_a_failed_seed_in_one_arm(self, bench: Bench, tmp_path: Path) -> None:
        """The others count, the pairs are the common ones, and the note says which is missing."""
        bench.arm("paper", [0.20, 0.21, 0.25])
        bench.arm("a", [0.10, None, 0.14])
        table = paper_table(run := bench.run(tmp_path, one_column("paper", "a")))

        assert (Missing("a", "dev", 2, "failed"),) == table.missing
        assert "12.00 ± 2.83 (2 of 3 seeds)" == shown(run)["a"][0]
        compared = table.cells["a", ""].comparison
        assert compared is not None
        assert compared.difference is not None
        assert (2, -0.105) == (compared.difference.n, pytest.approx(compared.difference.mean))
        assert "Without a value on dev: “a” (seed 2 failed)." in notes_of(run)
        assert "the gain is of the means as shown, the difference of the common seeds alone" in notes_of(run)

    def test_other_seeds_than_the_studys(self, bench: Bench, tmp_path: Path) -> None:
        """Whoever has as many values as there are seeds misses none."""
        for row in bench.arm("paper", [0.2, 0.2, 0.2]):
            row["seed"] += 7

        assert () == paper_table(bench.run(tmp_path, one_column("paper"))).missing

    def test_all_equal(self, bench: Bench, tmp_path: Path) -> None:
        """No spread and no difference is a tie; no spread and a difference is none."""
        bench.arm("paper", [0.2, 0.2, 0.2])
        bench.arm("a", [0.2, 0.2, 0.2])
        bench.arm("b", [0.1, 0.1, 0.1])
        rows = shown(bench.run(tmp_path, one_column("paper", "a", "b")))

        assert ["20.00 ± 0.00 (3)", "0.00", "0.00 [0.00, 0.00] tied"] == rows["a"]
        assert ["10.00 ± 0.00 (3)", "+50.00", "−10.00 [−10.00, −10.00] better"] == rows["b"]

    def test_no_finished_trial(self, bench: Bench, tmp_path: Path) -> None:
        """Dashes, and what the trials do."""
        bench.arm("paper", [0.3, 0.3], state="running")
        run = bench.run(tmp_path, one_column("paper", "a"))

        assert {"paper": ["–", "", "baseline"], "a": ["–", "–", "–"]} == shown(run)
        text = "“paper” (seeds 1 and 2 unfinished, seed 3 not run) and “a” (seeds 1, 2 and 3 not run)"
        assert f"Without a value on dev: {text}." in notes_of(run)

    def test_no_trial_at_all(self, bench: Bench, tmp_path: Path) -> None:
        """Every format has a table all the same."""
        for run in (bench.run(tmp_path), bench.run(tmp_path, one_column("paper", "a"))):
            assert all("–" in render_table([run], format) for format in ("markdown", "html"))
            assert "--" in render_table([run], "latex")

    def test_test_read_for_one_arm_only(self, bench: Bench, tmp_path: Path) -> None:
        """Then dev decides for that pair, which is marked; bold is the number that decided."""
        bench.arm("paper", [0.20, 0.21, 0.22], [0.30, 0.31, 0.32])
        bench.arm("a", [0.10, 0.11, 0.12], [0.25, 0.26, 0.27])
        bench.arm("b", [0.11, 0.12, 0.13])
        text = table_text(paper_table(run := bench.run(tmp_path, one_column("paper", "a", "b"))))

        assert ("test", "dev") == text.groups[0].parts[:2]
        assert [[False] * 4, [True, False, False, False], [False, True, False, False]] == [
            [cell.is_bold for cell in line.cells] for line in text.lines
        ]
        assert "−9.00 [−9.00, −9.00] better on dev" == shown(run)["b"][-1]
        assert "–" == shown(run)["b"][0]
        assert "Gain and difference are on the test set; where marked “on dev”" in text.notes[0]
        assert "on the test set: “b” (seeds 1, 2 and 3 not read or not finite)." in notes_of(run)

    def test_test_read_for_no_pair(self, bench: Bench, tmp_path: Path) -> None:
        """Everything is on dev, and the note says why."""
        bench.arm("paper", [0.20, 0.21, 0.22], [0.30, 0.31, 0.32])
        bench.arm("a", [0.10, 0.11, 0.12])
        notes = table_text(paper_table(bench.run(tmp_path, one_column("paper", "a")))).notes

        assert "Gain and difference are on dev: the test set was not read for both sides." == notes[0]

    def test_a_cell_without_trials_has_no_split(self, bench: Bench, tmp_path: Path) -> None:
        """Everything that is compared is on test: nothing is marked, and no note speaks of marks."""
        bench.arm("paper", [0.20, 0.21, 0.22], [0.30, 0.31, 0.32])
        bench.arm("a", [0.10, 0.11, 0.12], [0.25, 0.26, 0.27])
        bench.search(1, 0.05)
        cells = [{"row": n, "arm": n} for n in ("paper", "a", "late")] + [{"row": "found", "confirmed": 1}]
        run = bench.run(tmp_path, one_column(cell=cells), confirm={"top": 1})

        assert "Gain and difference are on the test set." == table_text(paper_table(run)).notes[0]
        assert "on dev" not in "".join(shown(run)["a"])
        only = bench.run(tmp_path, one_column("paper", "late"))
        assert not [note for note in table_text(paper_table(only)).notes if "Gain" in note]

    @pytest.mark.parametrize("goal", ["minimize", "maximize"])
    def test_ends_of_an_interval_show_their_side_of_0(self, bench: Bench, tmp_path: Path, goal: str) -> None:
        """No end is printed as 0 beside a word that the interval supports because it leaves 0 out."""
        sign = -1 if goal == "minimize" else 1
        bench.arm("paper", [0.2, 0.21, 0.22])
        bench.arm("a", [v + sign * d for v, d in ((0.2, 3e-5), (0.21, 4e-5), (0.22, 3.5e-5))])
        run = bench.run(tmp_path, one_column("paper", "a"), objective=[{"metric": "eer", "goal": goal}])
        ends = {"minimize": "[−0.005, −0.002]", "maximize": "[+0.002, +0.005]"}[goal]

        assert f"0.00 {ends} better" == shown(run)["a"][-1]

    def test_better_lies_above_0_for_a_metric_to_be_maximised(self, bench: Bench, tmp_path: Path) -> None:
        """The heading says on which side."""
        for name in ("paper", "a"):
            bench.arm(name, [0.2, 0.21, 0.22])
        headings = [
            table_text(paper_table(bench.run(tmp_path, one_column("paper", "a"), **facts))).groups[0].parts[-1]
            for facts in ({}, {"objective": [{"metric": "eer", "goal": "maximize"}]})
        ]

        assert [f"difference (points; {side} 0 is better) [95 % interval]" for side in ("below", "above")] == headings

    def test_another_baseline_than_the_leaderboards(self, bench: Bench, tmp_path: Path) -> None:
        """Is said; a row that only has another name than "paper" is none."""
        for name in ("paper", "AP loss"):
            bench.arm(name, [0.2, 0.21, 0.22])
        cells = [{"row": "Original", "arm": "paper"}, {"row": "AP loss", "arm": "AP loss"}]
        notes = {
            row: notes_of(bench.run(tmp_path, {"caption": "T", "baseline": row, "cell": cells}))
            for row in ("Original", "AP loss")
        }

        assert "Compared here with “AP loss”; leaderboard and verdict compare with “paper”." in notes["AP loss"]
        assert "Compared here" not in notes["Original"]

    def test_trained_weights_and_their_owner(self, bench: Bench, tmp_path: Path) -> None:
        """An arm that starts from another's weights was trained longer: a note says so."""
        for name in ("paper", "a", "b"):
            bench.arm(name, [0.2, 0.21, 0.22])
        arms = [{"name": "a", "config": {"loss": "ap"}}, {"name": "b", "config": {}, "init_from": "a"}]

        said = "“b” starts from the trained weights of “a”, so it was trained longer."
        assert said in notes_of(bench.run(tmp_path, one_column("paper", "a", "b"), arm=arms))
        assert said not in notes_of(bench.run(tmp_path, one_column("paper", "a"), arm=arms))

    def test_confirmed_configs_were_chosen_on_the_same_speakers(self, bench: Bench, tmp_path: Path) -> None:
        """The search's best, by its own values, and what that choice does to dev."""
        bench.arm("paper", [0.2, 0.21, 0.22])
        for number in (0, 2):
            bench.search(number, 0.05 + number / 100)
            bench.confirm(number, [0.1, 0.11, 0.12])
        cells = [{"row": f"c{n}", "confirmed": n} for n in (1, 2)]
        notes = notes_of(bench.run(tmp_path, one_column(cell=[{"row": "paper", "arm": "paper"}, *cells])))

        assert "by the search's own values: “c1” is the search's best config, #0; “c2” its second best, #2. " in notes
        assert "The search chose on the same dev speakers, so values on dev flatter them." in notes

    def test_worse_is_said_and_not_bold(self, bench: Bench, tmp_path: Path) -> None:
        """Only better is bold."""
        bench.arm("paper", [0.10, 0.11, 0.12])
        bench.arm("a", [0.20, 0.21, 0.22])
        line = table_text(paper_table(bench.run(tmp_path, one_column("paper", "a")))).lines[1]

        assert "+10.00 [+10.00, +10.00] worse" == line.cells[-1].text
        assert not any(cell.is_bold for cell in line.cells)

    def test_a_metric_that_no_test_set_has(self, bench: Bench, tmp_path: Path) -> None:
        """It has no test column, although the test set was read."""
        bench.arm("paper", [0.20, 0.21, 0.22], [0.30, 0.31, 0.32])
        for row in bench.readings:
            del row["metric.min_dcf"]
        parts = {
            metric: table_text(paper_table(bench.run(tmp_path, one_column("paper", metric=metric)))).groups[0].parts
            for metric in ("eer", "min_dcf")
        }

        assert {"eer": ("test", "dev"), "min_dcf": ("dev",)} == parts

    def test_a_test_set_that_is_still_to_be_read(self, bench: Bench, handmade: ModuleType, tmp_path: Path) -> None:
        """Its column is there with dashes; also while there is no trial at all."""
        role = {
            "role": "test",
            "utterances": 1,
            "speakers": 1,
            "hours": 1.0,
            "source": "s",
            "fingerprint": "f",
            "start": 1,
        }
        study = {"seeds": 3, "table": one_column("paper")}
        table = table_text(paper_table(handmade.run_of(tmp_path, [], corpus=[role], study=study)))

        assert (("test", "dev"), ["–", "–"]) == (table.groups[0].parts, [cell.text for cell in table.lines[0].cells])

    def test_what_could_not_be_read_stands_below(self, bench: Bench, handmade: ModuleType, tmp_path: Path) -> None:
        """A damaged fragment may have held what is missing."""
        run = handmade.run_of(tmp_path, [], warnings=("part-1: 3 rows left out",))

        assert "- Warning: part-1: 3 rows left out\n" in render_table([run], "markdown")


def table_3(bench: Bench, tmp_path: Path) -> Run:
    """Two rows of Table 3 of the contrastive mixup paper, measured by made-up arms."""
    bench.arm("paper", [0.20, 0.21, 0.22], [0.1500, 0.1510, 0.1490])
    bench.arm("mixup 2", [0.18, 0.19, 0.20], [0.1300, 0.1320, 0.1290])
    bench.arm("AP 3", [0.17, None, 0.18], [0.1200, None, 0.1230])
    bench.arm("mixup 3", [0.17, 0.18, 0.17], [0.1190, 0.1250, 0.1150])
    figures = {"Baseline": [(14.80, 0.25), (12.32, 0.33)], "Mixup": [(12.38, 0.24), (10.53, 0.12)]}
    arms = {"Baseline": ["paper", "AP 3"], "Mixup": ["mixup 2", ["mixup 3", NASTY]]}
    cells = [
        {
            "row": row,
            "column": column,
            "arm": arms[column][place],
            "published": dict(zip(("mean", "std", "n"), (*figures[column][place], 3), strict=True)),
        }
        for place, row in enumerate(("2", "3"))
        for column in figures
    ]
    cells.append({"row": NASTY, "column": "Baseline", "published": {"mean": 9.43}})
    table = {"caption": "Small sets & Co.", "baseline": "Baseline", "corner": "Utterances per speaker", "cell": cells}
    return bench.run(tmp_path, table)


class TestFormats:
    """The committed files are what `render_table` gives; a difference is looked at, then written by hand."""

    @pytest.mark.parametrize(
        ("format", "name"), [("markdown", "table.md"), ("latex", "table.tex"), ("html", "table.html")]
    )
    def test_golden(self, bench: Bench, tmp_path: Path, format: str, name: str) -> None:
        """Columns compared with a column, published figures, a choice on dev, a failed seed, a nasty name."""
        assert (DATA / name).read_text() == render_table([table_3(bench, tmp_path)], format)

    def test_table_2_of_the_paper(self, bench: Bench, tmp_path: Path) -> None:
        """Rows compared with a row, one unnamed column; the papers' own gains beside ours."""
        values = {"paper": [0.22, 0.23, 0.21], "ce": [0.21, 0.23, 0.21], "cm": [0.20, 0.21, 0.19]}
        for name, dev in values.items():
            bench.arm(name, dev)
        names = {"paper": ("Original AP", 2.21), "ce": ("CE (6)", 2.19), "cm": ("Contrastive (7)", 2.11)}
        cells = [
            {"row": row, "arm": arm, "published": {"mean": mean, "std": 0.03, "n": 3}}
            for arm, (row, mean) in names.items()
        ]
        table = {"caption": "Loss functions", "baseline": "Original AP", "corner": "Loss function", "cell": cells}
        lines = render_table([bench.run(tmp_path, table)], "markdown").splitlines()[:7]
        difference = "difference (points; below 0 is better) \\[95 % interval\\]"

        expected = f"""\
**Loss functions. EER (%), mean ± standard deviation (number of seeds)**

| Loss function | dev | published | gain (%) | published gain (%) | {difference} |
|---|---:|---:|---:|---:|---:|
| Original AP | 22.00 ± 1.00 (3) | 2.21 ± 0.03 (3) |  |  | baseline |
| CE (6) | 21.67 ± 1.15 (3) | 2.19 ± 0.03 (3) | +1.52 | +0.90 | −0.33 \\[−1.77, +1.10\\] tied |
| Contrastive (7) | **20.00 ± 1.00 (3)** | 2.11 ± 0.03 (3) | +9.09 | +4.52 | −2.00 \\[−2.00, −2.00\\] better |"""
        assert expected.splitlines() == lines

    def test_published_figures_alone(self, bench: Bench, tmp_path: Path) -> None:
        """A table that measures nothing has the published columns only, and says so."""
        cells = [{"row": "x", "published": {"mean": 2.0}}, {"row": "y", "published": {"mean": 1.0, "std": 0.1, "n": 3}}]
        run = bench.run(tmp_path, {"caption": "T", "baseline": "x", "cell": cells})

        assert {"x": ["2.00", ""], "y": ["1.00 ± 0.10 (3)", "+50.00"]} == shown(run)
        assert "Published, but measured by no arm of this study: “x” and “y”." in notes_of(run)

    def test_several_runs_follow_one_another(self, bench: Bench, tmp_path: Path) -> None:
        """Each with its caption and, in LaTeX, a label of its own."""
        run = table_3(bench, tmp_path)

        assert 2 == render_table([run, run], "markdown").count("**Small sets &amp; Co. EER (%)")
        labels = re.findall(r"\\label\{(.*)\}", render_table([run, run, run], "latex"))
        assert ["tab:small-sets-co", "tab:small-sets-co-2", "tab:small-sets-co-3"] == labels

    def test_markup_in_names_is_text(self, bench: Bench, tmp_path: Path) -> None:
        """Nothing that a study says becomes markup in HTML or Markdown."""
        evil = "<script>x</script> | **b**"
        bench.arm("paper", [0.2, 0.2, 0.2])
        bench.arm(evil, [0.1, 0.1, 0.1])
        run = bench.run(tmp_path, one_column("paper", evil, caption=evil, corner=evil))
        for format in ("html", "markdown"):
            assert "<script" not in render_table([run], format)
        lines = render_table([run], "markdown").splitlines()[2:6]
        assert [5, 5, 5, 5] == [len(re.findall(r"(?<!\\)\|", line)) for line in lines]

    def test_unknown_format(self) -> None:
        """Named with the choices and the nearest."""
        with pytest.raises(RunError) as caught:
            render_table([], "latx")
        assert "--format must be one of markdown, latex, html, but got 'latx'; did you mean 'latex'?" == str(
            caught.value
        )

    def test_wide_tables_are_taken_apart_in_latex(self, bench: Bench, tmp_path: Path) -> None:
        """No column is lost: those that the page cannot hold side by side stand below one another."""
        names = ["paper", "a", "b", "c"]
        for name in names:
            bench.arm(name, [0.2, 0.21, 0.2])
        cells = [{"row": "r", "column": name, "arm": name} for name in names]
        text = render_table([bench.run(tmp_path, one_column(cell=cells))], "latex")
        bodies = re.findall(r"\\begin\{tabular\}\{@\{\}l(r+)@\{\}\}", text)

        assert 1 + 3 * 3 == sum(len(body) for body in bodies)
        assert 1 < len(bodies) < len(names) + 1
        assert "\\begin{table*}" in text
        assert names == list(dict.fromkeys(re.findall(r"\\multicolumn\{\d\}\{c\}\{(.*?)\}", text)))


@pytest.fixture
def form(handmade: ModuleType, forms: ModuleType, tmp_path: Path) -> Callable[[str], Run]:
    """`form("table_3")`: the run of a study of `forms.py`."""

    def make(name: str) -> Run:
        asked = getattr(forms, name)()
        trials, readings = forms.measured_rows(handmade, asked)
        run: Run = handmade.run_of(tmp_path, trials, readings=readings, study=asked)
        return run

    return make


class TestFormsOfThePaper:
    """Tables 2 and 3 of the contrastive mixup paper and its α, as studies of arms."""

    def test_a_chosen_arm_names_what_was_chosen(self, form: Callable[[str], Run]) -> None:
        """Each row's α stands before its first value; the note has the arm's name and says which knob α is."""
        run = form("table_3")
        cells = [line.cells[3].text for line in table_text(paper_table(run)).lines]
        arms = [paper_table(run).cells[row, "contrastive mixup"].name for row in ("2", "3", "5", "10")]

        assert all(re.fullmatch(r"α 0\.\d: \d+\.\d\d ± \d\.\d\d \(3\)", cell) for cell in cells)
        assert [name and name.partition(",")[0] for name in arms] == [cell.partition(":")[0] for cell in cells]
        assert "each time of 4 arms the one with the best mean there: “α 0." in notes_of(run)
        assert "α is the knob beta_alpha." in notes_of(run)

    def test_published_beside_measured(self, form: Callable[[str], Run]) -> None:
        """The paper's mean, deviation and number of runs, and its own gain beside ours."""
        text = table_text(paper_table(form("table_3")))

        assert ["14.80 ± 0.25 (3)", "12.38 ± 0.24 (3)", "+16.35"] == [text.lines[0].cells[n].text for n in (2, 5, 7)]
        assert [
            "contrastive mixup: published",
            "contrastive mixup: gain (%)",
            "contrastive mixup: published gain (%)",
        ] == text.headings()[5:8]

    def test_each_row_has_its_own_baseline(self, form: Callable[[str], Run]) -> None:
        """Which differ in the number of utterances; with one baseline there is nothing to say."""
        assert [("train_utterances",), ("train_utterances",), None] == [
            paper_table(form(name)).baseline_knobs for name in ("table_3", "alpha_table", "table_2")
        ]

    def test_wide_tables_have_blocks_of_rows(self, form: Callable[[str], Run]) -> None:
        """Twenty sub-columns are no table: five columns, and a block of rows for each thing that is said."""
        text = table_text(paper_table(form("alpha_table")))
        titles = [line.head for line in text.lines if line.is_title]
        rows = [line.head for line in text.lines if not line.is_title]

        assert ["2", "3", "5", "10", "all"] == text.headings()
        assert ["test", "dev", "gain (%)", "difference (points; below 0 is better) [95 % interval]"] == titles
        assert ["α 0.1", "α 0.2", "α 0.4", "α 0.6", "chosen on dev"] == rows[:5]
        assert 5 + 5 + 4 + 5 == len(rows)

    @pytest.mark.parametrize("name", ["table_3", "alpha_table", "table_2"])
    def test_no_value_is_lost_in_any_format(self, form: Callable[[str], Run], name: str) -> None:
        """Each text of the table stands in the Markdown, the LaTeX and the HTML."""
        run = form(name)
        texts = [cell.text for line in table_text(paper_table(run)).lines for cell in line.cells if cell.text]
        values = sorted(re.findall(r"\d+\.\d\d", " ".join(texts)))
        for format in ("markdown", "latex", "html"):
            body = re.split(r"\\parbox|<ul>|\n- ", render_table([run], format))[0]

            assert values == sorted(re.findall(r"\d+\.\d\d", body.split("tab:", 1)[-1])), format

    def test_a_tall_table_has_several_floats(self, form: Callable[[str], Run]) -> None:
        """A float cannot go over a page: the parts have their own, with one number and the notes below the last."""
        text = render_table([form("alpha_table")], "latex")
        floats = text.split("\\begin{table*}")[1:]

        assert 1 < len(floats)
        assert len(floats) - 1 == text.count("(continued)}") == text.count("\\addtocounter{table}{-1}")
        assert 1 == text.count("\\label{")
        assert [False] * (len(floats) - 1) + [True] == ["\\parbox" in one for one in floats]

    def test_many_correlations_are_two(self, form: Callable[[str], Run]) -> None:
        """The lowest and the highest of twenty."""
        assert re.search(
            r"over the seeds: “[^”]*” −?\d\.\d\d \(3 pairs\) is the lowest of 20, “", notes_of(form("alpha_table"))
        )


class TestLatexText:
    """What pdflatex gets is ASCII without any special character that means something."""

    def test_special_characters(self) -> None:
        expected = r"a\_b \& 50\% \#1 $\alpha$\textasciitilde{}\textasciicircum{}\textbackslash{}"
        assert expected == latex_text(NASTY)
        assert r"\$\{x\} $<$ ``q'' 1 $\pm$ 2 -- $-$3" == latex_text("${x} < “q” 1 ± 2 – −3")
        assert "{[}1{]} a{-}{-}b" == latex_text("[1] a--b")

    def test_letters_of_other_languages(self) -> None:
        """Accents are set as such; what no font of LaTeX has stays readable as its number."""
        assert r"\'{e} \c{c} \v{S} \"{\i{}} \ss{}" == latex_text("é ç Š ï ß")
        assert "U+4E2D U+1F600" == latex_text("中 😀")

    @given(st.text())
    def test_any_text_is_ascii_with_balanced_braces(self, text: str) -> None:
        made = latex_text(text)
        bare = re.sub(r"\\[\\{}$&%#_]", "", made)

        assert made.isascii()
        assert bare.count("{") == bare.count("}")
        assert 0 == bare.count("$") % 2
        assert not re.search(r"[&%#_\x00-\x1f]", bare)

    def test_labels(self) -> None:
        assert ("small-sets-co", "table") == (latex_label("Small sets & Co."), latex_label("中"))


class TestSection:
    """The report's section."""

    def test_table_of_the_report(self, bench: Bench, tmp_path: Path) -> None:
        """One heading row, the baseline's row drawn apart, bold where the interval supports it; HTML and Markdown."""
        bench.arm("paper", [0.20, 0.21, 0.22])
        bench.arm("a", [0.10, 0.11, 0.12])
        run = bench.run(tmp_path, one_column("paper", "a"))
        section = paper_section(run, summarise(run))
        table = section.tables[0]

        assert ("table", "T. EER (%), mean ± standard deviation (number of seeds)") == (section.key, table.caption)
        assert ["baseline", ""] == [row.mark for row in table.rows]
        assert [(), (1,)] == [row.strong for row in table.rows]

    def test_bold_cells_of_the_page(self, bench: Bench, tmp_path: Path) -> None:
        """Strong in the page, stars in the Markdown."""
        from reports.page import render_markdown, render_page

        bench.arm("paper", [0.20, 0.21, 0.22])
        bench.arm("a", [0.10, 0.11, 0.12])
        run = bench.run(tmp_path, one_column("paper", "a"))
        section = paper_section(run, summarise(run))

        assert "<strong>11.00 ± 1.00 (3)</strong>" in render_page("T", [section], "now")
        assert "| a | **11.00 ± 1.00 (3)** | +47.62 |" in render_markdown("T", [section], "now")

    def test_nothing_to_compare(self, bench: Bench, tmp_path: Path) -> None:
        """A search alone has no table."""
        bench.search(1, 0.1)
        run = bench.run(tmp_path)
        section = paper_section(run, summarise(run))

        assert () == section.tables
        assert "states no table" in section.sentences[0]


def test_structure_says_what_is_compared(bench: Bench, tmp_path: Path) -> None:
    """`compared` holds the cells with a comparison, row by row."""
    table: PaperTable = paper_table(table_3(bench, tmp_path))

    assert [("2", "Mixup"), ("3", "Mixup")] == [(c.cell.row, c.cell.column) for c in table.compared()]
    assert [True, False, True, False, False] == [cell.is_baseline for cell in table.cells.values()]


def test_reports_of_runs_without_any_row(bench: Bench, tmp_path: Path) -> None:
    """The page is made all the same."""
    assert all("Does it work?" in text for text in render(bench.run(tmp_path)))
