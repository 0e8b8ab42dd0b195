"""Learning from graded answers: exact algebra, a guard with a bound, tenants apart, threads."""

import copy
import io
import math
import pickle
import threading

import numpy as np
import pytest

from classifiers.learning import Learned, Learning
from classifiers.learning.gaussian import PENDING, System
from classifiers.learning.guard import CLIP, FIRST, RATE, SHARE, clipped, mixed, reweighed
from classifiers.learning.kernel import Kernel, Point, Table

DU, DZ = 12, 5
ROUTES = ("", "a", "b")


def points(n, seed=0, routes=ROUTES):
    rng = np.random.default_rng(seed)
    near = rng.normal(0, 0.4, (n, DU)).astype(np.float32)
    demand = (rng.normal(0, 1, (n, DZ)) / math.sqrt(DZ)).astype(np.float32)
    return [
        Point(
            near[i],
            demand[i],
            float(np.float32(rng.normal())),
            routes[int(rng.integers(len(routes)))],
            float(np.float32(rng.random())),
        )
        for i in range(n)
    ]


def grades(places, seed=0):
    """A prior of a half, and models that know what lies to one side."""
    rng = np.random.default_rng(seed)
    right = [1 / (1 + math.exp(-4 * (p.near[0] + 0.2 * (p.route == "a")))) for p in places]
    return (rng.random(len(places)) < right).astype(float).tolist()


def covariance(kernel, xs, ys):
    """The kernel of the specification, in double precision and from differences."""
    of_x, of_y = (
        [
            np.array([p[part] for p in points], dtype=float).reshape(len(points), -1)
            for part in (0, 1)
        ]
        for points in (xs, ys)
    )
    (x_near, x_demand), (y_near, y_demand) = of_x, of_y
    lean, gain = (
        np.multiply.outer([of(p) for p in xs], [of(p) for p in ys])
        for of in (lambda p: p.lean, lambda p: math.sqrt(1 - kernel.trust * p.known))
    )
    apart = np.array([((y_near - x) ** 2).sum(axis=1) for x in x_near])
    total = kernel.level**2 + kernel.prior**2 * lean
    total += kernel.demand**2 * x_demand @ y_demand.T
    total += kernel.near**2 * np.exp(-apart / (2 * kernel.length**2))
    same = [[x.route == y.route != "" for y in ys] for x in xs]
    total += kernel.route**2 * np.array(same, dtype=float)
    return gain * total


def direct(kernel, held, residuals, asked):
    """Shifts, base shifts and explained shares of variance, by solving in double precision."""
    gram = covariance(kernel, held, held) + kernel.noise * np.eye(len(held))
    cross = covariance(kernel, asked, held)
    alpha = np.linalg.solve(gram, residuals)
    own = np.diag(covariance(kernel, asked, asked))
    own_routes = [x if x.route else x._replace(route=f"?{i}") for i, x in enumerate(asked)]
    bare = Kernel(kernel.level, 0, 0, 0, 1, kernel.route, kernel.trust, kernel.noise)
    base = covariance(bare, own_routes, held) @ alpha
    explained = np.einsum("ij,ji->i", cross, np.linalg.solve(gram, cross.T)) / own
    return cross @ alpha, base, explained


def taught(places, marks, prior=0.5, profile="m", tenant="t", learning=None, **how):
    learning = learning or Learning(**how)
    for place, mark in zip(places, marks, strict=True):
        learning.learn(tenant, profile, place, prior, mark)
    return learning


def replayed(kernel, held, priors, marks, capacity=10**9, drop=0):
    """The weights after each answer, with every shift from a direct solution."""
    weight = FIRST
    weights = []
    start = 0
    for n, (x, p, y) in enumerate(zip(held, priors, marks, strict=True)):
        rest = np.array(marks[start:n]) - np.array(priors[start:n])
        shift = direct(kernel, held[start:n], rest, [x])[0][0] if n > start else 0.0
        losses = (y - clipped(p)) ** 2, (y - clipped(p + shift)) ** 2
        weight = reweighed(weight, *losses)
        weights.append(weight)
        if n + 1 - start > capacity:
            start += drop
    return weights


