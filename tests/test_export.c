/* SPDX-License-Identifier: Apache-2.0
 *
 * Exports: whatever a technique learned answers alike from its files, in every format that can hold
 * it; and what does not answer alike, or cannot be written, leaves nothing behind.
 */
#define _GNU_SOURCE /* memmem */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "artifacts/manifest.h"
#include "artifacts/recall.h"
#include "artifacts/safetensors.h"
#include "model/gguf.h"
#include "tests/adapting.h"
#include "tests/export_support.h"
#include "tests/files.h"
#include "tests/json_schema.h"

#define TINY tiny_llama

enum { PATH = 512, FOLDER = 256 };

struct bench {
    char folder[64];
    char target[FOLDER]; /* in it; nothing is there */
};

static int enter(void **state)
{
    struct bench *bench = calloc(1, sizeof *bench);
    snprintf(bench->folder, sizeof bench->folder, "/tmp/export-XXXXXX");
    assert_non_null(mkdtemp(bench->folder));
    snprintf(bench->target, sizeof bench->target, "%s/out", bench->folder);
    *state = bench;
    return 0;
}

static int leave(void **state)
{
    struct bench *bench = *state;
    files_remove(bench->folder);
    free(bench);
    return 0;
}

static void read_file(const char *folder, const char *name, struct text *out)
{
    char path[PATH];
    snprintf(path, sizeof path, "%.255s/%.255s", folder, name);
    files_read(path, out);
}

static void write_file(const char *folder, const char *name, const struct text *bytes)
{
    char path[PATH];
    snprintf(path, sizeof path, "%.255s/%.255s", folder, name);
    files_write(path, text_string(bytes), bytes->length);
}

/* ---- Every technique, every format ---------------------------------------------------------- */

struct row {
    const char *technique, *setting, *data;
    enum task task;
    const char *formats; /* those that can hold it, in the order of the table */
};

static const struct row rows[] = {
    {"majority", "", data_seven_labels, TASK_CLASSIFICATION, "adapter "},
    {"majority", "", data_texts, TASK_GENERATION, "adapter "},
    {"zero_shot", "", data_seven_labels, TASK_CLASSIFICATION, "prompt adapter "},
    {"zero_shot", "instruction=Say \"{input}\"", data_texts, TASK_GENERATION, "prompt adapter "},
    {"few_shot", "k=2", data_two_labels, TASK_CLASSIFICATION, "prompt adapter "},
    {"few_shot", "k=1", data_numbers, TASK_NUMERIC_ANSWER, "prompt adapter "},
    {"few_shot", "k=1;selection=nearest", data_two_labels, TASK_CLASSIFICATION, "adapter "},
    {"few_shot", "k=2;orders=3;order_seed=1", data_two_labels, TASK_CLASSIFICATION, "adapter "},
    {"few_shot", "k=1;calibration=none", data_choices, TASK_MULTIPLE_CHOICE, "prompt adapter "},
    {"chain_of_thought", "max_new_tokens=12;k=0", data_two_labels, TASK_CLASSIFICATION,
     "prompt adapter "},
    {"chain_of_thought", "max_new_tokens=12;k=1;samples=3", data_worked, TASK_NUMERIC_ANSWER,
     "prompt adapter "},
    {"linear_probe", "", data_choices, TASK_MULTIPLE_CHOICE, "adapter "},
    {"prompt_tuning", "num_virtual_tokens=3", data_two_labels, TASK_CLASSIFICATION,
     "peft prompt-table adapter "},
    {"p_tuning", "num_virtual_tokens=3", data_two_labels, TASK_CLASSIFICATION,
     "peft prompt-table adapter "},
    {"p_tuning", "num_virtual_tokens=3;encoder_reparameterization_type=LSTM;encoder_hidden_size=8",
     data_texts, TASK_GENERATION, "peft prompt-table adapter "},
    {"prefix_tuning", "num_virtual_tokens=3", data_seven_labels, TASK_CLASSIFICATION,
     "peft adapter "},
    {"prefix_tuning", "num_virtual_tokens=3;prefix_projection=true;init_weights=random",
     data_two_labels, TASK_CLASSIFICATION, "peft adapter "},
    {"ia3", "", data_two_labels, TASK_CLASSIFICATION, "peft merged-gguf adapter "},
    {"ia3", "target_modules=all-linear;feedforward_modules=q_proj,down_proj", data_two_labels,
     TASK_CLASSIFICATION, "peft merged-gguf adapter "},
    {"norm_tuning", "", data_two_labels, TASK_CLASSIFICATION, "merged-gguf adapter "},
    {"lora", "", data_two_labels, TASK_CLASSIFICATION, "peft gguf merged-gguf adapter "},
    {"lora", "target_modules=all-linear;r=3;lora_alpha=7;use_rslora=true", data_two_labels,
     TASK_CLASSIFICATION, "peft gguf merged-gguf adapter "},
    {"lora", "target_modules=q_proj,k_proj;use_dora=true", data_two_labels, TASK_CLASSIFICATION,
     "peft merged-gguf adapter "},
    {"adapter", "adapter_form=houlsby;adapter_dim=4", data_two_labels, TASK_CLASSIFICATION,
     "adapter "},
    {"full_finetune", "", data_two_labels, TASK_CLASSIFICATION, "merged-gguf adapter "},
};

