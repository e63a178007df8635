"""The sequence examples: dates and their readings, decoding, gradients through time, a quick run of each."""

import contextlib
import datetime
import itertools
import json
import re

import numpy as np
import pytest

import layers
from examples import adding, dates, dates_figures, decoding, gradient_flow, translate_dates
from examples.translator import Translator

MONTHS = [
    "jan",
    "f[ée]v|feb",
    "mar",
    "a[pv]r",
    "ma[iy]",
    "juin|jun",
    "juil|jul",
    "ao[uû]|aug",
    "sep",
    "oct",
    "nov",
    "d[ée]c",
]
WEEKDAYS = ["mon|lun", "tue|mar", "wed|mer", "thu|jeu", "fri|ven", "sat|sam", "sun|dim"]
NUMBERS = {
    word: value
    for value, words in enumerate(
        [
            "zéro|oh",
            "un|premier|one|first",
            "deux|two|second",
            "trois|three|third",
            "quatre|four|fourth",
            "cinq|five|fifth",
            "six|sixth",
            "sept|seven|seventh",
            "huit|eight|eighth",
            "neuf|nine|ninth",
            "dix|ten|tenth",
            "onze|eleven|eleventh",
            "douze|twelve|twelfth",
            "treize|thirteen|thirteenth",
            "quatorze|fourteen|fourteenth",
            "quinze|fifteen|fifteenth",
            "seize|sixteen|sixteenth",
            ".|seventeen|seventeenth",
            ".|eighteen|eighteenth",
            ".|nineteen|nineteenth",
        ]
    )
    for word in words.split("|")
}
for tens, words in zip(
    range(20, 100, 10),
    [
        "vingt|vingts|twenty|twentieth",
        "trente|thirty|thirtieth",
        "quarante|forty",
        "cinquante|fifty",
        "soixante|sixty",
        "seventy",
        "eighty",
        "ninety",
    ],
):
    NUMBERS |= dict.fromkeys(words.split("|"), tens)


def number(text):
    """Read a number in words, of either language."""
    total, last = 0, 0
    for word in re.findall(r"\w+", text):
        if word in ("mille", "thousand"):
            total, last = 1000 * max(1, total + last), 0
        elif word in ("cent", "cents", "hundred"):
            total, last = total + 100 * max(1, last), 0
        elif word in ("vingt", "vingts") and last == 4:
            last = 80
        elif word not in ("et", "and"):
            value = NUMBERS[word]
            if (
                last >= 10
                and value >= 10
                and not (word.startswith(("dix", "on", "dou", "tre", "quat", "quin", "sei")))
            ):
                total, last = 100 * (total + last), 0  # nineteen ninety: a century, then its years
            if word == "oh":
                total, last = 100 * (total + last), 0
            last += value
    return total + last


def read(text):
    """Read a date as a person would: the ISO form, and the weekday if there is one."""
    whole = text = text.lower()
    for pattern, order in [
        (r"(\d{4})[-/](\d+)[-/](\d+)", "ymd"),
        (r"(\d{4})(\d\d)(\d\d)", "ymd"),
        (r"(?:le )?(?:\w+ )?(\d+)[/.](\d+)[/.](\d{4})", "dmy"),
    ]:
        if found := re.fullmatch(pattern, text):
            parts = dict(zip(order, map(int, found.groups())))
            break
    else:
        weekday = rf"(?:(?:le )?(?:{'|'.join(WEEKDAYS)})\w*[.,]{{0,2}} )?(?:le |the )?"
        month = rf"(?P<m>(?:{'|'.join(MONTHS)})\w*)\.?"
        day = r"(?:(?P<d>\d+)(?:st|nd|rd|th|er)?|(?P<words>[a-z][\w -]*?))"
        year = r"(?P<y>\d{4}|[^\d]+)"
        for pattern in (
            rf"{weekday}{day}(?:(?<=\d)-| (?:of )?){month},?[- ]{year}",
            rf"{weekday}{month} (?:the )?{day},? {year}",
        ):
            if found := re.fullmatch(pattern, text):
                break
        name = found["m"]
        parts = {"m": next(i for i, each in enumerate(MONTHS, 1) if re.match(each, name))}
        for key, text in (("d", found["d"] or found["words"]), ("y", found["y"])):
            parts[key] = int(text) if text.isdigit() else number(text)
    words = re.findall(r"[^\W\d]+", whole)
    names = [
        i for i, each in enumerate(WEEKDAYS) for word in words[:2] if re.match(rf"(?:{each})", word)
    ]
    return f"{parts['y']}-{parts['m']:02}-{parts['d']:02}", names


