// A program that runs a model with ONNX Runtime, as it is told line by line, and keeps time itself: it
// answers each line with how many calls it made and how many nanoseconds they took. Takes the library to
// load. The library's table of functions is used by the places in it, so no header of it is needed.
//   load             loads the library
//   file PATH        writes the model there, and makes a session of it
//   session PATH     makes a session
//   memory           makes a session of a model in memory
//   run N            runs the model, N times; so do bind N and async N by other calls
//   refused N        runs it with an input that it does not have
//   listen           for requests, at a port that it answers
//   answer N         a request, by running the model N times
//   exit             ends inside of Run(), in another thread
#include <arpa/inet.h>
#include <dlfcn.h>
#include <netinet/in.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 64, INPUTS = 512, HIDDEN = 2048, OUTPUTS = 256 };

// onnxruntime_c_api.h: places in OrtApi, which never change.
enum {
    CREATE_ENV = 3,
    CREATE_SESSION = 7,
    CREATE_SESSION_FROM_ARRAY = 8,
    RUN = 9,
    CREATE_SESSION_OPTIONS = 10,
    SET_INTRA_OP_NUM_THREADS = 24,
    CREATE_TENSOR_WITH_DATA = 49,
    CREATE_CPU_MEMORY_INFO = 69,
    RELEASE_STATUS = 93,
    RELEASE_VALUE = 96,
    RUN_WITH_BINDING = 133,
    CREATE_IO_BINDING = 134,
    BIND_INPUT = 136,
    BIND_OUTPUT = 137,
    RUN_ASYNC = 260,
    GET_ERROR_MESSAGE = 2,
};

struct base {
    const void *(*get_api)(uint32_t version);
    const char *(*get_version)(void);
};

typedef void *status;

static const void *const *api;
static void *env, *options, *memory_info, *session, *input;
static const char *const input_names[] = {"x"}, *const wrong_names[] = {"wrong"},
                         *const output_names[] = {"y"};
static float data[BATCH * INPUTS];

static void die(const char *what)
{
    fprintf(stderr, "onnx: %s\n", what);
    exit(1);
}

static void check(status result)
{
    if (result)
        die(((const char *(*)(status))api[GET_ERROR_MESSAGE])(result));
}

static uint64_t now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

// --- The model: x · W1, ReLU, · W2, in the format of ONNX, which is a protocol buffer ---

struct bytes {
    char *data;
    size_t size;
};

static void put(struct bytes *bytes, const void *what, size_t size)
{
    bytes->data = realloc(bytes->data, bytes->size + size);
    if (!bytes->data)
        die("no memory");
    memcpy(bytes->data + bytes->size, what, size);
    bytes->size += size;
}

static void put_number(struct bytes *bytes, uint64_t number)
{
    for (; number > 127; number >>= 7)
        put(bytes, &(char){(char)(number | 128)}, 1);
    put(bytes, &(char){(char)number}, 1);
}

static void put_int(struct bytes *bytes, unsigned field, uint64_t number)
{
    put_number(bytes, field << 3);
    put_number(bytes, number);
}

static void put_data(struct bytes *bytes, unsigned field, const void *what, size_t size)
{
    put_number(bytes, field << 3 | 2);
    put_number(bytes, size);
    put(bytes, what, size);
}

static void put_text(struct bytes *bytes, unsigned field, const char *text)
{
    put_data(bytes, field, text, strlen(text));
}

static void put_part(struct bytes *bytes, unsigned field, struct bytes part)
{
    put_data(bytes, field, part.data, part.size);
    free(part.data);
}

static struct bytes make_node(const char *operation, const char *first, const char *second,
                              const char *output)
{
    struct bytes node = {};
    put_text(&node, 1, first);
    if (second)
        put_text(&node, 1, second);
    put_text(&node, 2, output);
    put_text(&node, 4, operation);
    return node;
}

static struct bytes make_weights(const char *name, size_t rows, size_t columns)
{
    struct bytes tensor = {};
    float *weights = malloc(rows * columns * sizeof(*weights));
    if (!weights)
        die("no memory");
    for (size_t i = 0; i < rows * columns; i++)
        weights[i] = (float)(i % 17) / 170 - 0.05f;
    put_int(&tensor, 1, rows);
    put_int(&tensor, 1, columns);
    put_int(&tensor, 2, 1); // float
    put_text(&tensor, 8, name);
    put_data(&tensor, 9, weights, rows * columns * sizeof(*weights));
    free(weights);
    return tensor;
}