/* Of the model with biases. */
static const struct row qwen2_rows[] = {
    {"bitfit", "", data_two_labels, TASK_CLASSIFICATION, "merged-gguf adapter "},
    {"bitfit", "", data_texts, TASK_GENERATION, "merged-gguf adapter "},
    {"norm_tuning", "", data_two_labels, TASK_CLASSIFICATION, "merged-gguf adapter "},
    {"full_finetune", "", data_two_labels, TASK_CLASSIFICATION, "merged-gguf adapter "},
    {"ia3", "target_modules=q_proj,k_proj,v_proj,down_proj", data_two_labels, TASK_CLASSIFICATION,
     "peft merged-gguf adapter "},
    {"ia3", "target_modules=q_proj,v_proj;feedforward_modules=v_proj", data_two_labels,
     TASK_CLASSIFICATION, "peft merged-gguf adapter "},
    {"lora", "target_modules=all-linear", data_two_labels, TASK_CLASSIFICATION,
     "peft gguf merged-gguf adapter "},
    {"lora", "target_modules=q_proj,k_proj,v_proj;use_dora=true", data_two_labels,
     TASK_CLASSIFICATION, "peft merged-gguf adapter "},
    {"prefix_tuning", "num_virtual_tokens=3", data_two_labels, TASK_CLASSIFICATION,
     "peft adapter "},
};

/* Rows that it learns from where those replayed must be others: an example is not among its own
 * neighbours. */
static size_t train_rows(const struct row *row)
{
    return strstr(row->setting, "nearest") ? 8 : 0;
}

static void export_row(struct bench *bench, struct shop *shop, const struct row *row,
                       const struct export_format *format)
{
    struct error err;
    struct agreement agreement;
    char file[PATH];
    snprintf(file, sizeof file, "%.255s/prompts", bench->folder);
    const char *target = format->one_file ? file : bench->target;
    struct export_request request = shop_request(shop, format->name, target);
    request.task = "the task";
    request.replace = true;
    request.replay.examples += train_rows(row);
    request.replay.expected += train_rows(row);
    request.replay.count -= train_rows(row);
    request.type = row->task == TASK_CLASSIFICATION ? WEIGHTS_F16 : WEIGHTS_F32;
    if (export_make(&request, &agreement, &err) != OK)
        fail_msg("%s %s as %s: %s", row->technique, row->setting, format->name, err.text);
    assert_int_equal(agreement.count, shop->data.count - train_rows(row));
    assert_int_equal(agreement.equal + agreement.close, agreement.count);
    if (!format->whole_model && agreement.largest > 1e-6)
        fail_msg("%s as %s: %g", row->technique, format->name, agreement.largest);
    if (format->one_file)
        assert_int_equal(remove(file), 0);
    assert_int_equal(files_count(bench->folder), 1);
}

