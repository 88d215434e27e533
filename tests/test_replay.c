/* SPDX-License-Identifier: Apache-2.0
 *
 * The replay of recorded trials on small records made by hand, whose answers are all right or all
 * wrong, so that dealing them anew changes nothing and every figure can be worked out on paper.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/bench/figures.h"
#include "tests/bench/replay.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum { DEV = 8, TEST = 16 };

static const char task_heading[] =
    "task,kind,labels,input_tokens,input_tokens_max,answer_tokens,instruction_tokens,"
    "list_tokens,example_tokens,rationale_tokens,rationales,reasoning,noise_low,unseen_words,"
    "test_unseen_words\n";
static const char tasks[] = "toy,classification,2,60,90,2,24,0,67,0,0,0,0,0.1,0.1\n"
                            "next,classification,2,60,90,2,24,0,67,0,0,0,0,0.1,0.1\n";

static const char heading[] =
    "task,technique,learning_rate,examples,seed,setting,dev,test,metric,dev_metric,test_metric,"
    "train_seconds,score_seconds,train_tokens,request_tokens,parameters,peak_bytes,"
    "prequential_nll,final_loss,dev_nll,dev_right,test_right,failure\n";

/* A trial of `toy` that got everything right, or nothing. */
struct cell {
    const char *technique, *rate;
    int examples, epochs; /* 0: as many as usual */
    bool right;
    double train_seconds, score_seconds;
};

static void write_row(struct text *out, const char *task, const struct cell *c)
{
    text_printf(out, "%s,%s,%s,%d,1,", task, c->technique, c->rate, c->examples);
    if (c->epochs)
        text_printf(out, "\"{\"\"num_epochs\"\":%d}\"", c->epochs);
    else
        text_add(out, "{}");
    text_printf(out, ",%d,%d,accuracy,%d,%d,%g,%g,,10,0,1e8,,,%g,%s,%s,\n", DEV, TEST, c->right,
                c->right, c->train_seconds, c->score_seconds, c->right ? 0.1 : 2.0,
                c->right ? "ff" : "00", c->right ? "ffff" : "0000");
}

/* Reads rows behind both headings. */
static enum status read_rows(struct record *record, const char *rows, struct error *err)
{
    struct text text = {0};
    record_init(record);
    text_printf(&text, "%s%s", task_heading, tasks);
    enum status status =
        record_add_tasks(record, "tasks.csv", text_string(&text), text.length, err);
    assert_int_equal(status, OK);
    text_clear(&text);
    text_printf(&text, "%s%s", heading, rows);
    status = record_add(record, "trials.csv", text_string(&text), text.length, err);
    text_release(&text);
    return status;
}

/* A record of cells, its questions, and a model's shape. */
struct fixture {
    struct record record;
    struct arena arena;
    struct model *model;
    struct question *questions;
    size_t count;
};

static void open_cells(struct fixture *f, const struct cell *cells, size_t count)
{
    static const struct model_numbers shape = {
        .parameters = 134515008, .context = 8192, .n_layer = 30, .n_embd = 576};
    struct text rows = {0};
    struct error err = {0};
    for (size_t i = 0; i < count; i++)
        write_row(&rows, "toy", &cells[i]);
    if (read_rows(&f->record, text_string(&rows), &err) != OK)
        fail_msg("%s", err.text);
    text_release(&rows);
    arena_init(&f->arena, NULL);
    f->model = model_sketch(&shape);
    if (questions_make(&f->record, f->model, 2, &f->arena, &f->questions, &f->count, &err) != OK)
        fail_msg("%s", err.text);
}

static void close_cells(struct fixture *f)
{
    model_free(f->model);
    arena_release(&f->arena);
    record_release(&f->record);
}

/* lora is right with all 1024 examples and its usual rate only, ia3 never; a whole grid takes
 * zero_shot 0.1, ia3 2 x 21 and lora 3 x 41 seconds: 165.1. */
