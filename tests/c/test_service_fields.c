/* A field that is added to a table is supported by all C code that reads tables; and the tables are consistent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "base/base.h"
#include "service/speech.h"

/* A request struct with a field that the program does not have. */
typedef struct warm_speech {
    speech said;
    double warmth;
    int mood;
} warm_speech;

static const char *mood_at(int number) {
    static const char *const names[] = {"calm", "merry", NULL};
    return names[number];
}

static const ishow_field warm_rows[] = {
    {"warmth", "warmth", "warmth", .kind = ISHOW_FIELD_NUMBER, .at = offsetof(warm_speech, warmth), .initial = 0.5,
     .most = 1, .help = "how \"warm\" it sounds"},
    {"mood", "mood", "mood", .kind = ISHOW_FIELD_CHOICE, .at = offsetof(warm_speech, mood), .initial = 1,
     .choice = mood_at, .help = "of the reader"},
};
static const ishow_fields warm = {warm_rows, 2};

static int read_warm(const speech_form *form, const char *body, warm_speech *out, fault *f) {
    const ishow_request defaults = ishow_request_default();
    memset(out, 0, sizeof *out);
    memset(f, 0, sizeof *f);
    ishow_fields_default(&warm, out);
    return ishow_speech_parse(form, body, strlen(body), &defaults, &out->said, f);
}

static void a_row_of_the_table_adds_a_field(void **state) {
    (void)state;
    const speech_form form = {{ishow_speech_own.parts[0], ishow_speech_own.parts[1], &warm, ishow_speech_own.parts[3]}};
    static const struct {
        const char *body, *code, *words;
    } wrong[] = {
        {"{\"text\":\"a\",\"warmth\":2}", "out_of_range", "warmth must be between 0 and 1, not 2."},
        {"{\"text\":\"a\",\"warmth\":true}", "invalid_type", "warmth must be a number, not a boolean."},
        {"{\"text\":\"a\",\"mood\":\"sad\"}", "unsupported", "mood must be one of: calm, merry; not \"sad\"."},
        {"{\"text\":\"a\",\"cold\":1}", "unknown_field",
         "There is no field of this name; fields are text, voice_id, engine, warmth, mood, format, sample_rate."},
    };
    warm_speech s;
    fault f;
    assert_true(read_warm(&form, "{\"text\":\"a\"}", &s, &f));
    assert_true(s.warmth == 0.5 && s.mood == 1);
    ishow_speech_free(&s.said);
    assert_true(read_warm(&form, "{\"text\":\"a\",\"warmth\":0.25,\"mood\":\"calm\"}", &s, &f));
    assert_true(s.warmth == 0.25 && s.mood == 0);
    ishow_speech_free(&s.said);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_false(read_warm(&form, wrong[i].body, &s, &f));
        assert_string_equal(f.code, wrong[i].code);
        assert_string_equal(f.error.message, wrong[i].words);
        ishow_speech_free(&s.said);
    }
    assert_false(
        read_warm(&ishow_speech_own, "{\"text\":\"a\",\"warmth\":0.5}", &s, &f)); /* the program has no such field */
    ishow_speech_free(&s.said);
}

static void its_schema_says_what_is_checked(void **state) {
    (void)state;
    const speech_form form = {{ishow_speech_own.parts[0], ishow_speech_own.parts[1], &warm, ishow_speech_own.parts[3]}};
    ishow_buffer text = {0};
    ishow_speech_schema(&form, &text);
    json_t *schema = json_loadb((const char *)text.data, text.n, 0, NULL),
           *properties = json_object_get(schema, "properties");
    assert_int_equal(json_object_size(properties), 7);
    json_t *warmth = json_object_get(properties, "warmth"),
           *number = json_array_get(json_object_get(warmth, "anyOf"), 0);
    assert_string_equal(json_string_value(json_object_get(warmth, "description")), "how \"warm\" it sounds");
    assert_string_equal(json_string_value(json_object_get(number, "type")), "number");
    assert_true(json_number_value(json_object_get(number, "minimum")) == 0 &&
                json_number_value(json_object_get(number, "maximum")) == 1);
    json_t *words =
        json_object_get(json_array_get(json_object_get(json_object_get(properties, "mood"), "anyOf"), 0), "enum");
    assert_int_equal(json_array_size(words), 2);
    json_decref(schema);
    ishow_buffer_free(&text);
}

static void ranges_are_checked_field_by_field(void **state) {
    (void)state;
    warm_speech s = {0};
    ishow_error error = {0};
    ishow_fields_default(&warm, &s);
    assert_int_equal(ishow_fields_check(&warm, &s, &error), ISHOW_OK);
    s.warmth = 1.5;
    assert_int_equal(ishow_fields_check(&warm, &s, &error), ISHOW_EINVAL);
    assert_string_equal(error.field, "warmth");
    assert_string_equal(error.message, "warmth must be 0 to 1, got 1.5");
    s.warmth = 1, s.mood = 2;
    assert_int_equal(ishow_fields_check(&warm, &s, &error), ISHOW_EINVAL);
    assert_string_equal(error.field, "mood");
}

static void the_tables_are_consistent(void **state) {
    (void)state;
    const struct {
        const ishow_fields *fields;
        size_t size;
    } tables[] = {{&ishow_request_fields, sizeof(ishow_request)}, {&ishow_engine_fields, sizeof(ishow_engine_options)}};
    for (size_t t = 0; t < 2; t++) {
        const ishow_fields *all = tables[t].fields;
        for (size_t i = 0; i < all->n; i++) {
            const ishow_field *field = &all->rows[i];
            assert_true(field->at < tables[t].size && field->name && field->option && field->help &&
                        field->kind <= ISHOW_FIELD_SEED);
            if (field->kind != ISHOW_FIELD_SEED)
                assert_int_equal(ishow_field_check(field, field->initial, NULL), ISHOW_OK);
            for (size_t k = 0; k < i; k++) {
                assert_string_not_equal(field->name, all->rows[k].name);
                assert_true(field->at != all->rows[k].at);
                if (field->setting && all->rows[k].setting)
                    assert_string_not_equal(field->setting, all->rows[k].setting);
            }
        }
    }
    const ishow_request request = ishow_request_default();
    assert_true(request.nfe == 0 && request.cfg == 2 && request.guidance_to == 1 && request.embedded_guidance == 1 &&
                request.sway == -1 && request.speed == 1);
    const ishow_engine_options options = ishow_engine_options_default();
    assert_true(options.queue_capacity == 64 && options.cache_bytes == 256 * 1024 * 1024 &&
                options.chunk_seconds == 22 && options.retries == 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_row_of_the_table_adds_a_field),
        cmocka_unit_test(its_schema_says_what_is_checked),
        cmocka_unit_test(ranges_are_checked_field_by_field),
        cmocka_unit_test(the_tables_are_consistent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
