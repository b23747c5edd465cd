"""The sections: their order, and what each says of whole and of odd runs."""

import math
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reports.blocks import Section
from reports.leaderboard import leaderboard
from reports.pictures import importance, learning, progress
from reports.provenance import provenance
from reports.reading import Run, read_run
from reports.sections import SECTIONS, SectionMaker, corpus, costs, failing
from reports.slices import slices
from reports.summaries import summarise

ORDER = [
    "verdict",
    "leaderboard",
    "table",
    "evidence",
    "progress",
    "learning",
    "importance",
    "slices",
    "failures",
    "cost",
    "corpus",
    "provenance",
]


DRAWN = st.dictionaries(
    st.tuples(st.sampled_from(["paper", "AP loss", "#0", "search"]), st.integers(1, 4)),
    st.tuples(
        st.sampled_from(["complete", "complete", "complete", "pruned", "failed", "running"]),
        st.one_of(st.sampled_from([0.0, 0.1, 1e-300, math.nan, math.inf]), st.none(), st.floats(0.01, 0.9)),
        st.booleans(),
    ),
)


@pytest.fixture(scope="module")
def whole(fabricate_run: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A fabricated run with every kind of trial."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    return read_run(fabricate_run(folder, trials=20, epochs=6, failed=2, pruned=6, unfinished=1))


def made(make: SectionMaker, run: Run) -> Section:
    """The section of a run."""
    return make(run, summarise(run))


def text_of(section: Section) -> str:
    """All that a section says outside of its drawings."""
    parts = [*section.sentences, *(chart.sentence for chart in section.charts)]
    for table in section.tables:
        parts += [table.caption, *(" | ".join(row.cells) for row in table.rows), *table.notes]
    return "\n".join([*parts, *(v.text for v in section.verbatims)])


def test_order(whole: Run) -> None:
    """The sections stand in the order in which people ask."""
    assert ORDER == [made(make, whole).key for make in SECTIONS]


def test_every_chart_says_what_it_shows(whole: Run) -> None:
    """Each chart is an SVG with a title, a sentence, and a text for those who do not see it."""
    charts = [chart for make in SECTIONS for chart in made(make, whole).charts]

    assert {"by-trial", "by-cost", "curves", "importance", "slice-loss", "slice-beta_alpha", "slice-learning_rate"} == {
        chart.key for chart in charts
    }
    for chart in charts:
        assert chart.wide.startswith("<svg")
        assert chart.title
        assert chart.sentence.endswith(".")
        assert chart.alt


def test_leaderboard_lists_the_complete_and_then_the_others(whole: Run) -> None:
    """Only complete trials rank, the baseline is marked in words and in its row, stopped ones tell their epoch."""
    ranking, rest = made(leaderboard, whole).tables

    assert [row.cells[1] for row in ranking.rows if row.mark == "baseline"] == ["paper (baseline)"]
    assert 12 == len(ranking.rows)
    assert 9 == len(rest.rows)
    assert {"stopped early (pruned)", "failed", "unfinished"} == {row.cells[1] for row in rest.rows}
    assert all(row.cells[2].endswith(" of 6") for row in rest.rows)


def test_importance_names_its_method_and_who_is_left_out(whole: Run) -> None:
    """PED-ANOVA by name, the number of configs, the pruned trials."""
    text = text_of(made(importance, whole))

    assert "Method: PED-ANOVA" in text
    assert "of 11 complete configs" in text
    assert "6 stopped (pruned) trials are left out" in text


def test_failures_and_the_corpus_rows(whole: Run) -> None:
    """Kinds with counts and trials; every bad row of the corpus with its reason."""
    section = made(failing, whole)
    text = text_of(section)

    assert ["Failures by kind", "Rows of the corpus that were left out"] == [t.caption for t in section.tables]
    assert "3 rows of the corpus could not be used; the run went on without them." in text
    assert "manifest.csv | 203 | wav/s203/u1.flac | 0 bytes" in text
    assert any("Traceback" in v.text for v in section.verbatims)


def test_cost_counts_every_attempt(whole: Run) -> None:
    """Hours by state, attempts, and a sum."""
    table = made(costs, whole).tables[0]

    assert ["complete", "stopped early (pruned)", "failed", "unfinished", "all"] == [r.cells[0] for r in table.rows]
    assert ("21", "22") == table.rows[-1].cells[1:3]


def test_provenance_holds_all_that_is_needed_to_repeat(whole: Run) -> None:
    """Starts, commit, versions, fingerprint, study file and the command."""
    text = text_of(made(provenance, whole))

    for part in ("0123456789ab", "5f1d0c7a9b3e", "version: torch | 2.9.1", "# A fabricated study", "[search.space]"):
        assert part in text
    assert f"voxstudy run {whole.place}/resolved.toml --run {whole.place}-again" in text


class TestOddRuns:
    @pytest.mark.parametrize(
        ("make", "numbers", "facts", "expected"),
        [
            (leaderboard, [], {}, "No complete trial: nothing can be ranked."),
            (leaderboard, [0], {}, "The baseline is missing: the arm “paper” has not run."),
            (progress, [0], {"state": "failed"}, "No complete trial of the search yet"),
            (learning, [], {}, "there is no curve to draw"),
            (learning, [0], {"state": "pruned"}, "No trial is complete: the curves show how far each came."),
            (importance, [0, 1], {}, "PED-ANOVA was not computed: too few complete configs: 2"),
            (importance, [0, 1], {}, "No trial was stopped early"),
            (slices, [0], {"state": "failed"}, "there is nothing to draw"),
            (slices, [0], {"state": "pruned"}, "No complete trial yet."),
            (failing, [0], {}, "No trial failed."),
            (failing, [0], {"state": "failed", "error": None}, "1 | no error text | #0"),
            (costs, [], {}, "Nothing was spent"),
            (corpus, [], {}, "The tables say nothing about the corpus yet."),
            (provenance, [], {}, "The study file, as given cannot be shown: cannot read: no such file."),
        ],
    )
    def test_say_so(
        self,
        handmade: ModuleType,
        tmp_path: Path,
        make: SectionMaker,
        numbers: list[int],
        facts: dict[str, Any],
        expected: str,
    ) -> None:
        """No section is empty or wrong because a run is young or unlucky."""
        run = handmade.run_of(tmp_path, [handmade.trial(n, **facts) for n in numbers])

        assert expected in text_of(made(make, run))

    def test_a_study_of_arms_alone(self, handmade: ModuleType, tmp_path: Path) -> None:
        """Without a search there is a leaderboard of arms with the knobs that differ, and no picture of a search."""
        rows = [handmade.trial(None), handmade.trial(None, trial_id="t1", config_id="c1", arm="AP loss")]
        rows[1] |= {"knob.loss": "ap", "knob.beta_alpha": None}
        run = handmade.run_of(tmp_path, rows, study={"search": None})

        assert "AP loss" in text_of(made(leaderboard, run))
        assert "loss" in [c.title for c in made(leaderboard, run).tables[0].columns]
        assert "This study has no search" in text_of(made(importance, run))
        assert "This study has no search" in text_of(made(slices, run))

    def test_progress_follows_the_search_alone(self, handmade: ModuleType, tmp_path: Path) -> None:
        """Arms and confirmations are no steps of it; the dashed line is the baseline's mean."""
        measured = [handmade.measured("paper", seed, 0.1 + 0.01 * seed) for seed in (1, 2, 3)]
        rows = [*measured, handmade.measured("#0", 1, 0.01), handmade.trial(0, objective=0.05)]
        section = made(progress, handmade.run_of(tmp_path, rows, study={"seeds": 3}))

        assert "5.00 % was reached by #0, 1st of 1 trial of the search to end." in text_of(section)
        assert "The dashed line is the baseline's mean over 3 seeds." in text_of(section)
        assert "the baseline" in section.charts[0].wide
        assert "#0 seed 1" not in section.charts[0].wide

    def test_progress_without_a_search_follows_all_trials(self, handmade: ModuleType, tmp_path: Path) -> None:
        """One by one, and the words say that these are no means."""
        rows = [handmade.measured(name, seed, 0.1 * seed) for name in ("paper", "AP loss") for seed in (1, 2)]
        said = text_of(made(progress, handmade.run_of(tmp_path, rows, study={"search": None, "seeds": 2})))

        assert "10.00 % was reached by paper seed 1, 1st of 4 trials to end." in said
        assert "means over seeds are in the leaderboard" in said

    def test_learning_draws_all_seeds_of_the_best_configs(self, handmade: ModuleType, tmp_path: Path) -> None:
        """In one colour, called by the config; the sentence tells of their mean, the axis of other weights."""
        rows = [
            handmade.measured(name, seed, v * seed) for name, v in (("paper", 0.1), ("#7", 0.05)) for seed in (1, 2)
        ]
        started = [{**row, "init": "t"} if row["number"] == 7 else row for row in rows]
        sections = [made(learning, handmade.run_of(tmp_path, some, study={"seeds": 2})) for some in (rows, started)]

        assert "Config #7 falls from 40.00 % at epoch 0 to 7.50 % at epoch 2 (mean of 2 seeds)" in text_of(sections[0])
        assert "All seeds of a config have its colour." in text_of(sections[0])
        assert "#7 seed 2: 10.00 % at epoch 2, complete" in sections[0].charts[0].wide
        assert "epoch (0: untrained)" in sections[0].charts[0].wide
        assert "epoch (0: before training)" in sections[1].charts[0].wide

    def test_a_knob_that_depends_on_others_says_on_which(self, whole: Run) -> None:
        """The slice says where it has an effect, and importance by which configs it is judged."""
        by_knob = {chart.title: chart.sentence for chart in made(slices, whole).charts}

        assert by_knob["beta_alpha"].startswith("Only where loss = ce_mixup or contrastive_mixup. ")
        assert not by_knob["learning_rate"].startswith("Only where")
        assert "beta_alpha is judged only by configs in which it has an effect." in text_of(made(importance, whole))

    def test_importance_takes_the_search_at_its_word(self, fabricate_run: Callable[..., Path], tmp_path: Path) -> None:
        """Confirmations do not change what is compared: one value a config, as the search saw it."""
        plain, confirmed = (
            read_run(fabricate_run(tmp_path / name, trials=20, **facts))
            for name, facts in (("plain", {}), ("confirmed", {"seeds": 3, "arms": ("AP loss",), "confirm": 3}))
        )

        assert text_of(made(importance, plain)) == text_of(made(importance, confirmed))
        assert text_of(made(slices, plain)).splitlines()[1:] == text_of(made(slices, confirmed)).splitlines()[1:]

    @settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(drawn=DRAWN, seeds=st.integers(1, 4), comparison=st.sampled_from(["paired", "welch"]))
    def test_no_mixture_of_ends_breaks_a_section(
        self,
        handmade: ModuleType,
        tmp_path: Path,
        drawn: dict[tuple[str, int], tuple[str, float | None, bool]],
        seeds: int,
        comparison: str,
    ) -> None:
        """Any states, values and readings of arms, confirmations and search trials: every section has its words."""
        rows = [
            handmade.trial(seed, state=state, objective=value)
            if name == "search"
            else handmade.measured(name, seed, value, state=state)
            for (name, seed), (state, value, _) in drawn.items()
        ]
        # In the order of `drawn`: which of them read the test set.
        was_read = [
            is_read and row["phase"] != "search" for row, (_, _, is_read) in zip(rows, drawn.values(), strict=True)
        ]
        readings = [handmade.reading(row, 0.2) for row, flag in zip(rows, was_read, strict=True) if flag]
        study = {"seeds": seeds, "comparison": comparison, "confirm": {"top": 2}}
        run = handmade.run_of(tmp_path, rows, epochs=[], readings=readings, study=study)

        assert ORDER == [section.key for make in SECTIONS if (section := made(make, run)).sentences or section.tables]

    def test_an_end_of_the_range_is_pointed_at(self, handmade: ModuleType, tmp_path: Path) -> None:
        """If the best value stands at the edge of what was searched, the slice says so."""
        rows = [handmade.trial(n, **{"knob.beta_alpha": 1.0 - 0.1 * n}) for n in range(7)]

        assert "the upper end of the range" in text_of(made(slices, handmade.run_of(tmp_path, rows)))


def test_noise_and_rooms_are_no_speech(handmade: ModuleType, tmp_path: Path) -> None:
    """Their hours are told apart, and rooms are counted."""
    facts = {"source": "s", "start": 1}
    rows = [
        {"role": "train", "utterances": 40, "speakers": 8, "hours": 1.5, "fingerprint": "a", **facts},
        {"role": "noise", "utterances": 30, "speakers": 0, "hours": 0.25, "fingerprint": "b", **facts},
        {"role": "rooms", "utterances": 60, "speakers": 0, "hours": 0.02, "fingerprint": "c", **facts},
    ]
    section = made(corpus, handmade.run_of(tmp_path, [], corpus=rows))

    assert (
        "1.50 hours of speech: 8 speakers with 40 utterances to train.",
        "Mixed in by augmentation: 0.25 hours of noise and 60 room responses.",
    ) == section.sentences


def test_no_best_so_far_over_several_baselines(handmade: ModuleType, forms: ModuleType, tmp_path: Path) -> None:
    """Arms with more data would lead; the curves say what they mix."""
    for asked, is_mixed in ((forms.table_3(), True), (forms.table_2(), False)):
        trials, _ = forms.measured_rows(handmade, asked)
        run = handmade.run_of(tmp_path, trials, study=asked)

        assert is_mixed == (not made(progress, run).charts)
        assert is_mixed == ("several baselines, which differ in train_utt" in " ".join(made(progress, run).sentences))
        assert is_mixed == ("several baselines" in made(learning, run).charts[0].sentence)
