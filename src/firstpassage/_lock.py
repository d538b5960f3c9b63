"""A lock on one folder, which the operating system drops when its process ends, however it ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from firstpassage.errors import ArtefactError

NAME = ".sweep.lock"


@contextmanager
def alone(folder: str | Path) -> Iterator[None]:
    """Hold a folder for this process; the same thread may hold it again within.

    Parameters
    ----------
    folder : str or Path
        Made if missing, and removed again if it is still empty at the end.

    Raises
    ------
    ArtefactError
        If another process holds it, or it cannot be made.

    Examples
    --------
    >>> import tempfile
    >>> with alone(tempfile.mkdtemp()):
    ...     pass
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise ArtefactError(f"{folder} is a file; the output must be a folder. Choose another path.")
    fresh = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock((folder / NAME).resolve(), is_singleton=True)
        lock.acquire(timeout=0)
    except Timeout:
        raise ArtefactError(f"another process is writing {folder}. Wait for it, or choose another folder.") from None
    except OSError as error:
        raise ArtefactError(f"cannot write into {folder}: {error.strerror}. Choose another folder.") from error
    try:
        yield
    finally:
        if lock.lock_counter == 1:
            (folder / NAME).unlink(missing_ok=True)
        lock.release()
        if fresh:
            with suppress(OSError):
                folder.rmdir()
