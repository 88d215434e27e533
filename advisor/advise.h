/* SPDX-License-Identifier: Apache-2.0
 *
 * What `advisor advise` tells: a ranking by rules, arithmetic and past studies, measured by
 * nothing.
 */
#ifndef ADVISOR_ADVISE_H
#define ADVISOR_ADVISE_H

#include "advisor/history.h"
#include "advisor/situation.h"

struct advice {
    const struct situation *situation;
    struct judgements judgements;
    struct belief *beliefs; /* of the judgements */
    size_t *order;          /* of the judgements: possible ones first, the most points first, the
                               cheaper one over its lifetime among equals */
    struct history history; /* empty with --no-history */
};

double advice_lifetime(const struct advice *advice, const struct judgement *judgement);

void advice_text(const struct advice *advice, struct report_style style, struct text *out);
void advice_json(const struct advice *advice, struct text *out);

#endif
