"""The commands of configured runs: config, simulate, run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from firstpassage import _console
from firstpassage._terminal import AnyModel, Force, Json, Method, OwnModel, Seed, one_model, print_json

_HEAD = """\
# All settings of: firstpassage run FILE
# Each can be left out. An environment variable goes before this file: FIRSTPASSAGE_BUDGET=50000, or
# FIRSTPASSAGE_SAMPLER__DRAWS=500 for draws of the section sampler.
"""


def config(
    model: AnyModel = None,
    own: OwnModel = None,
    method: Method = "nre",
) -> None:
    """Print all settings of a run as YAML, with their meanings and ranges: firstpassage config ddm > run.yml."""
    from firstpassage import pipeline

    chosen: dict[str, Any] = {"model": {"name": one_model(model, own)}, "method": method}
    typer.echo(_HEAD + pipeline.prepare(pipeline.RunConfig(**chosen)).config.text(), nl=False)


def simulate(
    n: Annotated[int, typer.Option(help="Parameter sets, drawn from the prior.")],
    into: Annotated[Path, typer.Option("--into", help="A .npz file, or .parquet for one trial of single numbers.")],
    model: AnyModel = None,
    own: OwnModel = None,
    configuration: Annotated[
        Path | None, typer.Option("--config", metavar="FILE", help="Take model, bounds and settings from a YAML file.")
    ] = None,
    trials: Annotated[int, typer.Option(help="Of each parameter set.")] = 1,
    seed: Seed = 1,
    append: Annotated[bool, typer.Option("--append", help="Add to a file of the same model.")] = False,
    as_json: Json = False,
) -> None:
    """Write parameters and simulated data into one file, to train from: --simulations, or simulations in a YAML."""
    from firstpassage import pipeline

    if configuration is not None:
        made = pipeline.prepare(pipeline.RunConfig(file=configuration, simulations=None)).model
    else:
        made = pipeline.model(one_model(model, own))
    with _console.simulating() as progress:
        path = pipeline.simulate(made, n=n, trials=trials, seed=seed, into=into, append=append, progress=progress)
    rows = len(next(iter(pipeline.simulations(path).values())))
    if as_json:
        print_json(path=str(path), rows=rows)
        return
    typer.echo(f"{rows:,} simulations of {made.name}, {trials} trial{'s' if trials > 1 else ''} each")
    typer.echo(str(path))


def run(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="YAML; see: firstpassage config")],
    own: OwnModel = None,
    seed: Annotated[int | None, typer.Option(help="Instead of that of the file.")] = None,
    into: Annotated[Path | None, typer.Option("--into", help="Folder, instead of that of the file.")] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Simulate, train, infer, validate and save, as a file says; the same command again goes on where it stopped.

    A finished run is not repeated, unless by --force. Exit code 1 if the posterior draws may not be used.
    """
    from firstpassage import pipeline

    given: dict[str, Any] = {} if seed is None else {"seed": seed}
    settings = pipeline.RunConfig(file=file, **given)
    if own is not None:  # which has its own bounds
        settings = settings.model_copy(update={"model": type(settings.model)(name=own, bounds={}, settings={})})
    try:
        with _console.running() as progress:
            made = pipeline.run(settings, into=into, force=force, progress=progress)
    except KeyboardInterrupt:
        typer.echo("stopped; the same command goes on from there", err=True)
        raise typer.Exit(130) from None
    if as_json:
        print_json(path=str(made.path), repeated=made.repeated, **made.metrics)
    else:
        for text in made.verdicts if made.repeated else ["finished before, not repeated (--force)", *made.verdicts]:
            typer.echo(text)
        typer.echo(str(made.path))
    if not made.ok:
        raise typer.Exit(1)
