"""The text generator: its corpus, its windows, its draws, resuming, a quick run, and bad input."""

import contextlib
import json
import math

import numpy as np
import pytest

import kernels
from examples import char_lstm, char_train, char_units, text
from examples.char_model import CharLSTM, activations, choose, perplexity, sample
from examples.text import Vocabulary

SMALL = {"embedding": 6, "hidden": 16, "dropout": 0.2}
LINES = 'He said "no" (twice) to the man.\nThe man went home, and said "well, well" to his dog.\n'


@pytest.fixture(autouse=True)
def one_thread():
    """So little work gains nothing from a second, and waits for it where other tests run beside."""
    kernels.set_num_threads(1)
    yield
    kernels.set_num_threads(None)


@pytest.mark.parametrize(
    ("paragraph", "line"),
    [
        ("Lambda expressions are used\n   to create   functions.", True),
        ("   * An item of a list\n     ends the same way.", "An item of a list ends the same way."),
        ("[2] A footnote is a sentence too.", "A footnote is a sentence too."),
        ("The *format_spec* field is **always** text.", "The format_spec field is always text."),
        ("A product 2*3 keeps *what* it is: x ** y.", "A product 2*3 keeps what it is: x ** y."),
        ("These are the built-\n  in functions here.", "These are the built-in functions here."),
        ('He called it "a method" (see there).', True),
        ("Lambdas\n*******", None),
        ("   >>> print(1)\n   The value is one thing.", None),
        ("   with A() as a, B() as b:\n       SUITE", None),
        ('   lambda_expr ::= "lambda" [parameter_list] ":" expression', None),
        ("| Option | Meaning of this one. |", None),
        ("+----+\n| a |", None),
        ("str.rfind(sub[, start[, end]])", None),
        ("Too short.", None),
        ("", None),
    ],
)
def test_prose(paragraph, line):
    wanted = " ".join(paragraph.split()) if line is True else line
    assert text.prose(paragraph) == wanted


def test_what_is_held_out_was_not_learnt_from():
    corpus = text.pydoc()
    learnt, held_out = corpus.train.splitlines(), corpus.held_out.splitlines()
    assert len(learnt) == len(set(learnt))
    assert not set(learnt) & set(held_out)
    share = len(corpus.held_out) / len(corpus.train + corpus.held_out)
    assert text.HELD_OUT <= share < 3 * text.HELD_OUT
    assert len(corpus.train) > 200_000


def test_topics_are_held_out_whole_and_once():
    sentence = "This is the {} of several topics, told at the same length."
    topics = {name: sentence.format(name) + "\n\n" + sentence.format("all") for name in "abcdefgh"}
    corpus = text.pydoc(topics)
    lines = [sentence.format("a"), sentence.format("all"), *map(sentence.format, "bcdefgh")]
    assert (corpus.train + corpus.held_out).splitlines() == lines
    assert corpus.held_out == lines[-1] + "\n"
    assert corpus.story.endswith("Held out: h")


def test_read(tmp_path):
    path = tmp_path / "own.txt"
    path.write_bytes("\ufeff".encode() + "Zeile für Zeile\r\n".encode() * 100)
    corpus = text.read(path)
    assert corpus.train + corpus.held_out == "Zeile für Zeile\n" * 100
    assert corpus.held_out.startswith("Zeile")
    path.write_text("x" * 2000)  # no line to cut at
    assert len(text.read(path).held_out) == 160
    path.write_text("too short")
    with pytest.raises(ValueError, match=r"own.txt: expected .* 1,000 characters, got 9"):
        text.read(path)
    path.write_bytes(b"\xff\xfe" * 1000)
    with pytest.raises(ValueError, match=r"own.txt: expected UTF-8"):
        text.read(path)


def test_vocabulary():
    vocabulary = Vocabulary.of("abba\n")
    assert len(vocabulary) == 3
    assert vocabulary.decode(vocabulary.encode("ab\nba")) == "ab\nba"
    with pytest.raises(ValueError, match="got 'xé'"):
        vocabulary.encode("axeé".replace("e", ""))


