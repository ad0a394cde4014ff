#include "endpoint.h"

#include "names.h"

#include <arpa/inet.h>
#include <string.h>

static const struct wire_endpoint *endpoint_of(const struct event *event)
{
    return &((const struct wire_endpoint_call *)event->wire)->endpoint;
}

static bool is_ip(const struct wire_endpoint *endpoint)
{
    return endpoint->family == 4 || endpoint->family == 6;
}

static bool set_ip(const struct wire_endpoint *endpoint, const uint8_t *bytes, struct value *ret_value)
{
    if (!is_ip(endpoint))
        return false;
    ret_value->type = FIELD_IP;
    ret_value->ip.family = endpoint->family;
    memset(ret_value->ip.bytes, 0, sizeof(ret_value->ip.bytes));
    memcpy(ret_value->ip.bytes, bytes, endpoint->family == 4 ? 4 : 16);
    return true;
}

// A remote end of zeroes is one only where the call named it so.
static bool has_remote(const struct wire_endpoint *endpoint)
{
    return is_ip(endpoint) && endpoint->flags & (WIRE_ENDPOINT_CONNECTED | WIRE_ENDPOINT_NAMED);
}

static bool has_remote_port(const struct wire_endpoint *endpoint)
{
    return endpoint->remote_port || !(endpoint->flags & WIRE_ENDPOINT_REMOTE);
}

bool endpoint_get_remote_ip(const struct event *event, const struct field_arg *arg, size_t nth,
                            struct value *ret_value)
{
    const struct wire_endpoint *endpoint = endpoint_of(event);
    return has_remote(endpoint) && set_ip(endpoint, endpoint->remote_addr, ret_value);
}

bool endpoint_get_local_ip(const struct event *event, const struct field_arg *arg, size_t nth,
                           struct value *ret_value)
{
    static const uint8_t none[16];
    const struct wire_endpoint *endpoint = endpoint_of(event);
    // A server that waits at every address says so; elsewhere zeroes mean that none was chosen yet.
    bool waits = endpoint->role == WIRE_ROLE_SERVER && endpoint->local_port && !has_remote(endpoint);
    return (waits || memcmp(endpoint->local_addr, none, sizeof(none)) != 0) &&
           set_ip(endpoint, endpoint->local_addr, ret_value);
}

bool endpoint_get_remote_port(const struct event *event, const struct field_arg *arg, size_t nth,
                              struct value *ret_value)
{
    return has_remote(endpoint_of(event)) && has_remote_port(endpoint_of(event)) &&
           value_set_uint(ret_value, endpoint_of(event)->remote_port);
}

bool endpoint_get_local_port(const struct event *event, const struct field_arg *arg, size_t nth,
                             struct value *ret_value)
{
    uint16_t port = is_ip(endpoint_of(event)) ? endpoint_of(event)->local_port : 0;
    return port && value_set_uint(ret_value, port);
}

static bool is_server(const struct event *event)
{
    return endpoint_of(event)->role == WIRE_ROLE_SERVER;
}

bool endpoint_get_server_ip(const struct event *event, const struct field_arg *arg, size_t nth,
                            struct value *ret_value)
{
    return is_server(event) ? endpoint_get_local_ip(event, arg, nth, ret_value)
                            : endpoint_get_remote_ip(event, arg, nth, ret_value);
}

bool endpoint_get_client_ip(const struct event *event, const struct field_arg *arg, size_t nth,
                            struct value *ret_value)
{
    return is_server(event) ? endpoint_get_remote_ip(event, arg, nth, ret_value)
                            : endpoint_get_local_ip(event, arg, nth, ret_value);
}

bool endpoint_get_server_port(const struct event *event, const struct field_arg *arg, size_t nth,
                              struct value *ret_value)
{
    return is_server(event) ? endpoint_get_local_port(event, arg, nth, ret_value)
                            : endpoint_get_remote_port(event, arg, nth, ret_value);
}

bool endpoint_get_client_port(const struct event *event, const struct field_arg *arg, size_t nth,
                              struct value *ret_value)
{
    return is_server(event) ? endpoint_get_remote_port(event, arg, nth, ret_value)
                            : endpoint_get_local_port(event, arg, nth, ret_value);
}

// Either end: the remote one first, then the local one, those that there are.
static bool get_either(field_get_fn remote, field_get_fn local, const struct event *event, size_t nth,
                       struct value *ret_value)
{
    if (nth > 1)
        return false;
    if (!has_remote(endpoint_of(event)))
        return nth == 0 && local(event, NULL, 0, ret_value);
    return nth == 0 ? remote(event, NULL, 0, ret_value) : local(event, NULL, 0, ret_value);
}

bool endpoint_get_either_ip(const struct event *event, const struct field_arg *arg, size_t nth,
                            struct value *ret_value)
{
    return get_either(endpoint_get_remote_ip, endpoint_get_local_ip, event, nth, ret_value);
}

bool endpoint_get_either_port(const struct event *event, const struct field_arg *arg, size_t nth,
                              struct value *ret_value)
{
    return get_either(endpoint_get_remote_port, endpoint_get_local_port, event, nth, ret_value);
}