static void export_in_every_format(struct bench *bench, const char *model, const struct row *row)
{
    struct shop shop;
    struct text formats = {0};
    const struct export_format *format;
    shop_open(&shop, model, row->data, row->task, 2);
    shop.material.count = train_rows(row) ? train_rows(row) : shop.data.count;
    shop_customise(&shop, row->technique, row->setting, 0.3);
    for (size_t f = 0; (format = export_format_at(f)); f++) {
        struct export_request request = shop_request(&shop, format->name, bench->target);
        if (format->refuses(&shop.setting, &request.kept))
            continue;
        text_printf(&formats, "%s ", format->name);
        export_row(bench, &shop, row, format);
    }
    assert_string_equal(text_string(&formats), row->formats);
    struct export_request request = shop_request(&shop, "adapter", bench->target);
    size_t first = strcspn(row->formats, " ");
    assert_int_equal(strlen(export_format_for(&shop.setting, &request.kept)->name), first);
    text_release(&formats);
    shop_close(&shop);
}

static void every_technique_in_every_format(void **state)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        export_in_every_format(*state, TINY, &rows[i]);
    for (size_t i = 0; i < sizeof qwen2_rows / sizeof *qwen2_rows; i++)
        export_in_every_format(*state, tiny_qwen2, &qwen2_rows[i]);
}

/* ---- What the files say --------------------------------------------------------------------- */

static void make(struct shop *shop, const char *model, const char *technique, const char *setting,
                 const char *format, const char *folder)
{
    struct error err;
    struct agreement agreement;
    shop_open(shop, model, data_two_labels, TASK_CLASSIFICATION, 1);
    shop_customise(shop, technique, setting, 0.3);
    struct export_request request = shop_request(shop, format, folder);
    request.replace = true;
    if (export_make(&request, &agreement, &err) != OK)
        fail_msg("%s", err.text);
}

static const char lora_setting[] = "target_modules=q_proj,k_proj,down_proj;r=2;lora_alpha=6";

static void make_lora(struct shop *shop, const char *format, const char *folder)
{
    make(shop, TINY, "lora", lora_setting, format, folder);
}

/* Row h * hd + 2 i + s of a rotated projection is row h * hd + s * hd / 2 + i in Hugging Face's;
 * of qwen2 it is the same row. */
static void check_peft_rows(const struct bench *bench, const char *model, bool moved)
{
    struct shop shop;
    struct error err;
    struct safetensors *file;
    char path[PATH];
    enum { HEAD = 8, WIDTH = 32, RANK = 2 };
    float b[WIDTH * RANK], a[RANK * WIDTH];
    make(&shop, model, "lora", lora_setting, "peft", bench->target);
    snprintf(path, sizeof path, "%s/adapter_model.safetensors", bench->target);
    assert_int_equal(safetensors_open(&file, path, &err), OK);
    assert_int_equal(safetensors_count(file), 2 * 3 * 2); /* layers, projections, A and B */
    assert_int_equal(
        safetensors_values(file, "base_model.model.model.layers.1.self_attn.q_proj.lora_B.weight",
                           2, (int64_t[]){WIDTH, RANK}, b, &err),
        OK);
    assert_int_equal(
        safetensors_values(file, "base_model.model.model.layers.1.self_attn.q_proj.lora_A.weight",
                           2, (int64_t[]){RANK, WIDTH}, a, &err),
        OK);
    const struct parameters *p = &shop.adapted->parameters;
    assert_string_equal(p->items[6].name, "blk.1.attn_q.lora_a");
    for (int i = 0; i < RANK * WIDTH; i++)
        assert_true(a[i] == (float)p->values[p->items[6].offset + (size_t)i]);
    for (int head = 0; head < WIDTH / HEAD; head++)
        for (int i = 0; i < HEAD / 2; i++)
            for (int s = 0; s < 2; s++)
                for (int r = 0; r < RANK; r++) {
                    int here = head * HEAD + 2 * i + s;
                    int there = moved ? head * HEAD + s * HEAD / 2 + i : here;
                    assert_true(b[there * RANK + r] ==
                                (float)p->values[p->items[7].offset + (size_t)(here * RANK + r)]);
                }
    safetensors_close(file);
    shop_close(&shop);
}

static void peft_rows_are_in_their_order(void **state)
{
    check_peft_rows(*state, TINY, true);
    check_peft_rows(*state, tiny_qwen2, false);
}

