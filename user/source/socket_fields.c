#include "socket_fields.h"

#include "base/cleanup.h"
#include "endpoint.h"
#include "result.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>

static const struct wire_socket *socket_of(const struct event *event)
{
    return (const struct wire_socket *)event->wire;
}

static bool has_result(const struct event *event)
{
    return socket_of(event)->how & WIRE_SOCKET_HAS_RESULT;
}

// --- Results ---

static bool get_rawres(const struct event *event, const struct field_arg *arg, size_t nth,
                       struct value *ret_value)
{
    return has_result(event) && result_get_rawres(event, arg, nth, ret_value);
}

static bool get_failed(const struct event *event, const struct field_arg *arg, size_t nth,
                       struct value *ret_value)
{
    return has_result(event) && result_get_failed(event, arg, nth, ret_value);
}

static bool get_res(const struct event *event, const struct field_arg *arg, size_t nth,
                    struct value *ret_value)
{
    return has_result(event) && result_get_res(event, arg, nth, ret_value);
}

// --- The socket ---

static bool get_num(const struct event *event, const struct field_arg *arg, size_t nth,
                    struct value *ret_value)
{
    const struct wire_socket *record = socket_of(event);
    return record->fd >= 0 && value_set_int(ret_value, record->fd);
}

static bool get_name(const struct event *event, const struct field_arg *arg, size_t nth,
                     struct value *ret_value)
{
    const struct wire_socket *record = socket_of(event);
    if (record->call.endpoint.family != WIRE_FAMILY_UNIX)
        return endpoint_get_name(event, arg, nth, ret_value);
    if (record->name_size == 0)
        return false;
    const char *name = (const char *)(record + 1) + record->data_size;
    // An abstract name may hold anything; like other tools we show its first byte, a NUL, as @.
    if (name[0])
        return value_set_string(ret_value, event_printf(event, "%.*s", record->name_size, name));
    return value_set_string(ret_value, event_printf(event, "@%.*s", record->name_size - 1, name + 1));
}

static bool get_name_changed(const struct event *event, const struct field_arg *arg, size_t nth,
                             struct value *ret_value)
{
    return value_set_bool(ret_value, socket_of(event)->how & WIRE_SOCKET_NAME_CHANGED);
}

// --- Arguments ---

struct bit {
    uint32_t bit;
    const char *name;
};

#define BIT(name)   \
    {               \
        name, #name \
    }

// The names of the bits, after `first` where there is one; bits without a name as a number.
static bool set_bits(const struct event *event, const char *first, uint32_t bits, const struct bit *names,
                     size_t count, struct value *ret_value)
{
    char text[512];
    size_t used = (size_t)snprintf(text, sizeof(text), "%s", first ? first : "");
    for (size_t i = 0; i < count; i++) {
        if (!(bits & names[i].bit))
            continue;
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s", used ? "|" : "", names[i].name);
        bits &= ~names[i].bit;
    }
    if (bits || !used)
        snprintf(text + used, sizeof(text) - used, bits ? "%s0x%x" : "%s%u", used ? "|" : "", bits);
    return value_set_string(ret_value, event_printf(event, "%s", text));
}

static const struct bit socket_flags[] = {BIT(SOCK_CLOEXEC), BIT(SOCK_NONBLOCK)};

static bool get_domain(const struct event *event, const struct field_arg *arg, size_t nth,
                       struct value *ret_value)
{
    static const char *const names[AF_MAX] = {
        [AF_UNIX] = "AF_UNIX",
        [AF_INET] = "AF_INET",
        [AF_INET6] = "AF_INET6",
        [AF_NETLINK] = "AF_NETLINK",
        [AF_PACKET] = "AF_PACKET",
        [AF_ALG] = "AF_ALG",
        [AF_BLUETOOTH] = "AF_BLUETOOTH",
        [AF_CAN] = "AF_CAN",
        [AF_KEY] = "AF_KEY",
        [AF_NFC] = "AF_NFC",
        [AF_QIPCRTR] = "AF_QIPCRTR",
        [AF_RDS] = "AF_RDS",
        [AF_SMC] = "AF_SMC",
        [AF_TIPC] = "AF_TIPC",
        [AF_VSOCK] = "AF_VSOCK",
        [AF_XDP] = "AF_XDP",
    };
    int domain = socket_of(event)->domain;
    if (domain >= 0 && domain < AF_MAX && names[domain])
        return value_set_string(ret_value, names[domain]);
    return value_set_string(ret_value, event_printf(event, "%d", domain));
}

