"""Run a sweep on a SLURM cluster: every worker is a job of one core, and the folder is one that all nodes share.

    python scripts/sweep_slurm.py sweep.yml --into runs/sweep --jobs 50 --partition normal --hours 4

It starts a Dask scheduler here, asks SLURM for jobs, and takes new ones for those that end early; run it where it may
stay, such as a login node within tmux. Killed or stopped, it goes on when it is started again. --print shows the script
of a job without asking for one. It needs the extra cluster: pip install 'firstpassage[cluster]'.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from dask_jobqueue import SLURMCluster

import firstpassage as fp

PROLOGUE = ["export OMP_NUM_THREADS=1", "export XLA_FLAGS=--xla_cpu_multi_thread_eigen=false", "export MPLBACKEND=Agg"]


def arguments(given: list[str] | None) -> argparse.Namespace:
    """Read what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--into", type=Path, required=True)
    parser.add_argument("--jobs", type=int, default=10)
    parser.add_argument("--partition")
    parser.add_argument("--account")
    parser.add_argument("--hours", type=int, default=4)
    parser.add_argument("--memory", default="4GB")
    parser.add_argument("--print", action="store_true", dest="show")
    return parser.parse_args(given)


def main(given: list[str] | None = None) -> None:
    """Ask for jobs, and run the sweep on them."""
    chosen = arguments(given)
    minutes = 60 * chosen.hours
    cluster = SLURMCluster(
        cores=1, processes=1, memory=chosen.memory, walltime=f"{chosen.hours:02d}:00:00", queue=chosen.partition,
        account=chosen.account, job_name="firstpassage", job_script_prologue=PROLOGUE,
        # A worker that leaves a little before its time is up hands its run over in peace.
        worker_extra_args=["--lifetime", f"{minutes - 5}m", "--lifetime-stagger", "2m"],
        scheduler_options={"dashboard_address": ":0"},
    )  # fmt: skip
    with cluster:
        if chosen.show:
            print(cluster.job_script())
            return
        cluster.adapt(minimum=0, maximum=chosen.jobs)
        found = fp.pipeline.sweep(chosen.file, into=chosen.into, scheduler=cluster.scheduler_address)
    print(found.verdict)
    print(found.path)


if __name__ == "__main__":
    main()
