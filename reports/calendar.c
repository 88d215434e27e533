/* SPDX-License-Identifier: Apache-2.0 */
#include "reports/calendar.h"

struct calendar calendar_of(int64_t ms)
{
    int64_t days = ms / 86400000, rest = ms % 86400000;
    int64_t shifted = days + 719468; /* since 1 March of the year 0 */
    int64_t era = shifted / 146097, day = shifted % 146097;
    int64_t year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    int64_t in_year = day - (365 * year + year / 4 - year / 100);
    int64_t month = (5 * in_year + 2) / 153; /* from March */
    int number = (int)(month < 10 ? month + 3 : month - 9);
    return (struct calendar){.year = (int)(year + era * 400 + (number <= 2)),
                             .month = number,
                             .day = (int)(in_year - (153 * month + 2) / 5 + 1),
                             .hour = (int)(rest / 3600000),
                             .minute = (int)(rest / 60000 % 60),
                             .second = (int)(rest / 1000 % 60),
                             .millisecond = (int)(rest % 1000)};
}
