/* SPDX-License-Identifier: Apache-2.0
 *
 * Dates in UTC, without locale and time zone.
 */
#ifndef REPORTS_CALENDAR_H
#define REPORTS_CALENDAR_H

#include <stdint.h>

struct calendar {
    int year, month, day; /* month and day from 1 */
    int hour, minute, second, millisecond;
};

/* `ms` since 1970, not negative. The date is that of civil_from_days in Howard Hinnant,
 * "chrono-Compatible Low-Level Date Algorithms". */
struct calendar calendar_of(int64_t ms);

#endif