/* Of a model trained by its biases everything else is as it was. */
static void merged_biases_are_those_learned(void **state)
{
    const struct bench *bench = *state;
    struct shop shop;
    struct model *merged;
    struct error err;
    char path[PATH];
    make(&shop, tiny_qwen2, "bitfit", "", "merged-gguf", bench->target);
    snprintf(path, sizeof path, "%s/model.gguf", bench->target);
    assert_int_equal(model_load(&merged, path, &err), OK);
    int biases = 0;
    for (int i = 0; i < model_weight_count(merged); i++) {
        const struct tensor *found = model_weight(merged, i), *base = model_weight(shop.model, i);
        char name[WEIGHT_NAME_BYTES];
        model_weight_name(merged, i, name);
        if (!strstr(name, ".bias")) {
            for (size_t v = 0; v < tensor_size(base); v++) /* matrices are halves */
                assert_true(fabs((double)(found->data[v] - base->data[v])) <=
                            fabs((double)base->data[v]) / 2048 + 1e-7);
            continue;
        }
        const struct parameters *p = &shop.adapted->parameters;
        assert_string_equal(p->items[biases].name, name);
        assert_memory_equal(found->data, p->values + p->items[biases].offset,
                            tensor_size(found) * sizeof(real));
        assert_memory_not_equal(found->data, base->data, tensor_size(found) * sizeof(real));
        biases++;
    }
    assert_int_equal(biases, 2 * 3); /* layers; queries, keys and values */
    model_free(merged);
    shop_close(&shop);
}

static void gguf_adapters_have_the_scale(void **state)
{
    const struct bench *bench = *state;
    struct shop shop;
    struct error err;
    struct gguf *gguf;
    const char *type;
    double alpha;
    char path[PATH];
    make_lora(&shop, "gguf", bench->target);
    snprintf(path, sizeof path, "%s/adapter.gguf", bench->target);
    assert_int_equal(gguf_open(&gguf, path, &err), OK);
    assert_string_equal(gguf_type(gguf), "adapter");
    assert_string_equal(gguf_architecture(gguf), "llama");
    assert_int_equal(gguf_string(gguf, "adapter.type", &type, &err), OK);
    assert_string_equal(type, "lora");
    assert_int_equal(gguf_float(gguf, "adapter.lora.alpha", &alpha, &err), OK);
    assert_true(alpha == 6);
    const struct gguf_tensor *a = gguf_tensor(gguf, "blk.0.ffn_down.weight.lora_a");
    const struct gguf_tensor *b = gguf_tensor(gguf, "blk.0.ffn_down.weight.lora_b");
    assert_true(a->ne[0] == 64 && a->ne[1] == 2 && b->ne[0] == 2 && b->ne[1] == 32);
    gguf_free(gguf);
    shop_close(&shop);
}

/* Metadata and tokenizer are those of the base model; matrices are halves, vectors are floats. */
static void merged_models_keep_the_metadata(void **state)
{
    const struct bench *bench = *state;
    struct shop shop;
    struct error err;
    struct gguf *base, *merged;
    struct text x = {0}, y = {0};
    uint64_t type;
    char path[PATH];
    make_lora(&shop, "merged-gguf", bench->target);
    snprintf(path, sizeof path, "%s/model.gguf", bench->target);
    assert_int_equal(gguf_open(&merged, path, &err), OK);
    assert_int_equal(gguf_open(&base, TINY, &err), OK);
    assert_int_equal(gguf_unsigned(merged, "general.file_type", 0, 100, &type, &err), OK);
    assert_int_equal(type, 1);
    size_t at = 0;
    for (size_t i = 0; i < gguf_pair_count(base); i++) {
        const char *key = gguf_pair_key(base, i);
        if (!strcmp(key, "general.file_type") || !strcmp(key, "general.quantization_version"))
            continue;
        text_clear(&x);
        text_clear(&y);
        assert_string_equal(gguf_pair_key(merged, at), key);
        assert_int_equal(gguf_pair_bytes(base, i, &x, &err), OK);
        assert_int_equal(gguf_pair_bytes(merged, at++, &y, &err), OK);
        assert_int_equal(x.length, y.length);
        assert_memory_equal(x.bytes, y.bytes, x.length);
    }
    for (size_t i = 0; i < gguf_tensor_count(merged); i++) {
        const struct gguf_tensor *tensor = gguf_tensor_at(merged, i);
        assert_string_equal(tensor->name, gguf_tensor_at(base, i)->name);
        assert_string_equal(tensor->type->name, tensor->n_dims == 1 ? "F32" : "F16");
    }
    text_release(&x);
    text_release(&y);
    gguf_free(base);
    gguf_free(merged);
    shop_close(&shop);
}

