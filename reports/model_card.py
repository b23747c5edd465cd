"""What stands beside an exported net: what it is, how to use it, what was measured, and what speaks against it.

It depends on the trial and its run alone, not on how the trial was asked for: the same trial gives the same card.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from reports.comparison import gap_in_words, seeds_in_words
from reports.measured import MEASURING_PHASES
from reports.origins import trained_longer
from reports.page import markdown_text
from reports.reading import Run
from reports.standings import Standing
from reports.statistics import Difference, Estimate
from reports.summaries import Summary
from reports.words import (
    COVERAGE,
    METHOD_WORDS,
    NOTHING,
    best_rank,
    count,
    interval,
    knob_value,
    mean_value,
    measure_of,
    metric_value,
)
from search_spaces.study import BASELINE

VOICES = "synthetic"
USES = {"train": "trained on", "dev": "chosen on", "test": "tested on"}
MIXED_IN = "mixed into what it was trained on"


def model_card(run: Run, summary: Summary, facts: Mapping[str, Any], settings: Mapping[str, Any]) -> str:
    """MODEL_CARD.md of a complete trial; `facts` are those of model.json, `settings` the knobs unlike the defaults."""
    trial = summary.trials.filter(pl.col("trial_id") == facts["trial"]["id"]).row(0, named=True)
    standing = next((one for one in summary.standings if one.config_id == trial["config_id"]), None)
    baseline = next((one for one in summary.standings if one.is_baseline), None)
    parts = [
        f"# Speaker embeddings: {markdown_text(run.study.title)}",
        *_what(facts, trial, settings),
        "## Use",
        USE,
        "## What was measured",
        *_measured(summary, facts, standing, baseline),
        "## What was heard",
        *_corpus(facts),
        "## Doubts",
        "\n".join(f"- {doubt}" for doubt in doubts(summary, facts, trial, standing)),
    ]
    return "\n\n".join(parts) + "\n"


USE = """```sh
voxstudy evaluate DIR --corpus my.csv     # EER, minDCF, DET curve, per gender, intervals over speakers
voxstudy evaluate DIR                     # the test set of its run again, to the last digit on the same machine
voxstudy embed DIR a.wav folder/ --out embeddings.parquet
```

The dot product of two embeddings is the score of the two utterances: the mean cosine over all pairs of their crops.

```python
from trainables.embedding import embed_waveforms
from trainables.exported import load_model

model = load_model("DIR")  # safetensors and JSON: nothing of the folder is executed
vectors = embed_waveforms(model.module, config=model.config, waveforms=[samples], device=model.device)  # int16, 16 kHz
```"""


def _what(facts: Mapping[str, Any], trial: Mapping[str, Any], settings: Mapping[str, Any]) -> list[str]:
    config, own, front = facts["config"], facts["trial"], facts["front_end"]
    net = (
        f"A Fast ResNet34 of {facts['weights']['parameters']:,} parameters that turns speech of "
        f"{front['sample_rate_hz']:,} Hz into {config['embedding_size']} numbers, trained as "
        f"`{facts['trainable']}` for {count(own['epochs'], 'epoch')} by {count(own['workers'], 'worker')}."
    )
    whose = f"Trial `{own['id']}` (config `{own['config_id']}`, {_named(trial)}), code `{own['code_hash']}`."
    set_ = ", ".join(f"`{name} = {knob_value(value)}`" for name, value in settings.items())
    knobs = f"Knobs unlike the paper's: {set_}." if set_ else "All knobs are the paper's."
    return [net, f"{whose} {knobs} `model.json` has the rest."]


def _named(trial: Mapping[str, Any]) -> str:
    """What the trial is called: "arm “AP loss”, seed 2"."""
    what = f"arm “{trial['arm']}”" if trial["arm"] is not None else f"config #{trial['number']} of the search"
    return f"{markdown_text(what)}, seed {trial['seed']}"


def _measured(
    summary: Summary, facts: Mapping[str, Any], standing: Standing | None, baseline: Standing | None
) -> list[str]:
    """The trial's own numbers, the means over seeds of its config and of the baseline, and what they support."""
    metrics = facts["metrics"]
    names = [summary.metric, *(name for name in metrics["dev"] if name != summary.metric)]
    head = ["", *(f"{split} {measure_of(name).heading}" for name in names for split in ("dev", "test")), "seeds"]
    own = [metric_value(name, metrics[s].get(name), unit=False) for name in names for s in ("dev", "test")]
    rows = [["this net", *own, "1"]]
    blank = [NOTHING] * (2 * len(names) - 2)
    for title, one in (("its config", standing), (f"the baseline “{BASELINE}”", baseline)):
        if one is not None and (title == "its config" or one is not standing):
            cells = [_mean(summary, one.dev), _mean(summary, one.test)]
            rows.append([title, *cells, *blank, seeds_in_words(one)])
    verdicts = [
        f"{_upper(gap_in_words(summary, standing, gap, split))}."
        for split, gap in _gaps(standing)
        if standing is not None
    ]
    return [_table(head, rows), " ".join([*verdicts, *_reach(summary, standing)])]


def _gaps(standing: Standing | None) -> list[tuple[str, Difference]]:
    if standing is None or standing.is_baseline:
        return []
    gaps = (("dev", standing.gap), ("test", standing.test_gap))
    return [(split, gap) for split, gap in gaps if gap is not None]