@pytest.mark.parametrize("language", dates.LANGUAGES)
def test_every_style_is_read_back(language, rng):
    ends = [datetime.date(y, m, d) for y in (1900, 1901, 1910, 1980, 1999, 2000, 2001, 2099)
            for m, d in ((1, 1), (2, 28), (12, 31))]  # fmt: skip
    any_day = [
        dates.FIRST + datetime.timedelta(int(each)) for each in rng.integers(73049, size=300)
    ]
    for style in dates.STYLES[language]:
        for date in ends + any_day:
            text = dates.write(date, language, style)
            iso, weekdays = read(text)
            assert iso == date.isoformat(), text
            if "{w" in style:
                assert date.weekday() in weekdays, text


def test_no_two_dates_are_written_alike(rng):
    seen = {}
    for day in rng.integers(73049, size=2000).tolist():
        date = dates.FIRST + datetime.timedelta(day)
        for language, style in dates.EVERY:
            text = dates.plain(dates.write(date, language, style)).lower()
            assert seen.setdefault(text, date) == date


def test_the_parts_share_no_date(rng):
    learnt, held = dates.split(3)
    assert sorted([*learnt, *held]) == list(range(73049))
    assert len(held) == round(0.1 * 73049)
    assert set(held) != set(dates.split(4)[1])
    writings = dates.draw(held, 4000, rng)
    assert {(each.date - dates.FIRST).days for each in writings} <= set(held.tolist())
    assert all(each.iso == each.date.isoformat() for each in writings)
    assert {each.style for each in writings} == set(range(len(dates.EVERY)))
    assert dates.draw(held, 9, np.random.default_rng(1)) == dates.draw(
        held, 9, np.random.default_rng(1)
    )


def test_the_alphabet_is_what_is_written(rng):
    texts = [each.text for each in dates.draw(np.arange(73049), 30000, rng)]
    assert sorted(set("".join(texts))) == sorted(dates.ALPHABET)


def test_encode():
    symbols, lengths = dates.encode(["3 mai", "", "mañ"])
    assert symbols.shape == (5, 3)
    assert lengths.tolist() == [5, 0, 3]
    back = [[dates.ALPHABET[s - 1] if s else "" for s in row] for row in symbols.T]
    assert ["".join(each) for each in back] == ["3 mai", "", "ma"]  # ñ is no symbol of ours
    assert dates.encode([""])[0].shape == (1, 1)
    assert dates.encode([])[0].shape == (1, 0)
    right = dates.targets([dates.Writing("", "1998-03-03", 0, dates.FIRST)])
    assert right[0, 0] == dates.START
    assert dates.spell(right[1:, 0]) == "1998-03-03"
    assert right[-1, 0] == dates.END


def chain(rng, symbols, rows):
    """Return a step whose log-probabilities depend on the last symbol, on the row, and on how many came."""
    table = rng.standard_normal((rows, 6, symbols, symbols)) * 2
    table -= np.log(np.exp(table).sum(-1, keepdims=True))

    def step(last, state):
        row, count = state[0][:, 0], state[0][:, 1]
        return table[row, count, last], (np.stack((row, count + 1), 1),)

    def probability(row, hypothesis):
        pairs = itertools.pairwise([0, *hypothesis])
        return sum(table[row, i, a, b] for i, (a, b) in enumerate(pairs))

    return step, (np.stack((np.arange(rows), np.zeros(rows, int)), 1),), probability


