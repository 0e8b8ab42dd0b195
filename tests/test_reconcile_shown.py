"""What is seen of a reconciliation without its rows: in a condition, a notebook, a terminal."""

from dataclasses import replace

import pytest
from invoices import deepseek, month

from router.bills import reconcile
from router.bills.result import Reconciliation


def drifted(times):
    """Calls whose host reports so many times what the ledger has."""
    return [
        replace(line, usage=replace(line.usage, reported_cost=times * line.cost))
        for line in month(60)
    ]


def test_an_alarm_without_rows_is_seen():
    """A host reported twice our costs: there are no rows, and it is neither false nor empty."""
    found = reconcile(None, drifted(2))
    assert found.alarm
    assert len(found) == 0
    assert found
    assert repr(found) == "Reconciliation(alarm: 1 of 1 reported costs off; 0 rows)"
    page = found._repr_html_()
    assert "<p>Alarm</p>" in page
    assert "its host reported" in page
    assert "<table>" not in page


def test_a_clean_check_says_so():
    """Nothing reported is said, and so is agreement; both are true objects without an alarm."""
    silent, same = reconcile(None, month(3)), reconcile(None, drifted(1))
    assert str(silent) == "no host has reported costs"
    assert "agrees" in str(same)
    for found, said in ((silent, "nothing compared"), (same, "0 of 1 reported costs off")):
        assert found
        assert not found.alarm
        assert repr(found) == f"Reconciliation(no alarm: {said}; 0 rows)"
        assert "<p>No alarm</p>" in found._repr_html_()


@pytest.mark.parametrize("part", [1, 2])
def test_findings_stand_above_the_rows(part, tmp_path):
    """In a notebook what is wrong is read before the rows; notes, too."""
    lines = month(60)
    path = tmp_path / "b.csv"
    path.write_text(deepseek(lines[: 60 // part]))
    found = reconcile(path, lines)
    page = found._repr_html_()
    assert page.index("<li>deepseek-flash@deepseek: billed") < page.index("<table>")
    for note in found.notes:
        assert note.replace("'", "&#x27;").replace('"', "&quot;") in page
    assert f"{int(found.alarm)} of 1 models off" in repr(found)


def test_text_is_escaped():
    """A note may quote a bill, and a bill may hold HTML."""
    found = Reconciliation(
        invoice=None, residuals=(), findings=(), notes=("<script>alert(1)</script>",)
    )
    assert "<script>" not in found._repr_html_()
    assert "no host has reported costs\n<script>" in str(found)
