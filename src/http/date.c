#include "http/date.h"

static const char days[7][10] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                 "Thursday", "Friday", "Saturday"};
static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

typedef struct civil {
    int64_t year;
    int month; // 1..12
    int day;
    int hour;
    int minute;
    int second;
} civil;

// Days since 1970 of a date of the Gregorian calendar; years are counted from March so that the
// leap day ends them.
static int64_t days_of(const civil *c) {
    int64_t y = c->month <= 2 ? c->year - 1 : c->year;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (c->month + (c->month > 2 ? -3 : 9)) + 2) / 5 + c->day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

static civil civil_of(int64_t day) {
    day += 719468;
    int64_t era = (day >= 0 ? day : day - 146096) / 146097;
    int64_t day_of_era = day - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month = (5 * day_of_year + 2) / 153;
    civil c = {.day = (int)(day_of_year - (153 * month + 2) / 5 + 1)};
    c.month = (int)(month < 10 ? month + 3 : month - 9);
    c.year = year_of_era + era * 400 + (c.month <= 2);
    return c;
}

// The seconds that the four digits of a year can tell.
static int64_t clamp(int64_t seconds) {
    return seconds < MG_DATE_MIN ? MG_DATE_MIN : seconds > MG_DATE_MAX ? MG_DATE_MAX : seconds;
}

static char *put_number(char *at, int64_t value, int digits) {
    for (int i = digits - 1; i >= 0; i--) {
        at[i] = (char)('0' + value % 10);
        value /= 10;
    }
    return at + digits;
}

static char *put_text(char *at, const char *text, size_t n) {
    memcpy(at, text, n);
    return at + n;
}

void mg_date_write(char out[30], int64_t seconds) {
    seconds = clamp(seconds);
    int64_t day = seconds / 86400 - (seconds % 86400 < 0);
    int64_t left = seconds - day * 86400;
    civil c = civil_of(day);
    char *at = put_text(out, days[((day % 7) + 11) % 7], 3); // day 0 was a Thursday
    at = put_text(at, ", ", 2);
    at = put_number(at, c.day, 2);
    at = put_text(at, " ", 1);
    at = put_text(at, months[c.month - 1], 3);
    at = put_text(at, " ", 1);
    at = put_number(at, c.year, 4);
    at = put_text(at, " ", 1);
    at = put_number(at, left / 3600, 2);
    at = put_text(at, ":", 1);
    at = put_number(at, left / 60 % 60, 2);
    at = put_text(at, ":", 1);
    at = put_number(at, left % 60, 2);
    put_text(at, " GMT", 5);
}

mg_str mg_date_cached(mg_date_cache *c, int64_t second) {
    if (second != c->second || c->text[0] == '\0') {
        c->second = second;
        mg_date_write(c->text, second);
    }
    return (mg_str){c->text, MG_DATE_BYTES};
}

// --- reading ---

// Takes `literal` from the front.
static bool take(mg_str *s, const char *literal) {
    mg_str prefix = mg_str_of(literal);
    if (!mg_str_starts(*s, prefix)) {
        return false;
    }
    s->p += prefix.n;
    s->n -= prefix.n;
    return true;
}

static bool take_number(mg_str *s, size_t digits, int *out) {
    uint64_t value;
    if (s->n < digits || !mg_str_to_u64((mg_str){s->p, digits}, 9999, &value)) {
        return false;
    }
    s->p += digits;
    s->n -= digits;
    *out = (int)value;
    return true;
}

static bool take_month(mg_str *s, int *month) {
    for (int m = 0; m < 12; m++) {
        if (take(s, months[m])) {
            *month = m + 1;
            return true;
        }
    }
    return false;
}

static bool take_day_name(mg_str *s, bool whole) {
    for (int d = 0; d < 7; d++) {
        char name[4] = {days[d][0], days[d][1], days[d][2], '\0'};
        if (take(s, whole ? days[d] : name)) {
            return true;
        }
    }
    return false;
}

static bool take_time(mg_str *s, civil *c) {
    return take_number(s, 2, &c->hour) && take(s, ":") && take_number(s, 2, &c->minute) &&
           take(s, ":") && take_number(s, 2, &c->second);
}

// "Sun, 06 Nov 1994 08:49:37 GMT"
static bool parse_imf(mg_str s, civil *c) {
    int year;
    bool good = take_day_name(&s, false) && take(&s, ", ") && take_number(&s, 2, &c->day) &&
                take(&s, " ") && take_month(&s, &c->month) && take(&s, " ") &&
                take_number(&s, 4, &year) && take(&s, " ") && take_time(&s, c) && take(&s, " GMT");
    c->year = good ? year : 0;
    return good && s.n == 0;
}

// "Sunday, 06-Nov-94 08:49:37 GMT". Without a clock, 70 to 99 are years of the last century.
static bool parse_rfc850(mg_str s, civil *c) {
    int year;
    bool good = take_day_name(&s, true) && take(&s, ", ") && take_number(&s, 2, &c->day) &&
                take(&s, "-") && take_month(&s, &c->month) && take(&s, "-") &&
                take_number(&s, 2, &year) && take(&s, " ") && take_time(&s, c) && take(&s, " GMT");
    c->year = good ? year + (year < 70 ? 2000 : 1900) : 0;
    return good && s.n == 0;
}

// "Sun Nov  6 08:49:37 1994"
static bool parse_asctime(mg_str s, civil *c) {
    int year;
    bool good = take_day_name(&s, false) && take(&s, " ") && take_month(&s, &c->month) &&
                take(&s, " ") && take_number(&s, take(&s, " ") ? 1 : 2, &c->day) && take(&s, " ") &&
                take_time(&s, c) && take(&s, " ") && take_number(&s, 4, &year);
    c->year = good ? year : 0;
    return good && s.n == 0;
}

static bool exists(const civil *c) {
    static const int lengths[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (c->year % 4 == 0 && c->year % 100 != 0) || c->year % 400 == 0;
    int length = lengths[c->month - 1] + (leap && c->month == 2);
    // 60 is a leap second.
    return c->day >= 1 && c->day <= length && c->hour < 24 && c->minute < 60 && c->second <= 60;
}

bool mg_date_parse(mg_str s, int64_t *seconds) {
    civil c = {0};
    if (!(parse_imf(s, &c) || parse_rfc850(s, &c) || parse_asctime(s, &c)) || !exists(&c)) {
        return false;
    }
    *seconds = days_of(&c) * 86400 + c.hour * 3600 + c.minute * 60 + c.second;
    return true;
}