OPTIONS = {"start": 0, "end": 1, "limit": 5}


def test_a_beam_of_one_is_greedy(rng):
    step, state, _ = chain(rng, 5, 20)
    found = decoding.greedy(step, state, 20, **OPTIONS)
    narrow = decoding.beam(step, state, 20, **OPTIONS, width=1)
    assert [each[0].symbols for each in narrow] == [each.symbols for each in found]
    np.testing.assert_allclose(
        [each[0].log_probability for each in narrow], [each.log_probability for each in found]
    )
    assert {each.symbols[-1] == 1 for each in found} == {
        True,
        False,
    }  # some ended, some met the limit


@pytest.mark.parametrize("width", [1, 3, 8, 1024])
def test_a_beam_against_every_hypothesis(rng, width):
    step, state, probability = chain(rng, 4, 6)
    found = decoding.beam(step, state, 6, **OPTIONS, width=width)
    every = [
        each
        for n in range(1, 6)
        for each in itertools.product(range(4), repeat=n)
        if 1 not in each[:-1] and (each[-1] == 1 or n == 5)
    ]
    for row, hypotheses in enumerate(found):
        scores = [each.log_probability for each in hypotheses]
        assert scores == sorted(scores, reverse=True)
        assert len({tuple(each.symbols) for each in hypotheses}) == len(hypotheses)
        for each in hypotheses:
            assert each.log_probability == pytest.approx(probability(row, each.symbols))
        ranked = sorted((probability(row, each) for each in every), reverse=True)
        assert len(hypotheses) <= width
        if width == 1024:  # wide enough for all of them
            np.testing.assert_allclose(scores, ranked)
        else:
            assert scores[0] <= ranked[0] + 1e-9


def test_a_beam_finds_what_greedy_misses():
    """A first symbol of 0.6 that leads to halves, and one of 0.4 that leads to a certainty."""
    table = np.full((5, 5), 1e-9)
    table[0, 2], table[0, 3] = 0.6, 0.4
    table[2, 2] = table[2, 4] = 0.5
    table[3, 1] = table[4, 1] = 1

    def step(last, state):
        return np.log(table[last]), state

    state = (np.zeros((1, 1)),)
    (first,) = decoding.greedy(step, state, 1, **OPTIONS)
    ((best, *_),) = decoding.beam(step, state, 1, **OPTIONS, width=3)
    assert first.symbols[0] == 2
    assert best.symbols == [3, 1]
    assert best.log_probability == pytest.approx(np.log(0.4))
    assert best.log_probability > first.log_probability


@pytest.fixture(scope="module")
def batch():
    writings = dates.draw(np.arange(500), 24, np.random.default_rng(5))
    return writings, *dates.encode(each.text for each in writings), dates.targets(writings)


def small(seed=0):
    return Translator(len(dates.ALPHABET) + 1, 13, 16, 8, rng=seed)


def test_the_translators_gradient_is_its_slope(batch):
    _, symbols, lengths, right = batch
    model, loss = small(), layers.CrossEntropyLoss(reduction="sum")

    def value():
        return float(loss(model.forward(symbols, lengths, right[:-1])[0], right[1:].ravel()))

    logits, cache = model.forward(symbols, lengths, right[:-1])
    _, loss_cache = loss.forward(logits, right[1:].ravel())
    model.backward(loss.backward(1.0, loss_cache), cache)
    for name, parameter in model.named_parameters():  # each along its own gradient
        data, grad = parameter.data, parameter.grad
        norm = float(np.linalg.norm(grad))
        assert norm > 1e-3, name
        kept, way = data.copy(), grad * (0.02 / norm)
        data += way
        above = value()
        data[...] = kept - way
        below = value()
        data[...] = kept
        assert (above - below) / 0.04 == pytest.approx(norm, rel=0.03, abs=0.02), name


