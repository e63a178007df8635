"""Dates as people write them, in English, French and figures alone, each with its ISO form.

Every style can be read in one way only: 04/03/1998 alone is no style, since Americans and the French
read it differently; "le 04/03/1998" is one, since its article is French. A careless hand sometimes
writes all in capitals, all in small letters, or leaves the accents out.

The two parts share no date: what is held out was never seen in any style.
"""

from __future__ import annotations

import datetime
import unicodedata
from collections.abc import Iterable
from functools import cache
from typing import NamedTuple

import numpy as np

FIRST, LAST = datetime.date(1900, 1, 1), datetime.date(2099, 12, 31)
HELD_OUT = 0.1  # share of the dates
CARELESS = 0.15  # share of the writings that are not as the style has them

ALPHABET = " ,-./0123456789abcdefghijlmnopqrstuvwxyzABCDEFGHIJLMNOPQRSTUVWXYZéûÉÛ"
DIGITS = "0123456789-"
START, END = len(DIGITS), len(DIGITS) + 1  # around the ISO form, after its eleven symbols

_list = str.split
_TEENS = _list("ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen")
_UNITS = _list("one two three four five six seven eight nine")
_TENS = _list("twenty thirty forty fifty sixty seventy eighty ninety")
_ORDINALS = {"one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth"}
_ORDINALS |= {"nine": "ninth", "twelve": "twelfth"}
_UN = _list(
    "un deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze seize dix-sept dix-huit dix-neuf"
)
_DIX = {20: "vingt", 30: "trente", 40: "quarante", 50: "cinquante", 60: "soixante"}


class Language(NamedTuple):
    """The names of months (January first) and weekdays (Monday first), and their short forms."""

    months: list[str]
    short: list[str]
    weekdays: list[str]


ENGLISH = Language(
    _list("January February March April May June July August September October November December"),
    _list("Jan. Feb. Mar. Apr. May Jun. Jul. Aug. Sep. Oct. Nov. Dec."),
    _list("Monday Tuesday Wednesday Thursday Friday Saturday Sunday"),
)
FRENCH = Language(
    _list("janvier février mars avril mai juin juillet août septembre octobre novembre décembre"),
    _list("janv. févr. mars avr. mai juin juil. août sept. oct. nov. déc."),
    _list("lundi mardi mercredi jeudi vendredi samedi dimanche"),
)

# Fields: d and dd the day, m and mm the month, y the year, all in figures; nth the day as it counts
# (3rd, 1er); month, mon and abc its name, whole and short; weekday and wd that day's; day and year in words.
STYLES = {
    "English": [
        "{month} {d}, {y}",
        "{month} {nth}, {y}",
        "{month} {nth} {y}",
        "{d} {month} {y}",
        "{nth} {month} {y}",
        "the {nth} of {month}, {y}",
        "{mon} {d}, {y}",
        "{d} {mon} {y}",
        "{dd}-{abc}-{y}",
        "{weekday}, {month} {d}, {y}",
        "{weekday} {d} {month} {y}",
        "{wd}, {mon} {nth}, {y}",
        "{wd} {d} {abc} {y}",
        "{month} the {day}, {y}",
        "the {day} of {month}, {year}",
        "{weekday} the {day} of {month} {y}",
    ],
    "French": [
        "{nth} {month} {y}",
        "le {nth} {month} {y}",
        "{dd} {month} {y}",
        "{d} {mon} {y}",
        "le {nth} {mon} {y}",
        "{weekday} {nth} {month} {y}",
        "le {weekday} {nth} {month} {y}",
        "{wd} {d} {mon} {y}",
        "le {dd}/{mm}/{y}",
        "le {d}/{m}/{y}",
        "le {weekday} {dd}/{mm}/{y}",
        "le {day} {month} {y}",
        "le {day} {month} {year}",
        "{weekday} {day} {month} {y}",
    ],
    "figures": [
        "{y}-{mm}-{dd}",
        "{y}/{mm}/{dd}",
        "{y}/{m}/{d}",
        "{dd}.{mm}.{y}",
        "{d}.{m}.{y}",
        "{y}{mm}{dd}",
    ],
}
LANGUAGES = list(STYLES)
EXAMPLE = datetime.date(1998, 2, 1)  # written differently in every style
EVERY = [(language, style) for language, styles in STYLES.items() for style in styles]


class Writing(NamedTuple):
    """One date, written."""

    text: str
    iso: str
    style: int  # index into EVERY
    date: datetime.date


