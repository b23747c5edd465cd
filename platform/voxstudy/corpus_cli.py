"""`voxstudy corpus`: import a corpus into Arrow files, synthesise or describe one. Commands import what they need."""

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from trainables.corpora.shards import PackedFacts

STEP = 0.1  # of the work, between two plain lines
STEP_S = 60.0

corpus_app = typer.Typer(
    help="Import corpora into Arrow files that every trial on a machine maps; synthesise voices; describe a corpus.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Out = Annotated[str, typer.Option("--out", metavar="DIR", help="the folder of the packed corpus, new or half done")]
Rate = Annotated[int, typer.Option(metavar="HZ", min=1000, max=192000, help="what the audio is resampled to")]
Shortest = Annotated[float | None, typer.Option(metavar="SECONDS", min=0.0, help="leave shorter utterances out")]
Longest = Annotated[float | None, typer.Option(metavar="SECONDS", min=0.0, help="leave longer utterances out")]
Workers = Annotated[int | None, typer.Option(metavar="N", min=1, help="processes [default: the cores there are]")]
Options = Annotated[list[str] | None, typer.Option("--option", metavar="NAME=VALUE", help="may be given several times")]


@corpus_app.command("import")
def import_(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="voxceleb1, voxceleb2, librispeech, manifest, …")],
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="where the corpus lies (or the manifest)")],
    out: Out,
    rate: Rate = 16000,
    shortest: Shortest = None,
    longest: Longest = None,
    workers: Workers = None,
    option: Options = None,
    allow_bad: Annotated[
        bool, typer.Option("--allow-bad", help="leave bad files out, even if they are more than a tenth")
    ] = False,
) -> None:
    """Decode a corpus once into Arrow files; the same command continues an import that was stopped."""
    from trainables.corpora.kinds.catalogue import find_kind
    from trainables.corpora.packing import number_of_cores, pack

    reader = find_kind(kind)
    _check_limits(shortest, longest)
    options = _read_options(option or ())
    base = folder.expanduser().absolute()
    findings = reader.read(base, options=options)
    console = _console()
    for note in reader.notes:
        _say(console, f"{reader.name}: {note}")
    with _progress(console) as told:
        facts = pack(
            findings,
            out,
            kind=reader.name,
            folder=base.parent if base.is_file() else base,
            sample_rate=rate,
            shortest_s=shortest,
            longest_s=longest,
            options=options,
            workers=workers or number_of_cores(),
            progress=told.so_far,
            tell=lambda line: _say(console, line),
            trial_lists=reader.trial_lists(base),
            is_bad_allowed=allow_bad,
        )
    _conclude(console, facts, out)


@corpus_app.command()
def synthesize(
    out: Out,
    speakers: Annotated[int, typer.Option(metavar="N", min=1, help="speakers, half of them women")] = 300,
    utterances: Annotated[str, typer.Option(metavar="M", help="utterances a speaker, or a range: 2..4")] = "10",
    seed: Annotated[int, typer.Option(metavar="S", min=0, help="other voices for another seed")] = 0,
    condition: Annotated[
        str | None, typer.Option(metavar="CONDITION", help="what befalls them: telephone, telephone?room=0.3,…")
    ] = None,
    option: Options = None,
    rate: Rate = 16000,
    workers: Workers = None,
) -> None:
    """Pack synthetic voices; options are those of the source `synthetic`, such as seconds=2 or test_speakers=40.

    Without dev_speakers and test_speakers the voices have no partitions: a study splits them by speaker.
    """
    from trainables.corpora import synthetic, transmission
    from trainables.corpora.conditioned import ConditionedSource
    from trainables.corpora.conditions import CLEAN, parse_condition
    from trainables.corpora.packing import number_of_cores, pack
    from trainables.corpora.repacking import HearSource, found_in

    others = _read_options(option or (), taken=("speakers", "utterances", "seed"))
    parts = {"dev_speakers": "0", "test_speakers": "0", **others}
    written = {"speakers": str(speakers), "utterances": utterances, "seed": str(seed), **parts}
    text = f"{synthetic.NAME}?" + "&".join(f"{name}={value}" for name, value in written.items())
    voices = synthetic.SyntheticSource(text=text, options=synthetic.read_options(text))
    befalls = parse_condition(condition) if condition else CLEAN
    source = voices if befalls == CLEAN else ConditionedSource(text=text, inner=voices, condition=befalls)
    console = _console()
    is_split = any(parts[name] != "0" for name in ("dev_speakers", "test_speakers"))
    with _progress(console) as told:
        facts = pack(
            found_in(source, sample_rate=rate, is_split=is_split),
            out,
            kind=synthetic.NAME,
            folder=Path(),
            sample_rate=rate,
            options={
                **written,
                "recipe": f"{synthetic.RECIPE}",
                "condition": f"{befalls.text}, recipe {transmission.RECIPE}",
            },
            workers=workers or number_of_cores(),
            progress=told.so_far,
            tell=lambda line: _say(console, line),
            hear=HearSource(source),
        )
    _conclude(console, facts, out)


