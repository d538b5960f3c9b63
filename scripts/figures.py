"""Draw the figures of the README again.

    python scripts/figures.py [demo] [break-even]

The demo's data are fitted anew, and its two overviews copied into figures/; the break-even figure is drawn from the
stored benchmark (benchmarks/break_even.py). Without arguments all are drawn.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

from firstpassage import diagnostics, pipeline, plots

ROOT = Path(__file__).resolve().parent.parent
FIGURES = ROOT / "figures"
STORED = ROOT / "benchmarks" / "results" / "break_even.json"


def main() -> None:
    """Draw what is asked for, and say what was written."""
    drawers = {"demo": demo, "break-even": break_even}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("figures", nargs="*", help=f"some of {', '.join(drawers)}")
    chosen = parser.parse_args().figures or list(drawers)
    if not set(chosen) <= set(drawers):
        parser.error(f"there are {', '.join(drawers)}; got {' '.join(chosen)}")
    FIGURES.mkdir(exist_ok=True)
    for name in chosen:
        for path in drawers[name]():
            print(path.relative_to(ROOT))


def demo() -> Iterator[Path]:
    """Run the demo and copy each figure with its numbers."""
    _, drawn = pipeline.demo(into=ROOT / "runs" / "demo", force=True)
    for path in drawn:
        for source in (path, path.with_suffix(".json")):
            target = FIGURES / f"cavanagh-{source.name}"
            shutil.copyfile(source, target)
            yield target


def break_even() -> Iterator[Path]:
    """Draw total CPU seconds against the number of data sets, from the stored benchmark."""
    stored = json.loads(STORED.read_text())
    design = stored["design"]
    costs = {
        name: diagnostics.Cost(training=found["training"], each=found["each"])
        for name, found in stored["methods"].items()
    }
    caption = (
        f"CPU seconds of training and fitting, drift-diffusion model, {design['trials']} trials a data set; the cost "
        f"of a data set is the average over n = {design['datasets']}, seed {design['seed']}: NUTS with "
        f"{design['chains']} chains of {design['tune']} + {design['draws']}, or 4,000 draws of the amortized "
        "posterior; compilation is not counted. Rings: two methods cost the same."
    )
    figure = plots.break_even(costs).figure
    numbers = plots.numbers(diagnostics.break_even(costs)) | {"design": design}
    target = plots.save(figure, FIGURES / "break-even.png", numbers=numbers, caption=caption)
    yield from (target, target.with_suffix(".json"))


if __name__ == "__main__":
    main()
