"""Draw the figures of the README again: fit the demo's data and copy its two overviews into figures/.

python scripts/figures.py
"""

from __future__ import annotations

import shutil
from pathlib import Path

from firstpassage import pipeline

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    """Run the demo and copy each figure with its numbers."""
    _, drawn = pipeline.demo(into=ROOT / "runs" / "demo", force=True)
    (ROOT / "figures").mkdir(exist_ok=True)
    for path in drawn:
        for source in (path, path.with_suffix(".json")):
            target = ROOT / "figures" / f"cavanagh-{source.name}"
            shutil.copyfile(source, target)
            print(target.relative_to(ROOT))


if __name__ == "__main__":
    main()