def test_padding_and_neighbours_change_no_context(batch):
    writings, symbols, lengths, _ = batch
    model = small()
    together = np.concatenate(model.encode(symbols, lengths), 2)[0]
    for i in (0, int(lengths.argmin()), int(lengths.argmax())):
        alone = np.concatenate(model.encode(*dates.encode([writings[i].text])), 2)[0]
        np.testing.assert_allclose(together[i], alone[0], rtol=1e-5, atol=1e-6)


def test_translations_come_in_the_order_of_the_texts(batch):
    model, texts = small(), [each.text for each in batch[0]]
    for width in (1, 3):
        found = translate_dates.translate(model, texts, width, batch=7)
        for text, each in zip(texts, found):
            (alone,) = translate_dates.translate(model, [text], width)
            assert [h.symbols for h in alone] == [h.symbols for h in each]
            assert len(each) == width
    assert model.training
    assert translate_dates.translate(model, []) == []


def test_principal_components_and_explained_variance(rng):
    x = rng.standard_normal((400, 5)) * [5, 3, 1, 1, 1] + 7
    mean, directions, share = dates_figures.principal(x)
    values, vectors = np.linalg.eigh(np.cov(x.T))
    np.testing.assert_allclose(mean, x.mean(0))
    np.testing.assert_allclose(np.abs(directions @ vectors[:, :-3:-1]), np.eye(2), atol=1e-9)
    np.testing.assert_allclose(share, values[:-3:-1] / values.sum())
    groups = rng.integers(20, size=400)
    assert abs(dates_figures.explained(x, groups)) < 0.05
    assert dates_figures.explained(groups[:, None] * [1.0, 2.0], groups) == pytest.approx(1)


def test_the_adding_problem(rng):
    x, y = adding.sequences(9, 4000, rng)
    assert x.shape == (9, 4000, 2)
    assert (x[:4, :, 1].sum(0) == 1).all()
    assert (x[4:, :, 1].sum(0) == 1).all()
    assert set(np.unique(x[..., 1])) == {0, 1}
    assert (x[:, :, 1].sum(1) > 0).all()  # every step is marked now and then
    np.testing.assert_allclose(y[:, 0], (x[..., 0] * x[..., 1]).sum(0), rtol=1e-6)
    assert ((y - 1) ** 2).mean() == pytest.approx(adding.BASELINE, rel=0.1)


@pytest.mark.parametrize("kind", [layers.RNN, layers.LSTM, layers.GRU])
def test_gradients_through_time_are_slopes(kind, rng):
    """The norms are those of central differences, and the parameters' gradients the whole sequence's."""
    steps, rows = 6, 4
    layer = kind(2, 8, rng=1)
    x = rng.standard_normal((steps, rows, 2)).astype(np.float32)
    dh = rng.standard_normal((rows, 8)).astype(np.float32)
    norms = gradient_flow.through_time(layer, x, dh)
    assert norms.shape == (steps + 1,)
    assert norms[-1] == pytest.approx(np.linalg.norm(dh, axis=1).mean(), rel=1e-5)

    chained = [each.grad for each in layer.parameters()]
    layer.zero_grad()
    (_, state), cache = layer.forward(x)
    pair = isinstance(state, tuple)
    layer.backward(None, cache, (dh[None], None) if pair else dh[None])
    for one, whole in zip(chained, [each.grad for each in layer.parameters()]):
        np.testing.assert_allclose(one, whole, rtol=1e-4, atol=1e-5)

    for t in (0, 3, 5):
        zeros = np.zeros((1, rows, 8), np.float32)
        state = layer(x[:t])[1] if t else ((zeros, zeros) if pair else zeros)
        slopes = np.empty((rows, 8))
        for unit in range(8):  # rows do not mix: one difference serves all of them
            ends = []
            for sign in (1, -1):
                h = adding.last(state).copy()
                h[:, unit] += sign * 0.02
                moved = (h[None], state[1]) if pair else h[None]
                last = adding.last(layer(x[t:], moved)[1]).astype(np.float64)
                ends.append((last * dh).sum(1))
            slopes[:, unit] = (ends[0] - ends[1]) / 0.04
        assert norms[t] == pytest.approx(np.linalg.norm(slopes, axis=1).mean(), rel=0.01)


