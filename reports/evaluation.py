"""What an evaluation of a net says: error rates of all pairs and by gender, with intervals over speakers, in words.

Letters: N trials (pairs), U utterances.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from reports.bootstrap import CONFIDENCE, REPLICATES, SPEAKER_WORTH, Bootstrap, Interval, speaker_bootstrap
from reports.det import Curve, det_chart, det_curve, outside
from reports.page import markdown_text
from reports.words import NOTHING, count, joined, metric_value, number

TARGET_PRIOR = 0.05
DET_SIZE = 560
ALL, WOMEN, MEN, CROSS = "all pairs", "women", "men", "a woman and a man"
METHOD = (
    f"Intervals of the EER have a confidence of {100 * CONFIDENCE:.0f} %. Their standard error is that of "
    f"{REPLICATES:,} draws of speakers with replacement; a pair of one speaker counts by his draws, a pair of two by "
    "the product of theirs (Owen and Eckles 2012). They are Clopper and Pearson's of as many independent trials as "
    f"have that standard error (Korn and Graubard 1998), at most {SPEAKER_WORTH} a speaker. Of simulated test sets "
    "with 20 to 60 speakers and an EER of 3 to 26 % they held the true EER in 93 to 100 %. "
    "They speak of other speakers, not of other seeds."
)
MOST_LEFT_OUT = 20  # that are named

PICTURE = "DET curve: misses over false alarms, both on a normal-deviate scale; a dot is the EER, a diamond minDCF"

Bools = npt.NDArray[np.bool_]
Int64s = npt.NDArray[np.int64]
Progress = Callable[[str, int, int], object]
Metrics = Callable[[npt.NDArray[np.float32], Bools], Mapping[str, float]]


@dataclass(frozen=True)
class Trials:
    """Scored pairs; speakers are numbers, genders "F", "M" or "" where unknown."""

    scores_N: npt.NDArray[np.float32]
    labels_N: Bools
    speakers_N2: Int64s
    genders_N2: npt.NDArray[np.str_]


@dataclass(frozen=True)
class Part:
    """Some of the pairs. `misses` and `false_alarms` are at the threshold of the EER of all pairs.

    A part without targets (a woman and a man) or without non-targets has no EER, and no interval.
    """

    name: str
    targets: int
    nontargets: int
    speakers: int
    eer: float | None
    min_dcf: float | None
    misses: float | None
    false_alarms: float | None
    bootstrap: Bootstrap | None


@dataclass(frozen=True)
class Evaluation:
    """All of it: the parts, all pairs first, the EER's threshold, and the picture."""

    parts: tuple[Part, ...]
    threshold: float
    unknown_gender: int  # pairs with at least one side of unknown gender
    det_svg: str
    all_unknown: bool  # no side of any pair has a known gender
    not_drawn: tuple[str, ...]  # points outside the picture


def evaluate_trials(trials: Trials, *, metrics: Metrics, seed: int = 0, progress: Progress | None = None) -> Evaluation:
    """Error rates by `metrics` (those of the training: {"eer", "min_dcf"}) of all pairs and by gender, and intervals.

    There must be targets and non-targets. Draws of speakers depend on `seed` alone. `progress` is called with (part,
    draws made, draws in all).
    """
    masks = _masks(trials.genders_N2)
    curves: list[Curve] = []
    threshold = 0.0
    parts = []
    for name, is_in_N in masks.items():
        scores, labels, speakers = trials.scores_N[is_in_N], trials.labels_N[is_in_N], trials.speakers_N2[is_in_N]
        found: Mapping[str, float] = {}
        bootstrap = None
        if labels.any() and not labels.all():
            found = metrics(scores, labels)
            bootstrap = speaker_bootstrap(
                scores_N=scores,
                labels_N=labels,
                left_N=speakers[:, 0],
                right_N=speakers[:, 1],
                seed=seed,
                progress=partial(progress, name) if progress is not None else None,
            )
            curves.append(det_curve(name, scores_N=scores, labels_N=labels, eer=found["eer"]))
        if name == ALL:
            threshold = float(curves[0].thresholds_P[curves[0].at_eer])
        is_accepted = scores >= threshold
        parts.append(
            Part(
                name=name,
                targets=int(labels.sum()),
                nontargets=int((~labels).sum()),
                speakers=len(np.unique(speakers)),
                eer=found.get("eer"),
                min_dcf=found.get("min_dcf"),
                misses=float((~is_accepted[labels]).mean()) if labels.any() else None,
                false_alarms=float(is_accepted[~labels].mean()) if not labels.all() else None,
                bootstrap=bootstrap,
            )
        )
    unknown = int((trials.genders_N2 == "").any(axis=1).sum())
    svg = det_chart(curves, target_prior=TARGET_PRIOR, size=DET_SIZE)
    return Evaluation(
        parts=tuple(parts),
        threshold=threshold,
        unknown_gender=unknown,
        det_svg=_alone(svg),
        all_unknown=bool((trials.genders_N2 == "").all()),
        not_drawn=tuple(outside(curves, TARGET_PRIOR)),
    )


