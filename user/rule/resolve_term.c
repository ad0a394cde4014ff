#include "compiler.h"

struct checker {
    struct compiler *compiler;
    const struct passage *passage;
    const char *code;
};

__attribute__((format(printf, 3, 4))) static bool fail(const struct checker *checker, const struct term *term,
                                                       const char *format, ...)
{
    char message[512];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    problem_at(checker->compiler->report, RULE_ERROR, checker->code,
               place_in(checker->passage, term->name.offset), "%s", message);
    return false;
}

static bool resolve_field(const struct checker *checker, struct term *term)
{
    struct compiler *compiler = checker->compiler;
    term->field = compiler_look_up(compiler, &term->name, checker->passage, checker->code);
    if (!term->field)
        return false;
    const char *wrong =
        compiler_arg(term->field, term->has_arg ? &term->arg : NULL, &compiler->set->arena, &term->field_arg);
    if (wrong) {
        size_t offset = term->has_arg ? term->arg.offset : term->name.offset;
        problem_at(compiler->report, RULE_ERROR, checker->code, place_in(checker->passage, offset), "%s",
                   wrong);
        return false;
    }
    term->type = term->field->type;
    term->many = term->field->many && !term->has_arg;
    return true;
}

static size_t count_arguments(const struct term *call)
{
    size_t count = 0;
    for (const struct term *child = call->first; child; child = child->next)
        count++;
    return count;
}

// One string, or several where the transformer is applied to each.
static bool check_string(const struct checker *checker, const struct term *call, const struct term *argument)
{
    if (argument->kind == TERM_LIST || argument->type != FIELD_STRING)
        return fail(checker, argument, "%.*s() takes a string, and this is %s", (int)call->name.length,
                    call->name.text,
                    argument->kind == TERM_LIST ? "a list" : field_type_name(argument->type));
    return true;
}

static bool check_single(const struct checker *checker, const struct term *call, const struct term *argument)
{
    if (argument->kind == TERM_LIST || argument->many)
        return fail(checker, argument, "%.*s() takes a single value here, and this has several",
                    (int)call->name.length, call->name.text);
    return true;
}

static bool check_call(const struct checker *checker, struct term *call)
{
    static const struct {
        size_t least, most;
        const char *usage;
    } shapes[] = {
        [TRANSFORM_TOLOWER] = {1, 1, "tolower(FIELD)"},
        [TRANSFORM_TOUPPER] = {1, 1, "toupper(FIELD)"},
        [TRANSFORM_B64] = {1, 1, "b64(FIELD)"},
        [TRANSFORM_BASENAME] = {1, 1, "basename(FIELD)"},
        [TRANSFORM_LEN] = {1, 1, "len(FIELD)"},
        [TRANSFORM_JOIN] = {2, 2, "join(\"separator\", (FIELD, FIELD))"},
        [TRANSFORM_CONCAT] = {2, SIZE_MAX, "concat(FIELD, \"text\")"},
        [TRANSFORM_GETOPT] = {2, 2, "getopt(proc.args, \"ab:\")[b]"},
    };
    size_t count = count_arguments(call);
    struct term *first = call->first, *second = first ? first->next : NULL;
    if (count < shapes[call->transformer].least || count > shapes[call->transformer].most)
        return fail(checker, call, "write %s", shapes[call->transformer].usage);
    call->type = FIELD_STRING;
    switch (call->transformer) {
    case TRANSFORM_LEN:
        call->type = FIELD_UINT;
        return first->many || first->kind == TERM_LIST || check_string(checker, call, first);
    case TRANSFORM_JOIN:
        if (!second->many && second->kind != TERM_LIST)
            return fail(checker, second, "the second argument of join() is a list: write (FIELD, FIELD)");
        return check_single(checker, call, first);
    case TRANSFORM_CONCAT:
        for (const struct term *child = first; child; child = child->next)
            if (!check_single(checker, call, child))
                return false;
        return true;
    case TRANSFORM_GETOPT:
        if (call->has_arg && call->arg.length != 1)
            return fail(checker, call, "the option that is asked for is one letter, as in [b]");
        call->many = !call->has_arg;
        return (first->kind == TERM_LIST || check_string(checker, call, first)) &&
               check_single(checker, call, second) && check_string(checker, call, second);
    default:
        call->many = first->many;
        return check_string(checker, call, first);
    }
}

static bool resolve(const struct checker *checker, struct term *term)
{
    for (struct term *child = term->first; child; child = child->next)
        if (!resolve(checker, child))
            return false;
    switch (term->kind) {
    case TERM_FIELD:
        return resolve_field(checker, term);
    case TERM_CALL:
        return check_call(checker, term);
    case TERM_LIST:
        for (const struct term *child = term->first; child; child = child->next)
            if (child->kind == TERM_LIST || child->many)
                return fail(checker, child, "an element of a list is a single value");
        return true;
    default:
        return true;
    }
}

bool term_resolve(struct compiler *compiler, struct term *term, const struct passage *passage,
                  const char *code)
{
    const struct checker checker = {.compiler = compiler, .passage = passage, .code = code};
    return resolve(&checker, term);
}
