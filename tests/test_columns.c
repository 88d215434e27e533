/* SPDX-License-Identifier: Apache-2.0
 *
 * Which columns are read as what, in the layouts that datasets come in.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"
#include "datasets/columns.h"
#include "datasets/names.h"

enum { MOST = 16 };

/* The names of a header, at commas; `bytes` holds them. */
static size_t cut(char *bytes, const char *names[MOST])
{
    size_t count = 0;
    for (char *name = bytes; name;) {
        char *comma = strchr(name, ',');
        if (comma)
            *comma++ = '\0';
        names[count++] = name;
        name = comma;
    }
    return count;
}

static enum status find(const char *header, const struct dataset_options *options,
                        struct arena *arena, struct columns *columns, struct error *err)
{
    static const struct dataset_options none;
    const char *names[MOST];
    char bytes[400];
    assert_true(strlen(header) < sizeof bytes);
    strcpy(bytes, header);
    size_t count = cut(bytes, names);
    options = options ? options : &none;
    enum status status = columns_find("f", names, count, options, arena, columns, err);
    if (status == OK)
        status = columns_find_rationale("f", names, count, options, arena, columns, err);
    return status;
}

/* Header => inputs|target|rationale; "/" begins the choices. */
static const char *const layouts[][2] = {
    /* one text and a class */
    {"tweet,class", "tweet|class|-"},
    {"utterance,intent", "utterance|intent|-"},
    {"Category,Message", "Message|Category|-"},
    {"sms,label", "sms|label|-"},
    {"text,spam", "text|spam|-"},
    {"review_id,review,stars", "review|stars|-"},
    {"article_link,headline,is_sarcastic", "headline|is_sarcastic|-"},
    {"text,emotion", "text|emotion|-"},
    {"id,keyword,location,text,target", "text|target|-"},
    {"sentence,label,idx", "sentence|label|-"},
    {"comment,sentiment", "comment|sentiment|-"},
    {"text,label,comment,category", "text|label|-"},
    {"utt,intent", "utt|intent|-"},
    {"email,label", "email|label|-"},
    {"request,Class-Label", "request|Class-Label|-"},
    {"title,genre,label", "title|label|-"},
    /* the classes by name */
    {"text,label,label_text", "text|label_text|-"},
    {"label_text,label,text", "text|label_text|-"},
    {"text,label_text", "text|label_text|-"},
    {"text,intent,intent_name", "text|intent_name|-"},
    {"text,label,text_label", "text|text_label|-"},
    {"question,answer,answer_text", "question|answer|-"},
    /* two texts */
    {"premise,hypothesis,label,idx", "premise,hypothesis|label|-"},
    {"gold_label,sentence1,sentence2,pairID", "sentence1,sentence2|gold_label|-"},
    {"id,question1,question2,is_duplicate", "question1,question2|is_duplicate|-"},
    {"sentence_1,sentence_2,score", "sentence_1,sentence_2|score|-"},
    {"question,sentence,label,idx", "question,sentence|label|-"},
    {"Title,Description,Class Index", "Title,Description|Class Index|-"},
    {"label,title,content", "title,content|label|-"},
    {"id,title,author,text,label", "title,text|label|-"},
    {"title,description,text,label", "title,text|label|-"},
    {"Subject,Message,label", "Subject,Message|label|-"},
    {"subject,body,label", "subject,body|label|-"},
    {"text,subject,body,label", "text|label|-"},
    {"stars,review_title,review_body,language", "review_title,review_body|stars|-"},
    {"topic,question_title,question_content,x", "question_title,question_content|topic|-"},
    {"category,headline,short_description,date", "headline,short_description|category|-"},
    {"claim,evidence,label", "claim,evidence|label|-"},
    /* questions */
    {"question,passage,answer", "passage,question|answer|-"},
    {"idx,label,passage,question", "passage,question|label|-"},
    {"id,title,context,question,answers", "context,question|answers|-"},
    {"ID,Body,Question,Equation,Answer,Type", "Body,Question|Answer|-"},
    {"question,final_ans", "question|final_ans|-"},
    {"problem,solution,answer,level", "problem|answer|solution"},
    {"query,document,label", "document,query|label|-"},
    /* long texts */
    {"document,summary,id", "document|summary|-"},
    {"article,highlights,id", "article|highlights|-"},
    {"id,dialogue,summary", "dialogue|summary|-"},
    {"text,summary,title", "title,text|summary|-"},
    {"source,target", "source|target|-"},
    {"text,entities", "text|entities|-"},
    {"text,slots", "text|slots|-"},
    {"instruction,input,output,text", "instruction,input|output|-"},
    {"instruction,context,response,category", "instruction,context|response|-"},
    {"prompt,completion", "prompt|completion|-"},
    /* choices */
    {"question,subject,choices,answer", "question/choices|answer|-"},
    {"id,question,question_concept,choices,answerKey", "question/choices|answerKey|-"},
    {"id,question_stem,choices,answerKey", "question_stem/choices|answerKey|-"},
    {"ind,ctx_a,ctx_b,ctx,endings,label", "ctx/endings|label|-"},
    {"example_id,article,question,options,answer", "article,question/options|answer|-"},
    {"question,options,rationale,correct", "question/options|correct|rationale"},
    {"question,A,B,C,D,answer", "question/A,B,C,D|answer|-"},
    {"prompt,E,D,C,B,A,answer", "prompt/A,B,C,D,E|answer|-"},
    {"question,option_a,option_b,option_c,answer", "question/option_a,option_b,option_c|answer|-"},
    {"question,opa,opb,opc,opd,cop,exp", "question/opa,opb,opc,opd|cop|-"},
    {"sentence,option1,option2,answer", "sentence/option1,option2|answer|-"},
    {"goal,sol1,sol2,label", "goal/sol1,sol2|label|-"},
    {"premise,choice1,choice2,question,label", "premise,question/choice1,choice2|label|-"},
    {"context,question,answerA,answerB,answerC,label",
     "context,question/answerA,answerB,answerC|label|-"},
    {"context,question,answer0,answer1,answer2,answer3,label",
     "context,question/answer0,answer1,answer2,answer3|label|-"},
    /* no choices: small letters, a gap, one alone */
    {"question,a,b,c,answer", "question|answer|-"},
    {"question,B,C,answer", "question|answer|-"},
    {"question,option1,answer", "question|answer|-"},
    {"question,option1,option3,answer", "question|answer|-"},
};

