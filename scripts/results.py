"""Write the results in README.md and docs/results.md from the shipped audits and the stored benchmarks.

    python scripts/results.py [--check]

The audits are the cards of the shipped bundles (firstpassage check), the benchmarks are benchmarks/results/*.json. With
--check nothing is written, and the exit code tells whether both are up to date.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import pymc_results
import results_overview

ROOT = Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- results: written by scripts/results.py, not by hand -->", "<!-- end of results -->"
SHELF = ROOT / "src" / "firstpassage" / "estimators" / "pretrained"
KINDS = ("npe", "nle", "nre")
NAMES = {"npe": "NPE", "nle": "NLE", "nre": "NRE", "nle-window": "NLE on statistics"}
MICE = ("npe", "nle", "nle-window", "nre")
NEURON = ("npe", "nre")
_CONVERGED = 1.05  # R-hat up to which chains may be believed


def main() -> None:
    """Write the results of README and documentation, or check them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    for path, written in {ROOT / "README.md": overview(), ROOT / "docs" / "results.md": block()}.items():
        text = path.read_text()
        head, rest = text.split(BEGIN)
        wanted = f"{head}{BEGIN}\n{written}\n{END}{rest.split(END)[1]}"
        if check and wanted != text:
            sys.exit(f"{path.relative_to(ROOT)} is not what scripts/results.py writes. Run it.")
        if not check:
            path.write_text(wanted)


def overview() -> str:
    """Put the short tables together."""
    return "\n\n".join(["", *results_overview.parts(), ""]).strip("\n") + "\n"


def block() -> str:
    """Put the tables together."""
    return (
        "\n\n".join(["", accuracy(), foraging(), *neuron(), *speed(), *pymc_results.parts(_stored), ""]).strip("\n")
        + "\n"
    )


def accuracy() -> str:
    """Tabulate the audits of the shipped estimators."""
    audits = {kind: json.loads((SHELF / f"ddm-{kind}-audit.json").read_text()) for kind in KINDS}
    lines = [
        "The shipped estimators of the drift-diffusion model against the exact likelihood, on data sets simulated from",
        "the reference priors: shifts of the posterior mean in exact posterior standard deviations, C2ST the accuracy",
        "of a classifier that is to tell the two posteriors apart (.5: it cannot). NRE and NLE under the reference",
        "priors, NPE under the uniform prior that it was trained with; the floor is a second exact run.",
        "",
        "| estimator | trials | data sets | mean shift (floor) | worst shift | sd ratio | C2ST (floor) |",
        "|---|---|---|---|---|---|---|",
        *(row for kind, audit in audits.items() for row in _rows(kind, audit)),
        "",
        "Training and calibration (`firstpassage check`; each card lies beside its bundle, in",
        "src/firstpassage/estimators/pretrained):",
        "",
        "| estimator | trained on | CPU minutes | 90 % intervals hold the truth | audit |",
        "|---|---|---|---|---|",
        *(_training(kind, audit) for kind, audit in audits.items()),
        "",
        *(f"{NAMES[kind]}: {audit['items'][name]['words']}" for kind, name, audit in _notes(audits)),
    ]
    return "\n".join(lines)


def foraging() -> str:
    """Tabulate the audits of the shipped estimators of the foraging model."""
    audits = {kind: json.loads((SHELF / f"foraging-{kind}-audit.json").read_text()) for kind in MICE}
    lines = [
        "The shipped estimators of the foraging model against the exact likelihood, on windows of 100 sites simulated",
        "from the uniform prior: NPE on raw windows, NLE (a hazard network) and NRE on visits to patches, and NLE on",
        "the 23 of the 37 published statistics that are no functions of others, which lose information. The columns",
        "are those above.",
        "",
        "| estimator | windows | data sets | mean shift (floor) | worst shift | sd ratio | C2ST (floor) |",
        "|---|---|---|---|---|---|---|",
        *(row for kind, audit in audits.items() for row in _rows(kind, audit)),
        "",
        "| estimator | trained on | CPU minutes | 90 % intervals hold the truth | audit |",
        "|---|---|---|---|---|",
        *(_training(kind, audit, what="windows") for kind, audit in audits.items()),
        "",
        *(f"{NAMES[kind]}: {audit['items'][name]['words']}" for kind, name, audit in _notes(audits)),
    ]
    return "\n".join(lines)


