"""An evaluation in numbers and words: parts by gender, one threshold, what is said where something is missing."""

import json

import numpy as np
import pytest

from reports.evaluation import (
    ALL,
    CROSS,
    MEN,
    WOMEN,
    Trials,
    aligned,
    as_json,
    as_markdown,
    evaluate_trials,
    notes_of,
    table_rows,
)
from trainables.metrics import equal_error_rate, minimum_detection_cost

GENDERS = np.array(["F"] * 7 + ["M"] * 6 + [""] * 2)


def metrics(scores, labels):
    return {
        "eer": equal_error_rate(scores=scores, labels=labels),
        "min_dcf": minimum_detection_cost(scores=scores, labels=labels),
    }


def trials(genders=GENDERS, seed=0) -> Trials:
    """All pairs of three utterances of each speaker; men are told apart worse."""
    generator = np.random.default_rng(seed)
    speaker_U = np.repeat(np.arange(len(genders)), 3)
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
            assert (None, None, None, None, 13) == (
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
    said = " ".join(notes_of(evaluate_trials(trials(np.array(["F"] * 6 + ["M"] * 3 + [""])), metrics=metrics)))

    assert "men: no interval: 3 speakers are too few" in said
    assert "women: no interval" not in said
    assert "pairs with a voice of unknown gender" in said
    assert "so it has no EER" in said


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