def _reach(summary: Summary, standing: Standing | None) -> list[str]:
    """What the intervals are, and what they do not speak of."""
    if standing is None:
        return ["One trial of a search: nothing is known of other seeds."]
    said = ["Means ± sample standard deviation over seeds."]
    if standing.dev is not None and standing.dev.low is not None:
        held = interval(summary.metric, standing.dev.low, standing.dev.high)
        said.append(f"The 95 % interval of the config's mean on dev is {held}.")
    if _gaps(standing):
        said.append(f"Differences are judged by the 95 % interval {METHOD_WORDS[summary.comparison]}.")
    return [*said, COVERAGE]


def _corpus(facts: Mapping[str, Any]) -> list[str]:
    is_augmented = facts["config"].get("augmentation", False)
    uses = {**USES, **(dict.fromkeys(("noise", "rooms"), MIXED_IN) if is_augmented else {})}
    rows = [
        [
            held["role"],
            uses[held["role"]],
            markdown_text(held["source"]),
            f"{held['utterances']:,}",
            f"{held['speakers']:,}" if held["speakers"] else NOTHING,
            f"{held['hours']:.2f}",
            f"`{held['fingerprint'][:12]}`",
        ]
        for held in facts["corpus"]["held"]
        if held["role"] in uses
    ]
    return [_table(["role", "used", "source", "utterances", "speakers", "hours", "fingerprint"], rows)]


def doubts(
    summary: Summary, facts: Mapping[str, Any], trial: Mapping[str, Any], standing: Standing | None
) -> list[str]:
    """What speaks against taking the measured numbers for what the net will do elsewhere."""
    dev = measure_of(summary.metric).title
    said = []
    spoken = [held for held in facts["corpus"]["held"] if held["speakers"]]
    voices = [held["role"] for held in spoken if is_synthetic(held["source"])]
    if voices:
        said.append(f"The voices of {', '.join(voices)} are synthetic: nothing here was shown of real speech in them.")
    if standing is None or standing.dev is None or standing.dev.n < 2:
        said.append("One seed: how much of its numbers is chance is unknown.")
    elif standing.dev.n < 5:
        said.append(f"{standing.dev.n} seeds are few: intervals over them are wide.")
    said += _choices(summary, trial, dev)
    said += [
        f"On {split} its config is tied with the baseline: the interval of their difference holds 0."
        for split, gap in _gaps(standing)
        if gap.verdict(minimize=summary.minimize) == "tied"
    ]
    if standing is not None and not standing.is_baseline and standing.gap is None:
        said.append("It was never compared with the baseline over common seeds.")
    if trial["arm"] is not None:
        said += trained_longer([str(trial["arm"])], summary.origins)
    if not facts["metrics"]["test"]:
        said.append(f"No test set was read: the {dev} above is that of dev, on which settings may have been chosen.")
    if facts["corpus"]["speakers"] is None:
        said.append(
            "Its corpus could not be listed when it was exported: `voxstudy evaluate` cannot know its speakers again, "
            "only its sources."
        )
    said.append("Other languages, microphones, rooms and ages than those it was trained on were not measured.")
    return said


def _choices(summary: Summary, trial: Mapping[str, Any], dev: str) -> list[str]:
    """Where the trial stands on dev among seeds and configs: whoever picks the best one picks its luck too."""
    said = []
    own = _complete(summary, pl.col("config_id") == trial["config_id"], measured=trial["phase"] in MEASURING_PHASES)
    if own.height > 1:
        better = own["value"] < trial["value"] if summary.minimize else own["value"] > trial["value"]
        place = best_rank(1 + int(better.sum()))
        said.append(
            f"On dev it is the {place} of {own.height} seeds of its config: a choice by dev flatters its value on dev."
        )
    ranked = list(summary.confirmed)
    places = {one.config_id: one.rank for one in ranked}
    if len(ranked) > 1 and places.get(trial["config_id"]) is not None:
        place = best_rank(places[trial["config_id"]] or 1)
        said.append(f"Its config is the {place} of {len(ranked)} by mean dev {dev}: this, too, flatters dev.")
    elif not ranked and summary.configs.height > 1:
        ranks = dict(summary.configs.select("config_id", "rank").iter_rows())
        place = best_rank(ranks[trial["config_id"]])
        said.append(
            f"Its config is the {place} of {summary.configs.height} by dev {dev}, most by one seed: "
            "the best of many single values is better than it will prove."
        )
    return said


def _complete(summary: Summary, which: pl.Expr, *, measured: bool) -> pl.DataFrame:
    """The complete trials with a value that `which` chooses, those of arms and confirmations or those of the search."""
    phase = pl.col("phase").is_in(MEASURING_PHASES)
    done = (pl.col("state") == "complete") & pl.col("value").is_not_null()
    return summary.trials.filter(which & done & (phase if measured else ~phase))


def is_synthetic(source: str) -> bool:
    """Whether a role's source, or one of its sources, is the synthetic voices."""
    return any(one.strip().partition("?")[0] == VOICES for one in source.split(", "))


def _mean(summary: Summary, found: Estimate | None) -> str:
    return NOTHING if found is None else mean_value(summary.metric, found.mean, found.std, unit=False)


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
