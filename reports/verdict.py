"""The verdict: what the run says, in plain words, and how much of it to believe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from reports.blocks import Fact, Section
from reports.comparison import comparisons, confirmed_headline, seeds_in_words, standing_name, standing_value
from reports.completion import run_state
from reports.origins import origin_in_words, trained_longer
from reports.paper_table import PaperTable, paper_table
from reports.reading import Run
from reports.summaries import Summary, search_configs
from reports.table_verdict import comparisons_table, has_verdict, table_facts, table_sentences
from reports.words import (
    STATE_WORDS,
    are,
    count,
    joined,
    knob_value,
    mean_value,
    measure_of,
    metric_difference,
    metric_value,
    number,
)
from search_spaces.study import BASELINE


def verdict(run: Run, summary: Summary) -> Section:
    """The first section: result, baseline, untrained net, how sure that is, and the state of the run."""
    best, baseline = summary.best(), summary.baseline()
    table = paper_table(run) if run.study.table is not None else None
    if table is not None and (has_verdict(table) or table.baseline_knobs is not None):
        return verdict_of_table(run, summary, table)
    sentences = [*verdict_of_configs(summary, best, baseline), *state_of(run, summary)]
    return Section("verdict", "Verdict", tuple(s for s in sentences if s), facts(summary, best, baseline))


def verdict_of_table(run: Run, summary: Summary, table: PaperTable) -> Section:
    """What the study's table compares comes first; a best of all arms is named only where they have one baseline."""
    best, baseline = summary.best(), summary.baseline()
    sentences = table_sentences(table) if table.known() or best is not None else [headline(summary, None)]
    if table.baseline_knobs is None:
        sentences += other_baseline(table)
        sentences += verdict_of_configs(summary, best, baseline)
    sentences += state_of(run, summary)
    figures = (*table_facts(table), *facts(summary, None if table.baseline_knobs is not None else best, baseline)[2:])
    shown_tables = (comparisons_table(table),) if table.known() else ()
    return Section("verdict", "Verdict", tuple(s for s in sentences if s), figures, tables=shown_tables)


def other_baseline(table: PaperTable) -> list[str]:
    """A sentence between the two verdicts, if they speak of different baselines."""
    if {cell.name for cell in table.cells.values() if cell.is_baseline} <= {BASELINE}:
        return []
    return [f"What follows speaks of all configs, and its baseline is “{BASELINE}”."]


def verdict_of_configs(
    summary: Summary, best: Mapping[str, Any] | None, baseline: Mapping[str, Any] | None
) -> list[str]:
    """The best config beside the baseline, how sure that is, and the untrained net."""
    if summary.confirmed:
        knobs = knobs_in_words(summary, best) if best is not None else ""
        sentences = [confirmed_headline(summary, f" with {knobs}" if knobs else "")]
        sentences += [no_baseline(summary)] if baseline is None else []
        sentences += [*comparisons(summary), *before_training(summary, best), *unconfirmed_words(summary)]
    elif best is not None:
        sentences = [headline(summary, best), certainty(summary), *against_others(summary, best, baseline)]
    else:
        sentences = [headline(summary, None), "" if baseline is not None else no_baseline(summary)]
    return sentences


def state_of(run: Run, summary: Summary) -> list[str]:
    """What became of the trials, whether the run is finished, and what is wrong with it."""
    warnings = [f"Warning: {warning}" for warning in run.warnings]
    return [trial_counts(summary), *run_state(run, summary), *code_changes(run), *warnings]


def facts(summary: Summary, best: Mapping[str, Any] | None, baseline: Mapping[str, Any] | None) -> tuple[Fact, ...]:
    """The figures on top of the page."""
    metric = f"dev {measure_of(summary.metric).title}"
    complete, all_trials = summary.state_count("complete"), summary.trials.height
    return (
        best_fact(summary, best, metric),
        baseline_fact(summary, baseline),
        Fact(
            "before its own training" if best and best["has_init"] else "untrained net",
            metric_value(summary.metric, untrained_value(summary, best)),
            "the best config before its first step" if best else "mean of all trials at epoch 0",
        ),
        Fact("trials complete", f"{complete} of {all_trials}", states_in_words(summary, skip="complete")),
    )


