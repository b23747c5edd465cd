"""The verdict: what the run says, in plain words, and how much of it to believe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from reports.blocks import Fact, Section
from reports.reading import Run
from reports.summaries import Summary
from reports.words import are, count, joined, knob_value, measure_of, metric_difference, metric_value, number
from search_spaces.study import BASELINE


def verdict(run: Run, summary: Summary) -> Section:
    """The first section: result, baseline, untrained net, how sure that is, and the state of the run."""
    best, baseline = summary.best(), summary.baseline()
    sentences = [headline(summary, best)]
    if best is not None:
        sentences += [*against_others(summary, best, baseline), certainty(summary)]
    elif baseline is None:
        sentences += [no_baseline(summary)]
    sentences += [trial_counts(summary), *run_state(run, summary), *code_changes(run)]
    sentences += [f"Warning: {warning}" for warning in run.warnings]
    return Section("verdict", "Verdict", tuple(s for s in sentences if s), facts(summary, best, baseline))


def facts(summary: Summary, best: Mapping[str, Any] | None, baseline: Mapping[str, Any] | None) -> tuple[Fact, ...]:
    """The figures on top of the page."""
    metric = f"dev {measure_of(summary.metric).title}"
    found = [
        Fact(f"best {metric}", shown(summary, best), name_of(best) if best else "no complete trial yet"),
        Fact(
            f"baseline “{BASELINE}”",
            shown(summary, baseline),
            seeds_of(baseline) if baseline else baseline_state(summary),
        ),
        Fact(
            "untrained net",
            metric_value(summary.metric, untrained_value(summary, best)),
            "the best config before its first step" if best else "mean of all trials at epoch 0",
        ),
    ]
    complete, all_trials = summary.state_count("complete"), summary.trials.height
    return (*found, Fact("trials complete", f"{complete} of {all_trials}", states_in_words(summary, skip="complete")))


def headline(summary: Summary, best: Mapping[str, Any] | None) -> str:
    """What came out, or why nothing did."""
    goal = "lowest" if summary.minimize else "highest"
    metric = measure_of(summary.metric).title
    if best is not None:
        knobs, value = knobs_in_words(summary, best), shown(summary, best)
        setting = f" with {knobs}" if knobs else ""
        if best["is_baseline"] and summary.configs.height > 1:
            return f"No config beats the baseline “{BASELINE}”: its dev {metric} of {value} is the {goal}{setting}."
        if summary.configs.height == 1:
            return f"The one config measured so far, {name_of(best)}, has a dev {metric} of {value}{setting}."
        return f"The {goal} dev {metric} is {value}, by {name_of(best)}{setting}."
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
    untrained = best["untrained"]
    if untrained is None:
        said.append("The tables hold no value of the untrained net (epoch 0).")
    elif untrained:
        said.append(
            f"Before training, this net has {metric_value(metric, untrained)}: "
            f"the trained one has {number(best['value'] / untrained, 2)} times that."
        )
    return said


def certainty(summary: Summary) -> str:
    """How many seeds stand behind the ranking, and what follows from that."""
    seeds = summary.configs["seeds"].to_list()
    if seeds == [1]:
        return "Unconfirmed: one config with one seed; another seed would give another value."
    if max(seeds) == 1:
        return (
            "Unconfirmed: one seed a config; differences may be noise, and the best of many single-seed trials "
            "looks better than it is."
        )
    if min(seeds) == 1:
        return "Unconfirmed: some configs have one seed only; differences from them may be noise."
    return f"Values are means over {min(seeds)} or more seeds; no test says yet which differences are real."


def trial_counts(summary: Summary) -> str:
    """How many trials came to which end."""
    num = summary.trials.height
    return f"{count(num, 'trial').capitalize()}: {states_in_words(summary)}." if num else ""


def states_in_words(summary: Summary, skip: str = "") -> str:
    """The trials by state: "9 complete, 5 stopped early (pruned)"; states without trials are left out."""
    words = {"complete": "complete", "pruned": "stopped early (pruned)", "failed": "failed", "running": "unfinished"}
    counts = [(summary.state_count(state), word) for state, word in words.items() if state != skip]
    return joined([f"{num} {word}" for num, word in counts if num]) or "none in another state"


def run_state(run: Run, summary: Summary) -> list[str]:
    """Whether the run did what the study asks."""
    search = run.study.search
    if search is None:
        unfinished = summary.state_count("running")
        return (
            [f"The run is not finished: {count(unfinished, 'trial')} had not ended when it was read."]
            if unfinished
            else []
        )
    asked = summary.trials.filter(summary.trials["phase"] == "search")
    ended = asked.filter(asked["state"] != "running").height
    if ended >= search.trials and not summary.state_count("running"):
        return []
    missing = f"{ended} of the {search.trials} trials of the search have ended"
    return [f"The run is not finished: {missing}. The same command continues it."]


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
        known = summary.trials["untrained"].drop_nulls().to_list()
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
    return f"trial {name}" if name.startswith("#") else f"config “{name}”"


def seeds_of(config: Mapping[str, Any]) -> str:
    """The number of seeds behind a value."""
    return count(int(config["seeds"]), "seed")


def shown(summary: Summary, config: Mapping[str, Any] | None) -> str:
    """A config's value; with its standard deviation if there are several seeds, never without."""
    if config is None:
        return metric_value(summary.metric, None)
    value = metric_value(summary.metric, config["value"], unit=False)
    unit = measure_of(summary.metric).unit
    spread = f" ± {metric_value(summary.metric, config['std'], unit=False)}" if config["std"] is not None else ""
    return f"{value}{spread} {unit}".strip()
