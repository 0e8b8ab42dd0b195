"""Files that are hostile or damaged: read or refused by a typed error, and never slowly."""

import io
import json
import os
import zipfile
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from invoices import ledger_of, month

from router.bills import read_invoice, reconcile
from router.cli import main
from router.errors import ConfigError

HEAD = "day,model,amount\n"
DEEP = 200_000


@pytest.fixture
def write(tmp_path):
    """Write a text to a file and read it as an invoice."""

    def written(text, name="bill.csv", **reading):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_invoice(path, **reading)

    return written


def row(**fields):
    return json.dumps([{"day": "2026-10-10", "model": "m", **fields}])


def bare(amount):
    """A row whose amount is written as it is."""
    return f'[{{"day": "2026-10-10", "model": "m", "amount": {amount}}}]'


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (HEAD + "2026-10-10,m,1\n9999-12-31,m,1\n", "line 3: expected a day of the years 2000"),
        (HEAD + "0001-01-01,m,1\n", "line 2: expected a day of the years 2000"),
        (HEAD + "0001-01-01T00:00:00+05:00,m,1\n", "line 2: expected a day of the years 2000"),
        (HEAD + "9999-12-31T23:59:59-05:00,m,1\n", "line 2: expected a day of the years 2000"),
        ("[" * DEEP, "nested less deep"),
        ('{"data":' * DEEP, "nested less deep"),
        ('{"day":"2026-10-10","amount":1}\n' + "[" * DEEP, "line 2: expected JSON, nested"),
        (bare("9" * 5000), "line 1: amount: expected a number of at most 18 digits"),
        (bare("1e9999999"), "line 1: amount: expected a number of at most 18 digits"),
        (bare("1e99999999999999999999"), "line 1: amount: expected a number"),
        (bare("NaN"), "line 1: amount: expected a number"),
        (bare("true"), "line 1: amount: expected a number"),
        (row(amount="1", model="\ud800"), "row 1: expected text, got half of a character"),
        ('[{"day": "2026-10-10", "\\ud800": 1, "amount": 1}]', "half of a character"),
        ('[{"amount": 1, "day": "2026-10-10", "amount": 2}]', "'amount' again"),
        ('{"day":"2026-10-10","amount":1}\n{"amount":1,"amount":2}', "line 2: expected each"),
        ("day,model,amount,amount\n2026-10-10,m,1,2\n", "line 2: column 'amount' is there twice"),
        ("day,model,Amount,amount\n2026-10-10,m,1,2\n", "line 2: column 'amount' is there twice"),
        ("day,model,model,amount\n2026-10-10,m,n,2\n", "line 2: column 'model' is there twice"),
    ],
)
def test_hostile_texts(write, text, says):
    """Ends of time, depth, size, exponents, broken text, fields twice: where, and what."""
    with pytest.raises(ConfigError) as error:
        write(text)
    assert says in str(error.value)
    assert len(str(error.value)) < 600
    str(error.value).encode()


def test_numbers_in_json_are_read_as_written(write):
    """Small exponents are numbers; a column that is not read may hold anything."""
    assert write(bare("1.5e-3")).amount() * 2000 == 3
    assert write(bare("15E2")).amount() == 1500
    assert write(bare("1e-9999999")).amount() == 0
    odd = row(amount=2, notes="x").replace('"x"', "9" * 5000 + "9")
    assert write(odd).amount() == 2
    assert write(odd.replace("9" * 5001, "1e9999999")).amount() == 2


def test_columns_that_are_there_twice_and_not_read(write):
    """Columns without a name, or of notes, may be there twice, and hold any text."""
    text = "day,model,amount,notes,notes,,\n2026-10-10,m,1.5,a,b,free,text\n"
    assert write(text).amount() * 2 == 3


def test_other_columns_of_amounts_are_told(write):
    """Where two columns could have been meant, it is said which was taken."""
    text = "day,model,amount,cost\n2026-10-10,m,1,2\n"
    assert "amounts are taken of 'amount', not of cost" in write(text).notes
    named = write(text, columns={"amount": "cost"})
    assert named.amount() == 2
    assert not any("not of" in note for note in named.notes)


def archive(packing=zipfile.ZIP_DEFLATED, lines=100):
    """A zip with one bill."""
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w", packing) as into:
        into.writestr("a.csv", HEAD + "2026-10-10,m,1\n" * lines)
    return raw.getvalue()


@pytest.mark.parametrize(
    "packing", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
)
def test_damaged_archives(write, packing):
    """Cut or overwritten, however it is packed: cannot be read, and says so."""
    raw = archive(packing)
    assert write(raw, "a.zip").amount() == 100
    for broken in (raw[:80], raw[:45] + b"\xff" * 15 + raw[60:], raw[:-30]):
        with pytest.raises(ConfigError, match=r"cannot read .*a\.zip"):
            write(broken, "a.zip")


@settings(max_examples=150)
@given(st.data())
def test_any_damaged_archive_is_read_or_refused(tmp_path_factory, data):
    """Whichever bytes are overwritten."""
    raw = bytearray(archive(data.draw(st.sampled_from([0, 8, 12, 14])), 5))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(4, len(raw) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("any") / "x.zip"
    path.write_bytes(raw)
    with suppress(ConfigError):
        read_invoice(path)


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["day", "model", "amount", "tokens"]), inner, max_size=4),
    max_leaves=8,
))  # fmt: skip
def test_any_json_is_read_or_refused(tmp_path_factory, value):
    """Whatever it holds, it is an invoice or a typed error."""
    path = tmp_path_factory.mktemp("any") / "x.json"
    day = {"day": "2026-10-10", "amount": 1}
    path.write_text(json.dumps([day, value]))
    with suppress(ConfigError):
        read_invoice(path)


@pytest.mark.parametrize(
    "options",
    [
        {"columns": ["day"]}, {"columns": {"day": 3}}, {"tz": 3}, {"currency": 3},
        {"decimal": ["."]}, {"exchange": ["EUR"]}, {"exchange": {"EUR": 0.5}}, {"host": 3},
    ],
)  # fmt: skip
def test_settings_of_a_wrong_type(write, options):
    """Each is refused by its name; rates of exchange are no floats."""
    with pytest.raises(ConfigError, match=next(iter(options))):
        write(HEAD + "2026-10-10,m,1\n", **options)


def test_paths_that_are_none(tmp_path):
    """Of a wrong type, of nobody's home, with a NUL: typed."""
    for path in (3, b"x", "~nobody-of-this-name/x.csv", "a\0b"):
        with pytest.raises(ConfigError, match=r"expected the path|cannot read"):
            read_invoice(path)
    with pytest.raises(ConfigError, match="expected the path"):
        reconcile([3], month(1))


def test_a_name_that_is_no_text(tmp_path):
    """A file whose name is not UTF-8 is read, and its name is one that can be printed."""
    path = tmp_path / os.fsdecode(b"caf\xe9.csv")
    with suppress(OSError):  # some file systems have no such names
        path.write_text(HEAD + "2026-10-10,m,1\n")
        bill = read_invoice(path)
        assert bill.files == ("caf\\udce9.csv",)


def test_hostile_files_on_the_command_line(tmp_path, capsys):
    """A line on standard error and status 1, no traceback."""
    ledger = str(ledger_of(tmp_path / "l.sqlite3", month(1)))
    path = tmp_path / "b.json"
    for text in ("[" * DEEP, row(amount="1", model="\ud800"), HEAD + "9999-12-31,m,1\n"):
        path.write_text(text)
        assert main(["reconcile", str(path), "--host", "deepseek", "--ledger", ledger]) == 1
        assert "expected" in capsys.readouterr().err
