#include "base/text.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <string.h>

Test(text, grows_to_its_cap_and_says_when_it_cut)
{
    _cleanup_text_ struct text text = TEXT_INIT(1000);
    cr_assert_str_eq(text_string(&text), "");
    for (int i = 0; i < 300; i++)
        text_add(&text, "abc");
    cr_assert_eq(text.length, 900);
    cr_assert_not(text.truncated);
    text_addf(&text, "%0200d", 7);
    cr_assert_eq(text.length, 1000);
    cr_assert(text.truncated);
    cr_assert_eq(strlen(text.data), 1000);

    text_reset(&text);
    cr_assert_eq(text.length, 0);
    cr_assert_not(text.truncated);
    cr_assert_str_eq(text_string(&text), "");
}

Test(text, formats_what_is_longer_than_its_small_buffer)
{
    _cleanup_text_ struct text text = TEXT_INIT(10000);
    char long_word[600];
    memset(long_word, 'x', sizeof(long_word) - 1);
    long_word[sizeof(long_word) - 1] = '\0';
    text_addf(&text, "<%s>", long_word);
    cr_assert_eq(text.length, 601);
    cr_assert_eq(text.data[600], '>');
}

Test(text, utf8_lengths_follow_rfc_3629)
{
    static const struct {
        const char *bytes;
        size_t size, length;
    } cases[] = {
        {"a", 1, 1},
        {"\xc3\xa9", 2, 2},
        {"\xe2\x82\xac", 3, 3},
        {"\xf0\x9f\x98\x80", 4, 4},
        {"\xf4\x8f\xbf\xbf", 4, 4},
        {"\x80", 1, 0},             // a continuation alone
        {"\xc0\xaf", 2, 0},         // overlong
        {"\xe0\x80\xaf", 3, 0},     // overlong
        {"\xf0\x80\x80\xaf", 4, 0}, // overlong
        {"\xed\xa0\x80", 3, 0},     // a surrogate
        {"\xf4\x90\x80\x80", 4, 0}, // past U+10FFFF
        {"\xf5\x80\x80\x80", 4, 0},
        {"\xff", 1, 0},
        {"\xe2\x82", 2, 0}, // cut off
        {"\xe2\x28\xa1", 3, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        cr_expect_eq(text_utf8_length(cases[i].bytes, cases[i].size), cases[i].length, "case %zu", i);
}

Test(text, json_escapes)
{
    _cleanup_text_ struct text text = TEXT_INIT(1000);
    static const char input[] = "a\"b\\c\n\t\r\x1b[31m\x7f\xc2\x9b\xff\xc3\xa9/\0z";
    text_add_json(&text, input, sizeof(input) - 1);
    cr_assert_str_eq(text_string(&text),
                     "\"a\\\"b\\\\c\\n\\t\\u000d\\u001b[31m\\u007f\\u009b\xef\xbf\xbd\xc3\xa9/"
                     "\\u0000z\"");
}

// Every pair of bytes must give JSON that a strict parser takes.
Test(text, json_is_valid_whatever_the_bytes)
{
    _cleanup_text_ struct text text = TEXT_INIT(1000);
    for (unsigned first = 0; first < 256; first++) {
        for (unsigned second = 0; second < 256; second++) {
            char bytes[] = {(char)first, (char)second, 'x'};
            text_reset(&text);
            text_add_json(&text, bytes, sizeof(bytes));
            json_error_t error;
            json_t *value = json_loadb(text.data, text.length, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
            cr_assert(value, "bytes %02x %02x: %s", first, second, error.text);
            const char *string = json_string_value(value);
            cr_assert_eq(string[json_string_length(value) - 1], 'x');
            json_decref(value);
        }
    }
}

Test(text, printable_leaves_no_control_byte)
{
    _cleanup_text_ struct text text = TEXT_INIT(10000);
    for (unsigned byte = 0; byte < 256; byte++) {
        char bytes[] = {(char)byte};
        text_add_printable(&text, bytes, 1);
    }
    static const char c1[] = "\xc2\x9b"
                             "31m";
    text_add_printable(&text, c1, sizeof(c1) - 1);
    for (size_t i = 0; i < text.length; i++)
        cr_assert(text.data[i] >= 0x20 && text.data[i] < 0x7f, "byte %02x", (unsigned char)text.data[i]);

    text_reset(&text);
    text_add_printable(&text, "na\xc3\xafve \x1b[2J\n", 12);
    cr_assert_str_eq(text_string(&text), "na\xc3\xafve \\x1b[2J\\x0a");
}
