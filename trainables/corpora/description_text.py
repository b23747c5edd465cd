"""A description of a corpus as text."""

from collections.abc import Iterator

from trainables.corpora.describe import Description, Part
from trainables.corpora.hearing import GENDERS, HIGHEST_M_HZ, LOWEST_F_HZ, Sound, Spread

MOST_NAMED = 20  # suspects


def description_text(description: Description, *, most_named: int = MOST_NAMED) -> str:
    """Return a description as lines of text; of suspects, the worst so many are named."""
    return "\n".join(_lines(description, most_named))


def _lines(d: Description, most_named: int) -> Iterator[str]:
    total = d.total
    yield (
        f"{total.utterances:,} utterances of {total.speakers:,} speakers, {_hours(total.hours)}, "
        f"{d.sample_rate:,} Hz; {f'{d.recordings:,} recordings' if d.recordings else 'recordings not told'}"
    )
    if d.rejected:
        yield f"rejected: {d.rejected:,}"
    yield from (f"note: {note}" for note in d.notes)
    yield from ("", *_parts("partition", d.partitions)) if d.partitions else ("", "no official partitions")
    yield from ("", *_parts("gender", d.genders))
    if d.torn:
        yield f"speakers with more than one gender: {_named(d.torn, most_named)}"
    yield ""
    yield f"{'speakers by age':18}" + "".join(f"{gender:>10}" for gender in GENDERS)
    yield from (f"{decade:18}" + "".join(f"{count:10,}" for count in counts) for decade, counts in d.ages)
    yield ""
    yield f"{'':24}{'min':>9}{'quarter':>9}{'median':>9}{'3/4':>9}{'max':>9}"
    yield from _spread("age, years", d.years)
    yield from _spread("utterances a speaker", d.utterances_a_speaker)
    yield from _spread("duration, s", d.durations_s)
    yield from _sound(d.sound, most_named)


def _sound(sound: Sound, most_named: int) -> Iterator[str]:
    yield f"heard: {sound.utterances:,} utterances of {sound.speakers:,} speakers, at most 10 s of each"
    yield from _spread("level, dB of full scale", sound.levels_dbfs)
    for gender, spread in sound.f0_hz:
        yield from _spread(f"F0 of speakers {gender}, Hz", spread)
    yield f"clipped: {100 * sound.clipped_share:.3f} % of samples, in {sound.clipped_utterances:,} utterances"
    yield f"silence: {100 * sound.silent_share:.1f} % of the time"
    yield ""
    rule = f"labelled F below {LOWEST_F_HZ:g} Hz or M above {HIGHEST_M_HZ:g} Hz"
    yield f"suspects (median F0 against the label: {rule}): {len(sound.suspects) or 'none'}"
    for suspect in sound.suspects[:most_named]:
        yield (
            f"  {suspect.speaker}: labelled {suspect.gender}, {suspect.f0_hz:.0f} Hz "
            f"in {suspect.utterances} utterance{'s' * (suspect.utterances > 1)}"
        )
    if len(sound.suspects) > most_named:
        yield f"  and {len(sound.suspects) - most_named} more"


def _parts(name: str, parts: tuple[Part, ...]) -> Iterator[str]:
    yield f"{name:18}{'speakers':>10}{'utterances':>12}{'hours':>10}"
    yield from (f"{part.name:18}{part.speakers:10,}{part.utterances:12,}{part.hours:10.2f}" for part in parts)


def _spread(name: str, spread: Spread | None) -> Iterator[str]:
    if spread is not None:
        values = (spread.lowest, spread.quarter, spread.median, spread.three_quarters, spread.highest)
        yield f"{name:24}" + "".join(f"{value:9.1f}" for value in values)


def _hours(hours: float) -> str:
    return f"{hours:,.1f} hours" if hours >= 1 else f"{60 * hours:.1f} minutes"


def _named(names: tuple[str, ...], most: int) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
