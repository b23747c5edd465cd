"""Run the benchmarks: `python -m benchmarks.run [--quick] [name ...]`; a line a comparison, ratios on this machine.

One thread, both forms in turn. `--quick` uses small sizes: it shows that the benchmarks work, not what they measure.
`full_step` takes most of a machine's memory, so it is run only when it is named.
"""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from pathlib import Path

import torch

ONLY_IF_NAMED = "full_step"


def main() -> int:
    """Print the comparisons of the modules named on the command line, or of all of them."""
    names = sorted(path.stem.removeprefix("bench_") for path in Path(__file__).parent.glob("bench_*.py"))
    parser = argparse.ArgumentParser(description="Two forms of one computation, side by side.")
    parser.add_argument("names", nargs="*", help=f"which to run: {', '.join(names)} (default: all but {ONLY_IF_NAMED})")
    parser.add_argument("--quick", action="store_true", help="small sizes")
    parser.add_argument("--speakers", type=int, help=f"the batch of {ONLY_IF_NAMED} (default: the paper's 400)")
    arguments = parser.parse_args()
    unknown = set(arguments.names) - set(names)
    if unknown:
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    torch.set_num_threads(1)
    torch.manual_seed(0)
    for name in arguments.names or [name for name in names if name != ONLY_IF_NAMED]:
        more = {"speakers": arguments.speakers} if name == ONLY_IF_NAMED else {}
        for comparison in import_module(f"benchmarks.bench_{name}").comparisons(arguments.quick, **more):
            print(comparison, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
