/* SPDX-License-Identifier: Apache-2.0 */
#include "advisor/command.h"

#include <stdio.h>
#include <string.h>

#include "advisor/output.h"
#include "advisor/values.h"

/* ---- The table --------------------------------------------------------------------------------
 */

static const char *const recommend_options[] = {
    "target",      "confidence", "metric",  "budget",  "max-memory",  "max-latency", "requests",
    "techniques",  "test",       "input",   "label",   "rationale",   "task",        "delimiter",
    "label-names", "on-bad-row", "model",   "threads", "seed",        "study",       "fresh",
    "format",      "json",       "output",  "color",   "no-progress", "quiet",       "verbose",
    "rules",       "fact",       "dry-run", NULL};

static const char *const trial_options[] = {
    "set",       "examples", "metric",    "budget",      "max-memory",  "test",  "input",   "label",
    "rationale", "task",     "delimiter", "label-names", "on-bad-row",  "model", "threads", "seed",
    "format",    "json",     "output",    "color",       "no-progress", "quiet", "verbose", NULL};

static const char *const report_options[] = {"study",       "format", "json",    "output", "color",
                                             "no-progress", "quiet",  "verbose", NULL};

static const char *const profile_options[] = {
    "test",       "input",       "label",   "rationale", "task",   "delimiter", "label-names",
    "on-bad-row", "model",       "threads", "seed",      "format", "json",      "output",
    "color",      "no-progress", "quiet",   "verbose",   NULL};

static const char *const advise_options[] = {
    "examples",   "task",        "labels",      "tokens",     "parameters", "context", "memory",
    "throughput", "fact",        "rules",       "no-history", "target",     "metric",  "budget",
    "max-memory", "max-latency", "requests",    "techniques", "test",       "input",   "label",
    "rationale",  "delimiter",   "label-names", "on-bad-row", "model",      "threads", "seed",
    "format",     "json",        "output",      "color",      "quiet",      "verbose", NULL};

static const char *const bless_options[] = {"data",  "test",    "model", "threads", "output",
                                            "force", "format",  "json",  "color",   "no-progress",
                                            "quiet", "verbose", NULL};

static const char *const check_options[] = {
    "margin", "slice", "shared",      "technique", "set",     "artifact", "data",
    "test",   "model", "threads",     "study",     "format",  "json",     "output",
    "also",   "color", "no-progress", "quiet",     "verbose", NULL};

static const char *const export_options[] = {
    "data", "test",   "model", "threads",     "type",  "task-name", "force", "format",
    "json", "output", "color", "no-progress", "quiet", "verbose",   NULL};

static const char *const predict_options[] = {
    "input",  "task-name", "task-column", "delimiter", "on-bad-row",  "model", "threads", "force",
    "format", "json",      "output",      "color",     "no-progress", "quiet", "verbose", NULL};

static const char *const list_options[] = {"format", "json",    "output", "color",
                                           "quiet",  "verbose", NULL};

static const char *const help_options[] = {NULL};

