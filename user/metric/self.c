#include "self.h"
#include "base/cleanup.h"
#include "base/series.h"
#include "metric.h"
#include "version.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

static double start_time_seconds; // since the Unix epoch; 0 where not known

static double clock_seconds(clockid_t clock)
{
    struct timespec time;
    return clock_gettime(clock, &time) == 0 ? (double)time.tv_sec + (double)time.tv_nsec / 1e9 : 0;
}

// The kernel tells the start as ticks since boot, so the wall clock of that moment is worked out once.
static double find_start_time(void)
{
    _cleanup_fclose_ FILE *file = fopen("/proc/self/stat", "re");
    char line[1024];
    size_t length = file ? fread(line, 1, sizeof(line) - 1, file) : 0;
    line[length] = '\0';
    // The name in brackets may hold anything; the fields after its last bracket start with the 3rd.
    const char *position = strrchr(line, ')');
    for (int field = 2; position && field < 22; field++) {
        position = strchr(position, ' ');
        position = position ? position + 1 : NULL;
    }
    if (!position)
        return 0;
    double ticks = (double)strtoull(position, NULL, 10);
    double boot = clock_seconds(CLOCK_REALTIME) - clock_seconds(CLOCK_BOOTTIME);
    return boot + ticks / (double)sysconf(_SC_CLK_TCK);
}

static bool read_memory(double *ret_virtual, double *ret_resident)
{
    _cleanup_fclose_ FILE *file = fopen("/proc/self/statm", "re");
    unsigned long long size, resident;
    if (!file || fscanf(file, "%llu %llu", &size, &resident) != 2)
        return false;
    double page = (double)sysconf(_SC_PAGESIZE);
    *ret_virtual = (double)size * page;
    *ret_resident = (double)resident * page;
    return true;
}

static void close_directory(DIR **directory)
{
    if (*directory)
        closedir(*directory);
}

static bool count_open_fds(double *ret_count)
{
    __attribute__((cleanup(close_directory))) DIR *directory = opendir("/proc/self/fd");
    if (!directory)
        return false;
    size_t count = 0;
    for (const struct dirent *entry; (entry = readdir(directory));)
        count += entry->d_name[0] != '.';
    // The directory itself was open while it was read.
    *ret_count = (double)(count - 1);
    return true;
}

static void write_one(struct series_writer *writer, const char *name, enum series_type type, const char *unit,
                      const char *help, double value)
{
    struct series_family family = {.name = name, .type = type, .unit = unit, .help = help};
    writer->family(writer, &family);
    writer->number(writer, NULL, 0, value);
}

static void collect(struct series_writer *writer, void *context)
{
    (void)context;
    double virtual_bytes, resident_bytes, open_fds;
    struct rlimit limit;

    write_one(writer, "process_cpu_seconds_total", SERIES_COUNTER, "seconds",
              "Processor time that the agent has used, in user and kernel mode",
              clock_seconds(CLOCK_PROCESS_CPUTIME_ID));
    if (start_time_seconds > 0)
        write_one(writer, "process_start_time_seconds", SERIES_GAUGE, "seconds",
                  "When the agent started, since the Unix epoch", start_time_seconds);
    if (read_memory(&virtual_bytes, &resident_bytes)) {
        write_one(writer, "process_virtual_memory_bytes", SERIES_GAUGE, "bytes",
                  "Virtual memory of the agent", virtual_bytes);
        write_one(writer, "process_resident_memory_bytes", SERIES_GAUGE, "bytes",
                  "Memory of the agent that is in RAM", resident_bytes);
    }
    if (count_open_fds(&open_fds))
        write_one(writer, "process_open_fds", SERIES_GAUGE, NULL, "Open file descriptors of the agent",
                  open_fds);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        write_one(writer, "process_max_fds", SERIES_GAUGE, NULL, "File descriptors that the agent may open",
                  (double)limit.rlim_cur);

    struct series_family build = {.name = "inferscope_build_info",
                                  .type = SERIES_GAUGE,
                                  .help = "Always 1; the labels say which build this is"};
    struct label version = {"version", INFERSCOPE_VERSION};
    writer->family(writer, &build);
    writer->number(writer, &version, 1, 1);
}

int metric_register_self(void)
{
    start_time_seconds = find_start_time();
    return series_register(collect, NULL);
}

double metric_start_time(void)
{
    if (start_time_seconds == 0)
        start_time_seconds = find_start_time();
    return start_time_seconds;
}
