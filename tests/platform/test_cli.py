"""The command line as a user types it; what needs Ray stands in test_run.py."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf

ROOT = Path(__file__).parents[2]


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """Sixty short files of twenty speakers, each a chord of his own, and one file that is no audio."""
    rows = ["path,speaker,gender,split"]
    rng = np.random.default_rng(0)
    time = np.arange(12_000) / 16_000
    for speaker in range(20):
        split = "dev" if speaker >= 16 else "train"
        for utterance in range(3):
            tones = sum(np.sin(2 * np.pi * (90 + 11 * speaker) * k * time) / k for k in range(1, 9))
            samples = 0.1 * tones + 0.01 * rng.standard_normal(len(time))
            name = f"s{speaker}-{utterance}.wav"
            sf.write(tmp_path / name, samples, 16_000)
            rows.append(f"{name},s{speaker},F,{split}")
    (tmp_path / "text.wav").write_text("not audio")
    rows.append("text.wav,s0,F,train")
    path = tmp_path / "manifest.csv"
    path.write_text("\n".join(rows) + "\n")
    return path


def test_check_prints_the_plan_with_overrides(voxstudy: Any) -> None:
    """`check` shows what --trials, --workers, --set and --corpus make of a study."""
    output = voxstudy(
        "check", "demo", "--trials", 5, "--workers", 2, "--set", "epochs=7", "--corpus", "dev=synthetic?seed=3"
    )

    for part in ("5 trials", "2 workers", "epochs = 7", "synthetic?seed=3"):
        assert part in output


def test_check_says_what_a_scale_costs(voxstudy: Any) -> None:
    """Utterances, steps, memory, disk and hours; that this machine cannot hold it is no mistake."""
    corpus = "synthetic?speakers=500&utterances=2&dev_speakers=9&dev_utterances=3"
    output = voxstudy("check", "mixup_seeds", "--scale", "paper", "--seeds", 2, "--corpus", corpus, "--set", "mels=24")
    facts = {line.split()[0]: line for line in output.split("measuring a step")[1].splitlines()[1:] if line.strip()}

    assert "1,000 utterances of 500 speakers" in facts["train"]
    trials = 4 * 2 + 24 + 2 * 2
    assert f"{500 * trials:,} in {trials} trials" in facts["steps"]  # of 400 of the 500 speakers, one an epoch
    assert {"net", "a", "dev", "memory", "disk", "hours"} <= set(facts)
    assert "not on this machine: resources.gpus_per_worker" in output
    output = voxstudy("check", "mixup_seeds", "--scale", "paper", "--set", "mels=24", "--set", "epochs=2")
    assert "cannot be listed here, so steps and hours are unknown" in output


def test_knobs_lists_ranges(voxstudy: Any) -> None:
    """`knobs` lists every knob of all trainables or of one; a wrong name is answered by the right one."""
    assert "beta_alpha" in voxstudy("knobs")
    assert "beta_alpha" in voxstudy("knobs", "contrastive_mixup")
    assert "did you mean 'contrastive_mixup'" in voxstudy("knobs", "contrastive_mixpu", code=2)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["check", "dmeo"], "did you mean 'demo'"),
        (["check", "no/such.toml"], "no/such.toml"),
        (["show", "no_run"], "no_run"),
        (["show", "{run}", "--format", "yaml"], "table, json, csv"),
        (["report", "no_run"], "no_run"),
        (["logs", "no_run"], "no_run"),
        (["table", "no_run"], "no_run"),
        (["table", "{run}", "--format", "html5"], "html"),
        (["run", "demo", "--seeds", "0", "--run", "x"], "--seeds"),
        (["check", "mixup_seeds", "--scale", "papre"], "did you mean 'paper'"),
        (["run", "demo", "--set", "epohcs=3"], "did you mean 'epochs'"),
        (["run", "demo", "--corpus", "no/manifest.csv", "--run", "x"], "no/manifest.csv"),
        (["run", "demo", "--workers", "64", "--run", "x"], "64"),
        (["run", "demo", "--run", "{file}"], "folder that can be written"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_mistakes_are_answered_by_a_sentence(voxstudy: Any, tmp_path: Path, words: list[str], said: str) -> None:
    """A user's mistake is exit code 2 and a sentence, never a traceback."""
    (tmp_path / "file").write_text("in the way")
    places = {"file": tmp_path / "file", "run": ROOT / "tests" / "reports" / "data" / "run_v1"}
    output = voxstudy(*[word.format(**places) for word in words], code=2)

    assert said in output
    assert "Traceback" not in output


def test_five_mistakes_give_five_messages(voxstudy: Any, small_study: Path, tmp_path: Path) -> None:
    """All mistakes of a study file at once, each at its place."""
    text = small_study.read_text()
    for right, wrong in {
        'metric = "eer"': 'metric = "err"',
        "width = 4": "width = 5",
        "epochs = 6": "epohcs = 6",
        "trials = 6": "trials = 0",
        "low = 3e-4, high = 1e-2": "low = 1e-2, high = 3e-4",
    }.items():
        text = text.replace(right, wrong)
    (tmp_path / "bad.toml").write_text(text)
    output = voxstudy("check", tmp_path / "bad.toml", code=2)
    places = re.findall(r"bad\.toml: (\S+): ", output, re.MULTILINE)

    assert sorted(places) == [
        "config.epohcs",
        "config.width",
        "objective[1].metric",
        "search.space.learning_rate",
        "search.trials",
    ]
    assert "Traceback" not in output


@pytest.mark.slow
def test_debug_trains_in_this_process(voxstudy: Any, small_study: Path, manifest: Path, tmp_path: Path) -> None:
    """`run --debug` trains the baseline without Ray and keeps nothing; a bad file of the manifest is named."""
    output = voxstudy("run", small_study, "--corpus", manifest, "--set", "epochs=2", "--debug")

    assert "epoch 2/2 eer" in output
    assert "text.wav" in output
    assert "starting Ray" not in output
    assert not (tmp_path / "runs").exists()


def commands_of(help_text: str) -> list[str]:
    """The commands that a help text lists."""
    return re.findall(r"^  (\w+)  ", help_text.split("Commands:")[1], re.MULTILINE)


def test_help_lists_nothing_that_these_tests_do_not_run(voxstudy: Any) -> None:
    """Every command and option of the help stands in an end-to-end test."""
    names = ("test_cli.py", "test_run.py", "test_measured.py", "test_corpus_cli.py", "test_use_cli.py")
    tests = "".join((ROOT / "tests" / "platform" / name).read_text() for name in names)
    commands, nested = commands_of(voxstudy("--help")), commands_of(voxstudy("corpus", "--help"))

    of_runs = {"check", "knobs", "run", "show", "table", "report", "logs"}
    assert of_runs | {"export", "evaluate", "embed", "corpus"} == set(commands)
    assert {"import", "synthesize", "describe"} == set(nested)
    for words in [[command] for command in commands] + [["corpus", command] for command in nested]:
        assert f'"{words[-1]}"' in tests
        for option in set(re.findall(r"--[a-z][a-z-]+", voxstudy(*words, "--help"))) - {"--help"}:
            assert f'"{option}"' in tests, (words, option)