@pytest.mark.parametrize(("size", "batch", "length"), [(101, 4, 7), (9, 8, 5), (64, 3, 100)])
def test_windows_follow_one_another(size, batch, length):
    numbers = np.arange(size)
    x, y = (np.concatenate(each) for each in zip(*text.windows(numbers, batch, length)))
    steps = (size - 1) // batch
    assert x.shape == (steps, batch)
    np.testing.assert_array_equal(y, x + 1)
    np.testing.assert_array_equal(x, np.arange(steps)[:, None] + steps * np.arange(batch))
    with pytest.raises(ValueError, match="batch"):
        next(text.windows(numbers, size, length))


def test_words_and_the_share_that_is_known():
    assert text.words("It's Größe, 2nd x_y!") == ["it", "s", "grösse", "nd", "x", "y"]
    known = {"the", "list", "größe".casefold()}
    assert text.known_share(["The lost list. Größe an"], known) == 3 / 4
    assert (
        text.known_share(["the lis", "the list"], known) == 1
    )  # cut short at the end: not counted
    assert math.isnan(text.known_share(["an"], known))


def test_choose(rng):
    logits = rng.standard_normal((500, 7)).astype(np.float32)
    likeliest = logits.argmax(1)
    np.testing.assert_array_equal(choose(logits, 0), likeliest)
    np.testing.assert_array_equal(choose(logits, 1e-9, rng), likeliest)
    with np.errstate(all="raise", under="ignore"):
        assert len(set(choose(1e30 * logits, 1e-300, rng))) == 7
    same = np.broadcast_to(logits[:1], (40_000, 7))
    for temperature in (0.5, 1.0, 2.0):
        wanted = np.exp(logits[0] / temperature) / np.exp(logits[0] / temperature).sum()
        got = np.bincount(choose(same, temperature, rng), minlength=7) / len(same)
        np.testing.assert_allclose(got, wanted, atol=0.012)  # 5 standard deviations


def small(seed=0):
    vocabulary = Vocabulary.of(LINES)
    return CharLSTM(len(vocabulary), **SMALL, seed=seed), vocabulary


