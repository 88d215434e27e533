/* SPDX-License-Identifier: Apache-2.0
 *
 * Hyper-parameters: defaults, what can be set and what is refused, and the stored form. The
 * technique is made for the test and has one hyper-parameter of each kind.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "techniques/setting.h"
#include "techniques/targets.h"
#include "techniques/technique.h"

#define COUNT(list) (sizeof(list) / sizeof *(list))

static const struct hyperparameter table[] = {
    {.name = "r", .kind = VALUE_INTEGER, .low = 1, .high = 1024, .fallback = "8"},
    {.name = "rate", .kind = VALUE_REAL, .low = -0.5, .high = 2, .fallback = "2e-1"},
    {.name = "form", .kind = VALUE_CHOICE, .choices = "linear|line|cosine", .fallback = "line"},
    {.name = "target_modules", .kind = VALUE_TEXT, .fallback = "q_proj"},
    {0}};

static const struct technique bare = {.name = "bare", .hyperparameters = table};
static const struct technique prompting = {
    .name = "prompting", .hyperparameters = table, .needs = NEEDS_MODEL};
static const struct technique trained = {.name = "trained",
                                         .hyperparameters = table,
                                         .needs = NEEDS_MODEL | NEEDS_GRADIENT,
                                         .learning_rates = "3e-4,2e-3,5e-3"};
static const struct technique plain = {.name = "plain", .needs = NEEDS_MODEL};

static void test_tables(void **state)
{
    (void)state;
    static const struct {
        const struct technique *technique;
        const char *names;
    } cases[] = {
        {&bare, "r rate form target_modules "},
        {&prompting, "r rate form target_modules instruction system_prompt "},
        {&plain, "instruction system_prompt "},
        {&trained,
         "r rate form target_modules instruction system_prompt learning_rate num_epochs batch_size "
         "lr_scheduler_type warmup_ratio weight_decay max_grad_norm "},
    };
    for (size_t c = 0; c < COUNT(cases); c++) {
        char names[512] = "";
        const struct hyperparameter *h;
        for (size_t i = 0; (h = setting_hyperparameter(cases[c].technique, i)); i++) {
            strcat(names, h->name);
            strcat(names, " ");
        }
        assert_string_equal(names, cases[c].names);
    }
}

static void test_defaults(void **state)
{
    (void)state;
    struct setting setting = setting_default(&trained);
    assert_int_equal(setting_integer(&setting, "r"), 8);
    assert_true(setting_number(&setting, "rate") == 0.2);
    assert_string_equal(setting_text(&setting, "form"), "line");
    assert_string_equal(setting_text(&setting, "target_modules"), "q_proj");
    assert_string_equal(setting_text(&setting, "instruction"), "");
    assert_true(setting_number(&setting, "learning_rate") == 2e-3); /* the middle one */
    assert_true(setting_has(&setting, "learning_rate"));
    assert_false(setting_has(&setting, "k"));
    setting = setting_default(&prompting);
    assert_false(setting_has(&setting, "learning_rate"));
}

static void test_set(void **state)
{
    (void)state;
    static const struct {
        const char *assignment, *name;
        double number;
        const char *text;
    } cases[] = {
        {"r=1", "r", 1, "1"},
        {"r=1024", "r", 1024, "1024"},
        {"r=16.0", "r", 16, "16.0"},
        {"r=1e2", "r", 100, "1e2"},
        {"rate=-0.5", "rate", -0.5, "-0.5"},
        {"rate=2", "rate", 2, "2"},
        {"rate=1e-3", "rate", 1e-3, "1e-3"},
        {"form=linear", "form", 0, "linear"},
        {"form=line", "form", 0, "line"},
        {"form=cosine", "form", 0, "cosine"},
        {"target_modules=a=b,c", "target_modules", 0, "a=b,c"},
        {"instruction=", "instruction", 0, ""},
        {"instruction=Say \"h\u00E9\"\n", "instruction", 0, "Say \"h\u00E9\"\n"},
        {"warmup_ratio=0", "warmup_ratio", 0, "0"},
    };
    struct arena arena;
    arena_init(&arena, NULL);
    for (size_t c = 0; c < COUNT(cases); c++) {
        struct setting setting = setting_default(&trained);
        char *written = memory_strdup(cases[c].assignment); /* nothing of it may be kept */
        struct error err;
        if (setting_set(&setting, written, &arena, &err) != OK)
            fail_msg("%s: %s", cases[c].assignment, err.text);
        free(written);
        assert_true(setting_number(&setting, cases[c].name) == cases[c].number);
        assert_string_equal(setting_text(&setting, cases[c].name), cases[c].text);
    }
    struct setting setting = setting_default(&trained);
    setting_set_number(&setting, "learning_rate", 3e-4, &arena);
    assert_true(setting_number(&setting, "learning_rate") == 3e-4);
    assert_string_equal(setting_text(&setting, "learning_rate"), "0.0003");
    arena_release(&arena);
}