def assert_same(one, two, tolerance=0.0):
    assert one.keys() == two.keys()
    for name in one:
        assert one[name] == pytest.approx(two[name], abs=tolerance, rel=0)


# the algebra


@pytest.mark.parametrize("n", [1, 2, PENDING, PENDING + 1, 150, 400])
def test_a_grown_system_is_the_direct_solution(n):
    kernel, xs, asked = Kernel(), points(n), points(20, seed=1)
    residuals = np.random.default_rng(2).uniform(-1, 1, n)
    table = Table(kernel, DU, DZ)
    system = None
    for x in xs:
        row = table.add(x)
        rows = table.view()
        query = kernel.query(x, table.codes)
        if system is None:
            system = System.of(kernel, rows, np.array([row], dtype=np.int32))
        else:
            k = kernel.row(query, rows)
            system = system.grown(kernel, rows, row, k, query.variance)
    alpha, _ = system.weights(residuals)
    shifts, _, explained = direct(kernel, xs, residuals, asked)
    for i, x in enumerate(asked):
        query = kernel.query(x, table.codes)
        mine = kernel.row(query, table.view())[system.places]
        assert float(mine @ alpha) == pytest.approx(shifts[i], abs=1e-5)
        assert system.explained(mine) / query.variance == pytest.approx(explained[i], abs=1e-5)


@pytest.mark.parametrize("spread", [0.0, 0.3, 3.0])
def test_a_thousand_answers_are_as_exact(spread):
    """At the size where rounding would show: what all rows share makes the kernel ill-conditioned,
    and an inverse that takes in row after row loses a digit with every few of them.
    """
    kernel = Kernel()
    xs = [x._replace(near=x.near * np.float32(spread), lean=4.0, known=0.0) for x in points(1000)]
    asked = points(10, seed=1)
    learning = taught(xs, grades(xs))
    weight = learning.status()[0].weight
    shifts, base, explained = direct(kernel, xs, np.array(grades(xs)) - 0.5, asked)
    for i, x in enumerate(asked):
        got = learning.predict("t", {"m": 0.5}, x)["m"]
        assert got.shift == pytest.approx(mixed(0.5, shifts[i], weight) - 0.5, abs=2e-5)
        assert got.base_shift == pytest.approx(weight * base[i], abs=2e-5)
        assert got.spread == pytest.approx(math.sqrt(1 - weight * explained[i]), abs=2e-5)
        assert (got.graded, got.weight) == (1000, weight)


def test_the_order_of_answers_moves_the_weight_only():
    xs = points(200)
    marks = grades(xs)
    order = np.random.default_rng(3).permutation(len(xs))
    one = taught(xs, marks)
    two = taught([xs[i] for i in order], [marks[i] for i in order])
    for x in points(10, seed=1):
        a, b = (each.predict("t", {"m": 0.5}, x)["m"] for each in (one, two))
        assert a.base_shift / a.weight == pytest.approx(b.base_shift / b.weight, abs=1e-4)
        for learned in (a, b):
            (shift,), _, (explained,) = direct(Kernel(), xs, np.array(marks) - 0.5, [x])
            told = mixed(0.5, shift, learned.weight) - 0.5
            assert learned.shift == pytest.approx(told, abs=1e-3)
            assert learned.spread**2 == pytest.approx(1 - learned.weight * explained, abs=1e-3)


def test_weights_are_those_of_answers_foretold_before_they_are_learned():
    xs = points(90)
    marks = grades(xs)
    priors = np.random.default_rng(4).uniform(0, 1, 90).tolist()
    learning = Learning()
    for x, p, y in zip(xs, priors, marks, strict=True):
        learning.learn("t", "m", x, p, y)
    expected = replayed(Kernel(), xs, priors, marks)
    assert learning.status()[0].weight == pytest.approx(expected[-1], abs=1e-4)


