/* SPDX-License-Identifier: Apache-2.0
 *
 * One trial of a study: looked up when it is settled, otherwise claimed, run and written down.
 */
#ifndef ADVISOR_RUN_TRIAL_H
#define ADVISOR_RUN_TRIAL_H

#include "advisor/study.h"

/* `record` gets the trial when it is settled, before or now; its status is TRIAL_PLANNED when it is
 * not settled and `may_run` is false, and TRIAL_INTERRUPTED when the time ran out. A trial at fault
 * itself is settled as failed with its reason, and the status is OK; other statuses concern the
 * study: INTERRUPTED, and FAILED for its file. */
enum status run_trial(struct study *study, const struct setting *setting, size_t examples,
                      uint64_t seed, const char *purpose, bool may_run, struct trial_record *record,
                      struct error *err);

#endif
