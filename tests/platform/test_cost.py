"""What a scale costs: the lines of `check --scale`, from steps that are made up here and from measured ones."""

from pathlib import Path
from typing import Any

import pytest
import torch

from search_spaces.contrastive_mixup import ContrastiveMixup
from search_spaces.study import Resources, Study
from trainables.corpora.corpus import CorpusError
from trainables.corpora.roles import Expected, expected_of_roles
from trainables.cost import Cost, measure
from voxstudy.cost import cost_facts, lanes_here
from voxstudy.lanes import lanes_that_fit

COST = Cost(
    device="CPU",
    share=0.1,
    step_s=72.0,
    utterance_s=7.2,
    parameters=1_000_000,
    checkpoint_bytes=1 << 20,
    process_bytes=1 << 30,
    step_bytes=1 << 30,
)
VOICES = "synthetic?speakers=20&utterances=2&dev_speakers=30&dev_utterances=20&test_speakers=5&test_utterances=2"
CONFIG = {"epochs": 10, "batch_speakers": 10}


def study_of(**keys: Any) -> Study:
    head = {
        "title": "?",
        "trainable": "contrastive_mixup",
        "objective": [{"metric": "eer", "goal": "minimize"}],
        "corpus": {"train": VOICES, "trials": "pairs?most=10"},
        "config": CONFIG,
    }
    return Study.model_validate({**head, **keys})


def lines_of(study: Study) -> list[tuple[str, str]]:
    listed: Expected | CorpusError
    try:
        listed = expected_of_roles(study.corpus, sample_rate=16_000)
    except CorpusError as error:
        listed = error
    return list(cost_facts(study, COST, listed))


def test_training_and_scoring_are_told_apart() -> None:
    """72 s a step, 2 steps an epoch, 10 epochs: 0.4 h; dev 11 times; test once a trial, though not in the search."""
    study = study_of(seeds=2, search={"trials": 2, "space": {"learning_rate": True}})
    facts = dict(lines_of(study))
    scored = expected_of_roles(study.corpus, sample_rate=16_000).dev_scored

    assert 10 < scored <= 20
    assert "80 in 4 trials" == facts["steps"]
    assert "24 min a trial, 1.6 h in all" == facts["training"]
    dev_h = 11 * scored * 7.2 / 3600
    assert facts["scoring dev"].startswith(
        f"{60 * dev_h:.2g} min a trial, {4 * dev_h:.2g} h in all: {scored} utterances"
    )
    assert facts["scoring test"].startswith(f"{2 * 10 * 7.2 / 60:.2g} min in all: 10 utterances in pairs")
    total = 1.6 + 4 * dev_h + 2 * 10 * 7.2 / 3600
    assert facts["hours"].startswith(f"{60 * total / 4:.2g} min a trial, {total:.2g} h in one lane of 1 CPU worker")


def test_workers_share_both() -> None:
    """Twice the workers, half the time of training and of scoring."""
    one, two = (dict(lines_of(study_of(resources={"workers": n}))) for n in (1, 2))

    assert ["24 min a trial", "12 min a trial"] == [facts["training"].split(",")[0] for facts in (one, two)]
    minutes = [float(facts["scoring dev"].split()[0]) for facts in (one, two)]
    assert minutes[0] == pytest.approx(2 * minutes[1], rel=0.1)


def test_hours_of_a_cpu_are_told_where_gpus_are_asked_for() -> None:
    """The prediction is then of another machine."""
    told = "hours of CPU workers: gpus_per_worker = 0.5, but there is no GPU to measure"

    assert ("", told) in lines_of(study_of(resources={"gpus_per_worker": 0.5}))
    assert told not in [text for _, text in lines_of(study_of())]


def test_missing_noise_is_told_and_the_hours_too(tmp_path: Path) -> None:
    """A folder that is not here leaves steps and hours what they are."""
    corpus = {"train": VOICES, "trials": "pairs?most=10", "noise": str(tmp_path / "musan"), "rooms": "synthetic"}
    found = lines_of(study_of(corpus=corpus))

    assert ("corpus", f"cannot be used: noise: {tmp_path / 'musan'}: no such folder") in found
    assert [one for one in found if one[0] != "corpus"] == lines_of(study_of())


