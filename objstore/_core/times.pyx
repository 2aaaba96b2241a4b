# Times: as services write them in documents (RFC 3339), as microseconds since 1970, and as Python has them.
from cpython.datetime cimport datetime, datetime_new, get_utc, import_datetime

import_datetime()

cdef int64_t DAY = 86_400_000_000           # in microseconds
cdef int64_t DAYS_TO_1970 = 719_468         # from 1 March 0000


cdef int64_t days_since_1970(int year, int month, int day) noexcept nogil:
    """Count days of the Gregorian calendar. Years begin in March here, so that a leap day is the last of its year."""
    cdef int64_t years = year - (month <= 2)
    cdef int64_t since_march = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    return 365 * years + years // 4 - years // 100 + years // 400 + since_march - DAYS_TO_1970


cdef datetime time_of(int64_t microseconds):
    """Return an aware time: the reverse of days_since_1970."""
    cdef int64_t within = microseconds + DAYS_TO_1970 * DAY
    cdef int64_t days = within // DAY
    cdef int64_t era = days // 146097
    cdef int64_t day = days - era * 146097
    cdef int64_t year = (day - day // 1460 + day // 36524 - day // 146096) // 365
    cdef int64_t month
    cdef int second
    within -= days * DAY
    day -= 365 * year + year // 4 - year // 100
    month = (5 * day + 2) // 153
    day -= (153 * month + 2) // 5
    year += 400 * era + (month >= 10)
    month += 3 if month < 10 else -9
    second = within // 1_000_000
    return datetime_new(year, month, day + 1, second // 3600, second // 60 % 60, second % 60, within % 1_000_000,
                        get_utc())


cdef bint is_date(int year, int month, int day) noexcept nogil:
    cdef bint leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    if year < 1 or not 1 <= month <= 12 or day < 1:
        return False
    return day <= (28 + leap if month == 2 else 30 + (month + month // 8) % 2)


cdef bint take_char(const char** at, const char* end, char a, char b) noexcept nogil:
    """Pass over one of two characters, if it is there."""
    if at[0] == end or (at[0][0] != a and at[0][0] != b):
        return False
    at[0] += 1
    return True


cdef int take_number(const char** at, const char* end, int digits) noexcept nogil:
    """Read a number of so many digits; -1 where it is none."""
    cdef int value = 0
    cdef int i
    if end - at[0] < digits:
        return -1
    for i in range(digits):
        if not c"0" <= at[0][i] <= c"9":
            return -1
        value = value * 10 + (at[0][i] - c"0")
    at[0] += digits
    return value


cdef int64_t take_fraction(const char** at, const char* end) noexcept nogil:
    """Read the digits after the point, as microseconds; what is finer is cut off. -1 where there are none."""
    cdef int64_t value = 0, unit = 100_000
    cdef const char* start = at[0]
    while at[0] < end and c"0" <= at[0][0] <= c"9":
        value += unit * (at[0][0] - c"0")
        unit //= 10
        at[0] += 1
    return value if at[0] > start else -1


cdef bint take_offset(const char** at, const char* end, int* minutes) noexcept nogil:
    """Read the offset from UTC."""
    cdef int sign, hour, minute
    minutes[0] = 0
    if take_char(at, end, c"Z", c"z"):
        return True
    sign = -1 if at[0] < end and at[0][0] == c"-" else 1
    hour = take_number(at, end, 2) if take_char(at, end, c"+", c"-") else -1
    minute = take_number(at, end, 2) if take_char(at, end, c":", c":") else -1
    minutes[0] = sign * (60 * hour + minute)
    return 0 <= hour <= 23 and 0 <= minute <= 59


cdef bint parse_time(Span text, int64_t* microseconds) noexcept nogil:
    """Read a time such as 2026-11-22T12:00:00.000Z or 2026-11-22T13:00:00+01:00 (RFC 3339)."""
    cdef const char* at = text.data
    cdef const char* end = at + text.length
    cdef int year, month, day, hour, minute, second, offset
    cdef int64_t fraction = 0
    year = take_number(&at, end, 4)
    month = take_number(&at, end, 2) if take_char(&at, end, c"-", c"-") else -1
    day = take_number(&at, end, 2) if take_char(&at, end, c"-", c"-") else -1
    hour = take_number(&at, end, 2) if take_char(&at, end, c"T", c"t") else -1
    minute = take_number(&at, end, 2) if take_char(&at, end, c":", c":") else -1
    second = take_number(&at, end, 2) if take_char(&at, end, c":", c":") else -1
    if not is_date(year, month, day) or not (0 <= hour <= 23 and 0 <= minute <= 59 and 0 <= second <= 60):
        return False
    if take_char(&at, end, c".", c","):
        fraction = take_fraction(&at, end)
    if fraction < 0 or not take_offset(&at, end, &offset) or at != end:
        return False
    second += 60 * (minute - offset) + 3600 * hour
    microseconds[0] = days_since_1970(year, month, day) * DAY + second * <int64_t>1_000_000 + fraction
    return days_since_1970(1, 1, 1) * DAY <= microseconds[0] < days_since_1970(10000, 1, 1) * DAY


cdef int take_month(const char** at, const char* end) noexcept nogil:
    """Read the name of a month; 0 where it is none."""
    cdef const char* months = b"JanFebMarAprMayJunJulAugSepOctNovDec"
    cdef int i
    for i in range(12):
        if end - at[0] >= 3 and memcmp(at[0], months + 3 * i, 3) == 0:
            at[0] += 3
            return i + 1
    return 0


cdef bint parse_http_time(Span text, int64_t* microseconds) noexcept nogil:
    """Read a time such as Sun, 22 Nov 2026 12:00:00 GMT (RFC 9110, section 5.6.7, the form that is sent)."""
    cdef const char* at = text.data + 5
    cdef const char* end = text.data + text.length
    cdef int year, month, day, hour, minute, second
    if text.length != 29 or memcmp(text.data + 3, b", ", 2) != 0 or memcmp(end - 4, b" GMT", 4) != 0:
        return False
    day = take_number(&at, end, 2)
    month = take_month(&at, end) if take_char(&at, end, c" ", c" ") else 0
    year = take_number(&at, end, 4) if take_char(&at, end, c" ", c" ") else -1
    hour = take_number(&at, end, 2) if take_char(&at, end, c" ", c" ") else -1
    minute = take_number(&at, end, 2) if take_char(&at, end, c":", c":") else -1
    second = take_number(&at, end, 2) if take_char(&at, end, c":", c":") else -1
    if not is_date(year, month, day) or not (0 <= hour <= 23 and 0 <= minute <= 59 and 0 <= second <= 60):
        return False
    second += 60 * minute + 3600 * hour
    microseconds[0] = days_since_1970(year, month, day) * DAY + second * <int64_t>1_000_000
    return microseconds[0] < days_since_1970(10000, 1, 1) * DAY
