"""Servers that a command starts: waited for until they answer, stopped when the command ends."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import IO, Any, Final

from router.errors import ConfigError

GRACE_SECONDS: Final = 30.0
"""For a server to end by itself: vLLM lets the streams that are open run to their end."""
_POLL_SECONDS: Final = 0.1
_PDEATHSIG: Final = 1  # PR_SET_PDEATHSIG of linux/prctl.h
_OURS: Final = False
"""Whether certificates are checked: the server is our own child, with whatever its user has."""


@contextmanager
def started(
    arguments: Sequence[str],
    *,
    environ: Mapping[str, str] | None = None,
    stdin: int | None = subprocess.DEVNULL,
    stdout: int | IO[Any] | None = None,
    stderr: int | IO[Any] | None = None,
    ends_with_us: bool = False,
) -> Iterator[subprocess.Popen[str]]:
    """A process in a group of its own, which is ended with all that it started.

    A group of its own, so that Ctrl-C reaches this process alone and the server is asked once.
    With `ends_with_us` it is asked to end even where this process is killed: on Linux, and where
    this process has one thread.

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
            preexec_fn=_dies_with(os.getpid()) if ends_with_us else None,  # noqa: PLW1509
        )
    except OSError as error:
        raise ConfigError(f"cannot start {arguments[0]}: {error.strerror}") from None
    try:
        yield process
    finally:
        stop(process)


def _dies_with(parent: int) -> Callable[[], None] | None:
    """What a child runs before its program, so that it is ended when its parent is gone."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl  # found here: after the fork nothing is to be loaded

    def ask() -> None:
        prctl(_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return ask


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
            if httpx.get(f"{root}/health", timeout=5.0, verify=_OURS).status_code == 200:
                return
        if seconds is not None and time.monotonic() - began > seconds:
            raise ConfigError(f"{root}/health did not answer within {seconds:.0f} s")
        time.sleep(_POLL_SECONDS)


def require_free(host: str, port: int) -> None:
    """See that a server can listen there: else whoever does already would be taken for it.

    Raises:
        ConfigError: something listens there, or nothing can.
    """
    try:
        family, kind, _, _, at = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind) as probe:
            if os.name == "posix":  # as servers do: a port whose connections just ended is free
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(at)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise ConfigError(
                f"port {port} of {host or 'this machine'} is in use: stop what listens there, or "
                "name another with --port"
            ) from None
        raise ConfigError(f"cannot listen at {host}, port {port}: {error.strerror}") from None


def require_serves(
    process: subprocess.Popen[str], base_url: str, name: str, key: str | None
) -> None:
    """See that the one who answers is the server that was started: it lives, and serves `name`.

    Raises:
        ConfigError: it ended, wants another key, or serves something else.
    """
    import httpx

    from router.transports.discovery import read_models

    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        answer = httpx.get(f"{base_url}/models", headers=headers, timeout=30.0, verify=_OURS)
        served = read_models(answer.json()) if answer.status_code == 200 else {}
    except (httpx.HTTPError, ValueError, LookupError, TypeError, AttributeError):
        raise ConfigError(f"{base_url}/models gives no list of models") from None
    if process.poll() is not None:
        raise ConfigError(f"the server ended with exit code {process.returncode}; see above")
    if answer.status_code in {401, 403}:
        raise ConfigError(f"{base_url} wants a key: export VLLM_API_KEY, or -- --api-key")
    if name not in served:
        raise ConfigError(
            f"{base_url} does not serve {name}: another server answers there; name another --port"
        )


@contextmanager
def interruptible() -> Iterator[None]:
    """SIGTERM and a closed terminal end the block as Ctrl-C does: what was started is stopped."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    names = [name for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    # What is ignored stays so: `nohup` is to outlive its terminal.
    kinds = [s for name in names if signal.getsignal(s := signal.Signals[name]) != signal.SIG_IGN]
    before = {kind: signal.signal(kind, interrupt) for kind in kinds}
    try:
        yield
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)
