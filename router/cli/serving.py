"""Servers that a command starts: waited for until they answer, stopped when the command ends."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import IO, Any, Final

from router.errors import ConfigError

GRACE_SECONDS: Final = 30.0
"""For a server to end by itself: vLLM lets the streams that are open run to their end."""
_POLL_SECONDS: Final = 0.1


@contextmanager
def started(
    arguments: Sequence[str],
    *,
    environ: Mapping[str, str] | None = None,
    stdin: int | None = subprocess.DEVNULL,
    stdout: int | IO[Any] | None = None,
    stderr: int | IO[Any] | None = None,
) -> Iterator[subprocess.Popen[str]]:
    """A process in a group of its own, which is ended with all that it started.

    A group of its own, so that Ctrl-C reaches this process alone and the server is asked once.

    Raises:
        ConfigError: it cannot be started.
    """
    try:
        process = subprocess.Popen(  # noqa: S603
            list(arguments),
            env=None if environ is None else dict(environ),
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            text=True,
            start_new_session=True,
        )
    except OSError as error:
        raise ConfigError(f"cannot start {arguments[0]}: {error.strerror}") from None
    try:
        yield process
    finally:
        stop(process)


def stop(process: subprocess.Popen[str], grace: float = GRACE_SECONDS) -> None:
    """Ask a process to end; after `grace` seconds end it and its children. Idempotent."""
    try:
        if process.poll() is None:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(grace)
    finally:  # also when the user will not wait for it
        _kill(process)
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()


def _kill(process: subprocess.Popen[str]) -> None:
    # Workers of a server that is gone would hold its memory, on a GPU above all.
    with contextlib.suppress(OSError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        elif process.poll() is None:
            process.kill()
    process.wait()


def wait_until_healthy(
    process: subprocess.Popen[str], base_url: str, *, seconds: float | None = None
) -> None:
    """Wait until the server answers `GET /health` with 200; None waits as long as it lives.

    Raises:
        ConfigError: it ended, or did not answer in time.
    """
    import httpx

    root = base_url.removesuffix("/v1")
    began = time.monotonic()
    while True:
        if process.poll() is not None:
            raise ConfigError(f"the server ended with exit code {process.returncode}; see above")
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(f"{root}/health", timeout=5.0).status_code == 200:
                return
        if seconds is not None and time.monotonic() - began > seconds:
            raise ConfigError(f"{root}/health did not answer within {seconds:.0f} s")
        time.sleep(_POLL_SECONDS)


@contextmanager
def interruptible() -> Iterator[None]:
    """SIGTERM ends the block as Ctrl-C does, so that what was started is stopped."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