def test_profiles_graded_on_the_same_prompts_share_one_system():
    learning = Learning()
    xs = points(150)
    for x, y in zip(xs, grades(xs), strict=True):
        for name in "abc":
            learning.learn("t", name, x, 0.5, y if name == "a" else 1 - y)
    fits = learning._tenants["t"].view.fits
    assert len({id(fit.system) for fit in fits.values()}) == 1
    assert learning._tenants["t"].table.size == 150
    alone = taught(xs, [1 - y for y in grades(xs)])
    got = learning.predict("t", dict.fromkeys("abc", 0.5), xs[3])
    assert got["a"].shift == pytest.approx(-got["b"].shift, abs=1e-6)
    assert got["b"] == got["c"]
    assert got["b"] == pytest.approx(alone.predict("t", {"m": 0.5}, xs[3])["m"], abs=1e-4)


def test_profiles_that_part_ways_stay_right():
    """The same 70 prompts, then each its own: the room they share must not be written over."""
    xs, more = points(70), points(40, seed=5)
    learning = Learning()
    for x in xs:
        for name in "ab":
            learning.learn("t", name, x, 0.5, 1.0)
    for i, x in enumerate(more):
        learning.learn("t", "ab"[i % 2], x, 0.5, float(i % 3 == 0))
    for at, name in enumerate("ab"):
        own = [*xs, *more[at::2]]
        marks = [1.0] * 70 + [float(i % 3 == 0) for i in range(at, 40, 2)]
        alone = taught(own, marks)
        for x in points(5, seed=6):
            got = learning.predict("t", {name: 0.5}, x)[name]
            assert got == pytest.approx(alone.predict("t", {"m": 0.5}, x)["m"], abs=1e-4)


def test_known_prompts_move_less_and_nothing_learned_is_nothing_said():
    x = points(1)[0]._replace(known=0.0)
    learning = taught(
        [x._replace(near=x.near + np.float32(i / 100)) for i in range(30)], [1.0] * 30
    )
    new, seen = (
        learning.predict("t", {"m": 0.5}, x._replace(known=known))["m"] for known in (0.0, 1.0)
    )
    assert new.shift > seen.shift > 0
    assert 0 < new.spread < 1
    assert learning.predict("t", {"other": 0.5}, x) == {}
    assert Learning().predict("t", {"m": 0.5}, x) == {}


def test_a_route_carries_over_to_prompts_unlike_those_graded():
    xs = [x._replace(route="billing", known=0.0) for x in points(40)]
    learning = taught(xs, [0.0] * 40)
    far = points(1, seed=9)[0]._replace(near=np.full(DU, 5, dtype=np.float32), known=0.0)
    same, other, none = (
        learning.predict("t", {"m": 0.5}, far._replace(route=route))["m"]
        for route in ("billing", "sales", "")
    )
    assert same.shift < other.shift - 0.1
    assert same.base_shift < other.base_shift - 0.1
    assert other.shift == pytest.approx(none.shift)
    assert other.spread > none.spread > same.spread


# the guard


