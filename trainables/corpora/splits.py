"""Which rows are train, dev and test: official partitions win, what is not given is split off train by speaker."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trainables.corpora.corpus import AudioCache, Corpus, Rejected, Row
from trainables.corpora.trial_pairs import TrialPairs

NAMED = 5  # speakers named in a message


@dataclass(frozen=True)
class Splits:
    """The corpora of a study, and the pairs of test utterances that are compared; without a test set both are None.

    The fingerprint covers train and dev: what the trials of a search see. That of test covers its corpus and pairs.
    """

    train: Corpus
    dev: Corpus
    test: Corpus | None
    trials: TrialPairs | None
    rejected: tuple[Rejected, ...]
    notes: tuple[str, ...]
    fingerprint: str
    test_fingerprint: str | None


def audio_caches(splits: Splits) -> dict[str, AudioCache]:
    """Return an empty cache of the waveforms of train, dev and, where there is one, test."""
    corpora = {"train": splits.train, "dev": splits.dev, "test": splits.test}
    return {name: AudioCache(corpus) for name, corpus in corpora.items() if corpus is not None}


@dataclass(frozen=True)
class Assignment:
    """The rows of each split, with what is wrong and what is worth telling."""

    train: tuple[Row, ...]
    dev: tuple[Row, ...]
    test: tuple[Row, ...]
    problems: tuple[str, ...]
    notes: tuple[str, ...]


def split_of(speaker: str) -> str:
    """Return train, dev or test (80, 10, 10 of 100) by a hash of the speaker's name.

    It depends on nothing else, so that speakers keep their split when others are added.
    """
    place = int.from_bytes(hashlib.sha256(speaker.encode()).digest()[:8], "big") % 100
    if place < 80:
        return "train"
    return "dev" if place < 90 else "test"


def assign(roles: Mapping[str, Sequence[Row]]) -> Assignment:
    """Share the rows of the given roles (train, and perhaps dev and test) among the splits.

    A source with a `split` column is split by it, and its rows of a split that has a role of its own are left out.
    Other rows of train go by the hash of their speaker, where dev or test is not given.
    """
    official = {row.source for rows in roles.values() for row in rows if row.split}
    problems: list[str] = []
    notes: list[str] = []
    shares: dict[str, list[Row]] = {"train": [], "dev": [], "test": []}
    for row in roles["train"]:
        split = (row.split or "train") if row.source in official else split_of(row.speaker)
        if split == "train" or split not in roles:
            shares[split].append(row)
        elif row.source not in official:
            shares["train"].append(row)  # the hash holds nothing back for a role that is given
    if "dev" not in roles:
        _split_off_dev(shares, official, notes)
    for role in ("dev", "test"):
        for source in sorted({row.source for row in roles.get(role, ())}):
            rows = [row for row in roles[role] if row.source == source]
            chosen = [row for row in rows if row.split == role] if source in official else rows
            if not chosen:
                found = ", ".join(f"{name} {count}" for name, count in sorted(Counter(r.split for r in rows).items()))
                problems.append(
                    f"{role}: its source has a split column, but no row with split '{role}' (it has {found})"
                )
            shares[role] += chosen
    for role in ("dev", "test"):
        if role not in roles and any(row.source not in official for row in shares[role]):
            speakers = len({row.speaker for row in shares[role] if row.source not in official})
            notes.append(f"{role}: {speakers} speakers split off train by the hash of their names")
    problems += _shared_speakers(shares)
    return Assignment(
        train=tuple(shares["train"]),
        dev=tuple(shares["dev"]),
        test=tuple(shares["test"]),
        problems=tuple(problems),
        notes=tuple(notes),
    )


def _split_off_dev(shares: dict[str, list[Row]], official: set[int], notes: list[str]) -> None:
    """Take a dev set out of the train rows of each source whose official partitions have none (as VoxCeleb's).

    Source by source, so that no speaker changes places when another source is added.
    """
    without = official - {row.source for row in shares["dev"]}
    if not any(row.source in without for row in shares["train"]):
        return
    moved = [row for row in shares["train"] if row.source in without and split_of(row.speaker) == "dev"]
    taken = {id(row) for row in moved}
    shares["train"] = [row for row in shares["train"] if id(row) not in taken]
    shares["dev"] += moved
    speakers = len({row.speaker for row in moved})
    notes.append(
        f"dev: the official partitions have none; {speakers} speakers split off train by the hash of their names"
    )


def _shared_speakers(shares: Mapping[str, Sequence[Row]]) -> list[str]:
    """Return a problem for every two splits that share speakers."""
    speakers = {split: {row.speaker for row in rows} for split, rows in shares.items()}
    problems = []
    for one, other in (("train", "dev"), ("train", "test"), ("dev", "test")):
        both = sorted(speakers[one] & speakers[other])
        if both:
            more = f" and {len(both) - NAMED} more" if len(both) > NAMED else ""
            named = ", ".join(f"'{speaker}'" for speaker in both[:NAMED])
            problems.append(f"{one} and {other} must not share speakers, but both have {named}{more}")
    return problems


def missing_for_training(train: Corpus) -> list[str]:
    """Return what is missing for training: pairs of utterances of one speaker, and of two."""
    counts = Counter(train.table["speaker"].to_pylist())
    paired = sum(count >= 2 for count in counts.values())
    if paired >= 2:
        return []
    return [
        f"train: at least 2 speakers with 2 utterances are needed, but {paired} of {len(counts)} speakers have them"
    ]


def missing_for_scoring(role: str, corpus: Corpus) -> list[str]:
    """Return what dev or test is missing to be scored: pairs of utterances of one speaker, and of two."""
    counts = Counter(corpus.table["speaker"].to_pylist())
    if not counts:
        return [f"{role}: holds no utterance; give a {role} corpus ({role} = …), or a train corpus with more speakers"]
    if len(counts) < 2:
        return [f"{role}: at least 2 speakers are needed for trial pairs, but it has '{next(iter(counts))}' alone"]
    if max(counts.values()) < 2:
        return [f"{role}: a speaker with 2 utterances is needed, but each of its {len(counts)} speakers has one"]
    return []