static bool get_socket_type(const struct event *event, const struct field_arg *arg, size_t nth,
                            struct value *ret_value)
{
    static const char *const names[] = {
        [SOCK_STREAM] = "SOCK_STREAM", [SOCK_DGRAM] = "SOCK_DGRAM",         [SOCK_RAW] = "SOCK_RAW",
        [SOCK_RDM] = "SOCK_RDM",       [SOCK_SEQPACKET] = "SOCK_SEQPACKET", [SOCK_DCCP] = "SOCK_DCCP",
        [SOCK_PACKET] = "SOCK_PACKET",
    };
    uint32_t type = (uint32_t)socket_of(event)->type & 0xf; // SOCK_TYPE_MASK; the rest are flags
    uint32_t flags = (uint32_t)socket_of(event)->type & ~UINT32_C(0xf);
    const char *name =
        type < ARRAY_SIZE(names) && names[type] ? names[type] : event_printf(event, "%u", type);
    return set_bits(event, name, flags, socket_flags, ARRAY_SIZE(socket_flags), ret_value);
}

static bool get_proto(const struct event *event, const struct field_arg *arg, size_t nth,
                      struct value *ret_value)
{
    return value_set_int(ret_value, socket_of(event)->protocol);
}

static bool get_backlog(const struct event *event, const struct field_arg *arg, size_t nth,
                        struct value *ret_value)
{
    return value_set_int(ret_value, socket_of(event)->backlog);
}

static bool get_addr(const struct event *event, const struct field_arg *arg, size_t nth,
                     struct value *ret_value)
{
    return get_name(event, arg, nth, ret_value);
}

static bool get_accept_flags(const struct event *event, const struct field_arg *arg, size_t nth,
                             struct value *ret_value)
{
    return set_bits(event, NULL, socket_of(event)->flags, socket_flags, ARRAY_SIZE(socket_flags), ret_value);
}

static bool get_data_flags(const struct event *event, const struct field_arg *arg, size_t nth,
                           struct value *ret_value)
{
    static const struct bit names[] = {
        BIT(MSG_OOB),        BIT(MSG_PEEK),     BIT(MSG_DONTROUTE), BIT(MSG_CTRUNC),
        BIT(MSG_TRUNC),      BIT(MSG_DONTWAIT), BIT(MSG_EOR),       BIT(MSG_WAITALL),
        BIT(MSG_CONFIRM),    BIT(MSG_ERRQUEUE), BIT(MSG_NOSIGNAL),  BIT(MSG_MORE),
        BIT(MSG_WAITFORONE), BIT(MSG_ZEROCOPY), BIT(MSG_FASTOPEN),  BIT(MSG_CMSG_CLOEXEC),
    };
    return set_bits(event, NULL, socket_of(event)->flags, names, ARRAY_SIZE(names), ret_value);
}

static bool get_size(const struct event *event, const struct field_arg *arg, size_t nth,
                     struct value *ret_value)
{
    return value_set_uint(ret_value, socket_of(event)->size);
}

// --- Data ---

static bool get_buffer(const struct event *event, const struct field_arg *arg, size_t nth,
                       struct value *ret_value)
{
    const struct wire_socket *record = socket_of(event);
    char *copy = record->data_size ? event_alloc(event, record->data_size + 1u) : NULL;
    if (!copy)
        return false;
    memcpy(copy, record + 1, record->data_size);
    copy[record->data_size] = '\0';
    return value_set_bytes(ret_value, copy, record->data_size);
}

static bool get_buflen(const struct event *event, const struct field_arg *arg, size_t nth,
                       struct value *ret_value)
{
    int64_t result = socket_of(event)->call.call.result;
    return has_result(event) && result >= 0 && value_set_int(ret_value, result);
}

// --- The tables ---

// clang-format off
#define FIELD(field_name, field_type, field_help, getter) \
    {.name = field_name, .type = field_type, .help = field_help, .get = getter}

#define SOCKET_FIELDS(of_rawres, of_fd)                                                              \
    FIELD("evt.rawres", FIELD_INT, of_rawres, get_rawres),                                           \
    FIELD("evt.failed", FIELD_BOOL, "Whether the call failed", get_failed),                          \
    FIELD("evt.res", FIELD_STRING, "SUCCESS or the error's name: EADDRINUSE", get_res),              \
    FIELD("fd.num", FIELD_INT, of_fd, get_num),                                                      \
    FIELD("evt.arg.fd", FIELD_INT, "The same as fd.num", get_num),                                   \
    ENDPOINT_FIELDS_NAMED(get_name)

#define OWN_FIELDS(of_rawres) SOCKET_FIELDS(of_rawres, "Descriptor of the socket")

#define TUPLE_FIELD FIELD("evt.arg.tuple", FIELD_STRING, "The same as fd.name", get_name)

#define DATA_FIELDS                                                                                  \
    TUPLE_FIELD,                                                                                     \
    FIELD("evt.arg.flags", FIELD_STRING, "Flags: MSG_DONTWAIT|MSG_NOSIGNAL", get_data_flags),        \
    {.name = "evt.buffer", .type = FIELD_STRING, .payload = true,                                    \
     .help = "The first 80 bytes that were sent or received", .get = get_buffer},                    \
    {.name = "evt.buflen", .type = FIELD_INT, .unit = "bytes",                                       \
     .help = "How much was sent or received; missing where the call failed", .get = get_buflen}