def write(date: datetime.date, language: str, style: str) -> str:
    """Write a date in one style."""
    y, m, d = date.year, date.month, date.day
    words = FRENCH if language == "French" else ENGLISH
    month, short, weekday = words.months[m - 1], words.short[m - 1], words.weekdays[date.weekday()]
    nth, day, year = (french if words is FRENCH else english)(d, y)
    return style.format(
        d=d, dd=f"{d:02}", nth=nth, day=day, m=m, mm=f"{m:02}", month=month, mon=short, abc=month[:3],
        y=y, year=year, weekday=weekday, wd=weekday[:3] + "." * (words is FRENCH),
    )  # fmt: skip


@cache
def english(day: int, year: int) -> tuple[str, str, str]:
    """Return the day as 3rd and as third, and the year in words."""

    def words(n: int) -> str:
        if n < 20:
            return _UNITS[n - 1] if n < 10 else _TEENS[n - 10]
        tens, units = divmod(n, 10)
        return _TENS[tens - 2] + (f"-{_UNITS[units - 1]}" if units else "")

    ending = "th" if day in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
    head, dash, last = words(day).rpartition("-")
    last = _ORDINALS.get(last) or (last[:-1] + "ieth" if last.endswith("y") else last + "th")
    century, rest = divmod(year, 100)
    if rest == 0:
        spoken = "two thousand" if century == 20 else f"{words(century)} hundred"
    elif rest < 10:
        spoken = (
            f"two thousand and {words(rest)}"
            if century == 20
            else f"{words(century)} oh {words(rest)}"
        )
    else:
        spoken = f"{words(century)} {words(rest)}"
    return f"{day}{ending}", head + dash + last, spoken


@cache
def french(day: int, year: int) -> tuple[str, str, str]:
    """Return the day as 3 or 1er and in words, and the year in words."""

    def words(n: int) -> str:
        if n < 20:
            return _UN[n - 1]
        if n >= 80:  # four times twenty, and up to nineteen more
            return "quatre-vingt" + (f"-{words(n - 80)}" if n > 80 else "s")
        tens = min(n // 10 * 10, 60)  # seventy is sixty and ten
        rest = n - tens
        joint = " et " if rest in (1, 11) else "-"
        return _DIX[tens] + (joint + words(rest) if rest else "")

    century, rest = divmod(year, 100)
    spoken = "deux mille" if century == 20 else "mille neuf cent" + "s" * (rest == 0)
    return (
        "1er" if day == 1 else str(day),
        "premier" if day == 1 else words(day),
        spoken + (f" {words(rest)}" if rest else ""),
    )


def plain(text: str) -> str:
    """Leave the accents out."""
    return "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c))


def split(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the days, counted from FIRST, to learn from and those held out; they share none."""
    days = np.random.default_rng([seed, 0]).permutation((LAST - FIRST).days + 1)
    held = round(HELD_OUT * len(days))
    return days[held:], days[:held]


def draw(days: np.ndarray, count: int, rng: np.random.Generator) -> list[Writing]:
    """Draw `count` of the days, each in a style and by a hand drawn for it."""
    chosen = rng.choice(days, count)
    styles = rng.integers(len(EVERY), size=count)
    hands = rng.random(count) / CARELESS
    result = []
    for day, style, hand in zip(chosen.tolist(), styles.tolist(), hands.tolist()):
        date = FIRST + datetime.timedelta(day)
        text = write(date, *EVERY[style])
        if hand < 1:
            text = (str.upper, str.lower, plain)[int(3 * hand)](text)
        result.append(Writing(text, date.isoformat(), style, date))
    return result


_CODES = np.zeros(0x110000, np.int64)  # 0 is any character that no style has
_CODES[[ord(c) for c in ALPHABET]] = np.arange(1, len(ALPHABET) + 1)


def encode(texts: Iterable[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return the symbols (T, B) of texts of any lengths, zeros after each one's end, and the lengths (B,)."""
    texts = list(texts)
    lengths = np.array([len(each) for each in texts], np.int64)
    symbols = np.zeros((len(texts), max(1, int(lengths.max(initial=0)))), np.int64)
    points = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), np.uint32)
    symbols[np.arange(symbols.shape[1]) < lengths[:, None]] = _CODES[points]
    return np.ascontiguousarray(symbols.T), lengths


def targets(writings: Iterable[Writing]) -> np.ndarray:
    """Return START, the ISO form's symbols and END, (12, B)."""
    codes = [[START, *map(DIGITS.index, each.iso), END] for each in writings]
    return np.array(codes, np.int64).reshape(-1, 12).T


def spell(symbols: Iterable[int]) -> str:
    """Return the text of symbols, up to END; a stray START is ?."""
    text = ""
    for each in symbols:
        if each == END:
            break
        text += (DIGITS + "?")[each]
    return text