static const struct command table[] = {
    {.name = "recommend",
     .summary = "measure the techniques on your data and rank them",
     .operands = "DATA",
     .fewest = 1,
     .most = 1,
     .help = "Measures the techniques on labelled data and your model within a time\n"
             "budget, and ranks them: the cheapest one that meets the target with the\n"
             "asked confidence, or the best there is. Statistical ties are shown as ties.\n"
             "\n"
             "DATA is a CSV, TSV, JSONL or JSON file with a text and its right answer in\n"
             "each row, or demo:tickets or demo:problems, which are built in. The columns\n"
             "are found by name or given with --input and --label.\n"
             "\n"
             "Everything measured is kept in the study, a file. Ctrl-C stops and saves\n"
             "(exit status 130); the same command again goes on where it stopped.\n"
             "\n"
             "--dry-run trains nothing and keeps nothing: it measures the model's speed for\n"
             "some seconds, unless the study file has it, and prints the plan.\n",
     .examples = "  # Which technique is right for routing these tickets?\n"
                 "  advisor recommend demo:tickets --target 0.85 --budget 5m\n"
                 "  # What would it do in that time?\n"
                 "  advisor recommend demo:tickets --budget 5m --dry-run\n"
                 "  # Own data and model, with limits, for a script\n"
                 "  advisor recommend train.csv --test test.csv --model model.gguf \\\n"
                 "      --max-memory 4G --max-latency 50ms --format json -o result.json\n"
                 "  # Columns with names of their own, two techniques only\n"
                 "  advisor recommend reviews.tsv --input text --label stars \\\n"
                 "      --techniques few_shot,lora\n",
     .options = recommend_options,
     .run = recommend_run},
    {.name = "profile",
     .summary = "what data and machine are like, before anything is trained",
     .operands = "DATA",
     .fewest = 1,
     .most = 1,
     .help = "Tells the task, the classes, lengths, duplicates, leakage, conflicting and\n"
             "probably wrong labels, which metric suits, and what always giving the most\n"
             "frequent answer would reach. With --model it also counts tokens and measures,\n"
             "for a few seconds, how fast the model runs here. DATA is as for recommend.\n",
     .examples = "  # Is this file fit to learn from?\n"
                 "  advisor profile train.csv --test test.csv\n"
                 "  # With the tokens and the speed of a model\n"
                 "  advisor profile demo:tickets --model model.gguf\n",
     .options = profile_options,
     .run = profile_run},
    {.name = "advise",
     .summary = "what rules and arithmetic say, at once and without measuring",
     .operands = "[DATA]",
     .fewest = 0,
     .most = 1,
     .help = "Ranks the techniques by cited rules, by the arithmetic of their costs, and by\n"
             "your finished studies of similar data, in a moment and without running a\n"
             "model: a reason where to begin, no result. Data, model and machine are\n"
             "files, or described by numbers. What cannot work is named with the\n"
             "arithmetic. `advisor recommend` measures.\n",
     .examples = "  # A model and a machine that are not here\n"
                 "  advisor advise --task classification --examples 400 --labels 6 \\\n"
                 "      --tokens 60 --parameters 7B --context 8192 --memory 24G\n"
                 "  # Own data and model, and rules of one's own\n"
                 "  advisor advise train.csv --model model.gguf --rules rules.csv\n",
     .options = advise_options,
     .run = advise_run},
    {.name = "trial",
     .summary = "train and score one technique with the settings you choose",
     .operands = "TECHNIQUE DATA",
     .fewest = 2,
     .most = 2,
     .help = "Runs a single technique once, and tells its metric with an interval and\n"
             "what it costs. `advisor list techniques NAME` has the hyper-parameters that\n"
             "--set takes. DATA is as for recommend.\n",
     .examples = "  # The model as it is\n"
                 "  advisor trial zero_shot demo:tickets\n"
                 "  # LoRA of rank 16 on 256 examples\n"
                 "  advisor trial lora train.csv --examples 256 --set r=16 \\\n"
                 "      --set learning_rate=3e-3 --format json\n",
     .options = trial_options,
     .run = trial_run},
    {.name = "report",
     .summary = "show a study again, in any format, out of its file alone",
     .operands = "[STUDY]",
     .fewest = 0,
     .most = 1,
     .help = "Prints the report of a study that `advisor recommend` made, without its data\n"
             "and its model. STUDY is a study file (with a / or . in its name) or the name\n"
             "of a study in your store; --study says the same.\n"
             "\n"
             "html is one file to send around: it loads nothing and runs nothing. lm-eval\n"
             "writes the files of lm-evaluation-harness into the folder of --output.\n",
     .examples = "  # The answer again\n"
                 "  advisor report demo-tickets-272c5b7f\n"
                 "  # A page to mail, and a comment for a pull request\n"
                 "  advisor report study.db --format html -o report.html\n"
                 "  advisor report study.db --format markdown -o comment.md\n"
                 "  # For the tools of lm-evaluation-harness\n"
                 "  advisor report study.db --format lm-eval -o results/\n",
     .options = report_options,
     .run = report_run},
    {.name = "bless",
     .summary = "accept a technique: keep its answers as the baseline of `check`",
     .operands = "STUDY [TECHNIQUE]",
     .fewest = 1,
     .most = 2,
     .help = "Runs a technique of a study once more on its test examples, without training,\n"
             "and writes what it answers and costs to a text file that belongs beside your\n"
             "code, -o FILE, by default advisor-baseline.json. What it learned goes into a\n"
             "file beside that one. TECHNIQUE is by default the one that the study\n"
             "recommends. STUDY is a study file (with a / or . in its name) or the name of\n"
             "a study in your store.\n"
             "\n"
             "The baseline holds hashes of the examples, not their texts; but names of\n"
             "classes, and which example got which.\n",
     .examples = "  # Accept what the study recommends\n"
                 "  advisor bless study.db\n"
                 "  # Another technique, on examples of your own, in place of the old baseline\n"
                 "  advisor bless study.db lora --test golden.csv -o golden.json --force\n",
     .formats = "text|json",
     .format_help = "text or json, of what is said about it; default text",
     .options = bless_options,
     .run = bless_run},
    {.name = "check",
     .summary = "tell whether accuracy got worse than the baseline",
     .operands = "[BASELINE]",
     .fewest = 0,
     .most = 1,
     .help = "Answers the examples of a baseline (by default advisor-baseline.json) again and\n"
             "gives one verdict:\n"
             "\n"
             "  pass          exit status 0: a loss of --margin or more is ruled out\n"
             "  regression    exit status 3: it is worse, or a class or slice of it is\n"
             "  inconclusive  exit status 6: too few examples to tell; says how many it takes\n"
             "\n"
             "Nothing given, it checks the program itself: model, artifact and examples are\n"
             "those of the baseline, and the same answers are a pass. Give what is new with\n"
             "--model, --artifact, --study (trained again), --set or --technique. With --test\n"
             "the examples come from FILE: those of the baseline, and perhaps more; or all\n"
             "new ones, which takes many more of them. Examples that are missing or have\n"
             "another right answer than in the baseline are an error, not a verdict.\n"
             "\n"
             "Classes, and slices by --slice, are tested together at 1 % with Holm's\n"
             "correction, the whole at 4 %: 5 false alarms in a hundred checks at most. A\n"
             "loss as large as the margin passes in about 5 of a hundred. Cost only warns.\n",
     .examples = "  # Same model, same data: did the program or the machine change anything?\n"
                 "  advisor check\n"
                 "  # Another quantisation of the model, for GitLab and a pull request\n"
                 "  advisor check --model model.Q4_K.gguf --margin 1pt \\\n"
                 "      --also junit=report.xml --also markdown=comment.md\n"
                 "  # What was trained on more data, by language\n"
                 "  advisor check golden.json --study new.db --test golden.csv --slice language\n",
     .options = check_options,
     .formats = "text|json|junit|markdown",
     .format_help = "text, json, junit or markdown; default text",
     .run = check_run},
    {.name = "export",
     .summary = "put what a technique learned into files that load elsewhere",
     .operands = "STUDY [TECHNIQUE]",
     .fewest = 1,
     .most = 2,
     .help = "Writes the folder of --output with what TECHNIQUE learned in the study, by\n"
             "default the one it recommends, and a manifest: model, data, settings, the\n"
             "exact prompt, what was measured. STUDY is a study file or the name of a\n"
             "study in your store.\n"
             "\n"
             "Formats: peft is a folder for PEFT, gguf a LoRA adapter for llama.cpp,\n"
             "merged-gguf a whole model with the result folded in, prompt the prompt as\n"
             "text and messages, and adapter holds any technique in safetensors.\n"
             "prompt-table adds virtual tokens to the file of --output, which holds many\n"
             "tasks by name for one loaded model; --force replaces a task in it.\n"
             "\n"
             "Before it gets its name it is read back and answers development examples of\n"
             "the study; where it does not answer like the original, nothing is left (exit\n"
             "status 1).\n",
     .examples = "  # The recommended technique, in the format that most programs read\n"
                 "  advisor export demo-tickets-272c5b7f -o tickets\n"
                 "  # LoRA for llama.cpp, as an adapter and as a whole model\n"
                 "  advisor export study.db lora --format gguf -o adapter\n"
                 "  advisor export study.db lora --format merged-gguf -o model\n"
                 "  # A task more in a prompt table\n"
                 "  advisor export study.db p_tuning --format prompt-table -o desk.prompts\n",
     .formats = "peft|gguf|merged-gguf|prompt|prompt-table|adapter",
     .format_help = "peft, gguf, merged-gguf, prompt, prompt-table or adapter; default: the first "
                    "of them that can hold the technique",
     .folder = true,
     .options = export_options,
     .run = export_run},
    {.name = "predict",
     .summary = "label a file of inputs with an export",
     .operands = "EXPORT INPUTS",
     .fewest = 2,
     .most = 2,
     .help = "Answers every row of INPUTS (CSV, TSV or JSONL) with what `advisor export`\n"
             "wrote into the folder EXPORT. The output has a row for each: its line in\n"
             "INPUTS, the label, its probability and that of every other label, or the\n"
             "answer in words.\n"
             "\n"
             "EXPORT may also be a prompt table. --task-name says which of its tasks all\n"
             "rows are of; or --task-column names a column of INPUTS where each row says\n"
             "its own, and one loaded model answers rows of all tasks in one batch.\n"
             "\n"
             "Ctrl-C, kill or a power cut lose nothing that was finished: it stands in\n"
             "OUTPUT.partial, and the same command goes on there.\n",
     .examples = "  # Label a file\n"
                 "  advisor predict tickets inputs.csv -o labels.csv\n"
                 "  # Another column, as JSON lines, on standard output\n"
                 "  advisor predict tickets inputs.csv --input body --format jsonl\n"
                 "  # Rows of many tasks, with a prompt table\n"
                 "  advisor predict desk.prompts mixed.csv --task-column task -o answers.csv\n",
     .formats = "csv|jsonl",
     .format_help = "csv or jsonl; default: by the name of the output, else csv",
     .options = predict_options,
     .run = predict_run},
    {.name = "list",
     .summary = "what there is: techniques, formats, metrics, rules, facts",
     .operands = "[WHAT [NAME]]",
     .fewest = 0,
     .most = 2,
     .help = "WHAT is techniques (the default), formats, metrics, rules or facts (which rules\n"
             "are about). With the NAME of a technique: its hyper-parameters, with their\n"
             "ranges and defaults. --quiet prints names alone, --verbose the\n"
             "hyper-parameters of every technique.\n",
     .examples = "  # All techniques, in a line each\n"
                 "  advisor list techniques\n"
                 "  # What can be set in one of them\n"
                 "  advisor list techniques lora\n"
                 "  # The same for a program\n"
                 "  advisor list techniques lora --format json\n",
     .options = list_options,
     .run = list_run},
    {.name = "help",
     .summary = "explain a command",
     .operands = "[COMMAND]",
     .fewest = 0,
     .most = 1,
     .help = "Prints what `advisor COMMAND --help` prints; without COMMAND, the list of\n"
             "commands. In place of COMMAND also manual, for the manual page, and\n"
             "completion, for a script that completes command lines in bash.\n",
     .examples = "  # All commands\n"
                 "  advisor help\n"
                 "  # The options of one\n"
                 "  advisor help recommend\n"
                 "  # What `man advisor` shows once it is installed\n"
                 "  advisor help manual\n",
     .options = help_options,
     .run = help_run},
};

