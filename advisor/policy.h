/* SPDX-License-Identifier: Apache-2.0
 *
 * What to try next: a pure function of what is known, so that a study that was stopped goes on as
 * it would have gone, and recorded trials can be replayed through it.
 *
 * An arm is a technique. Arms that train nothing by steps run once, as far as they take 30 % of the
 * time together, those with the highest prior first; one with no prior in its favour only if it
 * takes 3 %; and none that would leave no time to train the first of the others, if more is
 * expected of that. The others are screened with their usual learning rate with one pass over 512
 * examples, or on all of fewer than 1024, the most promising first, as many as a share of the time
 * allows: promise is the prior less three points for each time that screening the arm and then
 * training it on all examples would take the time left. Where all examples are screened on, that
 * share is all but the time for rates; where there is no time for a single arm, it gets fewer
 * passes, and where there is none for these either, the size is halved. Where there is no time to
 * screen two arms on a part and train one of them on all examples, the most promising one is
 * trained on all at once. The better half of those screened then tries its neighbouring learning
 * rates. After that follows successive halving (Karnin et al. 2013; Jamieson and Talwalkar 2016):
 * four times the examples for the better half of the arms, up to all examples, each time trained
 * from the start with a finished schedule. Where there is no time for the next size, the best arm
 * gets fewer passes over it, or as many examples as there is time for. Fewer passes are as many as
 * show it 512 examples, or each example once.
 *
 * What is left goes first to a second arm, where there is none, or where all examples are screened
 * on to any arm with a prior in its favour, with fewer passes if need be. Then it goes into making
 * sure: where the runner-up at the largest size is within chance of the leader, both are trained
 * once more with another seed; and the leader with as many sizes as a learning curve takes, three.
 * Then come further learning rates of the winner, arms that had not had their turn, again by their
 * priors, and a third seed for what still ties.
 *
 * Arms are compared by the metric at equal size, equal ones by their loss, as trained with the
 * first seed: further seeds tell finalists apart in the ranking, and decide nothing before.
 */
#ifndef ADVISOR_POLICY_H
#define ADVISOR_POLICY_H

#include <stdbool.h>
#include <stddef.h>

struct arm {
    bool trained;        /* by steps, with a learning rate */
    double prior;        /* the higher, the earlier its turn */
    const double *rates; /* (rate_count) ascending; none unless trained */
    size_t rate_count, usual_rate;
    size_t least; /* examples it needs at least */
};

/* A trial that is done or failed. */
struct arm_trial {
    size_t arm;
    size_t rate; /* index into the arm's rates; 0 when it has none */
    size_t examples;
    size_t seed;        /* 0: the study's; n: the n-th one behind it */
    bool done;          /* otherwise it failed, and will not be tried again */
    double metric, nll; /* of a done one; NAN when not known. A higher metric is better */
    double seconds;     /* that it took */
};

struct policy_view {
    const struct arm *arms;
    size_t arm_count;
    const struct arm_trial *trials;
    size_t trial_count;
    size_t examples; /* training examples there are */
    size_t answers;  /* development examples that a metric rests on; 0: not known */
    double left;     /* seconds for trials */

    /* Seconds a trial is expected to take; `epochs` 0 is the usual number. */
    double (*seconds)(const void *context, size_t arm, size_t examples, int epochs);
    const void *context;
};

struct policy_action {
    size_t arm, rate, examples;
    int epochs;  /* 0: the usual number */
    size_t seed; /* as in arm_trial */
};

/* The next trial, or false when nothing that is worth trying fits into the time left. */
bool policy_next(const struct policy_view *view, struct policy_action *action);

/* Examples on which arms are screened, and passes over them (0: the usual number). */
size_t policy_first_rung(size_t examples);
int policy_first_passes(size_t examples);

/* The size after `size`: all examples when there are not three times as many as the usual step, of
 * four times, gives. */
size_t policy_next_rung(size_t examples, size_t size);

/* The share of the time for training that screening may take where there are larger sizes. */
double policy_screening_share(void);

#endif