@corpus_app.command()
def describe(
    corpus: Annotated[str, typer.Argument(metavar="CORPUS", help="a packed corpus, a manifest, or synthetic?…")],
    rate: Annotated[
        int | None, typer.Option(metavar="HZ", min=1000, max=192000, help="[default: a packed corpus's own, or 16000]")
    ] = None,
    sample: Annotated[int, typer.Option(metavar="N", min=1, help="utterances that are heard")] = 1000,
) -> None:
    """Say what a corpus holds: counts, hours, genders, ages, levels; and speakers whose label and voice disagree."""
    from trainables.corpora import describe as describing
    from trainables.corpora.conditioned import take_condition
    from trainables.corpora.description_text import description_text
    from trainables.corpora.packed import is_packed, open_packed

    console = _console()
    if rate is None:
        bare, _ = take_condition(corpus)
        rate = open_packed(bare).facts.sample_rate if is_packed(bare) else 16000
    with _progress(console) as told:
        opened = describing.open_whole(corpus, sample_rate=rate, progress=told.count)
        description = describing.describe(opened, sample=sample, progress=told.count)
    print(description_text(description))


def _read_options(written: Sequence[str], taken: Sequence[str] = ()) -> dict[str, str]:
    """Return NAME=VALUE pairs; raises CorpusError with every one that is none."""
    from trainables.corpora.corpus import CorpusError

    options: dict[str, str] = {}
    problems = []
    for text in written:
        name, equals, value = text.partition("=")
        if not equals or not name:
            problems.append(f"--option: NAME=VALUE, but got '{text}'")
        elif name in taken:
            problems.append(f"--option: {name} has an option of its own, --{name}")
        elif name in options:
            problems.append(f"--option: {name} is there twice")
        options[name] = value
    if problems:
        raise CorpusError(*problems)
    return options


def _check_limits(shortest: float | None, longest: float | None) -> None:
    from trainables.corpora.corpus import CorpusError

    if shortest is not None and longest is not None and shortest > longest:
        raise CorpusError(f"`shortest <= longest` must hold, but got --shortest {shortest:g}, --longest {longest:g}")


@dataclass
class _Told:
    """How far it is: a bar on a terminal, elsewhere a line now and then."""

    console: Console
    bar: Progress | None
    task: TaskID | None = None
    last_share: float = 0.0
    last_time: float = 0.0

    def so_far(self, done: int, total: int, seconds: float) -> None:
        """Tell what was looked at, and how much audio was kept."""
        self._tell(done, total, f"{seconds / 3600:.2f} hours of audio")

    def count(self, done: int, total: int) -> None:
        """Tell what was looked at."""
        self._tell(done, total, "heard")

    def _tell(self, done: int, total: int, words: str) -> None:
        if self.bar is not None:
            if self.task is None:
                self.task = self.bar.add_task("corpus", total=total, audio=words)
            self.bar.update(self.task, completed=done, total=total, audio=words)
            return
        share, now = done / max(1, total), time.monotonic()
        if done == total or share - self.last_share >= STEP or now - self.last_time >= STEP_S:
            self.last_share, self.last_time = share, now
            _say(self.console, f"{done} of {total} utterances, {words}")


@contextmanager
def _progress(console: Console) -> Iterator[_Told]:
    if not console.is_terminal:
        yield _Told(console, None, last_time=time.monotonic())
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, TextColumn("{task.fields[audio]}"), console=console, transient=True) as bar:
        yield _Told(console, bar)


def _conclude(console: Console, facts: "PackedFacts", out: str) -> None:
    _say(
        console,
        f"{facts.num_utterances} utterances of {facts.num_speakers} speakers, {facts.hours:.2f} hours at "
        f"{facts.sample_rate} Hz, fingerprint {facts.fingerprint[:12]}",
    )
    if facts.num_rejected:
        _say(console, f"{facts.num_rejected} left out: {os.path.join(out, 'rejected.arrow')} says why")
    lists = [name for name in facts.files if name.startswith("trials/")]
    for name in lists:
        _say(console, f'in a study: trials = "{os.path.join(out, name)}"')
    _say(console, f'in a study: train = "{out}"')


def _console() -> Console:
    is_terminal = sys.stdout.isatty()
    return Console(width=None if is_terminal else 120, force_terminal=is_terminal or None)


def _say(console: Console, line: str) -> None:
    console.print(line, highlight=False, markup=False, soft_wrap=True)
