// A program that calls that library as it is told line by line, and answers each with how many calls returned
// and how many nanoseconds they took. Takes the library to load.
//   load        loads the library
//   run N       calls the function, N times, 20 ms each
//   nested N    the same, with calls of the same function inside
//   throw N     calls that end by an exception, each caught by who has called
//   deep N      an exception that is caught far above, then a call of which the stack is deeper than that of
//               the one that threw
//   jump N      the same with longjmp() instead of an exception
//   inside N    calls that catch an exception themselves, and return
//   passing N   calls inside of which another throws, and that catch it
//   early N     calls that return at once
//   exit        ends inside of a call, in another thread
#include "throwing.h"

#include <atomic>
#include <csetjmp>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <dlfcn.h>
#include <stdexcept>
#include <string>
#include <thread>
#include <unistd.h>

using torch::jit::GraphFunction;
using values = std::vector<c10::IValue>;

static const char name[] = "_ZN5torch3jit13GraphFunction3runERSt6vectorIN3c106IValueESaIS4_EE";
static void (*run)(GraphFunction *, values &);
alignas(16) static char function_space[256];
static GraphFunction *const function = reinterpret_cast<GraphFunction *>(function_space);
static uint64_t took, returned;

static uint64_t now_ns()
{
    timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return uint64_t(time.tv_sec) * 1000000000 + uint64_t(time.tv_nsec);
}

static void work()
{
    timespec time = {0, 20000000};
    nanosleep(&time, nullptr);
}

[[noreturn]] static void fail()
{
    throw std::runtime_error("as it was told");
}

static void call(values stack)
{
    uint64_t begin = now_ns();
    run(function, stack);
    took += now_ns() - begin;
    returned++;
}

static void call_caught(const std::function<void()> &act)
{
    try {
        call({{act}});
    } catch (const std::exception &) {
    }
}

// So much further down the stack.
__attribute__((noinline)) static void call_below(const std::function<void()> &act, volatile char *)
{
    volatile char room[8192];
    room[0] = 1;
    act();
    room[1] = room[0];
}

static void nested()
{
    values inner = {{work}};
    run(function, inner);
}

static void passing()
{
    values inner = {{fail}};
    try {
        run(function, inner);
    } catch (const std::exception &) {
    }
    work();
}

static void inside()
{
    call(values(200, {fail}));
}

static void deep()
{
    volatile char nothing = 0;
    call_caught(fail);
    call_below([] { call({{work}}); }, &nothing);
}

static void jump()
{
    static jmp_buf above;
    volatile char nothing = 0;
    if (setjmp(above) == 0) {
        values stack = {{[] { longjmp(above, 1); }}};
        run(function, stack);
    }
    call_below([] { call({{work}}); }, &nothing);
}

static void load(const char *library)
{
    void *handle = dlopen(library, RTLD_NOW);
    void *found = handle ? dlsym(handle, name) : nullptr;
    if (!found) {
        std::fprintf(stderr, "throwing: %s\n", dlerror());
        std::exit(1);
    }
    std::memcpy(&run, &found, sizeof(run));
}

static void exit_inside()
{
    static std::atomic<bool> inside;
    std::thread([] {
        values stack = {{[] {
            inside = true;
            pause();
        }}};
        run(function, stack);
    }).detach();
    while (!inside)
        usleep(1000);
    _exit(0);
}

static void act(const std::string &what)
{
    if (what == "run")
        call({{work}});
    else if (what == "nested")
        call({{nested}});
    else if (what == "throw")
        call_caught(fail);
    else if (what == "deep")
        deep();
    else if (what == "jump")
        jump();
    else if (what == "inside")
        inside();
    else if (what == "passing")
        call({{passing}});
    else if (what == "early")
        call({});
}

int main(int argc, char **argv)
{
    char line[256], what[32];
    std::puts("ready");
    std::fflush(stdout);
    while (argc == 2 && std::fgets(line, sizeof(line), stdin)) {
        unsigned count = 0;
        if (std::sscanf(line, "%31s %u", what, &count) < 1)
            continue;
        took = returned = 0;
        if (std::string(what) == "load")
            load(argv[1]);
        else if (std::string(what) == "exit")
            exit_inside();
        for (unsigned i = 0; i < count; i++)
            act(what);
        std::printf("%llu %llu\n", (unsigned long long)returned, (unsigned long long)took);
        std::fflush(stdout);
    }
    return 0;
}
