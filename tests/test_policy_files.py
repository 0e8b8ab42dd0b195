from datetime import UTC, datetime
from pathlib import Path

import pytest

from policies import Context, Quote, load_policy, presets, sparing, threshold, utility

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
ANY = Context(now=NOW)
CENT = 10**10
THREE = tuple(
    Quote(name=name, quality=quality, cost=cost, cost_p90=2 * cost, cost_ceiling=9 * cost)
    for name, quality, cost in [
        ("small", 0.5, CENT // 100),
        ("middle", 0.8, CENT // 10),
        ("large", 0.95, CENT),
    ]
)


@pytest.mark.parametrize("name", ["balanced", "careful", "frugal"])
def test_presets_load(name):
    """Every shipped preset is a policy that decides."""
    assert name in presets()
    assert load_policy(name)(THREE, Context(now=NOW, remaining=10**12)).chosen in {
        "small",
        "middle",
    }


def test_the_list_of_presets_is_complete():
    """What `presets` names is what is shipped, and nothing that does not load."""
    assert presets() == ("balanced", "careful", "frugal")


def write(tmp_path, text):
    path = tmp_path / "policy.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_policy_from_a_file(tmp_path):
    """A TOML file makes the same policy as the call it describes, by path or by text."""
    path = write(tmp_path, 'policy = "threshold"\nquality = 0.9\nmax_cost_usd = 0.005\n')
    expected = threshold(0.9, max_cost_usd=0.005)(THREE, ANY)
    assert load_policy(path)(THREE, ANY) == load_policy(str(path))(THREE, ANY) == expected
    path = write(tmp_path, 'policy = "utility"\nanswer_value_usd = "1"\nsparing = 0.05\n')
    tight = Context(now=NOW, remaining=0)
    assert load_policy(path)(THREE, tight) == sparing(utility("1"), 0.05)(THREE, tight)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("policy = ", "not TOML"),
        ("quality = 0.5", "policy: expected one of cheapest, threshold, utility; got None"),
        ('policy = "dearest"', "got 'dearest'"),
        ("policy = 3", "got 3"),
        ('policy = ["utility"]', r"got \['utility'\]"),
        ('policy = "cheapest"\nquality = 0.5', "unexpected keyword argument 'quality'"),
        ('policy = "threshold"\nquality = 2', "quality: expected 0 to 1, got 2"),
        ('policy = "threshold"\nquality = "high"', "policy.toml"),
        ('policy = "cheapest"\nsparing = 0', "share: expected above 0"),
        ('policy = "cheapest"\nsparing = "much"', "policy.toml"),
    ],
)
def test_bad_policy_files_are_refused(tmp_path, text, says):
    """What is wrong in a policy file is said with the file's name, as a ValueError."""
    path = write(tmp_path, text)
    with pytest.raises(ValueError, match=says) as caught:
        load_policy(path)
    assert "policy.toml" in str(caught.value)


@pytest.mark.parametrize("source", ["fugal", "/no/such/file.toml", Path()])
def test_a_policy_that_is_not_there(source):
    """A name that is no preset and no file is refused with the presets' names."""
    with pytest.raises(ValueError, match=r"expected a preset .balanced, careful, frugal."):
        load_policy(source)


def test_a_binary_policy_file_is_refused(tmp_path):
    """A file that is not text is a ValueError, too."""
    path = tmp_path / "policy.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match=r"policy\.toml"):
        load_policy(path)