static const struct cell grid[] = {
    {"majority", "", 1024, 0, false, 0, 0}, {"zero_shot", "", 1024, 0, false, 0, 0.1},
    {"ia3", "3e-2", 512, 1, false, 10, 1},  {"ia3", "3e-2", 1024, 0, false, 20, 1},
    {"ia3", "1e-2", 1024, 0, false, 20, 1}, {"lora", "1e-3", 512, 1, false, 20, 1},
    {"lora", "3e-3", 512, 1, true, 20, 1},  {"lora", "1e-2", 512, 1, false, 20, 1},
    {"lora", "3e-3", 1024, 0, true, 40, 1},
};

/* ---- Reading --------------------------------------------------------------------------------- */

static void test_rows_are_read(void **state)
{
    (void)state;
    struct record record;
    struct error err = {0};
    assert_int_equal(read_rows(&record,
                               "toy,lora,3e-3,64,1,\"{\"\"num_epochs\"\":1}\",6,5,accuracy,0.5,0.8,"
                               "10,2,,10,460800,7e8,,,0.4,a8,f0,\n"
                               "toy,few_shot,,64,1,{},2,2,accuracy,,,,,,,,,,,,,,\"no room\"\n",
                               &err),
                     OK);
    assert_int_equal(record.count, 2);
    const struct recorded *row = &record.rows[0];
    static const bool dev[] = {true, false, true, false, true, false};
    static const bool test[] = {true, true, true, true, false};
    assert_memory_equal(row->dev_right, dev, sizeof dev);
    assert_memory_equal(row->test_right, test, sizeof test);
    assert_int_equal(row->epochs, 1);
    assert_false(row->usual);
    assert_true(row->rate > 0.00299 && row->rate < 0.00301);
    assert_true(isnan(row->prequential_nll));
    assert_int_equal(row->line, 2);
    assert_string_equal(record.rows[1].failure, "no room");
    record_release(&record);
}

/* The row with more test answers counts, and a repetition does not. */
static void test_rows_of_one_trial(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "toy,ia3,3e-2,64,1,{},4,4,accuracy,1,1,9,1,,10,0,,,,,f,f,\n",
        "toy,ia3,3e-2,64,1,{},4,8,accuracy,1,0,9,1,,10,0,,,,,f,00,\n",
        "toy,ia3,3e-2,64,1,{},4,4,accuracy,1,1,8,1,,10,0,,,,,f,f,\n",
        "toy,ia3,3e-2,64,1,{},4,8,accuracy,0,0,9,1,,10,0,,,,,0,00,\n",
    };
    struct record record;
    struct error err = {0};
    struct text text = {0};
    for (size_t i = 0; i < 3; i++)
        text_add(&text, rows[i]);
    assert_int_equal(read_rows(&record, text_string(&text), &err), OK);
    assert_int_equal(record.count, 1);
    assert_int_equal(record.rows[0].test, 8);
    record_release(&record);
    text_add(&text, rows[3]);
    assert_int_equal(read_rows(&record, text_string(&text), &err), BAD_DATA);
    assert_non_null(strstr(err.text, "trials.csv:5: "));
    assert_non_null(strstr(err.text, "trials.csv:3"));
    record_release(&record);
    text_release(&text);
}

