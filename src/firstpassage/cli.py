"""The command line: fit, train, check, models, doctor, demo; and config, simulate, run, sweep of `_commands`.

Only typer is loaded at the start; every command imports what it needs. Progress and errors go to stderr,
results to stdout. An expected error is one line and exit code 2; a fit that did not converge, or a doctor's
finding, is 1.
"""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from firstpassage import _commands, _console
from firstpassage._terminal import (
    AnyModel,
    Force,
    Into,
    Json,
    Method,
    ModelName,
    OwnModel,
    Seed,
    expected,
    one_model,
    print_json,
    range_of,
)
from firstpassage.errors import DataError

if TYPE_CHECKING:
    from firstpassage.pipeline import FitRun

_MANY = 6  # groups; the tables of more are only in the files

app = typer.Typer(
    help="Bayesian inference, exact and amortized, for models that integrate to a bound.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def main() -> None:
    """Run the command line."""
    app(prog_name="firstpassage")


def _show_version(wanted: bool) -> None:
    """Print the version and end."""
    if wanted:
        try:
            print(metadata.version("firstpassage"))
        except metadata.PackageNotFoundError:
            print("unknown: firstpassage is not installed (pip install -e .)")
        raise typer.Exit


@app.callback()
def _start(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show it and exit.")
    ] = False,
) -> None:
    """Take the options that belong to no command."""
    del version


