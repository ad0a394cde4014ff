#include "source.h"

#include "base/cleanup.h"
#include "dns.skel.h"
#include "dns_answer.h"
#include "names.h"
#include "object.h"
#include "wire/dns.h"

#include <string.h>

// Programs keep an address for longer than a resolver would, so a name lives for some time at least.
enum { TTL_MIN_S = 60, TTL_MAX_S = 86400 };

OBJECT_SKELETON(dns);

static struct counter answers = {
    .name = "inferscope_dns_answers_total",
    .help = "DNS answers that names were learnt from",
};
static struct counter unread = {
    .name = "inferscope_dns_answers_unread_total",
    .help = "DNS answers that were longer than a record holds or did not hold together",
};

static size_t record_size(uint16_t type)
{
    return sizeof(struct wire_dns);
}

static bool record_valid(const struct wire_header *wire)
{
    const struct wire_dns *record = (const struct wire_dns *)wire;
    return sizeof(*record) + record->message_size <= wire->size;
}

static void on_address(const char *name, const struct ip *address, uint32_t ttl_s, void *context)
{
    const struct wire_header *wire = context;
    uint64_t live_s = ttl_s < TTL_MIN_S ? TTL_MIN_S : ttl_s > TTL_MAX_S ? TTL_MAX_S : ttl_s;
    names_learn(address, name, wire->time_ns, wire->time_ns + live_s * 1000000000);
}

static void learn(const struct wire_header *wire)
{
    const struct wire_dns *record = (const struct wire_dns *)wire;
    bool whole = record->whole_size == record->message_size;
    if (whole &&
        dns_answer_read((const uint8_t *)(record + 1), record->message_size, on_address, (void *)wire) == 0)
        answers.value++;
    else
        unread.value++;
}

static bool names_wanted(const struct demand *demand)
{
    static const char *const fields[] = {"fd.sip.name", "fd.cip.name", "fd.rip.name", "fd.lip.name",
                                         "net.dest.domain"};
    for (size_t i = 0; i < demand->reads_count; i++)
        for (size_t k = 0; k < ARRAY_SIZE(fields); k++)
            if (strcmp(demand->reads[i]->name, fields[k]) == 0)
                return true;
    return demand->reads_all;
}

static struct object object = {.open = open_skeleton, .close = close_skeleton};

static int start(const struct source_env *env, struct source_report *ret_report)
{
    const struct hook hook = {.name = "DNS answers",
                              .program = "dns_ingress_cgroup",
                              .attach_point = "cgroup_skb/ingress",
                              .attach = hook_attach_cgroup,
                              .wanted = true};
    bool needed = env->everything || env->egress || names_wanted(env->demand);
    if (needed) {
        counter_register(&answers);
        counter_register(&unread);
    }
    return object_start(&object, env, needed, &hook, 1, ret_report);
}

static void stop(void)
{
    object_stop(&object);
}

const struct source source_dns = {
    .name = "dns",
    .help = "DNS answers received over UDP and TCP, which give addresses their names",
    .record_size = record_size,
    .record_valid = record_valid,
    .learn = learn,
    .start = start,
    .stop = stop,
};