static void manifests_tell_the_prompt(void **state)
{
    const struct bench *bench = *state;
    struct shop shop;
    struct error err;
    struct manifest m;
    make_lora(&shop, "peft", bench->target);
    assert_int_equal(manifest_read(&m, bench->target, &err), OK);
    assert_string_equal(m.technique, "lora");
    assert_string_equal(m.format, "peft");
    assert_string_equal(m.model_sha256, shop.model->sha256);
    assert_string_equal(m.model_file, "tiny.gguf");
    assert_string_equal(m.data_sha256, shop.data.sha256);
    assert_string_equal(m.before,
                        "<|im_start|>system\nClassify the text.<|im_end|>\n<|im_start|>user\n");
    assert_string_equal(m.after, "<|im_end|>\n<|im_start|>assistant\n");
    assert_string_equal(m.end, "<|im_end|>");
    assert_int_equal(m.label_count, 2);
    assert_int_equal(m.answers[0].count, 6);
    assert_int_equal(m.examples, 12);
    assert_true(m.value == 0.5 && m.low == 0.4 && m.high == 0.6 && m.measured_on == 12);
    assert_int_equal(m.tested_on, 0);
    assert_int_equal(m.file_count, 2);
    manifest_release(&m);
    shop_close(&shop);
}

static void manifests_keep_to_their_schema(void **state)
{
    static const char *const data[] = {"setting", "files", NULL}, *const none[] = {NULL};
    const struct bench *bench = *state;
    struct shop shop;
    struct text manifest = {0};
    make_lora(&shop, "peft", bench->target);
    read_file(bench->target, MANIFEST_FILE, &manifest);
    schema_must_be_strict("manifest", text_string(&manifest), data, none);
    text_release(&manifest);
    shop_close(&shop);
}

/* ---- Planted corruption --------------------------------------------------------------------- */

/* What a hook does to the folder between writing and proving. */
struct damage {
    const char *name; /* of the file */
    size_t offset;    /* from the end */
    const char *from, *to;
    bool patched; /* the manifest is made to agree with the damage */
    const char *says;
};

static void patch_manifest(const char *folder, const struct damage *damage)
{
    struct text file = {0}, manifest = {0};
    struct error err;
    char sha256[HASH_HEX];
    read_file(folder, damage->name, &file);
    assert_int_equal(hash_bytes(file.bytes, file.length, sha256, &err), OK);
    read_file(folder, MANIFEST_FILE, &manifest);
    char *entry = strstr(manifest.bytes, damage->name);
    assert_non_null(entry);
    char *place = strstr(entry, "\"sha256\": \"") + strlen("\"sha256\": \"");
    memcpy(place, sha256, HASH_HEX - 1);
    write_file(folder, MANIFEST_FILE, &manifest);
    text_release(&file);
    text_release(&manifest);
}

static void plant(void *context, const char *folder)
{
    const struct damage *damage = context;
    struct text bytes = {0};
    read_file(folder, damage->name, &bytes);
    if (damage->from) {
        char *at = memmem(bytes.bytes, bytes.length, damage->from, strlen(damage->from));
        assert_non_null(at);
        memcpy(at, damage->to, strlen(damage->to));
    } else if (damage->to) { /* cut off */
        bytes.length -= damage->offset;
    } else {
        bytes.bytes[bytes.length - damage->offset] ^= 0x40;
    }
    write_file(folder, damage->name, &bytes);
    if (damage->patched)
        patch_manifest(folder, damage);
    text_release(&bytes);
}

struct corrupted {
    const char *technique, *setting, *format;
    struct damage damage;
};