def test_biases_go_to_their_gate():
    layer = layers.LSTM(2, 4, rng=0)
    adding.bias(layer, 1, 3)
    assert (layer.bias_ih_l0.data[4:8] == 3).all()
    assert (layer.bias_hh_l0.data[4:8] == 0).all()
    assert (layer.bias_ih_l0.data[[*range(4), *range(8, 16)]] != 3).all()
    chrono = adding.adder("LSTM, chrono bias", 100, 0, 16).recurrent
    forget = chrono.bias_ih_l0.data[16:32]
    assert (forget >= 0).all()
    assert (forget <= np.log(99)).all()
    np.testing.assert_array_equal(chrono.bias_ih_l0.data[:16], -forget)


def test_clipping_bounds_the_step():
    """One step of SGD at rate 1 is the clipped gradient itself."""
    model = adding.adder("RNN", 6, 0, 8)
    before = [each.data.copy() for each in model.parameters()]
    optimizer = layers.SGD(model.parameters(), lr=1.0)
    curve = adding.train(model, optimizer, adding.Curve("RNN", 6), steps=1, clip=0.01)
    moved = [each.data - old for each, old in zip(model.parameters(), before)]
    assert np.sqrt(sum((each**2).sum() for each in moved)) == pytest.approx(0.01, rel=1e-3)
    assert curve.norms[0] > 0.01  # told as it was before clipping


def trained(path, epochs):
    """Train a small translator for `epochs` of 4, resuming what is in the file."""
    run = translate_dates.Run(0, 8, 4, steps=3)
    model = translate_dates.network(run)
    optimizer = layers.Adam(model.parameters(), lr=run.lr)
    if path.exists():
        translate_dates.resume(path, model, optimizer, run)

    class Cut(Exception):
        pass

    def after():
        translate_dates.keep(path, model, optimizer, run)
        if len(run.history) == epochs:
            raise Cut

    shown = dates.draw(dates.split(0)[1], 5, np.random.default_rng(0))
    with contextlib.suppress(Cut):
        translate_dates.train(model, optimizer, run, shown, after)
    return model.state_dict(), [{k: each[k] for k in ("loss", "exact")} for each in run.history]


def test_a_run_that_was_cut_off_resumes_to_the_bit(tmp_path):
    whole, history = trained(tmp_path / "whole", 4)
    trained(tmp_path / "cut", 2)
    resumed, resumed_history = trained(tmp_path / "cut", 4)
    assert resumed_history == history
    assert len(history) == 4
    for key, value in whole.items():
        np.testing.assert_array_equal(resumed[key], value)


def test_minutes_end_a_run():
    run = translate_dates.Run(0, 8, 4, steps=3, minutes=1e-9)
    model = translate_dates.network(run)
    optimizer = layers.Adam(model.parameters(), lr=run.lr)
    translate_dates.train(model, optimizer, run, [])
    assert run.history == []
    run.minutes, run.history = 60.0, [{"loss": 1.0, "exact": 0.0, "seconds": 3600.0}]
    translate_dates.train(model, optimizer, run, [])
    assert len(run.history) == 1


def test_translate_dates_quick(tmp_path, capsys):
    model, out = tmp_path / "model", tmp_path / "figures"
    assert translate_dates.main(["--quick", "--out", str(out), "--model", str(model)]) == 0
    names = {"dates-training.png", "dates-states.png", "dates-reading.png"}
    assert {each.name for each in out.iterdir()} == names
    assert all(each.read_bytes().startswith(b"\x89PNG") for each in out.iterdir())
    printed = capsys.readouterr().out
    assert "unseen dates exactly right" in printed
    for language in dates.LANGUAGES:
        assert f"\n{language}: " in printed

    common = ["--model", str(model)]
    assert (
        translate_dates.main([*common, "--beam", "2", "--translate", "3 mars 1998", "", "ñ"]) == 0
    )
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "3 mars 1998"
    assert len(lines) == 9

    assert translate_dates.main([*common, "--quick", "--out", str(out), "--minutes", "0.0001"]) == 0
    assert "trained already" in capsys.readouterr().out


