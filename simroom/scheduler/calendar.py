"""Dates as text, from a count of microseconds."""

from __future__ import annotations


def rfc3339(unix_time: int) -> str:
    """``unix_time`` (microseconds since 1970) in RFC 3339, UTC, to the microsecond.

    The day is found by Hinnant's ``civil_from_days`` (chrono-compatible low-level date algorithms), exact for every
    day of the Gregorian calendar.
    """
    seconds, fraction = divmod(unix_time, 1_000_000)
    days, second_of_day = divmod(seconds, 86_400)
    days += 719_468
    era, day_of_era = divmod(days, 146_097)
    year_of_era = (day_of_era - day_of_era // 1_460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted_month = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * shifted_month + 2) // 5 + 1
    month = shifted_month + 3 if shifted_month < 10 else shifted_month - 9
    year = year_of_era + era * 400 + (month <= 2)
    hour, rest = divmod(second_of_day, 3_600)
    minute, second = divmod(rest, 60)
    return f"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{fraction:06}Z"