def neuron() -> list[str]:
    """Tabulate the audits of those estimators of the integrate-and-fire neuron that ship."""
    paths = {kind: SHELF / f"lif-{kind}-audit.json" for kind in NEURON}
    audits = {kind: json.loads(path.read_text()) for kind, path in paths.items() if path.exists()}
    if not audits:
        return []
    lines = [
        "The shipped estimators of the integrate-and-fire neuron against the exact likelihood, on traces of 200 ms",
        "simulated from the joint prior. The columns are those above.",
        "",
        "| estimator | traces | data sets | mean shift (floor) | worst shift | sd ratio | C2ST (floor) |",
        "|---|---|---|---|---|---|---|",
        *(row for kind, audit in audits.items() for row in _rows(kind, audit)),
        "",
        "| estimator | trained on | CPU minutes | 90 % intervals hold the truth | audit |",
        "|---|---|---|---|---|",
        *(_training(kind, audit, what="traces") for kind, audit in audits.items()),
        "",
        *(_medians(kind, audit) for kind, audit in audits.items()),
        *(f"{NAMES[kind]}: {audit['items'][name]['words']}" for kind, name, audit in _notes(audits)),
    ]
    return ["\n".join(lines)]


def _medians(kind: str, audit: dict[str, Any]) -> str:
    """Tell the median sd ratio of each parameter."""
    found = audit["items"]["exact n=1"]["numbers"]["sd_ratio_medians"]
    told = ", ".join(f"{name} {ratio:.2f}" for name, ratio in found.items())
    return f"{NAMES[kind]}: median sd ratio of each parameter: {told}."


def _rows(kind: str, audit: dict[str, Any]) -> list[str]:
    """Write one row for each number of trials."""
    rows = []
    for name, item in audit["items"].items():
        if name.startswith("exact n="):
            ours, floor = item["numbers"]["learned"], item["numbers"]["floor"]
            size = name.removeprefix("exact n=")
            rows.append(
                f"| {NAMES[kind]} | {size} | {len(item['numbers']['trials'])} "
                f"| {ours['shift_mean']:.3f} ({floor['shift_mean']:.3f}) "
                f"| {ours['shift_worst']:.2f} | {ours['sd_ratio_mean']:.3f} "
                f"| {ours['c2st_mean']:.3f} ({floor['c2st_mean']:.3f}) |"
            )
    return rows


def _training(kind: str, audit: dict[str, Any], *, what: str | None = None) -> str:
    """Write what an estimator cost, and how its intervals cover on average over the parameters."""
    card, what = audit["estimator"], what or ("data sets" if kind == "npe" else "trials")
    shares = [
        f"{item['numbers']['mean'][item['numbers']['levels'].index(0.9)]:.1%}"
        for name, item in audit["items"].items()
        if name.startswith("coverage")
    ]
    passed = sum(item["state"] == "passed" for item in audit["items"].values())
    return (
        f"| {NAMES[kind]} | {_millions(card['pairs'])} million simulated {what} | {card['cpu_seconds'] / 60:.0f} "
        f"| {', '.join(shares)} | {'short: ' if audit['fast'] else ''}{passed} of {len(audit['items'])} items passed |"
    )


def _millions(pairs: int) -> str:
    """Write millions with two digits."""
    return f"{pairs / 1e6:.0f}" if pairs >= 9.5e6 else f"{pairs / 1e6:.1f}"


def _notes(audits: dict[str, Any]) -> list[tuple[str, str, Any]]:
    """List the items that are told in words."""
    names = ("normalisation", "correction", "misspecification")
    return [(kind, name, audit) for kind, audit in audits.items() for name in names if name in audit["items"]]


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
    written = {
        "foraging_simulator": _foraging, "foraging_likelihood": _moments, "foraging_session": _session,
        "foraging_hierarchy": _hierarchy, "lif_simulator": _traces, "lif_likelihood": _filter, "lif_npe": _networks,
        "lif_cells": _cells,
        "break_even": _break_even,
        "npe_summaries": _summaries,
    }  # fmt: skip
    for name, write in written.items():
        record = _stored(name)
        parts += [write(record)] if record else []
    return parts


def _foraging(record: dict[str, Any]) -> str:
    """Tell the speed of the foraging simulator."""
    rates = record["windows_per_cpu_second"]
    ours, plain = rates["windows_with_statistics"], rates["plain_with_statistics"]
    return (
        f"Foraging: {ours:,.0f} windows of 100 sites per CPU second with their 37 statistics, {ours / plain:.0f} times "
        "a plain vectorised loop with a burn-in of 100 sites."
    )


