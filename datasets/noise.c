/* SPDX-License-Identifier: Apache-2.0 */
#include "datasets/noise.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/random.h"
#include "base/text.h"
#include "datasets/words.h"

enum {
    MOST_TEXTS = 5000,
    MOST_SCORES = 400000, /* texts times classes */
    MOST_WORDS = 2000,    /* of one text */
    FOLDS = 10,
    LEAST_PER_CLASS = 4, /* texts of a class on average */
    SUREST = 10,         /* one text in so many counts as one the words are surest about */
    TEMPERATURES = 40,
    RATES = 66,
    FINE_RATES = 20 /* the first ones, four times as dense */
};

static const double smoothing = 0.3;                 /* added to every count */
static const double fine_step = 0.0025, step = 0.01; /* of the rates */
static const double drop = 3.84;                     /* of the profile likelihood */
static const double misfit = 0.02;                   /* of the lower end */
static const double widest = 0.35;                   /* interval that still says something */
static const double least_likely = 1e-30;

/* How many texts of a class have a word. */
struct posting {
    uint32_t word, class, count;
};

struct text_words {
    size_t example;
    uint32_t class;
    uint32_t *words; /* different ones */
    size_t count;
};

struct bayes {
    struct arena arena;
    struct text_words *texts; /* by class, in random order within one */
    size_t text_count, class_count;
    size_t word_count;
    struct posting *postings; /* by word and class */
    size_t *first;            /* (words + 1) postings of a word */
    uint32_t *having;         /* (words) texts that have the word */
    size_t *sizes;            /* (classes) words of all texts */
    size_t all;               /* sum of sizes */
    double *logs;             /* log(i + smoothing), i up to the number of texts */
    float *scores;            /* (texts, classes) the largest of a text is 0 */
};

/* ---- Words ------------------------------------------------------------------------------------
 */

/* Hashes of the different words and pairs of neighbours of a text; free() them. */
static uint64_t *features_of(const char *text, struct text *plain, size_t *count)
{
    words_normalise(text, plain);
    uint64_t *words = memory_alloc((plain->length + 1) * sizeof *words);
    size_t n = words_hash(text_string(plain), words);
    if (n > MOST_WORDS)
        n = MOST_WORDS;
    uint64_t *features = memory_alloc((2 * n + 1) * sizeof *features);
    *count = 0;
    for (size_t i = 0; i < n; i++)
        features[(*count)++] = words[i];
    for (size_t i = 0; i + 1 < n; i++)
        features[(*count)++] = hash_quick_u64(words[i] * 3 + words[i + 1]);
    free(words);
    *count = words_unique(features, *count);
    return features;
}

/* Numbers of words by their hash. */
struct numbers {
    uint64_t *keys;
    uint32_t *numbers; /* + 1; 0 = free */
    size_t size, used;
};

static size_t place_of(const struct numbers *numbers, uint64_t key)
{
    size_t at = (size_t)hash_quick_u64(key) & (numbers->size - 1);
    while (numbers->numbers[at] && numbers->keys[at] != key)
        at = (at + 1) & (numbers->size - 1);
    return at;
}

static void grow(struct numbers *numbers)
{
    struct numbers larger = {.size = numbers->size ? 2 * numbers->size : 1024,
                             .used = numbers->used};
    larger.keys = memory_alloc(larger.size * sizeof *larger.keys);
    larger.numbers = memory_zalloc(larger.size * sizeof *larger.numbers);
    for (size_t i = 0; i < numbers->size; i++) {
        if (!numbers->numbers[i])
            continue;
        size_t at = place_of(&larger, numbers->keys[i]);
        larger.keys[at] = numbers->keys[i];
        larger.numbers[at] = numbers->numbers[i];
    }
    free(numbers->keys);
    free(numbers->numbers);
    *numbers = larger;
}

