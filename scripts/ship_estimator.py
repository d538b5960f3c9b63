"""Put an audited estimator, with its card, into the package.

    python scripts/ship_estimator.py runs/ddm-npe

The folder holds a bundle and the audit.json and audit.html that `firstpassage check` wrote beside it. An audit with an
item that was not tested is refused; a short one is shipped only with --short, and says so in its headline; a failed one
only with --failed, and warns when loaded.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path

import firstpassage as fp
from firstpassage.estimators import bundle


def main() -> None:
    """Check the card, and copy."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--failed", action="store_true")
    arguments = parser.parse_args()
    audit = json.loads((arguments.folder / "audit.json").read_text())
    untested = [name for name, item in audit["items"].items() if item["state"] == "not tested"]
    if untested or (audit["fast"] and not arguments.short) or not (audit["ok"] or arguments.failed):
        sys.exit(f"not shipped: {audit['headline']} Not tested: {', '.join(untested) or 'none'}.")
    learned = fp.load(arguments.folder)
    if learned.card["audit"]["headline"] != audit["headline"]:
        sys.exit("not shipped: audit.json is not that of the bundle. Run firstpassage check.")
    name = f"{learned.model}-{bundle.method(learned)}"
    print(fp.save(learned, bundle.shelf() / name, overwrite=True))
    for suffix in (".json", ".html"):
        print(shutil.copy(arguments.folder / f"audit{suffix}", bundle.shelf() / f"{name}-audit{suffix}"))


if __name__ == "__main__":
    main()