const struct command *command_at(size_t index)
{
    return index < sizeof table / sizeof *table ? &table[index] : NULL;
}

const struct command *command_find(const char *name)
{
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (!strcmp(table[i].name, name))
            return &table[i];
    return NULL;
}

bool command_takes(const struct command *command, const char *option)
{
    for (const char *const *at = command->options; *at; at++)
        if (!strcmp(*at, option))
            return true;
    return false;
}

/* ---- Dispatch ---------------------------------------------------------------------------------
 */

/* Text for standard output, without any options yet. */
static enum status print(void (*write)(struct text *), struct error *err)
{
    struct options none = {0};
    struct text out = {0};
    write(&out);
    enum status status = output_write(&none, &out, err);
    text_release(&out);
    return status;
}

static enum status run(const struct command *command, int count, char *const *words,
                       struct error *err)
{
    struct options options;
    enum status status = options_parse(command, count, words, &options, err);
    if (status != OK)
        return status;
    if (options.help) {
        struct text out = {0};
        help_command(command, &out);
        status = output_write(&options, &out, err);
        text_release(&out);
    } else {
        status = command->run(&options, err);
    }
    options_release(&options);
    return status;
}

static enum status no_command(struct error *err)
{
    struct text out = {0};
    help_overview(&out);
    fputs(text_string(&out), stderr);
    text_release(&out);
    return error_set(err, USAGE, "no command given; expected one of those above");
}

static enum status unknown_command(const char *word, struct error *err)
{
    const char *names[sizeof table / sizeof *table];
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        names[i] = table[i].name;
    const char *meant = nearest(word, names, sizeof table / sizeof *table);
    if (*word == '-')
        return error_set(err, USAGE,
                         "%s: expected a command here; options come behind it, as in `advisor "
                         "recommend DATA --budget 10m`",
                         word);
    if (meant)
        return error_set(err, USAGE, "there is no command \"%s\"; did you mean %s?", word, meant);
    return error_set(err, USAGE, "there is no command \"%s\"; `advisor --help` lists them", word);
}

enum status command_dispatch(int argc, char **argv, struct error *err)
{
    if (argc < 2)
        return no_command(err);
    const char *word = argv[1];
    if (!strcmp(word, "--help") || !strcmp(word, "-h"))
        return print(help_overview, err);
    if (!strcmp(word, "--version"))
        return print(help_version, err);
    const struct command *command = command_find(word);
    return command ? run(command, argc - 2, argv + 2, err) : unknown_command(word, err);
}