def test_translate_dates_bad_arguments(tmp_path, capsys):
    common = ["--quick", "--out", str(tmp_path / "figures")]
    run = translate_dates.Run(0, 8, 1)
    model = translate_dates.network(run)
    translate_dates.keep(tmp_path / "model", model, layers.Adam(model.parameters()), run)
    (tmp_path / "foreign").write_bytes(b"nothing of the kind")
    layers.save(tmp_path / "other", layers.Linear(2, 2))
    (tmp_path / "file").write_text("")
    cases = [
        (["--model", str(tmp_path / "foreign")], "foreign"),
        (["--model", str(tmp_path / "other")], "that this example wrote"),
        (["--model", str(tmp_path / "model"), "--seed", "4"], "--seed: expected 0"),
        (["--model", str(tmp_path / "model"), "--hidden", "9"], "--hidden: expected 8"),
        (["--translate", "3 mars 1998"], "--model"),
        (["--translate", "x", "--model", str(tmp_path / "absent")], "absent"),
        (["--epochs", "0"], "--epochs"),
        (["--minutes", "nan"], "--minutes"),
        (["--minutes", "-1"], "--minutes"),
        (["--beam", "0"], "--beam"),
        (["--hidden", "x"], "--hidden"),
        (["--seed", "-1"], "--seed"),
        (["--threads", "999"], "threads"),
        (["--out", str(tmp_path / "file")], "file"),
    ]
    for arguments, match in cases:
        capsys.readouterr()
        with pytest.raises(SystemExit) as stopped:
            translate_dates.main([*common, *arguments])
        assert stopped.value.code == 2
        assert match in capsys.readouterr().err, arguments


def test_saved_metadata_is_readable(tmp_path):
    from safetensors import safe_open

    trained(tmp_path / "model", 1)
    with safe_open(tmp_path / "model", framework="numpy") as file:
        about = file.metadata()
    assert about["hidden"] == "8"
    assert set(json.loads(about["history"])[0]) == {"loss", "exact", "seconds"}


def test_gradient_flow_quick(tmp_path, capsys):
    assert gradient_flow.main(["--quick", "--out", str(tmp_path)]) == 0
    names = {"gradient-flow.png", "gradient-clipping.png", "adding-problem.png"}
    assert {each.name for each in tmp_path.iterdir()} == names
    printed = capsys.readouterr().out
    for name in (*adding.KINDS, *gradient_flow.CLIPPED):
        assert name in printed


def test_a_network_that_explodes_is_told_of(tmp_path, capsys):
    options = ["--quick", "--steps", "3", "--lr", "1e30", "--lengths", "10", "--out", str(tmp_path)]
    assert gradient_flow.main(options) == 0
    assert "inf  not solved of 2" in capsys.readouterr().out


def test_gradient_flow_bad_arguments(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    cases = [
        (["--lengths", "1"], "--lengths"),
        (["--steps", "0"], "--steps"),
        (["--hidden", "1"], "--hidden"),
        (["--lr", "0"], "--lr"),
        (["--minutes", "inf"], "--minutes"),
        (["--seed", "-1"], "--seed"),
        (["--threads", "999"], "threads"),
        (["--out", str(tmp_path / "file")], "file"),
    ]
    for arguments, match in cases:
        capsys.readouterr()
        with pytest.raises(SystemExit) as stopped:
            gradient_flow.main(["--quick", *arguments])
        assert stopped.value.code == 2
        assert match in capsys.readouterr().err, arguments