static void test_bad_rows_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *row, *says;
    } rows[] = {
        {"nil,ia3,3e-2,64,1,{},4,4,accuracy,1,1,9,1,,10,0,,,,,f,f,\n", "task"},
        {"toy,magic,3e-2,64,1,{},4,4,accuracy,1,1,9,1,,10,0,,,,,f,f,\n", "technique"},
        {"toy,ia3,,64,1,{},4,4,accuracy,1,1,9,1,,10,0,,,,,f,f,\n", "learning rate"},
        {"toy,ia3,fast,64,1,{},4,4,accuracy,1,1,9,1,,10,0,,,,,f,f,\n", "learning rate"},
        {"toy,zero_shot,1e-3,64,1,{},4,4,accuracy,1,1,9,1,,10,0,,,,,f,f,\n", "learning rate"},
        {"toy,ia3,3e-2,0,1,{},4,4,accuracy,1,1,9,1,,10,0,,,,,f,f,\n", "examples"},
        {"toy,ia3,3e-2,64x,1,{},4,4,accuracy,1,1,9,1,,10,0,,,,,f,f,\n", "examples"},
        {"toy,ia3,3e-2,64,-1,{},4,4,accuracy,1,1,9,1,,10,0,,,,,f,f,\n", "seed"},
        {"toy,ia3,3e-2,64,1,{,4,4,accuracy,1,1,9,1,,10,0,,,,,f,f,\n", ""},
        {"toy,ia3,3e-2,64,1,{},4,4,charm,1,1,9,1,,10,0,,,,,f,f,\n", "metric"},
        {"toy,ia3,3e-2,64,1,{},4,4,accuracy,2,1,9,1,,10,0,,,,,f,f,\n", "dev_metric"},
        {"toy,ia3,3e-2,64,1,{},4,4,accuracy,0.75,1,9,1,,10,0,,,,,f,f,\n", "share"},
        {"toy,ia3,3e-2,64,1,{},4,4,accuracy,,1,9,1,,10,0,,,,,f,f,\n", "lacks"},
        {"toy,ia3,3e-2,64,1,{},4,4,accuracy,1,1,,1,,10,0,,,,,f,f,\n", "lacks"},
        {"toy,ia3,3e-2,64,1,{},4,4,accuracy,1,1,-9,1,,10,0,,,,,f,f,\n", "train_seconds"},
        {"toy,ia3,3e-2,64,1,{},4,4,accuracy,1,1,nan,1,,10,0,,,,,f,f,\n", "train_seconds"},
        {"toy,ia3,3e-2,64,1,{},4,4,accuracy,1,1,9,1,,10,0,,,,,ff,f,\n", "digits"},
        {"toy,ia3,3e-2,64,1,{},3,4,accuracy,1,1,9,1,,10,0,,,,,f,f,\n", "digits"},
        {"toy,ia3,3e-2,64,1,{},4,4,accuracy,1,1,9,1,,10,0,,,,,F,f,\n", "digits"},
        {"toy,ia3,3e-2,64,1,{},4,4,accuracy,1,1,9,1,,10,0,,,,,f,f\n", ""},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        static const char good[] = "toy,lora,3e-3,64,1,{},4,4,accuracy,1,1,9,1,,10,0,,,,,f,f,\n";
        char text[512];
        struct record record;
        struct error err = {0};
        snprintf(text, sizeof text, "%s%s", good, rows[i].row);
        if (read_rows(&record, text, &err) != BAD_DATA || !strstr(err.text, "trials.csv:3") ||
            !strstr(err.text, rows[i].says))
            fail_msg("row %zu: %s", i, err.text);
        record_release(&record);
    }
}

static void test_bad_files_are_refused(void **state)
{
    (void)state;
    static const char *const files[] = {"", "task,technique\n", "toy,a,b\n"};
    for (size_t i = 0; i < COUNT(files); i++) {
        struct record record;
        struct error err = {0};
        record_init(&record);
        assert_int_equal(record_add(&record, "x.csv", files[i], strlen(files[i]), &err), BAD_DATA);
        assert_int_equal(record_add_tasks(&record, "x.csv", files[i], strlen(files[i]), &err),
                         BAD_DATA);
        assert_non_null(strstr(err.text, "x.csv"));
        assert_int_equal(record_read(&record, "/nowhere/tasks.csv", "/nowhere", &err), FAILED);
        record_release(&record);
    }
}

/* ---- Questions ------------------------------------------------------------------------------- */

