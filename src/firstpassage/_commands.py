"""The commands of configured runs: config, simulate, run, sweep."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from firstpassage import _console, _lock
from firstpassage._terminal import AnyModel, Force, Into, Json, Method, OwnModel, Seed, one_model, print_json
from firstpassage.errors import ModelError

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
    into: Annotated[
        Path,
        typer.Option(
            "--into", help="A .npz file, or .parquet for one trial of single numbers; or a folder, for a pool of files."
        ),
    ],
    model: AnyModel = None,
    own: OwnModel = None,
    configuration: Annotated[
        Path | None, typer.Option("--config", metavar="FILE", help="Take model, bounds and settings from a YAML file.")
    ] = None,
    trials: Annotated[int, typer.Option(help="Of each parameter set.")] = 1,
    seed: Seed = 1,
    append: Annotated[
        bool, typer.Option("--append", help="Add to a file of the same model; a pool grows by a larger --n.")
    ] = False,
    shard_size: Annotated[
        int | None,
        typer.Option(help="Write a pool, a folder of files with so many rows each.  [default: 100000, up to 16 MB]"),
    ] = None,
    workers: Annotated[int, typer.Option(help="Processes that write a pool.")] = 1,
    as_json: Json = False,
) -> None:
    """Write parameters and simulated data, to train from: --simulations, or simulations in a YAML.

    A path without an ending is a folder, for a pool that need not fit into memory: the same command again goes on where
    it was stopped, a larger --n adds rows, and the command in several terminals at once shares the work.
    """
    from firstpassage import pipeline

    if configuration is not None:
        made = pipeline.prepare(pipeline.RunConfig(file=configuration, simulations=None)).model
    else:
        made = pipeline.model(one_model(model, own))
    told: dict[str, Any] = {"n": n, "trials": trials, "seed": seed, "into": into}
    with _console.simulating() as progress:
        if shard_size is not None or workers != 1 or not into.suffix or into.is_dir():
            found = _pool(made, append=append, shard=shard_size, workers=workers, progress=progress, **told)
        else:
            path = pipeline.simulate(made, append=append, progress=progress, **told)
            table: Any = pipeline.simulations(path)
            found = {"path": str(path), "rows": len(next(iter(table.values())))}
    if as_json:
        print_json(**found)
        return
    typer.echo(f"{found['rows']:,} simulations of {made.name}, {trials} trial{'s' if trials > 1 else ''} each")
    typer.echo(found["path"])


def _pool(model: Any, *, append: bool, **told: Any) -> dict[str, Any]:
    """Write a pool, and say where and how much."""
    from firstpassage import pipeline

    if append:
        raise ModelError("--append adds to one file; got a folder. Leave it out: a larger --n makes a pool grow.")
    pool = pipeline.pool(model, **told)
    return {"path": str(pool.path), "rows": pool.rows, "shards": len(pool.shards)}


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


def sweep(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="YAML of base (settings), grid (setting: values), runs (a list).")
    ],
    into: Into,
    scheduler: Annotated[
        str | None, typer.Option(metavar="tcp://HOST:8786", help="A Dask scheduler whose workers share this folder.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="On this machine, of one thread each.  [default: one for each core]")
    ] = None,
    threads: Annotated[
        bool, typer.Option("--threads/--processes", help="Whether these are threads of this process or processes.")
    ] = False,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Run again what failed before.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Run everything from the start.")] = False,
    as_json: Json = False,
) -> None:
    """Run many configurations, a folder each, and compare them in one table and one figure.

    In FILE, base has settings as of: firstpassage run; grid has a list of values for each setting that varies, such as
    optimiser.batch: [64, 128], and all combinations are run; runs has a list of settings that belong together, and each
    of them is run at every point of the grid. The same command again goes on where it stopped: what is done is not
    repeated, what failed only by --retry-failed. Exit code 1 if a run failed.
    """
    try:
        with _lock.alone(into), _console.sweeping() as progress:
            from firstpassage import pipeline

            made = pipeline.sweep(
                file, into=into, scheduler=scheduler, workers=workers, threads=threads, force=force,
                retry_failed=retry_failed, progress=progress,
            )  # fmt: skip
    except KeyboardInterrupt:
        typer.echo("stopped; the same command goes on from there", err=True)
        raise typer.Exit(130) from None
    _show_sweep(made, as_json=as_json)
    if not made.ok:
        raise typer.Exit(1)


def _show_sweep(made: Any, *, as_json: bool) -> None:
    """Print failures, the verdict, where table and figure are, and last the folder."""
    figure = None if made.figure is None else str(made.figure)
    files = {"summary": str(made.path / "sweep_summary.csv"), "figure": figure}
    if as_json:
        print_json(path=str(made.path), ok=made.ok, verdict=made.verdict, begun=made.begun, **files, rows=made.rows)
        return
    for text in made.failures:
        typer.echo(f"failed: {text}")
    typer.echo(made.verdict)
    for name, path in files.items():
        typer.echo(f"{name}: {path or 'none, as no run is done'}")
    typer.echo(str(made.path))