#define SENT_FIELDS                                                                                  \
    OWN_FIELDS("How many bytes were sent, or a negative error number; missing where it is not known: through " \
               "io_uring, and of a message of sendmmsg that failed after others had been sent"),     \
    DATA_FIELDS,                                                                                     \
    FIELD("fd.name_changed", FIELD_BOOL,                                                             \
          "Whether the call names another address than this socket has sent to before", get_name_changed)

#define RECEIVED_FIELDS                                                                              \
    OWN_FIELDS("How many bytes were received, or a negative error number"),                          \
    DATA_FIELDS

#define SIZE_FIELD(of_size) \
    {.name = "evt.arg.size", .type = FIELD_UINT, .unit = "bytes", .help = of_size, .get = get_size}
// clang-format on

static const struct field socket_fields[] = {
    SOCKET_FIELDS("What the call returned: a descriptor, or a negative error number",
                  "Descriptor of the new socket; missing where the call failed"),
    FIELD("evt.arg.domain", FIELD_STRING, "AF_INET, AF_PACKET, …; a number where it has no name here",
          get_domain),
    FIELD("evt.arg.type", FIELD_STRING, "SOCK_STREAM|SOCK_CLOEXEC", get_socket_type),
    FIELD("evt.arg.proto", FIELD_INT, "Number of the protocol as it was asked for; 0: the usual one",
          get_proto),
};

static const struct field bind_fields[] = {
    OWN_FIELDS("What the call returned: 0 or a negative error number"),
    FIELD("evt.arg.addr", FIELD_STRING,
          "The address; as the caller gave it where the call failed, otherwise as the kernel chose it",
          get_addr),
};

static const struct field listen_fields[] = {
    OWN_FIELDS("What the call returned: 0 or a negative error number"),
    FIELD("evt.arg.backlog", FIELD_INT, "How many connections may wait", get_backlog),
};

#define ACCEPT_FIELDS                                                                 \
    SOCKET_FIELDS("What the call returned: a descriptor, or a negative error number", \
                  "Descriptor of the new connection; missing where the call failed"), \
        TUPLE_FIELD

static const struct field accept_fields[] = {ACCEPT_FIELDS};

static const struct field accept4_fields[] = {
    ACCEPT_FIELDS,
    FIELD("evt.arg.flags", FIELD_STRING, "Flags: SOCK_CLOEXEC|SOCK_NONBLOCK", get_accept_flags),
};

static const struct field sendto_fields[] = {SENT_FIELDS, SIZE_FIELD("How many bytes there were to send")};
static const struct field send_fields[] = {SENT_FIELDS};
static const struct field recvfrom_fields[] = {RECEIVED_FIELDS,
                                               SIZE_FIELD("How many bytes there was room for")};
static const struct field receive_fields[] = {RECEIVED_FIELDS};

#define TYPE(wire_type, type_name, type_fields, type_help) \
    [wire_type] = {.name = type_name,                      \
                   .help = type_help,                      \
                   .fields = type_fields,                  \
                   .fields_count = ARRAY_SIZE(type_fields)}

const struct event_type socket_types[WIRE_SOCKET_TYPES] = {
    TYPE(WIRE_SOCKET_SOCKET, "socket", socket_fields, "A socket was made"),
    TYPE(WIRE_SOCKET_BIND, "bind", bind_fields, "A socket was given an address of its own"),
    TYPE(WIRE_SOCKET_LISTEN, "listen", listen_fields, "A socket began to wait for connections"),
    TYPE(WIRE_SOCKET_ACCEPT, "accept", accept_fields, "A connection was accepted by accept()"),
    TYPE(WIRE_SOCKET_ACCEPT4, "accept4", accept4_fields, "A connection was accepted by accept4()"),
    TYPE(WIRE_SOCKET_SENDTO, "sendto", sendto_fields, "Data was sent by sendto() or send()"),
    TYPE(WIRE_SOCKET_SENDMSG, "sendmsg", send_fields,
         "A message was sent by sendmsg(), or to an address through io_uring"),
    TYPE(WIRE_SOCKET_SENDMMSG, "sendmmsg", send_fields,
         "One of the messages of sendmmsg() was sent; of a socket that is connected or raw, the first one"),
    TYPE(WIRE_SOCKET_RECVFROM, "recvfrom", recvfrom_fields, "Data was received by recvfrom() or recv()"),
    TYPE(WIRE_SOCKET_RECVMSG, "recvmsg", receive_fields, "A message was received by recvmsg()"),
    TYPE(WIRE_SOCKET_RECVMMSG, "recvmmsg", receive_fields,
         "Messages were received by recvmmsg(), of which this is the first one"),
};