static uint32_t number_of(struct numbers *numbers, uint64_t key)
{
    if (2 * numbers->used >= numbers->size)
        grow(numbers);
    size_t at = place_of(numbers, key);
    if (!numbers->numbers[at]) {
        numbers->keys[at] = key;
        numbers->numbers[at] = (uint32_t)++numbers->used;
    }
    return numbers->numbers[at] - 1;
}

static void read_words(struct bayes *b, const struct dataset *data)
{
    struct numbers numbers = {0};
    struct text plain = {0};
    for (size_t i = 0; i < b->text_count; i++) {
        struct text_words *text = &b->texts[i];
        uint64_t *features = features_of(data->examples[text->example].input, &plain, &text->count);
        text->words = arena_alloc(&b->arena, (text->count + 1) * sizeof *text->words);
        for (size_t w = 0; w < text->count; w++)
            text->words[w] = number_of(&numbers, features[w]);
        free(features);
    }
    b->word_count = numbers.used;
    free(numbers.keys);
    free(numbers.numbers);
    text_release(&plain);
}

/* ---- Counts -----------------------------------------------------------------------------------
 */

static int compare_postings(const void *a, const void *b)
{
    const struct posting *x = a, *y = b;
    if (x->word != y->word)
        return x->word < y->word ? -1 : 1;
    return (x->class > y->class) - (x->class < y->class);
}

/* One posting for each word and class that meet, all counts 0. Texts come class by class, so a word
 * that a class has had already has it in its last posting. */
static void list_postings(struct bayes *b)
{
    size_t *end = memory_alloc((b->word_count + 1) * sizeof *end), total = 0;
    b->first = arena_zalloc(&b->arena, (b->word_count + 1) * sizeof *b->first);
    uint32_t *last = memory_zalloc((b->word_count + 1) * sizeof *last); /* class + 1 */
    for (size_t i = 0; i < b->text_count; i++)
        for (size_t w = 0; w < b->texts[i].count; w++) {
            uint32_t word = b->texts[i].words[w];
            b->first[word] += last[word] != b->texts[i].class + 1;
            last[word] = b->texts[i].class + 1;
        }
    for (size_t word = 0; word <= b->word_count; word++) {
        size_t classes = b->first[word];
        b->first[word] = end[word] = total;
        total += classes;
    }
    b->postings = arena_alloc(&b->arena, (total + 1) * sizeof *b->postings);
    for (size_t i = 0; i < b->text_count; i++)
        for (size_t w = 0; w < b->texts[i].count; w++) {
            struct posting posting = {.word = b->texts[i].words[w], .class = b->texts[i].class};
            size_t at = end[posting.word];
            if (at == b->first[posting.word] || b->postings[at - 1].class != posting.class)
                b->postings[end[posting.word]++] = posting;
        }
    free(last);
    free(end);
}

/* Counts a text in, or out again with `sign` -1. */
static void count_text(struct bayes *b, const struct text_words *text, int sign)
{
    for (size_t w = 0; w < text->count; w++) {
        struct posting wanted = {.word = text->words[w], .class = text->class};
        size_t first = b->first[wanted.word], last = b->first[wanted.word + 1];
        struct posting *found = bsearch(&wanted, b->postings + first, last - first,
                                        sizeof *b->postings, compare_postings);
        found->count += (uint32_t)sign;
        b->having[wanted.word] += (uint32_t)sign;
    }
    b->sizes[text->class] += (size_t)sign * text->count;
    b->all += (size_t)sign * text->count;
}

static void count_all(struct bayes *b)
{
    list_postings(b);
    b->having = arena_zalloc(&b->arena, (b->word_count + 1) * sizeof *b->having);
    b->sizes = arena_zalloc(&b->arena, b->class_count * sizeof *b->sizes);
    b->logs = arena_alloc(&b->arena, (b->text_count + 1) * sizeof *b->logs);
    for (size_t i = 0; i <= b->text_count; i++)
        b->logs[i] = log((double)i + smoothing);
    for (size_t i = 0; i < b->text_count; i++)
        count_text(b, &b->texts[i], 1);
}

/* ---- Scores -----------------------------------------------------------------------------------
 */

