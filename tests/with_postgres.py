"""Run a command with a PostgreSQL server of its own: `python tests/with_postgres.py make pytest`.

The server lives in a temporary directory, listens on a socket in it and is gone afterwards. Its
address is in CENTROUTE_TEST_POSTGRES, its data directory in CENTROUTE_TEST_POSTGRES_DATA.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

MISSING = (
    "with_postgres.py: found no PostgreSQL server (initdb, pg_ctl) on PATH or in "
    "/usr/lib/postgresql/*/bin. Install one: apt-get install postgresql"
)


def programs():
    """The directory of the newest server's programs, or None."""
    on_path = shutil.which("initdb")
    if on_path and Path(on_path).with_name("pg_ctl").exists():
        return Path(on_path).parent
    found = [p.parent for p in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    return max(found, key=lambda p: [int(n) for n in re.findall(r"\d+", str(p))], default=None)


def owner():
    """The user to run the server as: the server refuses to be root."""
    import pwd

    if os.geteuid():
        return pwd.getpwuid(os.geteuid())
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    sys.exit("with_postgres.py: root needs a user `postgres` or `nobody` to run a server as")


def run(data, *command):
    """Run a program of the server as the owner of its directory."""
    who = data.stat()
    given = {} if os.geteuid() else {"user": who.st_uid, "group": who.st_gid, "extra_groups": []}
    done = subprocess.run(
        [str(programs() / command[0]), "-D", str(data), *command[1:]],
        stdout=subprocess.DEVNULL,  # a pipe would be held open by the server
        stderr=subprocess.STDOUT,
        cwd=data.parent,
        check=False,
        **given,
    )
    if done.returncode:
        log = data.parent / "log"
        sys.exit(f"with_postgres.py: {command} failed. {log.read_text() if log.exists() else ''}")


def restart(data):
    """Restart the server, as an operator would: connections are cut."""
    run(Path(data), "pg_ctl", "-w", "-m", "fast", "restart")


def main(command):
    """Run the command; its exit status."""
    if not command:
        sys.exit(__doc__)
    if programs() is None:
        sys.exit(MISSING)
    # Short: the path of a socket has a hundred characters at most.
    home = Path(tempfile.mkdtemp(prefix="pg", dir="/tmp"))
    data = home / "data"
    try:
        data.mkdir(mode=0o700)
        for path in (home, data):
            os.chown(path, owner().pw_uid, owner().pw_gid)
        home.chmod(0o755)
        run(data, "initdb", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C")
        options = f"-k {home} -c listen_addresses='' -c max_connections=200"
        run(data, "pg_ctl", "-w", "-l", str(home / "log"), "-o", options, "start")
        try:
            address = f"postgresql://postgres@/postgres?host={home}"
            more = {
                "CENTROUTE_TEST_POSTGRES": address,
                "CENTROUTE_TEST_POSTGRES_DATA": str(data),
            }
            # Ctrl-C goes to the command, whose end is ours.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            return subprocess.run(command, env={**os.environ, **more}, check=False).returncode
        finally:
            run(data, "pg_ctl", "-w", "-m", "fast", "stop")
    finally:
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