static void test_what_is_offered(void **state)
{
    (void)state;
    struct fixture f;
    bool substitute;
    open_cells(&f, grid, COUNT(grid));
    assert_int_equal(f.count, 1); /* with 1024 examples; one pass over 512 is for screening */
    const struct question *q = &f.questions[0];
    assert_int_equal(q->rung_count, 2);
    assert_int_equal(q->rungs[0].examples, 512);
    assert_int_equal(q->rungs[0].epochs, 1);
    assert_int_equal(q->rungs[1].examples, 1024);
    assert_int_equal(q->dev, DEV);
    assert_int_equal(q->test, TEST);
    assert_int_equal(q->offer_count, 4); /* majority, zero_shot, ia3, lora */
    const struct offer *ia3 = &q->offers[2], *lora = &q->offers[3];
    assert_string_equal(ia3->technique->name, "ia3");
    assert_int_equal(ia3->rate_count, 2);
    assert_int_equal(lora->rate_count, 3);
    assert_int_equal(lora->usual_rate, 1);
    /* A rate that is not recorded with all examples: the nearest one that is. */
    const struct recorded *row = question_trial(q, (struct asked){3, 2, 1, 0, 0}, &substitute);
    assert_true(substitute);
    assert_string_equal(row->rate_text, "3e-3");
    assert_int_equal(row->examples, 1024);
    row = question_trial(q, (struct asked){3, 2, 0, 0, 0}, &substitute);
    assert_false(substitute);
    assert_string_equal(row->rate_text, "1e-2");
    /* What does not learn answers at any size. */
    assert_non_null(question_trial(q, (struct asked){1, 0, 0, 0, 0}, &substitute));
    assert_false(substitute);
    assert_true(fabs(question_exhaustive(q) - 165.1) < 1e-9);
    close_cells(&f);
}

/* A technique that is missing at a size leaves the ladder or the size does, whichever keeps more.
 */
static void test_incomplete_ladders(void **state)
{
    (void)state;
    static const struct cell three[] = {
        {"ia3", "3e-2", 512, 1, true, 1, 1},      {"lora", "3e-3", 512, 1, true, 1, 1},
        {"ia3", "3e-2", 1024, 0, true, 1, 1},     {"lora", "3e-3", 1024, 0, true, 1, 1},
        {"adapter", "1e-3", 1024, 0, true, 1, 1},
    };
    static const struct cell one[] = {
        {"ia3", "3e-2", 512, 1, true, 1, 1},
        {"ia3", "3e-2", 1024, 0, true, 1, 1},
        {"lora", "3e-3", 1024, 0, true, 1, 1},
        {"adapter", "1e-3", 1024, 0, true, 1, 1},
    };
    struct fixture f;
    open_cells(&f, three, COUNT(three));
    assert_int_equal(f.questions[0].rung_count, 2); /* two sizes of two, not one of three */
    assert_int_equal(f.questions[0].offer_count, 2);
    close_cells(&f);
    open_cells(&f, one, COUNT(one));
    assert_int_equal(f.count, 1);
    assert_int_equal(f.questions[0].rung_count, 1); /* one size of three, not two of one */
    assert_int_equal(f.questions[0].offer_count, 3);
    close_cells(&f);
}

/* Halves of the smallest size, where all that is offered has them; their rates are not offered. */
static void test_halves(void **state)
{
    (void)state;
    static const struct cell cells[] = {
        {"ia3", "3e-2", 512, 0, true, 1, 1},  {"lora", "3e-3", 512, 0, true, 1, 1},
        {"ia3", "3e-2", 256, 0, true, 1, 1},  {"ia3", "3e-2", 128, 0, true, 1, 1},
        {"lora", "3e-3", 128, 0, true, 1, 1}, {"lora", "1e-2", 128, 0, true, 1, 1},
        {"ia3", "3e-2", 96, 0, true, 1, 1},   {"lora", "3e-3", 96, 0, true, 1, 1},
    };
    struct fixture f;
    bool substitute;
    open_cells(&f, cells, COUNT(cells));
    const struct question *q = &f.questions[0];
    assert_int_equal(q->rung_count, 2); /* 256 is ia3's alone, and 96 is no half */
    assert_int_equal(q->rungs[0].examples, 128);
    assert_int_equal(q->rungs[1].examples, 512);
    assert_int_equal(q->offers[1].rate_count, 1);
    assert_string_equal(question_trial(q, (struct asked){1, 0, 0, 0, 0}, &substitute)->rate_text,
                        "3e-3");
    close_cells(&f);
}

