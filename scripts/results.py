"""Write the table of results in README.md from the shipped audit and the stored benchmarks.

    python scripts/results.py [--check]

The audit is that of the shipped bundle (scripts/audit_ddm_nre.py), the benchmarks are benchmarks/results/*.json. With
--check nothing is written, and the exit code tells whether the README is up to date.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- results: written by scripts/results.py, not by hand -->", "<!-- end of results -->"
BUNDLE = ROOT / "src" / "firstpassage" / "estimators" / "pretrained" / "ddm-nre" / "manifest.json"


def main() -> None:
    """Write the README's results, or check them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    readme = ROOT / "README.md"
    text = readme.read_text()
    head, rest = text.split(BEGIN)
    tail = rest.split(END)[1]
    wanted = f"{head}{BEGIN}\n{block()}\n{END}{tail}"
    if parser.parse_args().check:
        sys.exit(0 if wanted == text else "README.md is not what scripts/results.py writes. Run it.")
    readme.write_text(wanted)


def block() -> str:
    """Put the tables together."""
    return "\n\n".join(["", accuracy(), *speed(), ""]).strip("\n") + "\n"


def accuracy() -> str:
    """Tabulate the audit of the shipped ratio estimator."""
    card = json.loads(BUNDLE.read_text())["card"]
    audit = card["audit"]
    rows = [
        ("shipped NRE against exact", audit["learned"]),
        ("exact against exact (the floor)", audit["floor"]),
    ]
    million, minutes = card["pairs"] / 1e6, card["cpu_seconds"] / 60
    error = audit["sum_error_sd"]["mean"]
    lines = [
        f"Accuracy of the shipped ratio estimator: {audit['datasets']} data sets of {audit['trials']} trials from the",
        "reference priors, NUTS on the learned and on the exact likelihood. Shifts of the posterior mean are in",
        "posterior standard deviations; C2ST is the accuracy of a classifier that is to tell the two posteriors apart",
        "(.5: it cannot).",
        "",
        "| posterior | mean shift | worst shift | sd ratio | C2ST, mean | C2ST, worst |",
        "|---|---|---|---|---|---|",
        *(
            f"| {name} | {r['shift_mean']:.3f} | {r['shift_worst']:.2f} | {r['sd_ratio_mean']:.3f} "
            f"| {r['c2st_mean']:.3f} | {r['c2st_worst']:.3f} |"
            for name, r in rows
        ),
        "",
        f"It was trained on {million:.0f} million simulated trials in {minutes:.0f} CPU minutes. The summed log",
        f"likelihood of {audit['trials']} trials is off by {error:.2f} nats (sd over the posterior).",
    ]
    return "\n".join(lines)


def speed() -> list[str]:
    """Tabulate the stored benchmarks."""
    parts = []
    sampler = _stored("pymc_sampling")
    if sampler:
        parts.append(_sampling(sampler))
    draws = _stored("wiener_sampler")
    if draws:
        rates = draws["trials_per_cpu_second"]
        parts.append(
            f"Simulation: {rates['firstpassage_exact'] / 1e6:.1f} million exact trials per CPU second, "
            f"{draws['ratio_to_per_trial']:,.0f} times ssm-simulators called per trial and "
            f"{draws['ratio_to_vectorised']:,.0f} times ssm-simulators vectorised, which take steps of .001 s."
        )
    return parts


def _sampling(record: dict[str, Any]) -> str:
    """Tabulate effective draws per second in PyMC."""
    names = {
        "exact": "exact",
        "nre": "shipped NRE",
        "hssm": "HSSM's analytic",
        "bare": "BayesFlow's bare wrapper, 3 x 256",
    }
    settings = record["settings"]
    lines = [
        f"NUTS in PyMC, reference set-up (200 trials, {settings['chains']} chains of {settings['tune']} + "
        f"{settings['draws']}), one run on two shared cores; time without compilation:",
        "",
        "| likelihood | sampler | effective draws per CPU second | largest R-hat | divergences |",
        "|---|---|---|---|---|",
    ]
    for case, result in record["results"].items():
        if "skipped" not in result:
            likelihood, sampler = case.split(":")
            lines.append(
                f"| {names[likelihood]} | {sampler} | {result['ess_per_cpu_s']:,.0f} | {result['max_rhat']:.3f} "
                f"| {100 * result['divergent_share']:.2f} % |"
            )
    return "\n".join(lines)


def _stored(name: str) -> dict[str, Any] | None:
    """Read a stored benchmark, if there is one."""
    path = ROOT / "benchmarks" / "results" / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else None


if __name__ == "__main__":
    main()
