// A client of llama.cpp's classic interface, llama_decode(), that counts its calls and keeps time, for the
// tests to compare with. The library is opened when that is asked for, and declared by hand: what is passed
// by value is larger here than there, which does no harm.
// Usage: llama-client LIBRARY MODEL [COMMAND…]; further commands come in lines on standard input:
//   open        the library
//   load        the model, and makes a context
//   run P S N   N sequences of P tokens each in one batch, then S batches of a token for each
//   fail        a batch that the library refuses
//   forever     batches of a token, until the process is killed
// Each is answered by a line; that of `run`: calls, tokens and nanoseconds of both kinds of batches.
#include <dlfcn.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SEQUENCES_MAX = 8, TOKENS_MAX = 2048, CONTEXT = 4096, TOKEN_FIRST = 260, TOKEN_COUNT = 250 };

struct params {
    uint32_t words[256];
};

struct batch {
    int32_t tokens_count;
    int32_t *tokens;
    float *embeddings;
    int32_t *positions;
    int32_t *sequences_counts;
    int32_t **sequences;
    int8_t *logits;
};

struct sum {
    uint64_t calls, tokens, time_ns;
};

static const char *library_path, *model_path;
static void *library, *context;

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void *symbol(const char *name)
{
    void *found = dlsym(library, name);
    if (!found) {
        fprintf(stderr, "llama-client: %s\n", dlerror());
        exit(1);
    }
    return found;
}

static void quiet(int level, const char *text, void *data)
{
}

static void open_library(void)
{
    library = dlopen(library_path, RTLD_NOW | RTLD_GLOBAL);
    if (!library) {
        fprintf(stderr, "llama-client: %s\n", dlerror());
        exit(1);
    }
    ((void (*)(void (*)(int, const char *, void *), void *))symbol("llama_log_set"))(quiet, NULL);
    // Beside the library, or where it looks by itself.
    char folder[4096];
    snprintf(folder, sizeof(folder), "%s", library_path);
    *strrchr(folder, '/') = '\0';
    ((void (*)(const char *))symbol("ggml_backend_load_all_from_path"))(folder);
    ((void (*)(void))symbol("ggml_backend_load_all"))();
    puts("opened");
}

static void load_model(void)
{
    struct params params = ((struct params(*)(void))symbol("llama_model_default_params"))();
    void *model =
        ((void *(*)(const char *, struct params))symbol("llama_model_load_from_file"))(model_path, params);
    if (!model) {
        puts("not loaded");
        return;
    }
    params = ((struct params(*)(void))symbol("llama_context_default_params"))();
    params.words[0] = CONTEXT;
    params.words[1] = TOKENS_MAX;    // in a batch
    params.words[2] = TOKENS_MAX;    // computed at once
    params.words[3] = SEQUENCES_MAX; // at most
    context = ((void *(*)(void *, struct params))symbol("llama_init_from_model"))(model, params);
    if (!context) {
        fprintf(stderr, "llama-client: no context\n");
        exit(1);
    }
    // More of them spin while they wait for each other.
    ((void (*)(void *, int32_t, int32_t))symbol("llama_set_n_threads"))(context, 1, 1);
    puts("loaded");
}

static void add_token(struct batch *batch, int32_t sequence, int32_t position, bool logits)
{
    int32_t i = batch->tokens_count++;
    batch->tokens[i] = TOKEN_FIRST + (7 * position + sequence) % TOKEN_COUNT;
    batch->positions[i] = position;
    batch->sequences_counts[i] = 1;
    batch->sequences[i][0] = sequence;
    batch->logits[i] = logits;
}

static int decode(struct batch batch, struct sum *sum)
{
    static int (*call)(void *, struct batch);
    static float *(*get_logits)(void *, int32_t);
    call = call ? call : symbol("llama_decode");
    get_logits = get_logits ? get_logits : symbol("llama_get_logits_ith");
    uint64_t begin_ns = now_ns();
    int result = call(context, batch);
    sum->time_ns += now_ns() - begin_ns;
    sum->calls++;
    sum->tokens += (uint64_t)batch.tokens_count;
    for (int32_t i = 0; result == 0 && i < batch.tokens_count; i++)
        if (batch.logits[i] && !get_logits(context, i))
            result = 1000;
    return result;
}

static void expect_done(int result)
{
    if (result) {
        fprintf(stderr, "llama-client: llama_decode() returned %d\n", result);
        exit(1);
    }
}

static struct batch new_batch(void)
{
    return ((struct batch(*)(int32_t, int32_t, int32_t))symbol("llama_batch_init"))(TOKENS_MAX, 0, 1);
}

static void forget_all(void)
{
    void *memory = ((void *(*)(void *))symbol("llama_get_memory"))(context);
    ((void (*)(void *, bool))symbol("llama_memory_clear"))(memory, true);
}

static void run(int prompt, int steps, int sequences)
{
    struct batch batch = new_batch();
    struct sum prefill = {}, decoded = {};
    forget_all();
    batch.tokens_count = 0;
    for (int sequence = 0; sequence < sequences; sequence++)
        for (int i = 0; i < prompt; i++)
            add_token(&batch, sequence, i, i == prompt - 1);
    expect_done(decode(batch, prompt > 1 ? &prefill : &decoded));
    for (int step = 0; step < steps; step++) {
        batch.tokens_count = 0;
        for (int sequence = 0; sequence < sequences; sequence++)
            add_token(&batch, sequence, prompt + step, true);
        expect_done(decode(batch, &decoded));
    }
    printf("%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", prefill.calls,
           prefill.tokens, prefill.time_ns, decoded.calls, decoded.tokens, decoded.time_ns);
}

static void run_forever(void)
{
    struct batch batch = new_batch();
    struct sum sum = {};
    puts("begun");
    fflush(stdout);
    for (int position = 0;; position = (position + 1) % (CONTEXT / 2)) {
        if (position == 0)
            forget_all();
        batch.tokens_count = 0;
        add_token(&batch, 0, position, true);
        expect_done(decode(batch, &sum));
    }
}

static void obey(const char *command)
{
    int prompt, steps, sequences;
    struct sum sum = {};
    if (strncmp(command, "open", 4) == 0)
        open_library();
    else if (strncmp(command, "load", 4) == 0)
        load_model();
    else if (sscanf(command, "run %d %d %d", &prompt, &steps, &sequences) == 3)
        run(prompt, steps, sequences);
    else if (strncmp(command, "fail", 4) == 0)
        printf("%d\n", decode(new_batch(), &sum));
    else if (strncmp(command, "forever", 7) == 0)
        run_forever();
    fflush(stdout);
}

int main(int count, char **arguments)
{
    char line[64];
    if (count < 3)
        return 2;
    library_path = arguments[1];
    model_path = arguments[2];
    for (int i = 3; i < count; i++)
        obey(arguments[i]);
    while (fgets(line, sizeof(line), stdin))
        obey(line);
    return 0;
}