static const char *end_text(const struct event *event, const uint8_t *addr, uint16_t port, bool has_port)
{
    char text[INET6_ADDRSTRLEN];
    bool v4 = endpoint_of(event)->family == 4;
    inet_ntop(v4 ? AF_INET : AF_INET6, addr, text, sizeof(text));
    if (!has_port)
        return event_printf(event, "%s", text);
    return event_printf(event, v4 ? "%s:%u" : "[%s]:%u", text, port);
}

bool endpoint_get_name(const struct event *event, const struct field_arg *arg, size_t nth,
                       struct value *ret_value)
{
    const struct wire_endpoint *endpoint = endpoint_of(event);
    bool has_local = is_ip(endpoint) && !(endpoint->flags & WIRE_ENDPOINT_REMOTE) &&
                     (has_remote(endpoint) || endpoint->local_port);
    const char *local = has_local ? end_text(event, endpoint->local_addr, endpoint->local_port, true) : NULL;
    if (!has_remote(endpoint))
        return value_set_string(ret_value, local);
    const char *remote =
        end_text(event, endpoint->remote_addr, endpoint->remote_port, has_remote_port(endpoint));
    if (!has_local)
        return value_set_string(ret_value, remote);
    if (!local || !remote)
        return false;
    // The client stands on the left.
    bool server = endpoint->role == WIRE_ROLE_SERVER;
    return value_set_string(ret_value,
                            event_printf(event, "%s->%s", server ? remote : local, server ? local : remote));
}

// `names` are for IPv4, IPv6 and UNIX.
static bool set_by_family(const struct event *event, const char *const names[3], struct value *ret_value)
{
    switch (endpoint_of(event)->family) {
    case 4:
        return value_set_string(ret_value, names[0]);
    case 6:
        return value_set_string(ret_value, names[1]);
    case WIRE_FAMILY_UNIX:
        return value_set_string(ret_value, names[2]);
    default:
        return false;
    }
}

bool endpoint_get_type(const struct event *event, const struct field_arg *arg, size_t nth,
                       struct value *ret_value)
{
    return set_by_family(event, (const char *const[]){"ipv4", "ipv6", "unix"}, ret_value);
}

bool endpoint_get_typechar(const struct event *event, const struct field_arg *arg, size_t nth,
                           struct value *ret_value)
{
    return set_by_family(event, (const char *const[]){"4", "6", "u"}, ret_value);
}

bool endpoint_get_sockfamily(const struct event *event, const struct field_arg *arg, size_t nth,
                             struct value *ret_value)
{
    return set_by_family(event, (const char *const[]){"ip", "ip", "unix"}, ret_value);
}

bool endpoint_get_l4proto(const struct event *event, const struct field_arg *arg, size_t nth,
                          struct value *ret_value)
{
    if (!is_ip(endpoint_of(event)))
        return false;
    switch (endpoint_of(event)->protocol) {
    case IPPROTO_TCP:
        return value_set_string(ret_value, "tcp");
    case IPPROTO_UDP:
        return value_set_string(ret_value, "udp");
    case IPPROTO_ICMP:
    case IPPROTO_ICMPV6:
        return value_set_string(ret_value, "icmp");
    case IPPROTO_RAW:
        return value_set_string(ret_value, "raw");
    default:
        return false;
    }
}

bool endpoint_get_connected(const struct event *event, const struct field_arg *arg, size_t nth,
                            struct value *ret_value)
{
    const struct wire_endpoint *endpoint = endpoint_of(event);
    return is_ip(endpoint) && value_set_bool(ret_value, endpoint->flags & WIRE_ENDPOINT_CONNECTED);
}

bool endpoint_get_is_server(const struct event *event, const struct field_arg *arg, size_t nth,
                            struct value *ret_value)
{
    const struct wire_endpoint *endpoint = endpoint_of(event);
    return endpoint->role != WIRE_ROLE_UNKNOWN && value_set_bool(ret_value, is_server(event));
}

static bool get_names(const struct event *event, field_get_fn address, size_t nth, struct value *ret_value)
{
    struct value value;
    return address(event, NULL, 0, &value) &&
           value_set_string(ret_value, names_of(&value.ip, nth, event->wire->time_ns));
}

bool endpoint_get_server_names(const struct event *event, const struct field_arg *arg, size_t nth,
                               struct value *ret_value)
{
    return get_names(event, endpoint_get_server_ip, nth, ret_value);
}

bool endpoint_get_client_names(const struct event *event, const struct field_arg *arg, size_t nth,
                               struct value *ret_value)
{
    return get_names(event, endpoint_get_client_ip, nth, ret_value);
}

bool endpoint_get_remote_names(const struct event *event, const struct field_arg *arg, size_t nth,
                               struct value *ret_value)
{
    return get_names(event, endpoint_get_remote_ip, nth, ret_value);
}

bool endpoint_get_local_names(const struct event *event, const struct field_arg *arg, size_t nth,
                              struct value *ret_value)
{
    return get_names(event, endpoint_get_local_ip, nth, ret_value);
}

bool endpoint_get_domains(const struct event *event, const struct field_arg *arg, size_t nth,
                          struct value *ret_value)
{
    struct value value;
    if (!endpoint_get_server_ip(event, NULL, 0, &value))
        return false;
    const char *name;
    for (size_t i = 0; (name = names_of(&value.ip, i, event->wire->time_ns)); i++)
        for (const char *domain = name; domain; domain = strchr(domain, '.'), domain += domain != NULL)
            if (nth-- == 0)
                return value_set_string(ret_value, domain);
    return false;
}
