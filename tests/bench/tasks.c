/* SPDX-License-Identifier: Apache-2.0
 *
 * Describes a task of the record in numbers, as one row of tests/bench/tasks.csv: what the rules
 * and the predictors of cost want to know about its data, so that a replay needs neither the data
 * nor the model.
 *
 *     build/bench/tasks TASK TRAIN TEST [MODEL]     one row
 *     build/bench/tasks                             the heading
 */
#include <stdio.h>

#include "advisor/command.h"
#include "advisor/situation.h"
#include "advisor/study.h"
#include "tests/default_model.h"

static enum status describe(struct study *study, const char *task, struct error *err)
{
    struct data_profile profile = {0};
    struct facts facts;
    data_profile_of_split(&study->data, &study->split, 0, PROFILE_QUICK, &profile);
    enum status status = situation_of_study(study, &profile, &facts, err);
    if (status == OK)
        printf("%s,%s,%.0f,%.6g,%.6g,%.6g,%.6g,%.6g,%.6g,%.6g,%.6g,%.6g,%.6g,%.6g,%.6g\n", task,
               task_name(study->data.task), facts_number(&facts, FACT_LABELS, 0),
               study->tokens_mean, study->tokens_max, study->tokens_answer, study->prefix_tokens,
               study->list_tokens, study->example_tokens, study->tokens_rationale,
               facts_number(&facts, FACT_RATIONALES, 0), facts_number(&facts, FACT_REASONING, 0),
               facts_number(&facts, FACT_NOISE_LOW, 0), facts_number(&facts, FACT_UNSEEN_WORDS, 0),
               facts_number(&facts, FACT_TEST_UNSEEN_WORDS, 0));
    data_profile_release(&profile);
    return status;
}

int main(int argc, char **argv)
{
    static char path[MODEL_PATH];
    struct options options;
    struct study study = {.lock = -1};
    struct error err;
    if (argc == 1) {
        puts("task,kind,labels,input_tokens,input_tokens_max,answer_tokens,instruction_tokens,"
             "list_tokens,example_tokens,rationale_tokens,rationales,reasoning,noise_low,unseen_"
             "words,"
             "test_unseen_words");
        return 0;
    }
    if (argc < 4 || (argc < 5 && !default_model(path))) {
        fputs("usage: tasks TASK TRAIN TEST [MODEL]\n", stderr);
        return USAGE;
    }
    options_default(command_find("recommend"), &options);
    options.operands[0] = argv[2];
    options.operand_count = 1;
    options.test_path = argv[3];
    options.model = argc > 4 ? argv[4] : path;
    enum status status = study_open(&study, &options, NULL, false, &err);
    if (status == OK)
        status = describe(&study, argv[1], &err);
    if (status != OK)
        fprintf(stderr, "tasks: %s\n", err.text);
    study_close(&study);
    options_release(&options);
    return (int)status;
}