/* Fewer passes than usual answer when they are asked for, and count nowhere else; more are none. */
static void test_passes(void **state)
{
    (void)state;
    static const struct cell cells[] = {
        {"ia3", "3e-2", 512, 0, true, 8, 1},
        {"lora", "3e-3", 512, 0, true, 8, 1},
        {"ia3", "3e-2", 512, 1, false, 4, 1},
        {"lora", "3e-3", 512, 9, false, 40, 1},
    };
    struct fixture f;
    bool substitute;
    open_cells(&f, cells, COUNT(cells));
    const struct question *q = &f.questions[0];
    assert_int_equal(q->offer_count, 2);
    assert_true(fabs(question_exhaustive(q) - 18) < 1e-9);
    const struct recorded *row = question_trial(q, (struct asked){.epochs = 1}, &substitute);
    assert_non_null(row);
    assert_false(row->dev_right[0]);
    assert_true(question_trial(q, (struct asked){0}, &substitute)->dev_right[0]);
    assert_null(question_trial(q, (struct asked){.epochs = 2}, &substitute));
    assert_null(question_trial(q, (struct asked){.offer = 1, .epochs = 9}, &substitute));
    close_cells(&f);
}

/* ---- Replaying ------------------------------------------------------------------------------- */

static struct judged replay(const struct question *q, const char *name, double share,
                            struct rerun *r)
{
    const struct replay_policy *policy;
    size_t i = 0;
    while ((policy = replay_policy_at(i)) && strcmp(policy->name, name) != 0)
        i++;
    assert_non_null(policy);
    replay_begin(r, q, 3, share);
    policy->run(r);
    return replay_judge(r);
}

static void test_policies(void **state)
{
    (void)state;
    static const struct {
        const char *policy;
        double share;
        const char *chosen; /* NULL: nothing */
        double spent, metric, regret;
    } rows[] = {
        {"exhaustive", INFINITY, "lora", 165.1, 1, 0},
        {"always_lora", INFINITY, "lora", 41, 1, 0},
        {"zero_shot_rank", INFINITY, NULL, 0.1, 0, 1},
        {"smallest_rung_top_3", INFINITY, "lora", 0.1 + 11 + 21 + 21 + 41, 1, 0},
        {"advisor", 1e-4, NULL, 0, 0, 1},
        {"advisor", 1, "lora", -1, 1, 0},
        {"trials", 1, "lora", -1, 1, 0},
        {"random", 1, "lora", 0.1 + 2 * 21 + 41, 1, 0},
    };
    struct fixture f;
    struct rerun *r = malloc(sizeof *r);
    open_cells(&f, grid, COUNT(grid));
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct judged judged = replay(&f.questions[0], rows[i].policy, rows[i].share, r);
        const char *chosen = r->chosen ? r->chosen->technique->name : "";
        if (strcmp(chosen, rows[i].chosen ? rows[i].chosen : "") != 0 ||
            fabs(judged.metric - rows[i].metric) > 1e-9 ||
            fabs(judged.regret - rows[i].regret) > 1e-9 ||
            fabs(judged.fair_regret - rows[i].regret) > 1e-9 ||
            judged.hit != (rows[i].regret < 0.5) || judged.tied != judged.hit ||
            !judged.covered || /* the development answers are as the test answers */
            (rows[i].spent >= 0 && fabs(judged.share - rows[i].spent / 165.1) > 1e-9))
            fail_msg("%s chose \"%s\": %g, regret %g, share %g", rows[i].policy, chosen,
                     judged.metric, judged.regret, judged.share * 165.1);
        assert_true(r->spent <= r->budget + 1e-9);
        replay_end(r);
    }
    free(r);
    close_cells(&f);
}