static void reads_the_layouts_of_the_field(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, NULL);
    for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++) {
        struct columns columns;
        struct error err;
        struct text out = {0};
        if (find(layouts[i][0], NULL, &arena, &columns, &err))
            fail_msg("%s", err.text);
        for (size_t k = 0; k < columns.input_count; k++)
            text_printf(&out, "%s%s",
                        k == 0                    ? ""
                        : k == columns.text_count ? "/"
                                                  : ",",
                        columns.inputs[k]);
        text_printf(&out, "|%s|%s", columns.target, columns.rationale ? columns.rationale : "-");
        if (strcmp(text_string(&out), layouts[i][1]) != 0)
            fail_msg("%s: %s", layouts[i][0], text_string(&out));
        text_release(&out);
    }
    arena_release(&arena);
}

/* Header => what the error says. */
static const char *const doubtful[][2] = {
    {"text,prompt,label", "f: both 'text' and 'prompt' could be the input; the columns found are "
                          "'text', 'prompt', 'label'. Say which one with --input NAME."},
    {"tweet,comment,label", "both 'tweet' and 'comment' could be the input"},
    {"tweet,comment,post,label", "each of 'tweet', 'comment' and 'post' could be the input"},
    {"text,premise,hypothesis,label", "both 'text' and 'premise' with 'hypothesis'"},
    {"title,text,content,label", "both 'title' with 'text' and 'title' with 'content' could be"},
    {"title,subject,label", "both 'title' and 'subject' could be the input"},
    {"headline,article", "both 'article' and 'headline' could be the input"},
    {"Label,text,label", "both 'Label' and 'label' could be the target"},
    {"prompt,response,label", "both 'label' and 'response' could be the target"},
    {"text,summary,Score", "both 'summary' and 'Score' could be the target"},
    {"text,sentiment,score", "both 'sentiment' and 'score' could be the target"},
    {"text,coarse_label,fine_label", "both 'coarse_label' and 'fine_label' could be the target"},
    {"dialogue,summary,topic", "both 'topic' and 'summary' could be the target"},
    {"tweet,target,stance", "both 'target' and 'stance' could be the target; the columns found are "
                            "'tweet', 'target', 'stance'. Say which one with --label NAME."},
    {"text,answers,intent,slots", "each of 'intent', 'answers' and 'slots' could be the target"},
    {"text,label,cot,justification", "both 'cot' and 'justification' could be the rationale"},
    {"en,de", "no column has a name known for an input"},
    {"v1,v2", "no column has a name known for an input"},
    {"text,toxic,obscene", "no column has a name known for a target"},
    {"what a fine and lively tale this is,pos", "The first line looks like data: put a line with"},
    {"question,A,B,C,D,E,F,G,H,I,J,K,answer", "more than 10 columns of choices, from 'A' on"},
};