def test_a_corpus_that_is_not_here_leaves_hours_unknown() -> None:
    """Its first problem is told."""
    facts = dict(lines_of(study_of(corpus={"train": "/nowhere/m.csv"})))

    assert facts["corpus"].startswith("cannot be listed here, so steps and hours are unknown: train: /nowhere/m.csv:")
    assert "hours" not in facts


def test_an_arm_may_be_called_as_a_part_of_the_study() -> None:
    """The search and confirmations are counted beside it, and the arm keeps its own config and test."""
    arms = [{"name": name, "config": {"epochs": epochs}} for name, epochs in (("the search", 1), ("confirmation", 2))]
    study = study_of(arms=arms, seeds=2, search={"trials": 3, "space": {"learning_rate": True}}, confirm={"top": 1})

    facts = dict(lines_of(study))
    assert f"{2 * 2 * (10 + 1 + 2 + 10) + 3 * 20} in 11 trials" == facts["steps"]
    assert facts["scoring test"].startswith(f"{8 * 10 * 7.2 / 60:.2g} min in all")


@pytest.mark.parametrize(
    ("demand", "cpus", "gpus", "lanes"),
    [
        ({"workers": 2}, 5, 0, 2),
        ({"workers": 2, "max_lanes": 1}, 5, 0, 1),
        ({"workers": 4}, 2, 0, 0),
        ({"gpus_per_worker": 1.0}, 64, 2, 2),
        ({"gpus_per_worker": 1.0}, 64, 0, 0),
        ({"gpus_per_worker": 0.1, "workers": 2}, 64, 1, 5),
        ({"gpus_per_worker": 0.1, "cpus_per_worker": 8}, 64, 1, 8),
        ({"gpus_per_worker": 2.0}, 64, 7, 3),
    ],
    ids=str,
)
def test_lanes_at_once_are_those_that_cpus_and_gpus_hold(
    demand: dict[str, Any], cpus: int, gpus: int, lanes: int
) -> None:
    """Shares of a GPU count as a run counts them."""
    resources = Resources(**demand)
    node = {"Alive": True, "Resources": {"CPU": float(cpus), "GPU": float(gpus)}}

    assert lanes == lanes_here(resources, cpus=cpus, gpus=gpus) == lanes_that_fit(resources, [node])


def test_a_machine_without_gpus_holds_no_lane_that_needs_them() -> None:
    """However many CPUs it has."""
    if torch.cuda.device_count():
        pytest.skip("there are GPUs here")
    facts = dict(lines_of(study_of(resources={"gpus_per_worker": 1.0})))

    assert facts["hours"].endswith("this machine holds none")


def test_a_dev_set_that_cannot_be_scored_is_told() -> None:
    """The run would refuse it."""
    voices = VOICES.replace("dev_utterances=20", "dev_utterances=1")
    found = lines_of(study_of(corpus={"train": voices, "trials": "pairs?most=10"}))

    told = "cannot be used: dev: a speaker with 2 utterances is needed, but each of its 30 speakers has one"
    assert ("corpus", told) in found


def test_a_measured_step_hears_noise_and_rooms(monkeypatch: pytest.MonkeyPatch) -> None:
    """The crops of every measured step are augmented, where the config augments, and only there.

    After the first step three epochs' are timed, each twice; dev is scored once to warm up, then timed twice.
    """
    from trainables import contrastive_mixup

    augmented = []
    real = contrastive_mixup.augment

    def counted(crops: Any, **keys: Any) -> Any:
        augmented.append(len(crops))
        return real(crops, **keys)

    evaluated = []
    real_evaluate = contrastive_mixup.ContrastiveMixupTask.evaluate

    def evaluate(task: Any) -> dict[str, float]:
        evaluated.append(task)
        return real_evaluate(task)

    monkeypatch.setattr(contrastive_mixup, "augment", counted)
    monkeypatch.setattr(contrastive_mixup.ContrastiveMixupTask, "evaluate", evaluate)
    small = {"batch_speakers": 12, "width": 4, "embedding_size": 8, "mels": 16, "crop_s": 0.3, "eval_crop_s": 0.3}
    for augmentation in (False, True):
        cost = measure(
            "contrastive_mixup", ContrastiveMixup(augmentation=augmentation, **small), threads=1, on_gpu=False
        )
        assert ("CPU", 8 / 12) == (cost.device, cost.share)
        assert 0 < cost.step_s
        assert [16] * 7 * augmentation == augmented
        assert 3 * (1 + augmentation) == len(evaluated)