/* Log-likelihood that the text comes from no other class, over the root of its length, so that long
 * texts are not surer of themselves than they should be. `sums` is scratch of (classes). */
static void score_text(const struct bayes *b, const struct text_words *text, double *sums,
                       float *scores)
{
    size_t known = 0;
    memset(sums, 0, b->class_count * sizeof *sums);
    for (size_t w = 0; w < text->count; w++) {
        uint32_t word = text->words[w], having = b->having[word];
        known += having > 0;
        for (size_t p = b->first[word]; having && p < b->first[word + 1]; p++)
            sums[b->postings[p].class] += b->logs[having] - b->logs[having - b->postings[p].count];
    }
    double best = -INFINITY, length = sqrt(known ? (double)known : 1);
    for (size_t c = 0; c < b->class_count; c++) {
        double others = (double)(b->all - b->sizes[c]) + smoothing * (double)b->word_count;
        sums[c] += (double)known * log(others);
        best = sums[c] > best ? sums[c] : best;
    }
    for (size_t c = 0; c < b->class_count; c++)
        scores[c] = (float)((sums[c] - best) / length);
}

/* Each text is scored from the texts of the other folds. */
static void score_all(struct bayes *b)
{
    double *sums = memory_alloc(b->class_count * sizeof *sums);
    b->scores = arena_alloc(&b->arena, b->text_count * b->class_count * sizeof *b->scores);
    for (size_t fold = 0; fold < FOLDS; fold++) {
        for (size_t i = fold; i < b->text_count; i += FOLDS)
            count_text(b, &b->texts[i], -1);
        for (size_t i = fold; i < b->text_count; i += FOLDS)
            score_text(b, &b->texts[i], sums, b->scores + i * b->class_count);
        for (size_t i = fold; i < b->text_count; i += FOLDS)
            count_text(b, &b->texts[i], 1);
    }
    free(sums);
}

static double accuracy_of(const struct bayes *b)
{
    size_t right = 0;
    for (size_t i = 0; i < b->text_count; i++)
        right += b->scores[i * b->class_count + b->texts[i].class] >= 0;
    return (double)right / (double)b->text_count;
}

/* ---- The rate ---------------------------------------------------------------------------------
 */

static double rate_at(size_t i)
{
    return i < FINE_RATES ? fine_step * (double)i
                          : fine_step * FINE_RATES + step * (double)(i - FINE_RATES);
}

static double temperature_at(size_t i)
{
    return 0.01 * pow(800, (double)i / (TEMPERATURES - 1)); /* 0.01 .. 8 */
}

/* softmax(T z) of the labels that the texts have. */
static void label_probabilities(const struct bayes *b, double temperature, double *p)
{
    for (size_t i = 0; i < b->text_count; i++) {
        const float *z = b->scores + i * b->class_count;
        double sum = 0;
        for (size_t c = 0; c < b->class_count; c++)
            sum += exp(temperature * z[c]);
        p[i] = exp(temperature * z[b->texts[i].class]) / sum;
    }
}

static double label_chance(const struct bayes *b, double p, double rate)
{
    double chance = (1 - rate) * p + rate * (1 - p) / (double)(b->class_count - 1);
    return chance > least_likely ? chance : least_likely;
}

static double log_likelihood(const struct bayes *b, const double *p, double rate)
{
    enum { AT_ONCE = 8 }; /* their product is no smaller than least_likely to that power */
    double sum = 0, product = 1;
    for (size_t i = 0; i < b->text_count; i++) {
        product *= label_chance(b, p[i], rate);
        if (i % AT_ONCE == AT_ONCE - 1 || i + 1 == b->text_count) {
            sum += log(product);
            product = 1;
        }
    }
    return sum;
}

/* ---- The surest texts -------------------------------------------------------------------------
 */

/* What the words say about a text, and by how much. */
struct opinion {
    uint32_t class;
    float margin; /* to the second best class */
    bool agrees;  /* with the label */
};