static struct bytes make_value(const char *name, uint64_t columns)
{
    struct bytes rows = {}, column = {}, shape = {}, tensor = {}, type = {}, value = {};
    put_text(&rows, 2, "N");
    put_int(&column, 1, columns);
    put_part(&shape, 1, rows);
    put_part(&shape, 1, column);
    put_int(&tensor, 1, 1); // float
    put_part(&tensor, 2, shape);
    put_part(&type, 1, tensor);
    put_text(&value, 1, name);
    put_part(&value, 2, type);
    return value;
}

static struct bytes make_model(void)
{
    struct bytes graph = {}, operators = {}, model = {};
    put_part(&graph, 1, make_node("MatMul", "x", "W1", "a"));
    put_part(&graph, 1, make_node("Relu", "a", NULL, "b"));
    put_part(&graph, 1, make_node("MatMul", "b", "W2", "y"));
    put_text(&graph, 2, "model");
    put_part(&graph, 5, make_weights("W1", INPUTS, HIDDEN));
    put_part(&graph, 5, make_weights("W2", HIDDEN, OUTPUTS));
    put_part(&graph, 11, make_value("x", INPUTS));
    put_part(&graph, 12, make_value("y", OUTPUTS));
    put_text(&operators, 1, "");
    put_int(&operators, 2, 13);
    put_int(&model, 1, 8);
    put_part(&model, 7, graph);
    put_part(&model, 8, operators);
    return model;
}

static void write_model(const char *path)
{
    struct bytes model = make_model();
    FILE *file = fopen(path, "w");
    if (!file || fwrite(model.data, 1, model.size, file) != model.size || fclose(file))
        die("the model cannot be written");
    free(model.data);
}

// --- The library ---

static void load(const char *library)
{
    void *handle = dlopen(library, RTLD_NOW);
    if (!handle)
        die(dlerror());
    const struct base *(*get_base)(void) = (const struct base *(*)(void))dlsym(handle, "OrtGetApiBase");
    api = get_base()->get_api(17); // 1.17, the first whose table we use to the end
    if (!api)
        die("the library is too old");
    check(((status(*)(int, const char *, void **))api[CREATE_ENV])(3, "test", &env));
    check(((status(*)(void **))api[CREATE_SESSION_OPTIONS])(&options));
    check(((status(*)(void *, int))api[SET_INTRA_OP_NUM_THREADS])(options, 2));
    check(((status(*)(int, int, void **))api[CREATE_CPU_MEMORY_INFO])(1, 0, &memory_info));
    const int64_t shape[] = {BATCH, INPUTS};
    for (size_t i = 0; i < BATCH * INPUTS; i++)
        data[i] = (float)(i % 7) / 10;
    check(((status(*)(void *, void *, size_t, const int64_t *, size_t, int, void **))
               api[CREATE_TENSOR_WITH_DATA])(memory_info, data, sizeof(data), shape, 2, 1, &input));
}

// How long it took.
static uint64_t make_session(const char *path, bool *ret_failed)
{
    struct bytes model = path ? (struct bytes){} : make_model();
    uint64_t begin = now_ns();
    status result =
        path ? ((status(*)(void *, const char *, void *, void **))api[CREATE_SESSION])(env, path, options,
                                                                                       &session)
             : ((status(*)(void *, const void *, size_t, void *, void **))api[CREATE_SESSION_FROM_ARRAY])(
                   env, model.data, model.size, options, &session);
    uint64_t took = now_ns() - begin;
    free(model.data);
    *ret_failed = result != NULL;
    if (result)
        ((void (*)(status))api[RELEASE_STATUS])(result);
    return took;
}

typedef status run_fn(void *session, void *options, const char *const *input_names, void *const *inputs,
                      size_t inputs_count, const char *const *output_names, size_t outputs_count,
                      void **outputs);

static uint64_t run(bool refused)
{
    void *output = NULL;
    uint64_t begin = now_ns();
    status result = ((run_fn *)api[RUN])(session, NULL, refused ? wrong_names : input_names, &input, 1,
                                         output_names, 1, &output);
    uint64_t took = now_ns() - begin;
    if (!result != !refused)
        die("a run went as it should not");
    if (result)
        ((void (*)(status))api[RELEASE_STATUS])(result);
    else
        ((void (*)(void *))api[RELEASE_VALUE])(output);
    return took;
}