static void test_refusals(void **state)
{
    (void)state;
    static const char all[] = "expected name=value with one of the names r, rate, form, "
                              "target_modules, instruction, system_prompt, learning_rate";
    static const struct {
        const char *assignment, *sentence;
    } cases[] = {
        {"r=0", "trained: r=0 is not possible; expected a whole number from 1 to 1024"},
        {"r=1025", "r=1025 is not possible; expected a whole number from 1 to 1024"},
        {"r=1.5", "r=1.5 is not possible; expected a whole number from 1 to 1024"},
        {"r=", "r= is not possible"},
        {"r=8x", "r=8x is not possible"},
        {"r=eight", "r=eight is not possible"},
        {"r=nan", "r=nan is not possible"},
        {"r=1e999", "r=1e999 is not possible"},
        {"r=99999999999999999999", "is not possible; expected a whole number from 1 to 1024"},
        {"rate=-0.51", "rate=-0.51 is not possible; expected a number from -0.5 to 2"},
        {"rate=inf", "rate=inf is not possible"},
        {"rate=-nan", "rate=-nan is not possible"},
        {"form=lin", "form=lin is not possible; expected one of linear|line|cosine"},
        {"form=linear|line", "form=linear|line is not possible"},
        {"form=Cosine", "form=Cosine is not possible"},
        {"form=", "form= is not possible"},
        {"learning_rate=0", "learning_rate=0 is not possible; expected a number from 1e-08 to 10"},
        {"batch_size=-1", "batch_size=-1 is not possible; expected a whole number from 0 to 1024"},
        {"lr_scheduler_type=step", "expected one of linear|cosine|constant"},
        {"instruction=\xFF", "instruction is not valid UTF-8"},
        {"target_modules=a\xC3", "target_modules is not valid UTF-8"},
        {"rank=8", all},
        {"R=8", all},
        {"r", all},
        {"", all},
        {"=8", all},
        {"r =8", all},
    };
    struct arena arena;
    arena_init(&arena, NULL);
    for (size_t c = 0; c < COUNT(cases); c++) {
        struct setting setting = setting_default(&trained), before = setting;
        struct error err = {0};
        enum status status = setting_set(&setting, cases[c].assignment, &arena, &err);
        if (status != USAGE || err.status != USAGE || !strstr(err.text, cases[c].sentence) ||
            strncmp(err.text, "trained: ", 9))
            fail_msg("%s: status %d, %s", cases[c].assignment, status, err.text);
        assert_memory_equal(&setting, &before, sizeof setting);
    }
    arena_release(&arena);
}

static void test_json(void **state)
{
    (void)state;
    struct arena arena;
    struct text json = {0}, again = {0};
    struct error err;
    arena_init(&arena, NULL);
    struct setting setting = setting_default(&prompting), copy;
    setting_json(&setting, &json);
    assert_string_equal(text_string(&json),
                        "{\"form\":\"line\",\"instruction\":\"\",\"r\":8,"
                        "\"rate\":0.2,\"system_prompt\":\"\",\"target_modules\":\"q_proj\"}");
    static const char *const assignments[] = {"r=64", "rate=1e-5", "form=cosine",
                                              "target_modules=k_proj,v_proj",
                                              "instruction=\"\\\n\u00E9\u4E2D"};
    for (size_t i = 0; i < COUNT(assignments); i++)
        assert_int_equal(setting_set(&setting, assignments[i], &arena, &err), OK);
    text_clear(&json);
    setting_json(&setting, &json);
    assert_string_equal(
        text_string(&json),
        "{\"form\":\"cosine\",\"instruction\":\"\\\"\\\\\\n\u00E9\u4E2D\",\"r\":64,"
        "\"rate\":1e-5,\"system_prompt\":\"\",\"target_modules\":\"k_proj,v_proj\"}");
    assert_int_equal(setting_parse(&prompting, text_string(&json), &copy, &arena, &err), OK);
    setting_json(&copy, &again);
    assert_string_equal(text_string(&again), text_string(&json));
    assert_int_equal(setting_integer(&copy, "r"), 64);
    assert_true(setting_number(&copy, "rate") == 1e-5);
    assert_string_equal(setting_text(&copy, "instruction"), "\"\\\n\u00E9\u4E2D");
    text_release(&json);
    text_release(&again);
    arena_release(&arena);
}