/* A choice that gets nothing right is no tie of one that gets everything right; one that errs once
 * is. */
static void test_ties(void **state)
{
    (void)state;
    static const struct cell cells[] = {
        {"ia3", "3e-2", 64, 0, true, 10, 1},
        {"lora", "3e-3", 64, 0, false, 20, 1},
    };
    struct fixture f;
    struct rerun *r = malloc(sizeof *r);
    open_cells(&f, cells, COUNT(cells));
    struct judged judged = replay(&f.questions[0], "always_lora", 1, r);
    assert_true(r->chosen && !judged.hit && !judged.tied && judged.covered);
    assert_true(fabs(judged.regret - 1) < 1e-9 && fabs(judged.fair_regret - 1) < 1e-9);
    replay_end(r);
    memset(f.record.rows[1].dev_right, true, DEV);
    memset(f.record.rows[1].test_right + 1, true, TEST - 1);
    judged = replay(&f.questions[0], "always_lora", 1, r);
    assert_true(judged.tied && judged.hit == (judged.regret < 1e-9));
    assert_true(judged.regret < 1.0 / TEST + 1e-9);
    replay_end(r);
    free(r);
    close_cells(&f);
}

/* Never more than the budget, and the same again. */
static void test_budgets_hold(void **state)
{
    (void)state;
    struct fixture f;
    struct rerun *r = malloc(sizeof *r), *again = malloc(sizeof *again);
    open_cells(&f, grid, COUNT(grid));
    for (int percent = 1; percent <= 100; percent += 3) {
        struct judged a = replay(&f.questions[0], "advisor", percent / 100.0, r);
        struct judged b = replay(&f.questions[0], "advisor", percent / 100.0, again);
        assert_true(r->spent <= percent * 1.68 + 1e-9);
        assert_true(a.share <= percent / 100.0 + 1e-9);
        assert_memory_equal(&a.share, &b.share, sizeof a.share);
        assert_int_equal(r->run_count, again->run_count);
        for (size_t i = 0; i < r->run_count; i++) {
            assert_ptr_equal(r->runs[i].row, again->runs[i].row);
            for (size_t k = 0; k < i; k++)
                assert_ptr_not_equal(r->runs[i].row, r->runs[k].row);
        }
        replay_end(again);
        replay_end(r);
    }
    free(again);
    free(r);
    close_cells(&f);
}

/* A trial that has fewer answers than others is judged on those it has. */
static void test_fewer_answers(void **state)
{
    (void)state;
    struct fixture f;
    struct rerun *r = malloc(sizeof *r);
    open_cells(&f, grid, COUNT(grid));
    for (uint64_t number = 0; number < 5; number++) {
        struct recorded row = f.record.rows[6];
        bool dev[DEV] = {true, true}, test[TEST] = {true, true, true};
        row.dev = 2;
        row.test = 3;
        row.dev_right = dev;
        row.test_right = test;
        replay_begin(r, &f.questions[0], number, 1);
        double shares[] = {replay_dev(r, &row), replay_test(r, &row)};
        for (size_t i = 0; i < 2; i++) /* 0: none of its five came to this side */
            assert_true(fabs(shares[i] - 1) < 1e-12 || shares[i] < 1e-12);
        assert_true(shares[0] + shares[1] > 0.5);
        replay_end(r);
    }
    free(r);
    close_cells(&f);
}