static struct opinion opinion_of(const struct bayes *b, size_t text)
{
    const float *scores = b->scores + text * b->class_count;
    struct opinion opinion = {.margin = INFINITY};
    for (uint32_t c = 1; c < b->class_count; c++)
        if (scores[c] > scores[opinion.class])
            opinion.class = c;
    for (uint32_t c = 0; c < b->class_count; c++)
        if (c != opinion.class && scores[opinion.class] - scores[c] < opinion.margin)
            opinion.margin = scores[opinion.class] - scores[c];
    opinion.agrees = opinion.class == b->texts[text].class;
    return opinion;
}

/* By class, the surest first. */
static int compare_opinions(const void *a, const void *b)
{
    const struct opinion *x = a, *y = b;
    if (x->class != y->class)
        return x->class < y->class ? -1 : 1;
    if (x->margin < y->margin || x->margin > y->margin)
        return x->margin > y->margin ? -1 : 1;
    return x->agrees - y->agrees;
}

/* How often the label is another one where the words are surest: in a tenth of the texts given to
 * each class. */
static double sure_disagreement(const struct bayes *b)
{
    struct opinion *opinions = memory_alloc(b->text_count * sizeof *opinions);
    size_t looked_at = 0, disagree = 0;
    for (size_t i = 0; i < b->text_count; i++)
        opinions[i] = opinion_of(b, i);
    qsort(opinions, b->text_count, sizeof *opinions, compare_opinions);
    for (size_t first = 0, end; first < b->text_count; first = end) {
        for (end = first; end < b->text_count && opinions[end].class == opinions[first].class;)
            end++;
        for (size_t i = first; i < first + (end - first + SUREST - 1) / SUREST; i++, looked_at++)
            disagree += !opinions[i].agrees;
    }
    free(opinions);
    return (double)disagree / (double)looked_at;
}

/* The interval of the rate, and the temperature of the best one. */
static double fit(const struct bayes *b, struct noise *noise)
{
    double profile[RATES], best = -INFINITY, warmth = 1;
    double *p = memory_alloc(b->text_count * sizeof *p);
    for (size_t r = 0; r < RATES; r++)
        profile[r] = -INFINITY;
    for (size_t t = 0; t < TEMPERATURES; t++) {
        label_probabilities(b, temperature_at(t), p);
        for (size_t r = 0; r < RATES; r++) {
            double value = log_likelihood(b, p, rate_at(r));
            profile[r] = value > profile[r] ? value : profile[r];
            if (value <= best)
                continue;
            best = value;
            warmth = temperature_at(t);
            noise->rate = rate_at(r);
        }
    }
    free(p);
    noise->low = 1;
    for (size_t r = 0; r < RATES; r++) {
        if (profile[r] < best - drop)
            continue;
        noise->low = rate_at(r) < noise->low ? rate_at(r) : noise->low;
        noise->high = rate_at(r);
    }
    noise->low = noise->low > misfit ? noise->low - misfit : 0;
    noise->high = fmax(noise->high, sure_disagreement(b));
    return warmth;
}

/* ---- Suspects ---------------------------------------------------------------------------------
 */

static void add_suspect(struct noise *noise, const struct suspect *suspect)
{
    size_t listed = noise->suspect_count < NOISE_SUSPECTS ? noise->suspect_count : NOISE_SUSPECTS;
    size_t at = listed;
    noise->suspect_count++;
    while (at && noise->suspects[at - 1].probability < suspect->probability)
        at--;
    for (size_t i = listed < NOISE_SUSPECTS ? listed : NOISE_SUSPECTS - 1; i > at; i--)
        noise->suspects[i] = noise->suspects[i - 1];
    if (at < NOISE_SUSPECTS)
        noise->suspects[at] = *suspect;
}