static const struct corrupted corrupted[] = {
    /* The hash sees every change of a file. */
    {"lora", "", "peft", {"adapter_model.safetensors", 5, .says = "is not the one"}},
    {"lora", "", "peft", {"adapter_config.json", 3, "\"r\": 8", "\"r\": 4", .says = "not the one"}},
    {"lora", "", "gguf", {"adapter.gguf", 9, .says = "is not the one"}},
    {"lora", "", "merged-gguf", {"model.gguf", 999, .says = "is not the one"}},
    {"few_shot", "k=1", "prompt", {"prompt.txt", 7, .says = "is not the one"}},
    {"few_shot", "k=1", "prompt", {"messages.json", 40, .says = "is not the one"}},
    {"adapter", "", "adapter", {"adapter.safetensors", 1, .says = "is not the one"}},
    {"lora", "", "gguf", {"adapter.gguf", 16, .to = "cut", .says = "is not the one"}},
    /* Where the hash agrees with the damage, what is read back does not. */
    {"lora", "", "peft", {"adapter_model.safetensors", 5, .patched = true, .says = "parameters"}},
    {"lora",
     "",
     "peft",
     {"adapter_config.json", 0, "\"r\": 8", "\"r\": 4", true, "r is not what lora"}},
    {"lora",
     "target_modules=q_proj,v_proj",
     "peft",
     {"adapter_model.safetensors", 0, "q_proj", "k_proj", true, "there is no tensor"}},
    {"lora", "", "gguf", {"adapter.gguf", 9, .patched = true, .says = "parameters"}},
    {"lora", "", "gguf", {"adapter.gguf", 0, "lora_a", "lora_x", true, "lora_a"}},
    {"adapter", "", "adapter", {"adapter.safetensors", 5, .patched = true, .says = "parameters"}},
    {"linear_probe", "", "adapter", {"adapter.safetensors", 5, .patched = true, .says = "param"}},
    {"full_finetune",
     "",
     "merged-gguf",
     {"model.gguf", 2049, .patched = true, .says = "does not answer like the original"}},
    {"few_shot",
     "k=1",
     "prompt",
     {"prompt.txt", 0, "Classify", "classify", true, "not the prompt of the technique"}},
    {"few_shot",
     "k=1",
     "prompt",
     {"messages.json", 0, "Classify", "classify", true, "not those of the prompt"}},
    {"few_shot", "k=1", "prompt", {"messages.json", 0, "{input}", "{INPUT}", true, "last message"}},
    /* The manifest itself. */
    {"few_shot",
     "k=1",
     "adapter",
     {MANIFEST_FILE, 0, "Classify", "classify", .says = "not the one that was exported"}},
    {"lora", "", "peft", {MANIFEST_FILE, 0, "\"positive\"", "\"positivf\"", .says = "labels"}},
    {"prompt_tuning",
     "",
     "peft",
     {MANIFEST_FILE, 0, "\"virtual_tokens\": 20", "\"virtual_tokens\": 19", .says = "not the one"}},
    {"lora", "", "peft", {MANIFEST_FILE, 3, .to = "cut", .says = "JSON"}},
};

static void corruption_leaves_nothing(void **state)
{
    struct bench *bench = *state;
    for (size_t i = 0; i < sizeof corrupted / sizeof *corrupted; i++) {
        const struct corrupted *c = &corrupted[i];
        struct shop shop;
        struct error err = {0};
        struct agreement agreement;
        shop_open(&shop, TINY, data_two_labels, TASK_CLASSIFICATION, 1);
        shop_customise(&shop, c->technique, c->setting, 0.3);
        struct export_request request = shop_request(&shop, c->format, bench->target);
        request.written = plant;
        request.context = (void *)&c->damage;
        enum status status = export_make(&request, &agreement, &err);
        if (status != FAILED)
            fail_msg("case %zu: status %d", i, (int)status);
        if (!strstr(err.text, c->damage.says) || !strstr(err.text, "nothing was kept"))
            fail_msg("case %zu: \"%s\" does not say \"%s\"", i, err.text, c->damage.says);
        assert_int_equal(files_count(bench->folder), 0);
        shop_close(&shop);
    }
}