static uint64_t run_bound(void)
{
    static void *binding, *output;
    static float results[BATCH * OUTPUTS];
    if (!binding) {
        const int64_t shape[] = {BATCH, OUTPUTS};
        check(((status(*)(void *, void *, size_t, const int64_t *, size_t, int,
                          void **))api[CREATE_TENSOR_WITH_DATA])(memory_info, results, sizeof(results), shape,
                                                                 2, 1, &output));
        check(((status(*)(void *, void **))api[CREATE_IO_BINDING])(session, &binding));
        check(((status(*)(void *, const char *, void *))api[BIND_INPUT])(binding, "x", input));
        check(((status(*)(void *, const char *, void *))api[BIND_OUTPUT])(binding, "y", output));
    }
    uint64_t begin = now_ns();
    check(((status(*)(void *, const void *, const void *))api[RUN_WITH_BINDING])(session, NULL, binding));
    return now_ns() - begin;
}

static sem_t finished;

static void on_finished(void *user_data, void **outputs, size_t count, status result)
{
    if (result)
        die("a run has failed");
    sem_post(&finished);
}

// The time until it was over, which is not that of the call.
static uint64_t run_async(void)
{
    void *output = NULL;
    uint64_t begin = now_ns();
    check(((status(*)(void *, void *, const char *const *, void *const *, size_t, const char *const *, size_t,
                      void **, void (*)(void *, void **, size_t, status), void *))api[RUN_ASYNC])(
        session, NULL, input_names, &input, 1, output_names, 1, &output, on_finished, NULL));
    sem_wait(&finished);
    ((void (*)(void *))api[RELEASE_VALUE])(output);
    return now_ns() - begin;
}

// --- A server of it ---

static int listener = -1;

static unsigned listen_here(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(address);
    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(listener, (struct sockaddr *)&address, size) || listen(listener, 1) ||
        getsockname(listener, (struct sockaddr *)&address, &size))
        die("no port");
    return ntohs(address.sin_port);
}

static uint64_t answer(uint64_t runs)
{
    static const char text[] =
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 16\r\n\r\n"
        "{\"model\":\"tiny\"}";
    char request[4096];
    uint64_t took = 0;
    int connection = accept(listener, NULL, NULL);
    if (recv(connection, request, sizeof(request), 0) <= 0)
        die("no request");
    for (uint64_t i = 0; i < runs; i++)
        took += run(false);
    if (send(connection, text, strlen(text), MSG_NOSIGNAL) < 0)
        die("nobody wants the answer");
    close(connection);
    return took;
}

static void *run_on(void *nothing)
{
    for (;;)
        run(false);
    return NULL;
}

static void exit_inside(void)
{
    pthread_t thread;
    run(false);
    if (pthread_create(&thread, NULL, run_on, NULL))
        die("no thread");
    usleep(20000);
    _exit(0);
}

int main(int argc, char **argv)
{
    char line[4096];
    sem_init(&finished, 0, 0);
    puts("ready");
    fflush(stdout);
    while (argc == 2 && fgets(line, sizeof(line), stdin)) {
        char *what = strtok(line, " \n"), *rest = strtok(NULL, "\n");
        uint64_t count = rest ? strtoull(rest, NULL, 10) : 0, sum = 0, done = 0;
        bool failed = false;
        if (!what)
            continue;
        if (strcmp(what, "load") == 0)
            load(argv[1]);
        else if (strcmp(what, "file") == 0)
            write_model(rest);
        if (strcmp(what, "file") == 0 || strcmp(what, "session") == 0 || strcmp(what, "memory") == 0) {
            sum = make_session(strcmp(what, "memory") ? rest : NULL, &failed);
            done = !failed;
            count = 0;
        }
        if (strcmp(what, "exit") == 0)
            exit_inside();
        if (strcmp(what, "listen") == 0)
            done = listen_here();
        if (strcmp(what, "answer") == 0) {
            sum = answer(count);
            done = count;
            count = 0;
        }
        for (uint64_t i = 0; i < count; i++, done++)
            sum += strcmp(what, "bind") == 0    ? run_bound()
                   : strcmp(what, "async") == 0 ? run_async()
                                                : run(strcmp(what, "refused") == 0);
        printf("%llu %llu\n", (unsigned long long)done, (unsigned long long)sum);
        fflush(stdout);
    }
    return 0;
}