static void asks_where_it_is_not_clear(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, NULL);
    for (size_t i = 0; i < sizeof doubtful / sizeof *doubtful; i++) {
        struct columns columns;
        struct error err;
        if (find(doubtful[i][0], NULL, &arena, &columns, &err) != BAD_DATA)
            fail_msg("%s: no error", doubtful[i][0]);
        if (!strstr(err.text, doubtful[i][1]))
            fail_msg("%s: %s", doubtful[i][0], err.text);
    }
    arena_release(&arena);
}

/* Columns that the user names: header, --input, then as above. */
static void what_the_user_names_can_be_choices_too(void **state)
{
    (void)state;
    static const char *const rows[][3] = {
        {"question,choices,answer", "question", "question"},
        {"question,choices,answer", "question,choices", "question/choices"},
        {"stem,A,B,answer", "stem,A,B", "stem/A,B"},
        {"stem,A,B,answer", "stem,B,A", "stem,B,A"},
        {"stem,A,B,answer", "A,B", "A,B"},
        {"choices,stem,answer", "choices,stem", "choices,stem"},
    };
    struct arena arena;
    arena_init(&arena, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct columns columns;
        struct error err;
        struct text out = {0};
        struct dataset_options options = {.input = rows[i][1]};
        if (find(rows[i][0], &options, &arena, &columns, &err))
            fail_msg("%s", err.text);
        for (size_t k = 0; k < columns.input_count; k++)
            text_printf(&out, "%s%s",
                        k == 0                    ? ""
                        : k == columns.text_count ? "/"
                                                  : ",",
                        columns.inputs[k]);
        if (strcmp(text_string(&out), rows[i][2]) != 0)
            fail_msg("%s of %s: %s", rows[i][1], rows[i][0], text_string(&out));
        text_release(&out);
    }
    arena_release(&arena);
}

static void names_compare_without_case_and_separators(void **state)
{
    (void)state;
    assert_true(name_is("Class Index", "classindex"));
    assert_true(name_is(" chain_of-Thought ", "chainofthought"));
    assert_false(name_is("label2", "label"));
    assert_false(name_is("lab", "label"));
    assert_false(name_is("", "label"));
    assert_true(name_spells_out("Label_Text", "label"));
    assert_true(name_spells_out("category_name", "Category"));
    assert_false(name_spells_out("label", "label"));
    assert_false(name_spells_out("target_text", "target"));
    assert_true(name_is_scale("Stars") && !name_is_scale("label"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_the_layouts_of_the_field),
        cmocka_unit_test(asks_where_it_is_not_clear),
        cmocka_unit_test(what_the_user_names_can_be_choices_too),
        cmocka_unit_test(names_compare_without_case_and_separators),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
