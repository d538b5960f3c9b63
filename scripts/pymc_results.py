"""What README says of probabilistic programs: teaching models, hierarchies, samplers, HSSM, ssm-simulators.

Used by results.py, from benchmarks/results/*.json.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Record = dict[str, Any]
NAMES = {"exact": "exact", "nle": "shipped NLE", "nre": "shipped NRE", "analytic": "HSSM's analytic"}


def parts(stored: Callable[[str], Record | None]) -> list[str]:
    """Write what there is."""
    written = {
        "teaching": teaching, "hierarchical_ddm": hierarchy, "samplers": samplers, "hssm_bridge": hssm,
        "ssms_models": ssms,
    }  # fmt: skip
    found = {name: stored(name) for name in written}
    return [written[name](record) for name, record in found.items() if record]


def teaching(record: Record) -> str:
    """Tell how near the ratios of the teaching models come to the truth."""
    normal, cookies = record["gaussian"], record["cookies"]
    shifts = {name: cookies[name]["verdict"]["largest_shift_sd"]["value"] for name in ("pooled", "unpooled")}
    grouped, moved = cookies["hierarchical"]["verdict"]["largest_shift_sd"]["value"], cookies["shrinkage"]
    return (
        f"Teaching models, ratios beside the true likelihood in PyMC. Fifty normal draws: log ratio less log "
        f"likelihood varies by {normal['landscape']['mean_sd_nats']:.2f} nat (sd over the posterior; "
        f"{normal['landscape']['largest_sd_nats']['value']:.2f} at most, limit "
        f"{normal['landscape']['largest_sd_nats']['limit']}), posterior means lie "
        f"{normal['posterior']['verdict']['largest_shift_sd']['value']:.2f} sd apart at most, in a regression "
        f"{normal['regression']['verdict']['largest_shift_sd']['value']:.2f} (limit .1). Cookies, likelihood of one "
        f"cookie: pooled {shifts['pooled']:.2f}, unpooled {shifts['unpooled']:.2f}, hierarchical {grouped:.2f} sd; the "
        f"factory with five cookies moves by {moved['nre']['moved']['lam[4]']:.2f} chips towards the others (true "
        f"likelihood: {moved['pymc']['moved']['lam[4]']:.2f})."
    )


def hierarchy(record: Record) -> str:
    """Tabulate the hierarchical drift-diffusion model of human choices."""
    design, limits = record["design"], record["limits"]
    lines = [
        f"Hierarchical drift-diffusion model of the choices of Cavanagh et al. (2011), {design['subjects']} subjects, "
        f"{design['trials']:,} trials, drift by condition within subjects (`fp.hierarchical`), {design['sampler']}, "
        f"{design['chains']} chains of {design['tune']} + {design['draws']} on {design['cores']} shared cores; "
        f"distance: largest of the group's means from the exact ones, in sd (limit {limits['distance']}):",
        "",
        "| likelihood | minutes | CPU minutes | largest R-hat | smallest ESS | divergences | distance | corrected |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for kind in ("exact", "nre", "nle"):
        if kind in record:
            found = record[kind]
            judged, seconds = found["convergence"], found["seconds"]
            lines.append(
                f"| {NAMES[kind]} | {seconds['wall'] / 60:.1f} | {seconds['cpu'] / 60:.1f} | {judged['r_hat']:.3f} "
                f"| {min(judged['ess_bulk'], judged['ess_tail'])} | {judged['divergent_share']:.2%} "
                f"| {_largest(found, found)} | {_largest(found.get('corrected', {}), found)} |"
            )
    return "\n".join(lines)


def _largest(compared: Record, found: Record) -> str:
    """Give the largest distance of a mean of the group, if there is one; spreads of groups have no limit."""
    means = [one for name, one in compared.get("distance", {}).items() if name not in found["group_sd"]]
    return f"{max(means):.2f}" if means else ""


def samplers(record: Record) -> str:
    """Tabulate effective draws per second of every sampler."""
    settings = record["settings"]
    lines = [
        f"Samplers, {settings['trials']} trials of the drift-diffusion model, {settings['chains']} chains of "
        f"{settings['tune']} + {settings['draws']}, one run on two shared cores; effective draws per CPU second of "
        "whole calls, with compilation, and of a second call:",
        "",
        "| sampler | exact | exact, second call | shipped NLE | shipped NRE |",
        "|---|---|---|---|---|",
    ]
    results = record["results"]
    for name in dict.fromkeys(case.split(" ", 1)[1] for case in results):
        cells = [_rate(results.get(f"{kind}: {name}"), call) for kind, call in _CALLS]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


_CALLS = (("exact", "first"), ("exact", "again"), ("nle", "first"), ("nre", "first"))


def _rate(found: Record | None, call: str) -> str:
    """Write one rate, or that it failed."""
    if found is None or "failed" in found:
        return "fails" if found else ""
    return f"{found[call]['ess_per_cpu_s']:,.0f}" if call in found else ""


def hssm(record: Record) -> str:
    """Tell how the likelihoods do inside HSSM."""
    told = []
    for kind, against in record["against_analytic"].items():
        most = max(abs(one["in_sd"]) for one in against.values())
        errors = max(abs(one["in_mcse"]) for one in against.values())
        seconds = record["likelihoods"][kind]["cpu_seconds"]
        told.append(f"{NAMES[kind]} {most:.2f} sd ({errors:.1f} Monte Carlo errors), {seconds:.0f} CPU seconds")
    analytic = record["likelihoods"]["analytic"]["cpu_seconds"]
    return (
        f"Inside HSSM, `{record['formula']}` for {record['data'].split(', ', 1)[1]}: means of all parameters from "
        f"those of HSSM's analytic likelihood ({analytic:.0f} CPU seconds) at most {'; '.join(told)}."
    )


def ssms(record: Record) -> str:
    """Tell how many models of ssm-simulators can be used."""
    count = record["count"]
    return (
        f"{record['version']}: {count['works']} of its {count['of']} models can be made by name (`fp.from_ssms`), "
        "simulated reproducibly and fed to NRE, NLE and NPE; the others are refused with the reason."
    )
