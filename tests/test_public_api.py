"""What users import: complete, light, and guarded against strangers."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import router
from router import _siblings, errors
from router._arguments import ClientArguments


def run(code: str, *path: Path) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh interpreter with these folders before all others."""
    lines = "".join(f"import sys; sys.path.insert(0, {str(p)!r})\n" for p in path)
    return subprocess.run(
        [sys.executable, "-c", lines + code], capture_output=True, text=True, check=False
    )


def test_all_names_are_sorted_and_load() -> None:
    """`__all__` is sorted, without doubles, and every name of it can be had."""
    assert router.__all__ == sorted(set(router.__all__))
    for name in router.__all__:
        assert getattr(router, name) is not None
    assert set(dir(router)) >= set(router.__all__)


def test_every_error_is_public_and_drawn() -> None:
    """Each error class is exported and stands in the tree at the top of `errors.py`."""
    for name, found in vars(errors).items():
        if isinstance(found, type) and issubclass(found, errors.RouterError):
            assert getattr(router, name) is found
            assert name in (errors.__doc__ or ""), name
            parent = found.__bases__[0]
            assert parent is Exception or issubclass(parent, errors.RouterError)


def test_classes_say_they_live_in_router() -> None:
    """Reprs and tracebacks name what users import."""
    assert router.Client.__module__ == "router"
    assert router.BudgetExceededError.__module__ == "router"
    assert router.Quote.__module__ == "router"


def test_unknown_names_are_attribute_errors() -> None:
    """A name that is not there is the usual error."""
    with pytest.raises(AttributeError, match="no attribute 'Clinet'"):
        router.Clinet  # noqa: B018


def test_version_is_that_of_the_distribution() -> None:
    """One source of truth for the version."""
    assert router.__version__.count(".") == 2


WITHOUT_EXTRAS = (
    "import sys\n"
    "class Gone:\n"
    "    def find_spec(self, name, path=None, target=None):\n"
    "        extras = 'psycopg rich pandas polars narwhals pyarrow matplotlib xllamacpp vllm'\n"
    "        if name.partition('.')[0] in extras.split():\n"
    "            raise ModuleNotFoundError(name)\n"
    "sys.meta_path.insert(0, Gone())\n"
)


def test_all_names_load_without_any_extra() -> None:
    """`import *`, help and completion need no extra; what needs one says so when it is made."""
    done = run(
        WITHOUT_EXTRAS + "from router import *\n"
        "import inspect, pydoc, router\n"
        "assert issubclass(PostgresLedger, object) and hasattr(router, 'PostgresLedger')\n"
        "assert len(inspect.getmembers(router)) == len(dir(router))\n"
        "assert 'PostgresLedger' in pydoc.render_doc(router)\n"
        "for make in (lambda: PostgresLedger('postgresql://h/d'),\n"
        "             lambda: Client(ledger='postgresql://h/d').ledger):\n"
        "    try:\n"
        "        make()\n"
        "    except ConfigError as error:\n"
        "        assert 'needs psycopg' in str(error) and 'centroute[postgres]' in str(error)\n"
        "    else:\n"
        "        raise SystemExit('made one')\n"
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_submodules_are_there_without_an_import_of_their_own() -> None:
    """`import router; router.tuning` works, is lazy, and completion offers it."""
    done = run(
        "import sys, router\n"
        "lazy = [m for m in sys.modules if m.startswith('router.t')]\n"
        "print(lazy, [getattr(router, n).__name__ for n in "
        "('bills', 'reports', 'testing', 'tuning')])"
    )
    assert done.stdout.strip() == (
        "[] ['router.bills', 'router.reports', 'router.testing', 'router.tuning']"
    ), done.stderr
    assert {"bills", "reports", "testing", "tuning", "__version__"} <= set(dir(router))


def test_completion_shows_public_names_alone() -> None:
    """`tuning.` and `testing.` complete what is documented, not the modules behind it."""
    for module in (router.tuning, router.testing):
        assert dir(module) == sorted(module.__all__)
        assert all(getattr(module, name) is not None for name in module.__all__)


@pytest.mark.parametrize("kind", [router.Client, router.AsyncClient])
def test_every_setting_is_in_signature_and_help(kind: type) -> None:
    """Each setting can be completed and looked up, in the client or the one it refers to."""
    settings = set(ClientArguments.__annotations__)
    signature = inspect.signature(kind)
    assert set(signature.parameters) == settings | {"transport"}
    assert {p.kind for p in signature.parameters.values()} == {inspect.Parameter.KEYWORD_ONLY}
    assert signature.parameters["timeout"].default == 600.0
    assert "takes the same settings as `Client`" in (router.AsyncClient.__doc__ or "")
    told = router.Client.__doc__ or ""
    assert [name for name in settings | {"transport"} if f"`{name}" not in told] == []


def test_import_is_light() -> None:
    """Importing the client loads nothing heavy and opens neither network nor foreign files."""
    heavy = "sklearn scipy numpy tiktoken diskcache httpx aiohttp pandas matplotlib rich pydantic"
    done = run(
        "import sys\n"
        "opened, ours = [], __import__('os').path.dirname\n"
        "def hook(event, args):\n"
        "    if event.startswith('socket.') or (event == 'open' and isinstance(args[0], str)\n"
        "            and not args[0].endswith(('.py', '.pyc', '.so', '.pth'))):\n"
        "        opened.append((event, args[0]))\n"
        "sys.addaudithook(hook)\n"
        "from router import Client\n"
        f"heavy = [m for m in {heavy.split()!r} if m in sys.modules]\n"
        "print(heavy, opened)"
    )
    assert done.stdout.strip() == "[] []", done.stdout + done.stderr


def test_strangers_are_refused(tmp_path: Path) -> None:
    """A folder named `policies` in the user's project is a clear error, not an odd one."""
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "__init__.py").write_text("")
    done = run("import router", tmp_path)
    assert done.returncode == 1
    assert "router needs its own 'policies' package" in done.stderr
    assert str(tmp_path) in done.stderr


def test_siblings_that_are_missing_are_refused() -> None:
    """A sibling that is nowhere is refused too."""
    with pytest.raises(ImportError, match="nowhere"):
        _siblings.check(("no_such_sibling_package",))
