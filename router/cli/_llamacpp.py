"""The process in which llama.cpp serves: a crash in it, or Ctrl-C, ends it alone.

`python -m router.cli._llamacpp WEIGHTS NAME PORT CONTEXT THREADS` prints the address once it
answers, and ends when its standard input does: with the process that started it.
"""

from __future__ import annotations

import os
import sys


def main(weights: str, name: str, port: str, context: str, threads: str) -> None:
    """Serve until standard input ends."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = weights
    params.model_alias = {name}
    params.hostnames = ["127.0.0.1"]
    params.port = int(port)
    params.n_ctx = int(context)
    params.n_parallel = 1
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = int(threads)
    params.endpoint_metrics = True
    params.ui = False
    params.verbosity = 1  # errors alone
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)
    sys.stdin.read()
    # There is nothing to save, and threads of C++ are not to be waited for.
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
