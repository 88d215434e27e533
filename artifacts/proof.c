/* SPDX-License-Identifier: Apache-2.0 */
#include "artifacts/proof.h"

#include <math.h>
#include <string.h>

static void compare_label(const struct prediction *expected, const struct outcome *found,
                          struct agreement *agreement)
{
    double probability = found->probability;
    if (found->probabilities && expected->label >= 0)
        probability = (double)found->probabilities[expected->label];
    double before = (double)(float)expected->probability; /* those found are floats, too */
    double difference = expected->scored ? fabs(probability - before) : 0;
    if (!(difference <= agreement->largest)) /* NaN counts as the largest */
        agreement->largest = difference;
    if (found->label == expected->label)
        agreement->equal++;
    else if (found->probability - probability <= 2 * agreement->tolerance)
        agreement->close++;
}

static void compare(const struct proof *replay, const struct outcome *outcomes,
                    struct agreement *agreement)
{
    for (size_t i = 0; i < replay->count; i++) {
        const char *text = replay->expected[i].text;
        if (agreement->labels)
            compare_label(&replay->expected[i], &outcomes[i], agreement);
        else
            agreement->equal += !strcmp(text ? text : "", outcomes[i].text ? outcomes[i].text : "");
    }
}

enum status proof_judge(const struct proof *replay, const struct outcome *outcomes,
                        const char *advice, struct agreement *agreement, struct error *err)
{
    struct text text = {0};
    compare(replay, outcomes, agreement);
    if (agreement->equal + agreement->close == agreement->count &&
        agreement->largest <= agreement->tolerance)
        return OK;
    agreement_text(agreement, &text);
    if (agreement->labels)
        text_printf(&text, " (at most %g expected)", agreement->tolerance);
    error_set(err, FAILED, "the export does not answer like the original: %s; nothing was kept%s",
              text_string(&text), advice);
    text_release(&text);
    return FAILED;
}

void agreement_text(const struct agreement *agreement, struct text *out)
{
    text_printf(out, "%zu of %zu %s equal", agreement->equal, agreement->count,
                agreement->labels ? "labels" : "answers");
    if (agreement->close)
        text_printf(out, ", %zu as good as tied", agreement->close);
    if (agreement->labels)
        text_printf(out, ", largest probability difference %.1g", agreement->largest);
}
