"""An evaluation in numbers and words: parts by gender, one threshold, what is said where something is missing."""

import json
from dataclasses import replace

import numpy as np
import pytest

from reports.evaluation import (
    ALL,
    CROSS,
    MEN,
    METHOD,
    MOST_LEFT_OUT,
    WOMEN,
    Trials,
    aligned,
    as_json,
    as_markdown,
    evaluate_trials,
    notes_of,
    table_rows,
)
from reports.words import NOTHING
from trainables.metrics import equal_error_rate, minimum_detection_cost

GENDERS = np.array(["F"] * 21 + ["M"] * 20 + [""] * 2)


def metrics(scores, labels):
    return {
        "eer": equal_error_rate(scores=scores, labels=labels),
        "min_dcf": minimum_detection_cost(scores=scores, labels=labels),
    }


def trials(genders=GENDERS, seed=0) -> Trials:
    """All pairs of two utterances of each speaker; men are told apart worse."""
    generator = np.random.default_rng(seed)
    speaker_U = np.repeat(np.arange(len(genders)), 2)
    sides = np.stack(np.triu_indices(len(speaker_U), k=1), axis=1)
    speakers = speaker_U[sides]
    labels = speakers[:, 0] == speakers[:, 1]
    gap = np.where(genders[speakers[:, 0]] == "M", 0.5, 2.0)
    scores = (gap * labels + generator.normal(size=len(labels))).astype(np.float32)
    return Trials(scores, labels, speakers, genders[speakers])


def test_parts_are_computed_from_their_pairs_alone():
    """All pairs, those of two women, of two men, and of one of each, which has no targets and so no EER."""
    given = trials()
    found = evaluate_trials(given, metrics=metrics)
    left, right = given.genders_N2.T
    masks = {
        ALL: left == left,
        WOMEN: (left == "F") & (right == "F"),
        MEN: (left == "M") & (right == "M"),
        CROSS: ((left == "F") & (right == "M")) | ((left == "M") & (right == "F")),
    }

    assert list(masks) == [part.name for part in found.parts]
    for part in found.parts:
        scores, labels = given.scores_N[masks[part.name]], given.labels_N[masks[part.name]]
        assert (labels.sum(), (~labels).sum()) == (part.targets, part.nontargets)
        assert (scores[~labels] >= found.threshold).mean() == part.false_alarms
        if part.name == CROSS:
            assert (None, None, None, None, 41) == (
                part.eer,
                part.min_dcf,
                part.misses,
                part.bootstrap,
                part.speakers,
            )
            continue
        assert metrics(scores, labels) == {"eer": part.eer, "min_dcf": part.min_dcf}
        assert part.bootstrap.eer.low <= part.eer <= part.bootstrap.eer.high
    whole = found.parts[0]
    assert whole.eer == pytest.approx(whole.misses, abs=0.03)
    assert found.parts[1].eer < found.parts[2].eer
    assert (((left == "") | (right == "")).sum()) == found.unknown_gender


def test_without_genders_there_is_all_alone():
    """It says that genders are not known."""
    found = evaluate_trials(trials(np.array([""] * 8)), metrics=metrics)

    assert [ALL] == [part.name for part in found.parts]
    assert any("Genders are not known" in note for note in notes_of(found))


def test_what_is_missing_is_said():
    """Parts of few speakers have no interval, and pairs of unknown gender stand in no part."""
    said = " ".join(notes_of(evaluate_trials(trials(np.array(["F"] * 20 + ["M"] * 3 + [""])), metrics=metrics)))

    assert "men: no interval: 3 speakers are too few" in said
    assert "women: no interval" not in said
    assert "pairs with a voice of unknown gender" in said
    assert "so it has no EER" in said
    assert METHOD in said
    assert "95%" not in said


def test_the_method_is_told_only_with_an_interval():
    """Eight speakers have none."""
    found = evaluate_trials(trials(np.array(["F"] * 8)), metrics=metrics)

    assert METHOD not in notes_of(found)
    assert "its 95 %" in table_rows(found)[0]
    assert NOTHING == table_rows(found)[1][0][5]


def test_each_pair_with_one_unknown_side_is_no_unknown_corpus():
    """A woman with someone of unknown gender: no part by gender, but genders are known."""
    given = trials(np.array(["F"] * 8))
    genders = given.genders_N2.copy()
    genders[:, 1] = ""
    said = " ".join(notes_of(evaluate_trials(replace(given, genders_N2=genders), metrics=metrics)))

    assert "Genders are not known" not in said
    assert f"{len(genders):,} pairs with a voice of unknown gender" in said


def test_markdown_tells_of_the_corpus():
    """Its notes, and the files that were left out: the first by name, of the others how many."""
    found = evaluate_trials(trials(np.array(["F"] * 4)), metrics=metrics)
    left_out = [f"row {n}: no such file" for n in range(MOST_LEFT_OUT + 3)]
    text = as_markdown(found, "Evaluation", (), notes=["3 files: resampled"], left_out=left_out).decode()

    assert "- Corpus: 3 files: resampled" in text
    assert f"row {MOST_LEFT_OUT - 1}: no such file" in text
    assert f"row {MOST_LEFT_OUT}: no such file" not in text
    assert "3 more were left out" in text


def test_what_is_not_drawn_is_said():
    """A net that tells all apart has its points nowhere on the scale."""
    given = trials(np.array(["F"] * 4))
    found = evaluate_trials(replace(given, scores_N=given.labels_N.astype(np.float32)), metrics=metrics)

    assert any("not drawn: EER of all pairs" in note for note in notes_of(found))


def test_progress_names_the_part():
    """Whose draws they are."""
    told = []
    evaluate_trials(trials(np.array(["F"] * 20)), metrics=metrics, progress=lambda *counts: told.append(counts))

    assert {ALL, WOMEN} == {name for name, _, _ in told}
    assert told[-1][1] == told[-1][2]


def test_the_same_trials_give_the_same_bytes():
    """JSON has every number as it was computed; Markdown and terminal have the same table."""
    first, second = (evaluate_trials(trials(), metrics=metrics) for _ in range(2))
    written = json.loads(as_json(first, {"voxstudy": "0"}))

    assert as_json(first, {}) == as_json(second, {})
    assert first.det_svg == second.det_svg
    assert [part.eer for part in first.parts] == [part["eer"] for part in written["parts"]]
    assert first.parts[0].bootstrap.eer.low == written["parts"][0]["bootstrap"]["eer"]["low"]
    head, rows = table_rows(first)
    markdown = as_markdown(first, "of <b> | nets", ["said | once"]).decode()
    for row in rows:
        assert f"| {' | '.join(row)} |" in markdown
    assert "<b>" not in markdown
    assert "(det.svg)" in markdown
    lines = aligned(head, rows).splitlines()
    assert [len(line) for line in lines] == [max(map(len, lines))] * len(lines)