def worst_excess(kind, t, seed=0):
    """How much more the mixture loses than the prior, over t answers, at its worst moment."""
    rng = np.random.default_rng(seed)
    weight, total, worst, learned_total = FIRST, 0.0, 0.0, 0.0
    for i in range(t):
        p, q = rng.uniform(0, 1, 2)
        if kind == "fixed":
            p, q = 0.3, 0.95
        told = mixed(p, q - p, weight)
        grade = {
            "inverted": float(p > 0.5) if abs(p - q) > 0.1 else rng.random(),
            "random": float(rng.random() < 0.5),
            "against": float(told < 0.5),
            "fixed": 0.0,
            "turns": float((i // 50) % 2),
            "between": rng.random(),
        }[kind]
        losses = (grade - clipped(p)) ** 2, (grade - clipped(q)) ** 2
        total += (grade - told) ** 2 - losses[0]
        learned_total += (grade - told) ** 2 - losses[1]
        worst = max(worst, total - bound(i + 1, 1 - FIRST), learned_total - bound(i + 1, FIRST))
        weight = reweighed(weight, *losses)
    return worst


def bound(t, first):
    return (math.log(1 / first) - (t - 1) * math.log(1 - SHARE * (1 - first))) / RATE


@pytest.mark.parametrize("kind", ["inverted", "random", "against", "fixed", "turns", "between"])
@pytest.mark.parametrize("seed", range(5))
def test_the_bound_holds_against_any_grades(kind, seed):
    assert worst_excess(kind, 2000, seed) <= 1e-9


def test_the_mixture_loses_no_more_than_the_bound_allows_at_any_grade():
    """The inequality that the bound is summed from, over a grid."""
    grid = np.linspace(CLIP, 1 - CLIP, 12)
    for p in grid:
        for q in grid:
            for weight in (1e-3, 0.1, 0.5, 0.9, 0.999):
                told = mixed(p, q - p, weight)
                assert min(p, q) - 1e-9 <= told <= max(p, q) + 1e-9
                for y in np.linspace(0, 1, 11):
                    heard = (1 - weight) * math.exp(-RATE * (y - p) ** 2)
                    heard += weight * math.exp(-RATE * (y - q) ** 2)
                    assert (y - told) ** 2 <= -math.log(heard) / RATE + 1e-12


def test_the_bound_of_the_docstring():
    assert bound(1, 1 - FIRST) == pytest.approx(1.15, abs=0.002)
    assert bound(2, 1 - FIRST) - bound(1, 1 - FIRST) == pytest.approx(0.00226, abs=1e-5)
    assert bound(1, FIRST) == pytest.approx(0.053, abs=0.001)
    assert bound(2, FIRST) - bound(1, FIRST) == pytest.approx(0.00025, abs=1e-6)


def test_grades_that_mislead_are_soon_not_believed_and_believed_again_when_they_help():
    """The prior is right; grades say the opposite of what is near; then they come to help."""
    rng = np.random.default_rng(0)
    xs = points(460, routes=("",))
    learning = Learning()
    excess = 0.0
    for i, x in enumerate(xs[:200]):  # what was learned is wrong each time it is asked
        told = learning.predict("t", {"m": 0.5}, x)
        shift = told["m"].shift if told else 0.0
        grade = float(shift < 0) if shift else float(rng.random() < 0.5)
        excess += (grade - 0.5 - shift) ** 2 - 0.25
        learning.learn("t", "m", x, 0.5, grade)
        assert excess <= bound(i + 1, 1 - FIRST) + 1e-6
    bad = learning.status()[0]
    assert bad.weight < 0.3
    assert bad.brier_learned > bad.brier_prior
    assert bad.brier <= bad.brier_prior + bound(200, 1 - FIRST) / 200
    for x in xs[200:]:
        learning.learn("t", "m", x, 0.5, 1.0)
    assert learning.status()[0].weight > 0.9


def test_a_right_prior_is_left_alone_by_random_grades():
    """With grades drawn from the prior itself there is nothing to learn, and little is lost."""
    rng = np.random.default_rng(1)
    xs = points(400)
    learning = Learning()
    for x in xs:
        p = float(1 / (1 + np.exp(-4 * x.near[1])))
        learning.learn("t", "m", x, p, float(rng.random() < p))
    (row,) = learning.status()
    assert row.brier <= row.brier_prior + bound(400, 1 - FIRST) / 400
    assert row.brier <= row.brier_prior + 0.01


# what is kept


def test_rollback_is_as_it_was():
    xs, asked = points(180), points(6, seed=1)
    marks = grades(xs)
    learning = Learning()
    priors = {"a": 0.5, "b": 0.4}
    before = {}
    for i, (x, y) in enumerate(zip(xs, marks, strict=True)):
        if i in {0, 1, 5, 63, 64, 100, 150}:
            before[learning.seq] = (
                [learning.predict("t", priors, q) for q in asked],
                learning.status(),
                learning.counts(),
            )
        assert learning.learn("t", "ab"[i % 3 == 0], x, 0.5, y) == i + 1
        learning.learn("u", "a", x, 0.5, 1 - y) if i > 160 else None
        if i > 160:
            learning.rollback(learning.seq - 1)  # the last one only
    for seq in sorted(before, reverse=True):
        told, status, counts = before[seq]
        learning.rollback(seq)
        assert learning.seq == seq
        assert learning.counts() == counts
        assert learning.status() == status
        for q, old in zip(asked, told, strict=True):
            assert_same(learning.predict("t", priors, q), old, 1e-5)
    assert learning.answers() == []
    assert learning.learn("t", "a", xs[0], 0.5, 1.0) == 1


@pytest.mark.parametrize("seq", [-1, 3])
def test_rollback_to_nowhere_is_refused(seq):
    learning = taught(points(2), [1.0, 0.0])
    with pytest.raises(ValueError, match="from 0 to 2"):
        learning.rollback(seq)


def test_beyond_the_capacity_the_oldest_go():
    xs = points(600)
    marks = grades(xs)
    learning = taught(xs, marks, capacity=100)
    held = learning.answers()
    assert 100 - 100 // 16 < len(held) <= 100
    assert [a.seq for a in held] == list(range(601 - len(held), 601))
    assert learning._tenants["t"].table.size < 300
    rest = np.array(marks[-len(held) :]) - 0.5
    weight = learning.status()[0].weight
    expected = replayed(Kernel(), xs[:130], [0.5] * 130, marks[:130], 100, 100 // 16)
    short = taught(xs[:130], marks[:130], capacity=100)
    assert short.status()[0].weight == pytest.approx(expected[-1], abs=1e-4)
    for x in points(5, seed=1):
        (shift,), _, _ = direct(Kernel(), xs[-len(held) :], rest, [x])
        told = learning.predict("t", {"m": 0.5}, x)["m"]
        assert told.shift == pytest.approx(mixed(0.5, shift, weight) - 0.5, abs=1e-3)


def test_a_capacity_of_one():
    learning = taught(points(5), [1.0] * 5, capacity=1)
    assert learning.counts() == {("t", "m"): 1}


def test_points_let_go_leave_the_other_profiles_right():
    learning = Learning(capacity=40)
    xs = points(700)
    marks = grades(xs)
    taught(xs[:30], marks[:30], profile="still", learning=learning)
    asked = points(5, seed=1)
    old = [learning.predict("t", {"still": 0.5}, x) for x in asked]
    taught(xs[30:], marks[30:], profile="busy", learning=learning)
    assert learning._tenants["t"].table.size < 300
    for x, was in zip(asked, old, strict=True):
        assert_same(learning.predict("t", {"still": 0.5}, x), was, 1e-6)
    assert [a.point.route for a in learning.answers()[:30]] == [x.route for x in xs[:30]]


def test_few_matrices_cost_time_and_not_answers():
    xs = points(60)
    many, few = Learning(), Learning(max_matrices=1)
    for learning in (many, few):
        for i, (x, y) in enumerate(zip(xs, grades(xs), strict=True)):
            learning.learn("tu"[i % 2], "abc"[i % 3], x, 0.5, y)
    assert len(few._ready) == 1
    assert sum(len(home.view.fits) for home in few._tenants.values()) == 1
    priors = {"a": 0.5, "b": 0.3, "c": 0.7}
    for x in points(5, seed=1):
        for tenant in "tu":
            assert_same(few.predict(tenant, priors, x), many.predict(tenant, priors, x), 1e-5)


def test_tenants_do_not_see_each_other():
    xs = points(50)
    alone = taught(xs, grades(xs))
    learning = Learning()
    for x, y in zip(xs, grades(xs), strict=True):
        learning.learn("t", "m", x, 0.5, y)
        learning.learn("other", "m", x, 0.5, 1 - y)
        learning.learn("", "m", x, 0.5, 0.0)
    for x in points(5, seed=1):
        assert learning.predict("t", {"m": 0.5}, x) == alone.predict("t", {"m": 0.5}, x)
        assert learning.predict("nobody", {"m": 0.5}, x) == {}
    assert learning.counts() == {("t", "m"): 50, ("other", "m"): 50, ("", "m"): 50}


def through_npz(learning):
    file = io.BytesIO()
    np.savez(file, **learning.state())
    file.seek(0)
    with np.load(file, allow_pickle=False) as arrays:
        return Learning.from_state(dict(arrays))


def through_pickle(learning):
    return pickle.loads(pickle.dumps(learning))  # noqa: TID251 - our own bytes


@pytest.mark.parametrize("way", [through_npz, through_pickle, copy.deepcopy])
@pytest.mark.parametrize("n", [0, 1, 150])
def test_a_state_comes_back_whole(way, n):
    xs = points(n)
    learning = taught(xs, grades(xs), tenant="t\0\ud800", profile="m@ü")
    if n:
        taught(xs, grades(xs), learning=learning, profile="n")
        learning.rollback(learning.seq - n // 2)
    back = way(learning)
    assert back.seq == learning.seq
    assert back.status() == learning.status()
    assert [a[:3] + a[4:] for a in back.answers()] == [a[:3] + a[4:] for a in learning.answers()]
    for a, b in zip(back.answers(), learning.answers(), strict=True):
        np.testing.assert_array_equal(a.point.near, b.point.near)
        np.testing.assert_array_equal(a.point.demand, b.point.demand)
        assert a.point[2:] == b.point[2:]
    asked = points(4, seed=1)
    for tenant, name in (("t\0\ud800", "m@ü"), ("t", "n"), ("t\0", "m@ü")):
        for x in asked:
            told = learning.predict(tenant, {name: 0.4}, x)
            assert_same(back.predict(tenant, {name: 0.4}, x), told, 1e-5)
    if n:
        learning.learn("t", "n", asked[0], 0.5, 1.0)
        assert back.learn("t", "n", asked[0], 0.5, 1.0) == learning.seq


def test_a_state_into_a_smaller_capacity_keeps_the_last():
    learning = Learning.from_state(taught(points(50), [1.0] * 50).state(), capacity=20)
    assert [a.seq for a in learning.answers()] == list(range(31, 51))


def broken_states():
    xs = points(4)
    good = taught(xs, grades(xs)).state()
    yield "no arrays", {}
    yield "no values", {k: v for k, v in good.items() if k != "values"}
    for key, value in {
        "about": np.frombuffer(b"[]", dtype=np.uint8),
        "near": np.full_like(good["near"], np.nan),
        "line": np.full_like(good["line"], np.inf),
        "known": good["known"] + 2,
        "code": good["code"] + 9,
        "places": good["places"][::-1],
        "values": good["values"] * np.nan,
    }.items():
        yield key, {**good, key: value}
    yield "format", {**good, "about": np.frombuffer(b'{"format": "learning/9"}', dtype=np.uint8)}
    yield "json", {**good, "about": np.frombuffer(b"{", dtype=np.uint8)}
    yield "shorter", {**good, "places": good["places"][:2]}


@pytest.mark.parametrize("state", [pytest.param(s, id=name) for name, s in broken_states()])
def test_a_broken_state_is_refused(state):
    with pytest.raises(ValueError):
        Learning.from_state(state)


# bad input


NAN, INF = math.nan, math.inf


@pytest.mark.parametrize("grade", [NAN, INF, -INF, -0.01, 1.01])
@pytest.mark.parametrize("what", ["grade", "prior"])
def test_grades_and_priors_outside_the_unit_interval_are_refused(what, grade):
    learning = Learning()
    x = points(1)[0]
    with pytest.raises(ValueError, match=f"expected a {what}"):
        learning.learn("t", "m", x, *((0.5, grade) if what == "grade" else (grade, 0.5)))
    assert learning.seq == 0
    assert learning.counts() == {}
    learning.learn("t", "m", x, 0.5, grade=True)
    with pytest.raises(ValueError, match="expected a prior"):
        learning.predict("t", {"m": grade}, x)


@pytest.mark.parametrize(
    "change",
    [
        {"near": np.full(DU, NAN)},
        {"near": np.full(DU, INF)},
        {"near": np.full(DU, 1e30)},
        {"near": np.zeros(DU + 1)},
        {"near": np.zeros((1, DU))},
        {"demand": np.full(DZ, -INF)},
        {"demand": np.zeros(DZ - 1)},
        {"lean": NAN},
        {"lean": 1e9},
        {"known": -0.1},
        {"known": NAN},
    ],
    ids=repr,
)
def test_points_that_cannot_be_are_refused_and_leave_nothing(change):
    learning = taught(points(2), [1.0, 0.0])
    bad = points(1)[0]._replace(**change)
    told = learning.predict("t", {"m": 0.5}, points(1)[0])
    with pytest.raises(ValueError, match="expected"):
        learning.learn("t", "m", bad, 0.5, 1.0)
    with pytest.raises(ValueError, match="expected"):
        learning.learn("new", "m", bad, 0.5, 1.0)
    with pytest.raises(ValueError, match="expected"):
        learning.predict("t", {"m": 0.5}, bad)
    assert learning.seq == 2
    assert learning.counts() == {("t", "m"): 2}
    assert learning.predict("t", {"m": 0.5}, points(1)[0]) == told


def test_the_same_answer_a_hundred_times():
    x = points(1)[0]
    learning = taught([x] * 200, [1.0] * 200)
    told = learning.predict("t", {"m": 0.9}, x)["m"]
    assert 0.05 < told.shift <= 0.09 + 1e-9
    assert learning._tenants["t"].table.size == 1


def test_the_shift_never_leaves_the_unit_interval():
    xs = points(120)
    learning = taught(xs, [1.0] * 120)
    for prior in (0.0, 0.005, 0.5, 0.97, 1.0):
        for x in points(5, seed=2):
            assert 0 < prior + learning.predict("t", {"m": prior}, x)["m"].shift < 1


@pytest.mark.parametrize(
    "values",
    [
        {"level": -0.1},
        {"near": NAN},
        {"level": 0.0, "near": 0.0},
        {"length": 0.0},
        {"noise": 0.0001},
        {"trust": 1.0},
    ],
)
def test_kernels_that_cannot_be_are_refused(values):
    with pytest.raises(ValueError, match="expected"):
        Kernel(**values)


@pytest.mark.parametrize("values", [{"capacity": 0}, {"max_matrices": 0}])
def test_no_room_is_refused(values):
    with pytest.raises(ValueError, match="at least 1"):
        Learning(**values)


# threads


def test_predictions_while_others_learn_are_those_of_some_moment():
    """Every prediction is one that the sequence of answers passed through, whole."""
    xs = points(300)
    marks = grades(xs)
    asked = points(1, seed=1)[0]
    alone = Learning(capacity=120)
    passed = {Learned(0.0, 0.0, 1.0, 0, FIRST)}
    for x, y in zip(xs, marks, strict=True):
        alone.learn("t", "m", x, 0.5, y)
        passed.add(alone.predict("t", {"m": 0.5}, asked)["m"])
    shared = Learning(capacity=120)
    wrong, done = [], threading.Event()

    def watch():
        while not done.is_set():
            told = shared.predict("t", {"m": 0.5, "none": 0.5}, asked)
            if told and told["m"] not in passed:
                wrong.append(told["m"])

    def disturb():
        while not done.is_set():
            shared.learn("u", "m", xs[0], 0.5, 0.0)
            shared.state()
            shared.status()

    threads = [threading.Thread(target=watch) for _ in range(3)]
    threads.append(threading.Thread(target=disturb))
    for thread in threads:
        thread.start()
    try:
        taught(xs, marks, learning=shared)
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert wrong == []
    assert shared.predict("t", {"m": 0.5}, asked) == alone.predict("t", {"m": 0.5}, asked)


def test_learning_from_many_threads_loses_nothing():
    learning = Learning(max_matrices=2)
    xs = points(200)
    numbers = []

    def work(name):
        for x in xs[:50]:
            numbers.append(learning.learn("t", name, x, 0.5, 1.0))
            assert name in learning.predict("t", dict.fromkeys("abcd", 0.5), x)

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(numbers) == list(range(1, 201))
    assert set(learning.counts().values()) == {50}
    alone = taught(xs[:50], [1.0] * 50)
    for name in "abcd":
        told = learning.predict("t", {name: 0.5}, xs[60])[name]
        assert told == pytest.approx(alone.predict("t", {"m": 0.5}, xs[60])["m"], abs=1e-5)