static void find_suspects(const struct bayes *b, const uint32_t *labels, double temperature,
                          struct noise *noise)
{
    /* Any share within the interval may be the true one. */
    double rate = fmax(noise->rate, noise->high / 2);
    double *p = memory_alloc(b->text_count * sizeof *p);
    label_probabilities(b, temperature, p);
    for (size_t i = 0; i < b->text_count; i++) {
        double wrong = rate * (1 - p[i]) / (double)(b->class_count - 1);
        struct suspect suspect = {.example = b->texts[i].example,
                                  .probability = wrong / label_chance(b, p[i], rate)};
        const float *scores = b->scores + i * b->class_count;
        size_t best = 0;
        while (best + 1 < b->class_count && scores[best] < 0)
            best++;
        suspect.label = (int)labels[best];
        if (suspect.probability > 0.5 && best != b->texts[i].class)
            add_suspect(noise, &suspect);
    }
    free(p);
}

/* ---- Which texts ------------------------------------------------------------------------------
 */

static int compare_classes(const void *a, const void *b)
{
    const struct text_words *x = a, *y = b;
    if (x->class != y->class)
        return x->class < y->class ? -1 : 1;
    return (x->example > y->example) - (x->example < y->example);
}

/* A random sample of the different texts; the classes that occur in it get numbers without gaps,
 * `labels[number]` is the label. */
static void choose_texts(struct bayes *b, const struct dataset *data, const size_t *group,
                         size_t limit, uint64_t seed, uint32_t *labels)
{
    size_t *order = memory_alloc((data->count + 1) * sizeof *order), count = 0;
    for (size_t i = 0; i < data->count; i++)
        if (group[i] == i && data->examples[i].label >= 0)
            order[count++] = i;
    struct random random = random_stream(seed, "label noise", 0);
    random_shuffle(&random, order, count);
    size_t most = MOST_SCORES / (data->label_count ? data->label_count : 1);
    limit = limit && limit < MOST_TEXTS ? limit : MOST_TEXTS;
    most = most < limit ? most : limit;
    b->text_count = count < most ? count : most;
    b->texts = arena_zalloc(&b->arena, (b->text_count + 1) * sizeof *b->texts);
    for (size_t i = 0; i < b->text_count; i++)
        b->texts[i] = (struct text_words){.example = order[i],
                                          .class = (uint32_t)data->examples[order[i]].label};
    free(order);
    qsort(b->texts, b->text_count, sizeof *b->texts, compare_classes);
    for (size_t i = 0; i < b->text_count; i++) {
        uint32_t label = b->texts[i].class;
        if (!b->class_count || labels[b->class_count - 1] != label)
            labels[b->class_count++] = label;
        b->texts[i].class = (uint32_t)(b->class_count - 1);
    }
}

static const char *complaint(const struct dataset *data, const struct bayes *b)
{
    if (data->task != TASK_CLASSIFICATION)
        return "only told for classification";
    if (data->label_count > MOST_SCORES / NOISE_LEAST)
        return "too many classes";
    if (b->text_count < NOISE_LEAST)
        return "fewer than 200 different texts";
    if (b->class_count < 2)
        return "a single class";
    if (b->text_count < LEAST_PER_CLASS * b->class_count)
        return "too few texts for each class";
    return NULL;
}

void noise_estimate(const struct dataset *data, const size_t *group, size_t most, uint64_t seed,
                    struct noise *noise)
{
    struct bayes b = {0};
    uint32_t *labels = memory_zalloc((data->label_count + 1) * sizeof *labels);
    *noise = (struct noise){0};
    arena_init(&b.arena, NULL);
    choose_texts(&b, data, group, most, seed, labels);
    noise->examples = b.text_count;
    noise->why = complaint(data, &b);
    if (!noise->why) {
        read_words(&b, data);
        count_all(&b);
        score_all(&b);
        noise->accuracy = accuracy_of(&b);
        double temperature = fit(&b, noise);
        noise->known = noise->high - noise->low <= widest && noise->high < rate_at(RATES - 1);
        if (noise->known)
            find_suspects(&b, labels, temperature, noise);
        else
            noise->why = "words alone say too little about these labels";
    }
    arena_release(&b.arena);
    free(labels);
}