/* Dealing keeps every answer, and gives each side its number. */
static void test_answers_are_dealt(void **state)
{
    (void)state;
    struct fixture f;
    struct rerun *r = malloc(sizeof *r);
    open_cells(&f, grid, COUNT(grid));
    for (uint64_t number = 0; number < 5; number++) {
        size_t seen[DEV + TEST] = {0};
        struct recorded row = f.record.rows[0];
        bool dev[DEV] = {true, true, true, true, true, true, true, true}, test[TEST] = {false};
        row.dev_right = dev;
        row.test_right = test;
        replay_begin(r, &f.questions[0], number, 1);
        for (size_t i = 0; i < DEV + TEST; i++)
            seen[r->deal[i]]++;
        for (size_t i = 0; i < DEV + TEST; i++)
            assert_int_equal(seen[i], 1);
        assert_true(fabs(DEV * replay_dev(r, &row) + TEST * replay_test(r, &row) - DEV) < 1e-9);
        replay_end(r);
    }
    free(r);
    close_cells(&f);
}

/* ---- Figures --------------------------------------------------------------------------------- */

/* Wilson with 50 of 100 and z = 1.28155: 0.5 +- 0.063564; 300 others widen it by the root of 4/3.
 */
static void test_intervals(void **state)
{
    (void)state;
    assert_true(interval_holds(0.5, 100, 0.5733, 300));
    assert_false(interval_holds(0.5, 100, 0.5735, 300));
    assert_true(interval_holds(0.5, 100, 0.4267, 300));
    assert_false(interval_holds(0.5, 100, 0.4265, 300));
    assert_false(interval_holds(1, 100, 0.9, 300));
    assert_true(interval_holds(1, 100, 1, 300));
}

static void test_samples(void **state)
{
    (void)state;
    struct sample sample = {0};
    assert_true(isnan(sample_mean(&sample)) && isnan(sample_quantile(&sample, 0.5)));
    for (int i = 20; i >= 1; i--)
        sample_add(&sample, i);
    assert_true(fabs(sample_mean(&sample) - 10.5) < 1e-12);
    assert_true(fabs(sample_quantile(&sample, 0.95) - 19) < 1e-12);
    assert_true(fabs(sample_quantile(&sample, 0.5) - 10) < 1e-12);
    assert_true(fabs(sample_quantile(&sample, 1) - 20) < 1e-12);
    assert_true(fabs(sample_quantile(&sample, 0) - 1) < 1e-12);
    free(sample.values);
}

/* Three sizes that get nothing right forecast nothing right, which a fourth keeps or breaks. */
static void test_forecasts(void **state)
{
    (void)state;
    for (int right = 0; right < 2; right++) {
        const struct cell cells[] = {
            {"ia3", "3e-2", 64, 0, false, 1, 1},  {"ia3", "3e-2", 128, 0, false, 1, 1},
            {"ia3", "3e-2", 256, 0, false, 1, 1}, {"ia3", "3e-2", 512, 0, right, 1, 1},
            {"lora", "3e-3", 64, 0, false, 1, 1},
        };
        struct fixture f;
        struct sample held = {0}, intervals = {0};
        struct error err = {0};
        open_cells(&f, cells, COUNT(cells));
        assert_int_equal(figures_forecasts(&f.record, &held, &err), OK);
        assert_int_equal(held.count, 1);
        assert_int_equal((int)held.values[0], !right);
        figures_intervals(&f.record, &intervals);
        assert_int_equal(intervals.count, COUNT(cells));
        assert_true(fabs(sample_mean(&intervals) - 1) < 1e-12);
        free(intervals.values);
        free(held.values);
        close_cells(&f);
    }
}

/* What is predicted is compared with what was measured: here with the prediction itself and with
 * half of it. */