static void other_answers_leave_nothing(void **state)
{
    struct bench *bench = *state;
    struct shop shop;
    struct error err;
    struct agreement agreement;
    shop_open(&shop, TINY, data_two_labels, TASK_CLASSIFICATION, 1);
    shop_customise(&shop, "lora", "", 0.3);
    struct export_request request = shop_request(&shop, "peft", bench->target);
    shop.predictions[3].probability -= 0.001;
    assert_int_equal(export_make(&request, &agreement, &err), FAILED);
    assert_int_equal(agreement.equal, agreement.count);
    assert_non_null(
        strstr(err.text, "12 of 12 labels equal, largest probability difference 0.001"));
    shop.predictions[3].probability += 0.001;
    shop.predictions[5].label = !shop.predictions[5].label;
    assert_int_equal(export_make(&request, &agreement, &err), FAILED);
    assert_int_equal(agreement.equal, agreement.count - 1);
    shop_customise(&shop, "lora", "", 0.3);
    request = shop_request(&shop, "peft", bench->target);
    assert_int_equal(export_make(&request, &agreement, &err), OK);
    shop_close(&shop);
    shop_open(&shop, TINY, data_texts, TASK_GENERATION, 1);
    shop_customise(&shop, "zero_shot", "", 0);
    request = shop_request(&shop, "prompt", bench->target);
    request.replace = true;
    shop.predictions[2].text = "something else";
    assert_int_equal(export_make(&request, &agreement, &err), FAILED);
    assert_non_null(strstr(err.text, "7 of 8 answers equal"));
    assert_int_equal(files_count(bench->folder), 1); /* the earlier export */
    shop_close(&shop);
}

/* ---- The folder ----------------------------------------------------------------------------- */

static void folders_are_not_overwritten(void **state)
{
    struct bench *bench = *state;
    struct shop shop;
    struct error err;
    struct agreement agreement;
    struct text stranger = {0};
    char other[PATH];
    make_lora(&shop, "peft", bench->target);
    struct export_request request = shop_request(&shop, "gguf", bench->target);
    assert_int_equal(export_make(&request, &agreement, &err), USAGE);
    assert_non_null(strstr(err.text, "--force"));
    request.replace = true;
    assert_int_equal(export_make(&request, &agreement, &err), OK);
    assert_int_equal(files_count(bench->folder), 1);

    text_add(&stranger, "mine");
    write_file(bench->target, "notes.txt", &stranger);
    assert_int_equal(export_make(&request, &agreement, &err), USAGE);
    assert_non_null(strstr(err.text, "notes.txt"));
    request.folder = bench->folder; /* no export */
    assert_int_equal(export_make(&request, &agreement, &err), USAGE);
    assert_non_null(strstr(err.text, "no export of this program"));

    snprintf(other, sizeof other, "%s/link", bench->folder);
    assert_int_equal(symlink(bench->target, other), 0);
    request.folder = other;
    assert_int_equal(export_make(&request, &agreement, &err), USAGE);
    assert_non_null(strstr(err.text, "is not a folder"));
    request.folder = "/nonexistent/folder/out";
    assert_int_equal(export_make(&request, &agreement, &err), FAILED);
    snprintf(other, sizeof other, "%s/new///", bench->folder);
    request.folder = other;
    assert_int_equal(export_make(&request, &agreement, &err), OK);
    assert_int_equal(files_count(bench->folder), 3); /* out, link, new */
    text_release(&stranger);
    shop_close(&shop);
}

/* ---- Recalling ------------------------------------------------------------------------------ */

static void another_model_is_refused(void **state)
{
    struct bench *bench = *state;
    struct shop shop;
    struct error err;
    struct recalled recalled;
    make_lora(&shop, "peft", bench->target);
    char sha256[65];
    memcpy(sha256, shop.model->sha256, sizeof sha256);
    shop.model->sha256[0] ^= 1;
    assert_int_equal(recall_open(&recalled, bench->target, &err), OK);
    assert_int_equal(recall_model(&recalled, shop.engine, 1, &err), BAD_MODEL);
    assert_non_null(strstr(err.text, "--model"));
    recall_close(&recalled);
    recall_close(&recalled);
    memcpy(shop.model->sha256, sha256, sizeof sha256);
    shop_close(&shop);
}

struct edit {
    const char *from, *to;
    const char *says;
};