/* Values with more digits than are stored still give the same text when stored again. */
static void test_digits(void **state)
{
    (void)state;
    static const char *const written[] = {"0.1",     "1e-3",         "3e-4",
                                          "1.99999", "0.1234567891", "0.33333333333333333"};
    for (size_t i = 0; i < COUNT(written); i++) {
        struct arena arena;
        struct text json = {0}, again = {0};
        struct error err;
        char assignment[64];
        arena_init(&arena, NULL);
        struct setting setting = setting_default(&bare), copy;
        snprintf(assignment, sizeof assignment, "rate=%s", written[i]);
        assert_int_equal(setting_set(&setting, assignment, &arena, &err), OK);
        setting_json(&setting, &json);
        assert_int_equal(setting_parse(&bare, text_string(&json), &copy, &arena, &err), OK);
        setting_json(&copy, &again);
        assert_string_equal(text_string(&again), text_string(&json));
        double asked = strtod(written[i], NULL);
        assert_true(setting_number(&copy, "rate") == asked || i + 1 == COUNT(written));
        text_release(&json);
        text_release(&again);
        arena_release(&arena);
    }
}

static void test_parse(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        enum status status;
        const char *sentence; /* or the value of r */
    } cases[] = {
        {"{}", OK, "8"},
        {"{\"rate\":1,\"r\":4}", OK, "4"},
        {" { \"r\" : 4.0 } ", OK, "4"},
        {"{\"r\":\"4\"}", OK, "4"},
        {"", FAILED, "bare: a stored setting is not a JSON object"},
        {"[]", FAILED, "not a JSON object: []"},
        {"{\"r\":4", FAILED, "not a JSON object: {\"r\":4"},
        {"{\"r\":4}}", FAILED, "not a JSON object"},
        {"{\"r\":4,\"r\":5}", FAILED, "not a JSON object"},
        {"{\"r\":0}", USAGE, "bare: r=0 is not possible; expected a whole number from 1 to 1024"},
        {"{\"r\":4.5}", USAGE, "r=4.5 is not possible"},
        {"{\"r\":null}", USAGE, "r=(no text or number) is not possible"},
        {"{\"r\":[4]}", USAGE, "r=(no text or number) is not possible"},
        {"{\"r\":true}", USAGE, "r=(no text or number) is not possible"},
        {"{\"form\":\"step\"}", USAGE, "form=step is not possible"},
    };
    for (size_t c = 0; c < COUNT(cases); c++) {
        struct arena arena;
        struct setting setting;
        struct error err = {0};
        arena_init(&arena, NULL);
        char *json = memory_strdup(cases[c].json);
        enum status status = setting_parse(&bare, json, &setting, &arena, &err);
        free(json);
        if (status != cases[c].status)
            fail_msg("%s: status %d, %s", cases[c].json, status, err.text);
        if (status == OK)
            assert_int_equal(setting_integer(&setting, "r"), atoi(cases[c].sentence));
        else if (!strstr(err.text, cases[c].sentence))
            fail_msg("%s: %s", cases[c].json, err.text);
        arena_release(&arena);
    }
}

static void test_targets(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *sites; /* one letter a site, or what the sentence holds */
    } cases[] = {
        {"q_proj,v_proj", "x.x...."},
        {"down_proj", "......x"},
        {"v_proj,q_proj,q_proj", "x.x...."},
        {"q_proj,k_proj,v_proj,o_proj,gate_proj,up_proj,down_proj", "xxxxxxx"},
        {"all-linear", "xxxxxxx"},
        {"", "target_modules= is not possible: the model has no module \"\"; expected some of "
             "q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj, or all-linear"},
        {"q_proj,", "no module \"\""},
        {",q_proj", "no module \"\""},
        {"q_proj, v_proj", "no module \" v_proj\""},
        {"q_projs",
         "lora: target_modules=q_projs is not possible: the model has no module \"q_pro"},
        {"q_pro", "no module \"q_pro\""},
        {"all-linear,q_proj", "no module \"all-linear\""},
    };
    for (size_t c = 0; c < COUNT(cases); c++) {
        bool sites[N_SITES];
        char found[N_SITES + 1] = "";
        struct error err = {0};
        enum status status = targets_parse("lora", cases[c].text, sites, &err);
        for (int s = 0; s < N_SITES; s++)
            found[s] = sites[s] ? 'x' : '.';
        if (status == OK)
            assert_string_equal(found, cases[c].sites);
        else if (status != USAGE || !strstr(err.text, cases[c].sites))
            fail_msg("%s: status %d, %s", cases[c].text, status, err.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tables), cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_set),    cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_json),   cmocka_unit_test(test_digits),
        cmocka_unit_test(test_parse),  cmocka_unit_test(test_targets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