def best_fact(summary: Summary, best: Mapping[str, Any] | None, metric: str) -> Fact:
    """The best confirmed mean, or the best value seen while there is none."""
    goal = "lowest" if summary.minimize else "highest"
    if summary.confirmed:
        first = summary.confirmed[0]
        note = f"{standing_name(first)}, {seeds_in_words(first)}"
        return Fact(f"{goal} mean {metric}", standing_value(summary, first), note)
    note = f"{name_of(best)}{search_mean(best)}, unconfirmed" if best else "no complete trial yet"
    return Fact(f"{goal} {metric} seen", shown(summary, best), note)


def baseline_fact(summary: Summary, baseline: Mapping[str, Any] | None) -> Fact:
    """The baseline's mean and its seeds."""
    label = f"baseline “{BASELINE}”"
    for one in summary.standings:
        if one.is_baseline and one.dev is not None:
            return Fact(label, standing_value(summary, one), seeds_in_words(one))
    return Fact(label, shown(summary, baseline), baseline_state(summary))


def headline(summary: Summary, best: Mapping[str, Any] | None) -> str:
    """What came out, or why nothing did."""
    goal = "lowest" if summary.minimize else "highest"
    metric = measure_of(summary.metric).title
    if best is not None:
        knobs, value = knobs_in_words(summary, best), shown(summary, best)
        who = f"{name_of(best)}{search_mean(best)}"
        setting = f" with {knobs}" if knobs else ""
        if best["is_baseline"] and summary.configs.height > 1:
            return f"No config beats the baseline “{BASELINE}”: its dev {metric} of {value} is the {goal}{setting}."
        if summary.configs.height == 1:
            return f"The one config measured so far, {who}, has a dev {metric} of {value}{setting}."
        return f"The {goal} dev {metric} is {value}, by {who}{setting}."
    trials = summary.trials
    if trials.height == 0:
        return "No trial has started yet: there is nothing to report."
    complete = summary.state_count("complete")
    if complete:
        return (
            f"{count(complete, 'trial')} {are(complete)} complete, but no dev {metric} can be used: "
            f"{'it is' if complete == 1 else 'all are'} missing or not finite."
        )
    if summary.state_count("failed") == trials.height:
        who = "The only trial" if trials.height == 1 else f"All {trials.height} trials"
        return f"{who} failed: there is no result. See “Failures”."
    return "No trial is complete yet: there is no result to rank."


def against_others(summary: Summary, best: Mapping[str, Any], baseline: Mapping[str, Any] | None) -> list[str]:
    """The best config beside the baseline and beside the net before training."""
    said = []
    metric = summary.metric
    if baseline is None:
        said.append(no_baseline(summary))
    elif not best["is_baseline"]:
        difference = best["value"] - baseline["value"]
        relative = f", a relative {number(100 * abs(difference / baseline['value']), 0)} %" if baseline["value"] else ""
        side = "below" if difference < 0 else "above"
        beside = f"{metric_difference(metric, difference)} {side}{relative}" if difference else "the same"
        said.append(f"The baseline “{BASELINE}” has {shown(summary, baseline)}: the best is {beside}.")
    said += trained_longer([best["name"]], summary.origins)
    return [*said, *before_training(summary, best)]


def before_training(summary: Summary, best: Mapping[str, Any] | None) -> list[str]:
    """The best config beside its own epoch 0; weights that another trial trained are no untrained net."""
    if best is None:
        return []
    before, metric = best["untrained"], summary.metric
    if before is None:
        what = "this net before its own training" if best["has_init"] else "the untrained net"
        return [f"The tables hold no value of {what} (epoch 0)."]
    if not before:
        return []
    has = f"this net has {metric_value(metric, before)}"
    ratio = number(best["value"] / before, 2)
    if best["has_init"]:
        origin = summary.origins.get(best["name"])
        whose = "another trial" if origin is None else origin_in_words(origin)
        return [f"Before its own training, from the weights of {whose}, {has}: after it {ratio} times that."]
    return [f"Before training, {has}: the trained one has {ratio} times that."]


def unconfirmed_words(summary: Summary) -> list[str]:
    """What single seeds add beside the confirmed configs: nothing that a verdict could rest on."""
    rest = summary.unconfirmed
    said = []
    if rest.height:
        apart = f"{'it is' if rest.height == 1 else 'they are'} listed apart, and no part of this verdict"
        said.append(
            f"{count(rest.height, 'more config')} {are(rest.height)} unconfirmed ({unconfirmed_by(rest)}): {apart}."
        )
    return [*said, *search_words(summary)]