/* Changes of a good manifest, each refused. */
static const struct edit edits[] = {
    {"\"advisor_export\": 1", "\"advisor_export\": 2", "version 2"},
    {"\"advisor_export\": 1", "\"advisor_import\": 1", "no export"},
    {"\"technique\": \"lora\"", "\"technique\": \"lore\"", "technique \"lore\""},
    {"\"format\": \"peft\"", "\"format\": \"pest\"", "format \"pest\""},
    {"\"format\": \"peft\"", "\"format\": 1     ", "damaged"},
    {"\"setting\": {", "\"setting\":1,\"x\":{", "damaged"},
    {"\"examples\": 12", "\"examples\": -2", "damaged"},
    {"\"examples\": 12", "\"examples\": 11", "fit the number"},
    {"\"examples\": 12,\n  \"seed\"", "\"examples\":99999999,\"seed\"", "damaged"},
    {"\"task\": \"class", "\"task\": \"glass", "damaged"},
    {"\"negative\",\n      \"positive\"", "\"positive\",\n      \"negative\"", "in order"},
    {"\"negative\",\n      \"positive\"", "\"positive\",\n      \"positive\"", "in order"},
    {"\"labels\": [", "\"labelz\": [", "damaged"},
    {"\"text\": \"positive\"", "\"text\": \"positivf\"", "not those of the labels"},
    {"\"count\": 6", "\"count\": 5", "do not cover"},
    {"\"count\": 6", "\"count\": 9", "fit the number"},
    {"\"virtual_tokens\": 0", "\"virtual_tokens\":-1", "out of range"},
    {"\"role\": \"system\"", "\"role\": \"sister\"", "message 1"},
    {"\"chat_format\": \"chatml\"", "\"chat_format\": 1       ", "damaged"},
    {"\"chat_format\": \"chatml\"", "\"chat_format\": \"chatxx\"", "not the one that was exported"},
    {"\"metric\": \"accuracy\"", "\"metric\": 12345678  ", "damaged"},
    {"\"adapter_config.json\": {", "\"../../../../etc/xx\": {", "damaged"},
    {"\"adapter_config.json\": {", "\"adapter_config.jsan\": {", "not whole"},
    {"\"bytes\": ", "\"bytes\":-", "damaged"},
    {"\"files\": {", "\"filez\": {", "files"},
    {"\"r\": 8", "\"r\": 0", "r=0"},
};

static void damaged_manifests_are_refused(void **state)
{
    struct bench *bench = *state;
    struct shop shop;
    struct text good = {0};
    struct error err;
    struct agreement agreement;
    shop_open(&shop, TINY, data_two_labels, TASK_CLASSIFICATION, 1);
    shop_customise(&shop, "lora", "", 0.3);
    struct export_request request = shop_request(&shop, "peft", bench->target);
    assert_int_equal(export_make(&request, &agreement, &err), OK);
    read_file(bench->target, MANIFEST_FILE, &good);
    for (size_t i = 0; i < sizeof edits / sizeof *edits; i++) {
        struct text bad = {0};
        struct recalled recalled;
        char *at = strstr(good.bytes, edits[i].from);
        if (!at)
            fail_msg("case %zu: the manifest has no %s", i, edits[i].from);
        text_append(&bad, good.bytes, (size_t)(at - good.bytes));
        text_add(&bad, edits[i].to);
        text_add(&bad, at + strlen(edits[i].from));
        write_file(bench->target, MANIFEST_FILE, &bad);
        enum status status = recall_open(&recalled, bench->target, &err);
        if (status == OK) {
            status = recall_model(&recalled, shop.engine, 1, &err);
            recall_close(&recalled);
        }
        if (status != BAD_DATA && status != USAGE)
            fail_msg("case %zu: status %d", i, (int)status);
        if (!strstr(err.text, edits[i].says))
            fail_msg("case %zu: \"%s\" does not say \"%s\"", i, err.text, edits[i].says);
        text_release(&bad);
    }
    text_release(&good);
    shop_close(&shop);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, enter, leave)
    const struct CMUnitTest tests[] = {
        TEST(every_technique_in_every_format), TEST(peft_rows_are_in_their_order),
        TEST(merged_biases_are_those_learned), TEST(gguf_adapters_have_the_scale),
        TEST(merged_models_keep_the_metadata), TEST(manifests_tell_the_prompt),
        TEST(manifests_keep_to_their_schema),  TEST(corruption_leaves_nothing),
        TEST(other_answers_leave_nothing),     TEST(folders_are_not_overwritten),
        TEST(another_model_is_refused),        TEST(damaged_manifests_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
