"""Check digits and tables of structured ids: they raise confidence, and never decide alone."""

from __future__ import annotations

import datetime
import re

_REGIONS = (
    "11 12 13 14 15 21 22 23 31 32 33 34 35 36 37 41 42 43 44 45 46 50 51 52 53 54 61 62 63 64 65 71 81 82 83"
)
_LENGTHS = (
    "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DK18 DO28 EE20 EG29 ES24 FI18 "
    "FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 "
    "LU20 LV21 LY25 MC27 MD24 ME22 MK19 MR27 MT31 MU30 NL18 NO15 PK24 PL28 PS29 PT25 QA29 RO24 RS22 SA24 SC31 SD18 "
    "SE24 SI19 SK24 SM27 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20"
)
IBANS = {country: int(length) for country, length in re.findall(r"([A-Z]{2})(\d\d)", _LENGTHS)}
"""How long an IBAN is, by country."""


def luhn(digits: str) -> bool:
    """Whether a card number's last digit is right."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def resident(number: str) -> bool:
    """Whether an 18-digit resident id's last character is right (ISO 7064, MOD 11-2)."""
    total = sum(int(digit) * (2 ** (17 - place) % 11) for place, digit in enumerate(number[:17]))
    return "10X98765432"[total % 11] == number[17].upper()


def iban(number: str) -> bool:
    """Whether an IBAN's check digits are right (ISO 7064, MOD 97-10)."""
    turned = number[4:] + number[:4]
    return int("".join(str(int(char, 36)) for char in turned)) % 97 == 1


def region(number: str) -> bool:
    """Whether a resident id begins with a part of China."""
    return number[:2] in _REGIONS.split()


def born(year: str, month: str, day: str) -> bool:
    """Whether a person could be born on that date."""
    try:
        return 1900 <= datetime.date(int(year), int(month), int(day)).year <= 2035
    except ValueError:
        return False


_ISSUERS = re.compile(
    r"3[47]\d{13}|3[068]\d{12}|4\d{12}|(?:220\d|22[2-9]\d|2[3-6]\d\d|27[01]\d|2720)\d{12}|"
    r"(?:3[5-8]|4\d|5[0-8]|6\d)\d{14,17}|9[589]\d{14}(?:\d{3})?"
)


def issuer(digits: str) -> bool:
    """Whether a card issuer numbers its cards like this."""
    return _ISSUERS.fullmatch(digits) is not None