def _traces(record: dict[str, Any]) -> str:
    """Tell the speed of the neuron's simulator."""
    rate = record["traces_per_cpu_second"]["simulator"]
    return (
        f"Neuron: {rate:,.0f} traces of 200 ms per CPU second, {record['ratio_to_plain']:.0f} times a plain loop over "
        f"time in NumPy and {record['ratio_to_plain_floats']:.0f} times one in plain Python numbers."
    )


def _filter(record: dict[str, Any]) -> str:
    """Tell what the exact likelihood of a trace costs, and its posterior."""
    each, found = record["milliseconds_each"], record["posterior"]
    return (
        f"Exact likelihood of a trace: {each['exact value in numba at the posterior']:.2f} ms, moment matching "
        f"{each['moments value in numba at the posterior']:.2f} ms; with gradient, in JAX, "
        f"{each['exact gradient']:.1f} and {each['moments gradient']:.1f} ms. Exact posterior of a trace, after "
        f"compilation: {found['cpu_seconds_median']:.1f} CPU seconds in the median of {record['design']['traces']} "
        f"traces, {found['cpu_seconds_largest']:.1f} at most, for {found['effective_median']:,.0f} effective draws "
        f"({found['effective_least']:,.0f} at least); largest Pareto k {found['pareto_k_largest']:.2f}."
    )


def _networks(record: dict[str, Any]) -> str:
    """Tabulate the amortized posteriors of the neuron, beside the reference configuration."""
    names = {
        "floor": "second exact run", "ours": "NPE", "ours_corrected": "NPE, corrected",
        "reference": "reference configuration",
    }  # fmt: skip
    lines = [
        f"Amortized posteriors of the neuron against the exact one, {record['design']['traces']} fresh traces, by the "
        "benchmark that also trains the reference configuration (BayesFlow's TimeSeriesNetwork, affine coupling flow):",
        "",
        "| posterior | CPU minutes of training | mean shift | worst | median sd ratios | C2ST |",
        "|---|---|---|---|---|---|",
    ]
    for name, words in names.items():
        if name in record:
            found = record[name]
            minutes = f"{found['card']['cpu_seconds'] / 60:.0f}" if "card" in found else ""
            ratios = found["sd_ratio_medians"].values()
            lines.append(
                f"| {words} | {minutes} | {found['shift_mean']:.3f} | {found['shift_worst']:.2f} "
                f"| {min(ratios):.2f} to {max(ratios):.2f} | {found['c2st_mean']:.3f} |"
            )
    ranked = record["calibration"]
    failed = ", ".join(ranked["sbc_failed"]) or "none"
    return "\n".join(lines) + (
        f"\n\nOf {ranked['draws']:,} draws of NPE for fresh traces {ranked['outside_the_support']:,} lie outside the "
        f"prior's support; parameters that fail SBC: {failed}. Pareto k of the correction is below .7 for "
        f"{record['ours_corrected']['pareto_k_below_0.7']:.0%} of the traces."
    )


def _moments(record: dict[str, Any]) -> str:
    """Tell what the exact likelihood of a window costs, and its posterior."""
    ratio, found = record["filter_over_moments"], record["posterior"]
    return (
        f"Moment matching is {ratio['value']:.0f} times cheaper than the exact filter, {ratio['gradient']:.0f} times "
        f"with gradient. Exact posterior of a window of {record['design']['sites']} sites by way of it: "
        f"{found['cpu_seconds_median']:.2f} CPU seconds in the median for {found['effective_median']:,.0f} effective "
        f"draws, after compilation; largest Pareto k {found['pareto_k_largest']:.2f}."
    )


def _session(record: dict[str, Any]) -> str:
    """Tell what a PyMC model of visits costs, corrected and learned."""
    design, corrected, learned = record["design"], record["corrected"], record["learned"]
    return (
        f"PyMC, {design['patches']:,} patches with an odour regression: {corrected['seconds']['wall']:.0f} s by "
        f"moments and correction by the filter (Pareto k {corrected['pareto_k']:.2f}, efficiency "
        f"{corrected['efficiency']:.0%}), {learned['seconds']['wall']:.0f} s by the learned likelihood, compilation "
        f"included; divergences {_share(record['approximate'])} and {_share(learned)}; largest distance of the two "
        f"means {record['largest']['distance']:.2f} sd, of a mean from the truth "
        f"{max(record['largest']['z_corrected'], record['largest']['z_learned']):.1f} sd."
    )


