"""How spreadsheets of a language and country write numbers and separate cells.

Decimal marks are CLDR's, as ICU gives them for every country it knows (Chromium 156's, read on
2026-11-22). Where the mark is a comma, lists are separated by semicolons; so they are in
Switzerland and Liechtenstein, though the mark there is a point.
"""

from __future__ import annotations

from collections.abc import Mapping

from router.errors import InvalidRequestError

_COMMA, _POINT, _SWISS = (";", ","), (",", "."), (";", ".")
_COUNTRIES: Mapping[str, Mapping[tuple[str, str], str]] = {
    "en": {
        _POINT: "001 150 AE AG AI AS AU BB BI BM BS BW BZ CA CC CK CM CX CY DG DM ER FJ FK FM GB "
        "GD GG GH GI GM GS GU GY HK IE IL IM IN IO JE JM JP KE KI KN KY LC LR LS MG MH MO MP MS "
        "MT MU MV MW MY NA NF NG NR NU NZ PG PH PK PN PR PW RW SB SC SD SG SH SL SS SX SZ TC TK "
        "TO TT TV TZ UG UM US VC VG VI VU WS ZM ZW",
        _COMMA: "AT BE CZ DE DK EE ES FI FR GE HU ID IT LT LV NL NO PL PT RO SE SI SK UA ZA",
        _SWISS: "CH",
    },
    "da": {_COMMA: "DK GL"},
    "de": {_COMMA: "AT BE DE IT LU", _SWISS: "CH LI"},
    "es": {
        _COMMA: "AR BO CL CO CR EA EC ES GQ IC PH PY UY VE",
        _POINT: "419 BR BZ CU DO GT HN MX NI PA PE PR SV US",
    },
    "fi": {_COMMA: "FI"},
    "fr": {
        _COMMA: "BE BF BI BJ BL CA CD CF CG CH CI CM DJ DZ FR GA GF GN GP GQ HT KM LU MA MC MF MG "
        "ML MQ MR MU NC NE PF PM RE RW SC SN SY TD TG TN VU WF YT"
    },
    "it": {_COMMA: "IT SM VA", _SWISS: "CH"},
    "nb": {_COMMA: "NO SJ"},
    "nl": {_COMMA: "AW BE BQ CW NL SR SX"},
    "pl": {_COMMA: "PL"},
    "pt": {_COMMA: "AO BR CH CV GQ GW LU MO MZ PT ST TL"},
    "sv": {_COMMA: "AX FI SE"},
}
LOCALES: Mapping[str, tuple[str, str]] = {
    language: next(iter(countries)) for language, countries in _COUNTRIES.items()
} | {
    f"{language}-{country}".lower(): marks
    for language, countries in _COUNTRIES.items()
    for marks, names in countries.items()
    for country in names.split()
}
"""Separator of cells and decimal mark, by a language, or a language and country in lower case."""


def conventions(locale: str) -> tuple[str, str]:
    """Separator and decimal mark of a locale such as "de", "de-CH" or "fr_FR.UTF-8".

    Raises:
        InvalidRequestError: a language or country that is none of ours.
    """
    given = locale if isinstance(locale, str) else ""
    name = given.partition(".")[0].partition("@")[0].replace("_", "-").lower()
    found = LOCALES.get(name)
    if found is not None:
        return found
    language = name.partition("-")[0]
    expected = f"expected one of {', '.join(_COUNTRIES)}, with or without a country"
    if language in _COUNTRIES:
        # Not taken for the language's own: a mark that is read wrongly changes every amount.
        countries = sorted(" ".join(_COUNTRIES[language].values()).split())
        expected = f"expected {language!r} alone or with one of {', '.join(countries)}"
    raise InvalidRequestError(f"locale: {expected}; got {locale!r}", param="locale")