def test_the_state_makes_two_windows_one(rng):
    model, vocabulary = small()
    x = rng.integers(0, len(vocabulary), (9, 3))
    whole, (h, c) = model(x)
    first, state = model(x[:4])
    second, (h2, c2) = model(x[4:], state)
    np.testing.assert_allclose(np.concatenate([first, second]), whole, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(h2, h, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(c2, c, rtol=1e-5, atol=1e-6)


def test_gradients_of_the_model(rng):
    """Against a difference quotient of the loss, with dropout, from a state that is not zero."""
    model, vocabulary = small()
    x, y = rng.integers(0, len(vocabulary), (2, 5, 3))
    _, state = model(x[::-1])

    def loss():
        (logits, _), cache = model.forward(x, state, stream=5)
        flat = logits.reshape(y.size, -1)
        return kernels.cross_entropy(flat, y.reshape(-1)), flat, cache, logits.shape

    _, flat, cache, shape = loss()
    dy = kernels.cross_entropy_backward(1.0, flat, y.reshape(-1)).reshape(shape)
    model.backward(dy, cache)
    for name, parameter in model.named_parameters():
        direction = rng.standard_normal(parameter.shape).astype(np.float32)
        kept, ends = parameter.data.copy(), []
        for step in (0.01, -0.01):
            parameter.data[...] = kept + step * direction
            ends.append(float(loss()[0]))
        parameter.data[...] = kept
        wanted = (ends[0] - ends[1]) / 0.02
        got = float((parameter.grad * direction).sum())
        assert abs(got - wanted) < 0.02 * abs(wanted) + 2e-4, name


def test_sample(rng):
    model, vocabulary = small()
    prompt = vocabulary.encode("The ")
    greedy = sample(model, prompt, 12, 0, seed=0, rows=2)
    np.testing.assert_array_equal(greedy[0], greedy[1])
    np.testing.assert_array_equal(sample(model, prompt, 12, 1e-9, seed=5)[0], greedy[0])
    read = np.concatenate([prompt, greedy[0]])  # all at once: the same characters
    logits, _ = model(read[:-1, None])
    np.testing.assert_array_equal(logits[len(prompt) - 1 :, 0].argmax(-1), greedy[0])
    again = [sample(model, prompt, 40, 1.0, seed=3, rows=2) for _ in range(2)]
    np.testing.assert_array_equal(*again)
    assert (again[0][0] != again[0][1]).any()


def test_perplexity():
    model, vocabulary = small()
    model.head.weight.data[...] = 0
    model.head.bias.data[...] = 0
    assert perplexity(model, vocabulary.encode(LINES)) == pytest.approx(len(vocabulary), rel=1e-6)


def test_activations_are_the_gates(rng):
    model, vocabulary = small()
    numbers = vocabulary.encode(LINES)
    acts = activations(model, numbers)
    assert all(each.shape == (len(numbers), 16) for each in acts.values())
    c = np.zeros(16)
    for t in range(len(numbers)):
        c = acts["f"][t] * c + acts["i"][t] * acts["g"][t]
        np.testing.assert_allclose(acts["c"][t], c, atol=1e-5)
    y, _ = model.lstm(model.embedding(numbers[:, None]))
    np.testing.assert_allclose(acts["o"] * np.tanh(acts["c"]), y[:, 0], atol=1e-5)


def test_telling_units(rng):
    traits = char_units.traits(LINES)
    quoted = traits["inside quotation marks"]
    assert "".join(c for c, q in zip(LINES, quoted) if q) == '"no"well, well'
    assert "".join(c for c, q in zip(LINES, traits["inside brackets"]) if q) == "(twice"
    np.testing.assert_array_equal(
        traits["letters since the word began"][:8], [1, 2, 0, 1, 2, 3, 4, 0]
    )
    line = LINES.index("\n")
    np.testing.assert_array_equal(
        traits["characters since the line began"][line : line + 3], [0, 1, 2]
    )
    cells = rng.standard_normal((len(LINES), 9)).astype(np.float32)
    cells[:, 4] -= 8 * quoted.astype(np.float32)
    cells[:, 2] = 1  # a unit that does nothing
    found = char_units.telling(cells, LINES)
    assert found[0].number == 4
    assert found[0].r < -0.9
    assert len({each.number for each in found}) == 4
    assert 2 not in {each.number for each in found}
    assert char_units.telling(cells[:4], "aaaa") != []  # a trait without variance has no unit
    begin, end = char_units.sentence(LINES * 2, least=20)
    assert LINES[begin:end] == LINES.splitlines(keepends=True)[0]
    assert char_units.sentence("abc") == (0, 3)


def trained(path, epochs):
    """Train on a few lines for `epochs` of 3, resuming what is in the file."""
    model, vocabulary = small()
    numbers = vocabulary.encode(LINES * 5)
    optimizer = char_lstm.layers.AdamW(model.parameters(), lr=1e-2)
    run = char_train.Run(0, 3, None, 4, 16, 1e-2)
    if path.exists():
        char_train.resume(path, model, optimizer, "lines", vocabulary, run)

    class Cut(Exception):
        pass

    def after():
        char_train.keep(path, model, optimizer, "lines", vocabulary, run)
        if len(run.history) == epochs:
            raise Cut

    with contextlib.suppress(Cut):
        char_train.train(model, optimizer, numbers, numbers[:200], run, after)
    history = [{k: v for k, v in each.items() if k != "seconds"} for each in run.history]
    return model.state_dict(), history


def test_a_run_that_was_cut_off_resumes_to_the_bit(tmp_path):
    whole, history = trained(tmp_path / "whole", 3)
    assert len(history) == 3
    assert history[-1]["held_out"] < history[0]["held_out"]
    trained(tmp_path / "cut", 1)
    resumed, resumed_history = trained(tmp_path / "cut", 3)
    assert resumed_history == history
    for key, value in whole.items():
        np.testing.assert_array_equal(resumed[key], value)


def test_minutes_end_a_training():
    model, vocabulary = small()
    numbers = vocabulary.encode(LINES * 5)
    optimizer = char_lstm.layers.AdamW(model.parameters())
    run = char_train.Run(0, 1, 0.02, 4, 16, 1e-2)
    char_train.train(model, optimizer, numbers, numbers[:200], run)
    assert run.over()
    assert 1.2 <= run.spent() < 30


def test_quick_run_and_bad_arguments(tmp_path, capsys):
    out, model = tmp_path / "figures", tmp_path / "model"
    common = [
        "--quick",
        "--epochs",
        "1",
        "--hidden",
        "16",
        "--out",
        str(out),
        "--model",
        str(model),
    ]
    assert char_lstm.main(common) == 0
    assert {each.name for each in out.iterdir()} == {"curves.png", "gates.png", "samples.txt"}
    assert all(each.read_bytes().startswith(b"\x89PNG") for each in out.glob("*.png"))
    printed = capsys.readouterr().out
    assert "perplexity of a held-out character" in printed
    assert "temperature 0.7: " in printed

    from safetensors import safe_open

    with safe_open(model, framework="numpy") as file:
        saved = file.metadata()
    assert set(json.loads(saved["history"])[0]) == {"perplexity", "held_out", "seconds"}
    assert "\n" in saved["vocabulary"]

    write = ["--threads", "1", "--model", str(model), "--sample", "50", "--temperature", "0", "0.5"]
    assert char_lstm.main([*write, "--prompt", "Lists "]) == 0
    printed = capsys.readouterr().out
    assert len(printed.split("--- temperature 0.5 ---\nLists ")[1].rstrip("\n")) >= 45

    (tmp_path / "short").write_text("too short")
    (tmp_path / "latin").write_bytes("für".encode("latin-1") * 1000)
    (tmp_path / "other").write_text("another text of its own\n" * 100)
    (tmp_path / "foreign").write_bytes(b"nothing of the kind")
    char_lstm.layers.save(tmp_path / "linear", char_lstm.layers.Linear(2, 2))
    cases = [
        (["--text", str(tmp_path / "absent")], "--text", "absent"),
        (["--text", str(tmp_path / "short")], "--text", "1,000 characters"),
        (["--text", str(tmp_path / "latin")], "--text", "expected UTF-8"),
        (
            ["--text", str(tmp_path / "other")],
            "--model",
            "the text 'pydoc_data.topics', got 'other'",
        ),
        (["--model", str(tmp_path / "foreign")], "--model", "expected a safetensors file"),
        (["--model", str(tmp_path / "linear")], "--model", "that this example wrote"),
        (["--model", str(tmp_path / "no" / "model")], "--model", "expected a folder that exists"),
        (["--model", str(tmp_path / "absent"), "--sample", "9"], "--model", "absent"),
        (["--seed", "4"], "--model", "the seed 0, got 4"),
        (["--hidden", "32"], "--model", "the sizes"),
        (["--prompt", "жук"], "--prompt", "got 'жку'"),
        ([*write, "--prompt", "ж"], "--prompt", "got 'ж'"),
        (["--temperature", "-1"], "--temperature", "a number from 0, got"),
        (["--temperature", "nan"], "--temperature", "a number from 0, got"),
        (["--temperature", "hot"], "--temperature", "hot"),
        (["--dropout", "1"], "--dropout", "below 1"),
        (["--minutes", "0"], "--minutes", "above 0"),
        (["--minutes", "1"], "--minutes", "got both"),
        (["--epochs", "0"], "--epochs", "an integer from 1"),
        (["--hidden", "x"], "--hidden", "x"),
        (["--batch", "30000"], "--batch", "20,000"),
        (["--sample", "0"], "--sample", "an integer from 1"),
        (["--lr", "inf"], "--lr", "above 0"),
        (["--seed", "-1"], "--seed", "an integer from 0"),
        (["--threads", "999"], "--threads", "999"),
        (["--out", str(model)], "--out", "exists"),
    ]
    for arguments, option, match in cases:
        capsys.readouterr()
        with pytest.raises(SystemExit) as stopped:
            char_lstm.main([*common, *arguments])
        assert stopped.value.code == 2
        said = capsys.readouterr().err
        assert f"{option}" in said.splitlines()[-1], arguments
        assert match in said, arguments
    capsys.readouterr()
    with pytest.raises(SystemExit):
        char_lstm.main(["--sample", "9"])
    assert "--sample: expected --model" in capsys.readouterr().err