def _hierarchy(record: dict[str, Any]) -> str:
    """Tell what a hierarchical PyMC model of mice costs: exact by two ways, and learned."""
    design, far = record["design"], record["largest"]
    moments, learned, both = record["corrected"], record["learned"], record["learned_corrected"]
    return (
        f"PyMC, a hierarchy of {design['mice']} mice with {design['patches_each']} patches each: "
        f"{moments['seconds']['cpu'] / 60:.0f} CPU minutes by moments and correction by the filter "
        f"({_weighed(moments)}), {learned['seconds']['cpu'] / 60:.0f} by the learned likelihood (R-hat "
        f"{learned['max_rhat']:.3f}, smallest ESS {learned['min_bulk_ess']:.0f}), "
        f"{both['seconds']['cpu'] / 60:.0f} if that is corrected, too ({_weighed(both)}); divergences "
        f"{_share(record['approximate'])} and {_share(learned)}. Largest distance of a mean from that of the first: "
        f"learned {far['distance_learned']:.2f} sd, corrected {far['distance_learned_corrected']:.2f} sd; from what "
        f"the mice are, {far['z_corrected']:.1f}, {far['z_learned']:.1f} and {far['z_learned_corrected']:.1f} sd."
    )


def _cells(record: dict[str, Any]) -> str:
    """Tell what a hierarchical PyMC model of cells costs: corrected, and learned."""
    design, far, start = record["design"], record["largest"], record["start"]
    weighed, learned = record["corrected"], record["learned"]
    apart = max(record[name]["max_rhat"] for name in ("approximate", "corrected", "learned")) > _CONVERGED
    return (
        f"PyMC, a hierarchy of {design['cells']} cells with {design['traces_each']} traces each, thresholds from a "
        f"group, all else of each cell's own: {weighed['seconds']['cpu'] / 60:.0f} CPU minutes by moments and "
        f"correction by the filter ({_weighed(weighed)}), {learned['seconds']['cpu'] / 60:.0f} by the learned ratio "
        f"(R-hat {learned['max_rhat']:.3f}, smallest ESS {learned['min_bulk_ess']:.0f}); divergences "
        f"{_share(record['approximate'])} and {_share(learned)}. Largest distance of the two means "
        f"{far['distance']:.2f} sd; from the truth {far['z_corrected']:.1f} and {far['z_learned']:.1f} sd. Sampling "
        f"starts {abs(start['below_the_truth']):,.0f} nats {'above' if start['below_the_truth'] < 0 else 'below'} the "
        f"truth, where the middle of the priors lies {start['middle_below_the_truth']:,.0f} below."
        + (" By R-hat these chains were too short, so that the distances are rough." if apart else "")
    )


def _weighed(found: dict[str, Any]) -> str:
    """Say what weights left of the draws."""
    return (
        f"Pareto k {found['pareto_k']:.2f}, efficiency {found['efficiency']:.0%}, smallest ESS "
        f"{found['min_bulk_ess']:.0f}, R-hat {found['max_rhat']:.3f}"
    )


def _share(found: dict[str, Any]) -> str:
    """Write the share of divergences."""
    return f"{100 * found['divergent_share']:.2f} %"


def _break_even(record: dict[str, Any]) -> str:
    """Tell the seconds of each method, and the rate of the amortized posterior."""
    found, design = record["methods"], record["design"]
    each = ", ".join(f"{NAMES.get(name, name)} {one['each']:.2f}" for name, one in found.items())
    rate = found["npe"]["sets_x_1000_draws_per_minute_wall"]
    return (
        f"CPU seconds for each further data set of {design['trials']} trials, 4,000 draws, after compilation: {each}. "
        f"NPE, 1,000 draws each: {rate:,} data sets per minute."
    )


def _summaries(record: dict[str, Any]) -> str:
    """Tell what the summaries of NPE cost, and how far each gets in the same seconds."""
    found, names = record["summaries"], {"moments": "statistics", "deepset": "deep set", "bayesflow": "BayesFlow's own"}
    told = ", ".join(
        f"{names[name]} {one['steps_per_cpu_second']:g} steps per CPU second, held-out loss {one['held_out_loss']:.2f}"
        for name, one in found.items()
    )
    return f"Summaries for NPE ({record['design']['seconds']:g} CPU seconds of training each): {told}."


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
