"""Draw the figures of the README again.

    python scripts/figures.py [demo] [break-even]

The demo's data are fitted anew, and its two overviews copied into figures/; the break-even figure is drawn from the
stored benchmark (benchmarks/break_even.py). Without arguments all are drawn.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import drawn

from firstpassage import diagnostics, pipeline, plots

STORED = drawn.ROOT / "benchmarks" / "results" / "break_even.json"


def main() -> None:
    """Draw what is asked for."""
    drawn.run({"demo": demo, "break-even": break_even}, about=__doc__)


def demo() -> Iterator[Path]:
    """Run the demo and copy each figure with its numbers."""
    _, overviews = pipeline.demo(into=drawn.RUNS / "demo", force=True)
    for path in overviews:
        for source in (path, path.with_suffix(".json")):
            target = drawn.FIGURES / f"cavanagh-{source.name}"
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
    yield from drawn.written(figure.axes, "break-even", numbers, caption)


if __name__ == "__main__":
    main()