static void test_memory(void **state)
{
    (void)state;
    struct fixture f;
    struct sample errors = {0};
    open_cells(&f, grid, COUNT(grid));
    figures_memory(&f.record, f.model, &errors);
    assert_int_equal(errors.count, 3); /* those that train by steps, as many as usual */
    for (size_t i = 0, k = 0; i < f.record.count; i++)
        if (f.record.rows[i].technique->learning_rates && f.record.rows[i].usual)
            f.record.rows[i].peak_bytes *= (1 + errors.values[k++]) / (i % 2 ? 1 : 2);
    free(errors.values);
    errors = (struct sample){0};
    figures_memory(&f.record, f.model, &errors);
    for (size_t i = 0, k = 0; i < f.record.count; i++)
        if (f.record.rows[i].technique->learning_rates && f.record.rows[i].usual)
            assert_true(fabs(errors.values[k++] - (i % 2 ? 0 : 1)) < 1e-9);
    free(errors.values);
    close_cells(&f);
}

/* Points above the majority answer: 100 of toy and -100 of next; other rates and sizes do not
 * count.
 */
static void test_points(void **state)
{
    (void)state;
    static const struct {
        const char *task;
        struct cell cell;
    } rows[] = {
        {"toy", {"majority", "", 128, 0, false, 0, 0}},
        {"toy", {"lora", "3e-3", 128, 0, true, 1, 1}},
        {"toy", {"lora", "1e-2", 128, 0, false, 1, 1}},
        {"toy", {"lora", "3e-3", 64, 0, false, 1, 1}},
        {"next", {"majority", "", 128, 0, true, 0, 0}},
        {"next", {"lora", "3e-3", 128, 0, false, 1, 1}},
    };
    struct text text = {0};
    struct record record;
    struct error err;
    for (size_t i = 0; i < COUNT(rows); i++)
        write_row(&text, rows[i].task, &rows[i].cell);
    assert_int_equal(read_rows(&record, text_string(&text), &err), OK);
    const struct technique *lora = technique_find("lora"), *ia3 = technique_find("ia3");
    assert_float_equal(record_points(&record, lora, NULL), 0, 1e-9);
    assert_float_equal(record_points(&record, lora, "next"), 100, 1e-9);
    assert_float_equal(record_points(&record, lora, "toy"), -100, 1e-9);
    assert_true(isnan(record_points(&record, ia3, NULL)));
    record_release(&record);
    text_release(&text);
}

/* The priors of the techniques are what the committed record says. */
static void test_priors(void **state)
{
    (void)state;
    struct record record;
    struct error err;
    const struct technique *technique;
    size_t measured = 0;
    record_init(&record);
    if (record_read(&record, "tests/bench/tasks.csv", "tests/bench/recorded", &err) != OK)
        fail_msg("%s", err.text);
    for (size_t i = 0; (technique = technique_at(i)); i++) {
        double points = record_points(&record, technique, NULL);
        if (isnan(points))
            continue;
        measured++;
        if (fabs(points - technique->prior) > 0.5 + 1e-9)
            fail_msg("%s: the record says %.2f points, and its prior is %g", technique->name,
                     points, technique->prior);
    }
    assert_true(measured >= 12);
    record_release(&record);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_are_read),
        cmocka_unit_test(test_rows_of_one_trial),
        cmocka_unit_test(test_bad_rows_are_refused),
        cmocka_unit_test(test_bad_files_are_refused),
        cmocka_unit_test(test_what_is_offered),
        cmocka_unit_test(test_incomplete_ladders),
        cmocka_unit_test(test_halves),
        cmocka_unit_test(test_passes),
        cmocka_unit_test(test_policies),
        cmocka_unit_test(test_ties),
        cmocka_unit_test(test_budgets_hold),
        cmocka_unit_test(test_fewer_answers),
        cmocka_unit_test(test_answers_are_dealt),
        cmocka_unit_test(test_intervals),
        cmocka_unit_test(test_samples),
        cmocka_unit_test(test_forecasts),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_points),
        cmocka_unit_test(test_priors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
