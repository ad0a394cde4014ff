#include "compat.h"

#include "harness.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__x86_64__)

enum { I386_GETPID = 20 };

long compat_call(long number, long a, long b, long c, long d, long e)
{
    long result;
    __asm__ volatile("int $0x80"
                     : "=a"(result)
                     : "a"(number), "b"(a), "c"(b), "d"(c), "S"(d), "D"(e)
                     : "memory", "r8", "r9", "r10", "r11");
    return (int)result;
}

// A kernel without it kills who tries.
bool compat_available(void)
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(compat_call(I386_GETPID, 0, 0, 0, 0, 0) == getpid() ? 0 : 1);
    int status;
    return waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

void *compat_memory(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    cr_assert_neq(memory, MAP_FAILED);
    return memory;
}

#else

long compat_call(long number, long a, long b, long c, long d, long e)
{
    return -ENOSYS;
}

bool compat_available(void)
{
    return false;
}

void *compat_memory(size_t size)
{
    return NULL;
}

#endif

char *compat_text(const char *text)
{
    char *copy = compat_memory(strlen(text) + 1);
    return copy ? strcpy(copy, text) : NULL;
}