def _masks(genders_N2: npt.NDArray[np.str_]) -> dict[str, Bools]:
    """Which pairs are of each part; parts without a pair are left out."""
    left_N, right_N = genders_N2.T
    masks = {
        ALL: np.ones(len(left_N), dtype=np.bool_),
        WOMEN: (left_N == "F") & (right_N == "F"),
        MEN: (left_N == "M") & (right_N == "M"),
        CROSS: (left_N != right_N) & (left_N != "") & (right_N != ""),
    }
    return {name: mask for name, mask in masks.items() if mask.any()}


def _alone(svg: str) -> str:
    """A drawing as a file of its own, in which the text's colour must be said: dark on white."""
    return svg.replace("<svg ", '<svg style="color:#222;background:#fff" ', 1) + "\n"


def table_rows(evaluation: Evaluation) -> tuple[list[str], list[list[str]]]:
    """The headings and the cells of the table; EER and rates in percent."""
    head = ["", "targets", "non-targets", "speakers", "EER (%)", "its 95 %", "minDCF"]
    head += ["misses (%)", "false alarms (%)"]
    return head, [_cells(part) for part in evaluation.parts]


def _cells(part: Part) -> list[str]:
    shown = part.bootstrap.eer if part.bootstrap is not None else None
    rates = [NOTHING if rate is None else number(100 * rate, 2) for rate in (part.misses, part.false_alarms)]
    return [
        part.name,
        *(f"{n:,}" for n in (part.targets, part.nontargets, part.speakers)),
        NOTHING if part.eer is None else metric_value("eer", part.eer, unit=False),
        _interval("eer", shown),
        NOTHING if part.min_dcf is None else metric_value("min_dcf", part.min_dcf),
        *rates,
    ]


def _interval(metric: str, found: Interval | None) -> str:
    if found is None:
        return NOTHING
    return f"{metric_value(metric, found.low, unit=False)} to {metric_value(metric, found.high, unit=False)}"


def aligned(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The table for a terminal: the first column to the left, numbers to the right."""
    widths = [max(len(line[place]) for line in (head, *rows)) for place in range(len(head))]

    def written(line: Sequence[str]) -> str:
        cells = [cell.rjust(width) for cell, width in zip(line, widths, strict=True)]
        return "  ".join([line[0].ljust(widths[0]), *cells[1:]]).rstrip()

    return "\n".join(written(line) for line in (head, *rows))


def notes_of(evaluation: Evaluation) -> list[str]:
    """What must be known to read the table."""
    said = [
        f"Misses and false alarms are at one threshold, that of the EER of all pairs ({evaluation.threshold:.4f}).",
        f"minDCF has a target prior of {TARGET_PRIOR}.",
    ]
    said += [METHOD] if any(part.bootstrap and part.bootstrap.eer for part in evaluation.parts) else []
    said += [f"{part.name}: no interval: {why}." for part in evaluation.parts if (why := _why(part))]
    cross = next((part for part in evaluation.parts if part.name == CROSS), None)
    if cross is not None and cross.targets == 0:
        said.append("A pair of a woman and a man has two speakers, so it has no EER; it is a non-target of all pairs.")
    if evaluation.not_drawn:
        said.append(f"Outside the picture, and so not drawn: {joined(evaluation.not_drawn)}.")
    if evaluation.all_unknown:
        said.append("Genders are not known, so there is nothing by gender.")
    elif evaluation.unknown_gender:
        said.append(f"{count(evaluation.unknown_gender, 'pair')} with a voice of unknown gender stand in no part.")
    return said


def _why(part: Part) -> str:
    return part.bootstrap.why if part.bootstrap is not None else ""


def as_json(evaluation: Evaluation, facts: Mapping[str, Any]) -> bytes:
    """evaluation.json: the facts, then every number as it was computed."""
    written = {
        **facts,
        "target_prior": TARGET_PRIOR,
        "eer_threshold": evaluation.threshold,
        "parts": [asdict(part) for part in evaluation.parts],
        "pairs_of_unknown_gender": evaluation.unknown_gender,
        "intervals": METHOD,
    }
    return (json.dumps(written, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def as_markdown(
    evaluation: Evaluation,
    title: str,
    sentences: Sequence[str],
    *,
    notes: Sequence[str] = (),
    left_out: Sequence[str] = (),
) -> bytes:
    """evaluation.md: what was scored, the table, the picture, and what must be known to read them.

    `notes` are those of the corpus, `left_out` the files that could not be scored, each with its reason.
    """
    head, rows = table_rows(evaluation)
    table = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    corpus = [f"Corpus: {note}" for note in notes]
    corpus += [f"Left out: {bad}" for bad in left_out[:MOST_LEFT_OUT]]
    if len(left_out) > MOST_LEFT_OUT:
        corpus.append(f"{len(left_out) - MOST_LEFT_OUT:,} more were left out; `left_out` in evaluation.json names all.")
    parts = [
        f"# {markdown_text(title)}",
        *map(markdown_text, sentences),
        "\n".join(f"| {' | '.join(line)} |" for line in table),
        f"![{PICTURE}](det.svg)",
        "\n".join(f"- {markdown_text(note)}" for note in [*notes_of(evaluation), *corpus]),
    ]
    return ("\n\n".join(parts) + "\n").encode()
