"""`voxstudy corpus` as a user types it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A manifest of twelve files, one of them no audio."""
    root = tmp_path / "speech"
    root.mkdir()
    rows = ["path,speaker,gender"]
    for n in range(12):
        sf.write(root / f"{n}.wav", 0.1 * np.random.default_rng(n).standard_normal(8000 + 100 * n), 16_000)
        rows.append(f"{n}.wav,s{n // 3},F")
    (root / "11.wav").write_text("not audio")
    (root / "manifest.csv").write_text("\n".join(rows) + "\n")
    return root


def test_import_tells_what_comes_and_what_came(voxstudy: Any, folder: Path) -> None:
    """A forecast first, progress a line at a time, then what is kept and left out; the second time there is nothing."""
    words = ("corpus", "import", "manifest", "speech", "--out", "packed", "--shortest", 0.51, "--workers", 1)
    lines = voxstudy(*words).splitlines()

    assert lines[0].startswith("12 utterances, about ")
    assert "12 of 12 utterances, 0.00 hours of audio" in lines
    assert "left out, 1 file: not readable as audio" in lines
    assert "left out, 2 files: shorter than 0.51 s" in lines
    assert lines[-1] == 'in a study: train = "packed"'
    assert (folder.parent / "packed" / "corpus.json").is_file()
    assert "nothing to do: it was imported already" in voxstudy(*words)
    assert "sample_rate = 16000, but 8000 is asked for" in voxstudy(*words, "--rate", 8000, code=2)


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("manifst", "speech"), "manifst: no such kind of corpus; kinds: voxceleb1, "),
        (("manifst", "speech"), "did you mean 'manifest'?"),
        (("manifest", "nowhere"), "nowhere"),
        (("manifest", "speech", "--option", "part"), "--option: NAME=VALUE, but got 'part'"),
        (("manifest", "speech", "--option", "part=x"), "part"),
        (("manifest", "speech", "--shortest", 3, "--longest", 2), "`shortest <= longest` must hold"),
    ],
)
def test_mistakes_are_sentences(words: tuple[object, ...], problem: str, voxstudy: Any, folder: Path) -> None:
    output = voxstudy("corpus", "import", *words, "--out", "packed", code=2)

    assert problem in output
    assert "Traceback" not in output
    assert not (folder.parent / "packed").exists()


def test_synthesize(voxstudy: Any, tmp_path: Path) -> None:
    """Voices, packed; another condition is another corpus; mistakes in options are all told."""
    words = ("corpus", "synthesize", "--speakers", 3, "--utterances", "2", "--option", "seconds=0.6", "--out", "voices")
    output = voxstudy(*words, "--rate", 8000, "--workers", 1)

    assert "6 utterances of 3 speakers, 0.00 hours at 8000 Hz" in output
    told = voxstudy(*words, "--rate", 8000, "--seed", 1, code=2)
    assert "option seed = '0', but '1' is asked for" in told
    assert (tmp_path / "voices" / "audio" / "shard-00000.arrow").is_file()
    told = voxstudy(*words, "--rate", 8000, "--condition", "telephone", code=2)
    assert "option condition = 'clean" in told
    told = voxstudy("corpus", "synthesize", "--option", "secconds=2", "--option", "speakers=3", "--out", "x", code=2)
    assert "speakers has an option of its own, --speakers" in told
    told = voxstudy("corpus", "synthesize", "--option", "secconds=2", "--out", "x", code=2)
    assert "did you mean 'seconds'" in told


def test_describe(voxstudy: Any, folder: Path) -> None:
    """A packed corpus at its own rate, and a manifest at any: counts, then what a sample of it sounds like."""
    voxstudy("corpus", "import", "manifest", "speech", "--out", "packed", "--rate", 8000, "--allow-bad")
    output = voxstudy("corpus", "describe", "packed", "--sample", 4)

    assert "11 utterances of 4 speakers" in output
    assert "8,000 Hz" in output
    assert "heard: 4 utterances" in output
    assert "8,000 Hz" in voxstudy("corpus", "describe", "packed?condition=telephone", "--sample", 1)
    assert "11 utterances of 4 speakers" in voxstudy("corpus", "describe", "speech/manifest.csv", "--rate", 16_000)
    assert "no such" in voxstudy("corpus", "describe", "nowhere.csv", code=2)