def search_words(summary: Summary) -> list[str]:
    """A warning if the search saw a better value than any mean over seeds: it was picked out of many."""
    searched, first = search_configs(summary), summary.confirmed[0].dev
    if not searched.height or first is None:
        return []
    seen = searched.row(0, named=True)
    if not (seen["value"] < first.mean if summary.minimize else seen["value"] > first.mean):
        return []
    means = {one.config_id: standing_value(summary, one) for one in summary.confirmed}
    again = f" Over the study's seeds that config has {means[seen['config_id']]}." if seen["config_id"] in means else ""
    saw = f"The search saw {metric_value(summary.metric, seen['value'])} with {name_of(seen)}{search_mean(seen)}"
    many = "single-seed trials" if searched["seeds"].max() == 1 else "configs"
    return [f"{saw}: the best of many {many} looks better than it is.{again}"]


def search_mean(config: Mapping[str, Any]) -> str:
    """Says behind a config's name that its value is a mean over several of the search's trials."""
    return "" if config["measured"] or config["seeds"] == 1 else f" (mean of {config['seeds']} search trials)"


def unconfirmed_by(configs: pl.DataFrame) -> str:
    """Why these configs are unconfirmed: one seed, or trials of the search, whose seeds enter no verdict."""
    return "one seed" if configs["seeds"].max() == 1 else "measured by the search alone, or with one seed"


def certainty(summary: Summary) -> str:
    """What follows from no config having several of the study's seeds."""
    if summary.configs.height == 1:
        with_what = "one seed" if summary.configs["seeds"].max() == 1 else "seeds of the search alone"
        return f"Unconfirmed: one config with {with_what}; another seed would give another value."
    why = "one seed a config" if summary.configs["seeds"].max() == 1 else unconfirmed_by(summary.configs)
    many = "single-seed trials" if summary.configs["seeds"].max() == 1 else "configs"
    return f"Unconfirmed: {why}; differences may be noise, and the best of many {many} looks better than it is."


def trial_counts(summary: Summary) -> str:
    """How many trials came to which end."""
    num = summary.trials.height
    return f"{count(num, 'trial').capitalize()}: {states_in_words(summary)}." if num else ""


def states_in_words(summary: Summary, skip: str = "") -> str:
    """The trials by state: "9 complete, 5 stopped early (pruned)"; states without trials are left out."""
    counts = [(summary.state_count(state), word) for state, word in STATE_WORDS.items() if state != skip]
    return joined([f"{num} {word}" for num, word in counts if num]) or "none in another state"


def code_changes(run: Run) -> list[str]:
    """A sentence if trials ran with different code."""
    num = run.trials.select(pl.col("code_hash").n_unique()).collect().item()
    if num <= 1:
        return []
    return [f"The code changed during the run: trials ran with {num} versions of it, so they may not be comparable."]


def no_baseline(summary: Summary) -> str:
    """Why there is nothing to compare with."""
    return f"There is no baseline to compare with: the arm “{BASELINE}” {baseline_state(summary)}."


def baseline_state(summary: Summary) -> str:
    """Where the baseline's trial stands while it has no value."""
    states = summary.trials.filter(summary.trials["is_baseline"])["state"].unique().to_list()
    if not states:
        return "has not run"
    if states == ["failed"]:
        return "failed"
    return "is not complete" if "complete" not in states else "has no usable value"


def untrained_value(summary: Summary, best: Mapping[str, Any] | None) -> float | None:
    """The objective at epoch 0: of the best config, or the mean over all trials while there is none."""
    if best is not None:
        value = best["untrained"]
    else:
        known = summary.trials.filter(pl.col("init").is_null())["untrained"].drop_nulls().to_list()
        value = sum(known) / len(known) if known else None
    return None if value is None else float(value)


def knobs_in_words(summary: Summary, config: Mapping[str, Any]) -> str:
    """The knobs that vary, with this config's values; inactive ones are left out."""
    pairs = [(k, config[f"knob.{k}"]) for k in summary.shown_knobs]
    return joined([f"{k} {knob_value(v)}" for k, v in pairs if v is not None])


def name_of(config: Mapping[str, Any]) -> str:
    """What a config is called in a sentence."""
    name = str(config["name"])
    if config["is_baseline"]:
        return f"the baseline “{BASELINE}”"
    if not name.startswith("#"):
        return f"config “{name}”"
    return f"config {name}" if config["measured"] or config["seeds"] > 1 else f"trial {name}"


def shown(summary: Summary, config: Mapping[str, Any] | None) -> str:
    """A config's value; with its standard deviation if there are several seeds, never without."""
    if config is None:
        return metric_value(summary.metric, None)
    return mean_value(summary.metric, config["value"], config["std"])