@app.command()
@expected
def fit(
    model: ModelName,
    table: Annotated[
        Path, typer.Argument(metavar="FILE", help="CSV or parquet, a row for each trial, site or sample; .npy; .npz.")
    ],
    into: Into,
    method: Annotated[
        list[str] | None,
        typer.Option(
            help="npe, nle, nle-window, nre, exact; again for several.  [default: ddm nre; foraging and lif exact]"
        ),
    ] = None,
    columns: Annotated[str, typer.Option(metavar="A=X,B=Y", help="What the file calls the model's columns.")] = "",
    rt: Annotated[str | None, typer.Option(help="Column of response times in seconds.  [default: rt]")] = None,
    response: Annotated[
        str | None, typer.Option(help="Column of responses: +1 upper, -1 lower.  [default: response]")
    ] = None,
    by: Annotated[str, typer.Option(help="Columns, with commas between, that make groups.")] = "",
    unit: Annotated[
        str | None, typer.Option(metavar="cm", help="Of lengths in the file.  [default: the model's, 88.73 cm]")
    ] = None,
    draws: Annotated[int, typer.Option(help="Kept draws of each chain; npe gives draws x chains.")] = 1000,
    tune: Annotated[int, typer.Option(help="Warm-up steps of each chain.")] = 1000,
    chains: Annotated[int, typer.Option(help="Number of chains.")] = 4,
    seed: Seed = 1,
    estimator: Annotated[Path | None, typer.Option(help="A trained folder, for the method of its kind.")] = None,
    prior: Annotated[str, typer.Option(help="box (uniform) or reference (truncated normals; not npe).")] = "box",
    correct: Annotated[bool, typer.Option("--correct", help="Reweight npe by the exact likelihood.")] = False,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Fit a table of trials, group by group, and write draws, tables, figures and a report.

    ddm takes rt and response, one row a trial; its parameter a is HALF the boundary separation (HDDM, Stan and most
    papers use 2 a). foraging takes patch_time, reward, stop, and session and patch if there are such, one row a site,
    or a .npy file of windows (window, site, 3). lif takes time (ms) and voltage (mV), and spikes (0 or 1; detected
    without them) and trace if there are such, one row a sample, or a .npz file of voltage, spikes, time. A trace lasts
    200 ms; another time step is resampled to .2 ms.
    """
    from firstpassage import pipeline

    own = None if estimator is None else str(estimator)
    methods = tuple(method or [pipeline.default_method(model, estimator=own)])
    settings = pipeline.FitSettings(
        model=model, methods=methods, draws=draws, tune=tune, chains=chains, seed=seed, estimator=own, prior=prior,
        correct=correct,
    )  # fmt: skip
    groups = tuple(name.strip() for name in by.split(",") if name.strip())
    with _console.fitting() as progress:
        run = pipeline.fit_table(
            table, settings, into=into, columns=_names(columns, rt=rt, response=response), by=groups, unit=unit,
            force=force, progress=progress,
        )  # fmt: skip
    _show_fits(run, as_json=as_json)


@app.command()
@expected
def demo(into: Into = Path("runs/demo"), force: Force = False, as_json: Json = False) -> None:
    """Fit Cavanagh et al. (2011) by the shipped estimators and by the exact likelihood, side by side."""
    from firstpassage import pipeline

    with _console.fitting() as progress:
        run, drawn = pipeline.demo(into=into, force=force, progress=progress)
    _show_fits(run, as_json=as_json, drawn=drawn)


@app.command()
@expected
def train(
    into: Into,
    model: AnyModel = None,
    own: OwnModel = None,
    budget: Annotated[
        int | None,
        typer.Option(
            help="Simulations: data sets for npe, single trials for nle and nre.  [default: by --simulations]"
        ),
    ] = None,
    method: Method = "nre",
    trials: Annotated[
        str | None,
        typer.Option(metavar="LOW,HIGH", help="Numbers of trials that npe is trained for.  [default: 20,1000, or 1]"),
    ] = None,
    unit: Annotated[
        str | None, typer.Option(help="Of foraging, for nle and nre: patch, or window (nle).  [default: patch]")
    ] = None,
    simulations: Annotated[Path | None, typer.Option(help="A file of simulations to train from.")] = None,
    rounds: Annotated[int, typer.Option(help="Rounds of simulations, towards the data of --observed.")] = 1,
    observed: Annotated[Path | None, typer.Option(help="A file of the data of one subject, for --rounds.")] = None,
    seed: Seed = 1,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Train an estimator; the same command again goes on where it was stopped."""
    from firstpassage import pipeline

    settings = pipeline.TrainSettings(
        model=one_model(model, own), method=method, budget=budget, seed=seed, trials=range_of(trials), unit=unit,
        simulations=None if simulations is None else str(simulations), rounds=rounds,
        observed=None if observed is None else str(observed),
    )  # fmt: skip
    try:
        with _console.training(settings.budget) as progress:
            run = pipeline.train(settings, into=into, force=force, progress=progress)
    except KeyboardInterrupt:
        again = f"firstpassage train {settings.options} --into {into}"
        print(f"stopped; go on after the last full epoch with: {again}", file=sys.stderr)
        raise typer.Exit(130) from None
    last = run.history.iloc[-1]
    if as_json:
        print_json(
            path=str(run.path), verdict=run.verdict, epochs=int(last["epoch"]), simulations=run.simulations,
            validation_loss=float(last["validation_loss"]), seconds=run.seconds,
        )  # fmt: skip
        return
    print(run.verdict)
    print(run.path)


@app.command()
@expected
def check(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A trained folder, or a bundle.")],
    own: OwnModel = None,
    fast: Annotated[
        bool, typer.Option("--fast", help="Fewer data sets: under three minutes, with less power.")
    ] = False,
    into: Annotated[
        Path | None, typer.Option("--into", help="Folder of the card; beside the bundle if not given.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of all simulations; choose one that training has not seen.")] = None,
    as_json: Json = False,
) -> None:
    """Audit a trained estimator against simulations and the exact likelihood; writes audit.json and audit.html.

    The verdicts are kept in the bundle. Exit code 1 if an item failed.
    """
    from firstpassage import pipeline

    chosen: dict[str, Any] = {} if seed is None else {"seed": seed}
    if own is not None:
        chosen["model"] = pipeline.model(own)
    with _console.checking() as progress:
        found, folder = pipeline.check(path, fast=fast, into=into, progress=progress, **chosen)
    if as_json:
        print_json(path=str(folder), **found.summary())
    else:
        for item in found.items:
            print(f"{item.state:10} {item.name}: {item.words}")
        print(found.headline)
        print(f"card: {folder / 'audit.html'}")
        print(folder)
    if not found.ok:
        raise typer.Exit(1)


for _command in (_commands.config, _commands.simulate, _commands.run, _commands.sweep):
    app.command()(expected(_command))


@app.command()
@expected
def models(as_json: Json = False) -> None:
    """List the models, their parameters and the shipped estimators."""
    from firstpassage.estimators.bundle import list_shipped
    from firstpassage.models import registry
    from firstpassage.pipeline._catalogue import MEANINGS

    shipped: dict[str, list[str]] = {}
    for name, kind in list_shipped():
        shipped.setdefault(name, []).append(kind)
    found = [registry.make(name) for name in registry.NAMES]
    if as_json:
        described = {
            m.name: {
                "shipped": shipped.get(m.name, []), "exact": m.exact is not None,
                "parameters": {
                    p.name: {"box": p.bounds, "unit": p.unit, "meaning": MEANINGS[m.name][p.name]}
                    for p in m.parameters
                },
            } for m in found
        }  # fmt: skip
        print_json(models=described)
        return
    for m in found:
        methods = [*(["exact"] if m.exact is not None else []), *shipped.get(m.name, [])]
        table = _console.table("parameter", "box", "unit", "meaning", title=f"{m.name}: fit by {', '.join(methods)}")
        for p in m.parameters:
            low, high = p.bounds
            table.add_row(p.name, f"[{low:g}, {high:g}]", p.unit or "", MEANINGS[m.name][p.name])
        _console.console().print(table)


@app.command()
@expected
def doctor(as_json: Json = False) -> None:
    """Check Python, versions, backend, a known log density, the shipped estimators and the disk."""
    from firstpassage import pipeline

    checks = pipeline.doctor()
    if as_json:
        print_json(
            ok=all(c.ok for c in checks),
            checks=[{"name": c.name, "ok": c.ok, "found": c.found, "remedy": c.remedy} for c in checks],
        )
    else:
        for c in checks:
            print(f"{'ok' if c.ok else 'problem':8} {c.name}: {c.found}" + ("" if c.ok else f". {c.remedy}"))
    if not all(c.ok for c in checks):
        raise typer.Exit(1)


def _names(text: str, **single: str | None) -> dict[str, str]:
    """Read A=X,B=Y, and what single options name."""
    pairs = [pair.partition("=") for pair in text.split(",") if pair.strip()]
    if not all(name.strip() and sign and column.strip() for name, sign, column in pairs):
        raise DataError(f"--columns must be pairs such as patch_time=distance,stop=stayed; got {text!r}.")
    named = {name.strip(): column.strip() for name, _, column in pairs}
    return named | {name: column for name, column in single.items() if column is not None}


def _show_fits(run: FitRun, *, as_json: bool, drawn: list[Path] | None = None) -> None:
    """Print table, verdicts, figures and, last, the path; exit code 1 if a fit is not to be trusted."""
    from firstpassage import pipeline

    if as_json:
        print_json(path=str(run.path), figures=[str(p) for p in drawn or []], **pipeline.metrics(run))
    else:
        if len(pipeline.by_group(run)) <= _MANY:
            _console.console().print(_console.comparison(run))
        for f in run.fits:
            print(f"{f.group.name}, {f.method}: {f.convergence.verdict}")
        for text in [*pipeline.agreement_verdicts(run), *pipeline.predicted_verdicts(run.fits)]:
            print(text)
        for text in run.failures:
            print(f"failed: {text}")
        for path in drawn or []:
            print(f"figure: {path}")
        print(f"report: {run.path / 'report.html'}")
        print(run.path)
    if not run.ok:
        raise typer.Exit(1)


if __name__ == "__main__":
    main()
