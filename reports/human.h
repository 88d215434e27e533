/* SPDX-License-Identifier: Apache-2.0
 *
 * Numbers for people, in few characters. Each function appends to `out`; a number that was not
 * measured is "-".
 */
#ifndef REPORTS_HUMAN_H
#define REPORTS_HUMAN_H

#include "base/text.h"
#include "evaluators/store.h"

void human_seconds(struct text *out, struct measured seconds); /* "0.8 s" "1m05s" "1h02m" */
void human_milliseconds(struct text *out, struct measured ms); /* "0.4 ms" "21 ms" "1.5 s" */
void human_bytes(struct text *out, struct measured bytes);     /* "0" "900 B" "858M" "1.2G" */
void human_count(struct text *out, struct measured count);     /* "0" "999" "461k" "134.5M" */
void human_metric(struct text *out, struct measured metric);   /* "0.913" */
void human_interval(struct text *out, struct measured metric, struct measured low,
                    struct measured high); /* "0.913 [0.886, 0.935]" */

#endif
