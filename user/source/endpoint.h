// The fields of a socket's two ends: the same for every record that begins with a struct
// wire_endpoint_call. Where a socket has no such end, its fields are missing.
#pragma once

#include "event.h"
#include "wire/endpoint.h"

bool endpoint_get_name(const struct event *event, const struct field_arg *arg, size_t nth,
                       struct value *ret_value);
bool endpoint_get_type(const struct event *event, const struct field_arg *arg, size_t nth,
                       struct value *ret_value);
bool endpoint_get_typechar(const struct event *event, const struct field_arg *arg, size_t nth,
                           struct value *ret_value);
bool endpoint_get_sockfamily(const struct event *event, const struct field_arg *arg, size_t nth,
                             struct value *ret_value);
bool endpoint_get_l4proto(const struct event *event, const struct field_arg *arg, size_t nth,
                          struct value *ret_value);
bool endpoint_get_either_ip(const struct event *event, const struct field_arg *arg, size_t nth,
                            struct value *ret_value);
bool endpoint_get_server_ip(const struct event *event, const struct field_arg *arg, size_t nth,
                            struct value *ret_value);
bool endpoint_get_client_ip(const struct event *event, const struct field_arg *arg, size_t nth,
                            struct value *ret_value);
bool endpoint_get_remote_ip(const struct event *event, const struct field_arg *arg, size_t nth,
                            struct value *ret_value);
bool endpoint_get_local_ip(const struct event *event, const struct field_arg *arg, size_t nth,
                           struct value *ret_value);
bool endpoint_get_either_port(const struct event *event, const struct field_arg *arg, size_t nth,
                              struct value *ret_value);
bool endpoint_get_server_port(const struct event *event, const struct field_arg *arg, size_t nth,
                              struct value *ret_value);
bool endpoint_get_client_port(const struct event *event, const struct field_arg *arg, size_t nth,
                              struct value *ret_value);
bool endpoint_get_remote_port(const struct event *event, const struct field_arg *arg, size_t nth,
                              struct value *ret_value);
bool endpoint_get_local_port(const struct event *event, const struct field_arg *arg, size_t nth,
                             struct value *ret_value);
bool endpoint_get_connected(const struct event *event, const struct field_arg *arg, size_t nth,
                            struct value *ret_value);
bool endpoint_get_is_server(const struct event *event, const struct field_arg *arg, size_t nth,
                            struct value *ret_value);

bool endpoint_get_server_names(const struct event *event, const struct field_arg *arg, size_t nth,
                               struct value *ret_value);
bool endpoint_get_client_names(const struct event *event, const struct field_arg *arg, size_t nth,
                               struct value *ret_value);
bool endpoint_get_remote_names(const struct event *event, const struct field_arg *arg, size_t nth,
                               struct value *ret_value);
bool endpoint_get_local_names(const struct event *event, const struct field_arg *arg, size_t nth,
                              struct value *ret_value);

bool endpoint_get_domains(const struct event *event, const struct field_arg *arg, size_t nth,
                          struct value *ret_value);

#define ENDPOINT_NAMES_HELP(whose) whose " names: those that DNS answers gave the address, the latest first"

// For the table of an event type. ENDPOINT_FIELDS_NAMED leaves fd.name to the source.
#define ENDPOINT_FIELDS ENDPOINT_FIELDS_NAMED(endpoint_get_name)
#define ENDPOINT_FIELDS_NAMED(get_name)                                                                    \
    {.name = "fd.name",                                                                                    \
     .type = FIELD_STRING,                                                                                 \
     .help = "Both ends, the client first: 10.0.0.1:40000->10.0.0.2:443; where there is one alone, that: " \
             "0.0.0.0:80",                                                                                 \
     .get = get_name},                                                                                     \
        {.name = "fd.type", .type = FIELD_STRING, .help = "ipv4, ipv6 or unix", .get = endpoint_get_type}, \
        {.name = "fd.typechar",                                                                            \
         .type = FIELD_STRING,                                                                             \
         .help = "4: IPv4, 6: IPv6, u: UNIX",                                                              \
         .get = endpoint_get_typechar},                                                                    \
        ENDPOINT_ADDRESS_FIELDS

// Those of them that only a socket has, for descriptors of any kind.
#define ENDPOINT_ADDRESS_FIELDS                                                                              \
    {.name = "fd.sockfamily", .type = FIELD_STRING, .help = "ip or unix", .get = endpoint_get_sockfamily},   \
        {.name = "fd.l4proto",                                                                               \
         .type = FIELD_STRING,                                                                               \
         .help = "tcp, udp, icmp or raw",                                                                    \
         .get = endpoint_get_l4proto},                                                                       \
        {.name = "fd.connected",                                                                             \
         .type = FIELD_BOOL,                                                                                 \
         .help = "Whether the socket has a peer",                                                            \
         .get = endpoint_get_connected},                                                                     \
        {.name = "fd.is_server",                                                                             \
         .type = FIELD_BOOL,                                                                                 \
         .help = "Whether the local end is the server's; missing where the kernel does not tell. A TCP "     \
                 "socket was accepted if it has the backlog of a listening one; its own connect() is known " \
                 "by the port, which connect() chose or bind() named. A UDP socket with a peer is a client " \
                 "unless bind() named its port",                                                             \
         .get = endpoint_get_is_server},                                                                     \
        {.name = "fd.ip",                                                                                    \
         .type = FIELD_IP,                                                                                   \
         .many = true,                                                                                       \
         .help = "Either end's address",                                                                     \
         .get = endpoint_get_either_ip},                                                                     \
        {.name = "fd.sip", .type = FIELD_IP, .help = "The server's address", .get = endpoint_get_server_ip}, \
        {.name = "fd.cip", .type = FIELD_IP, .help = "The client's address", .get = endpoint_get_client_ip}, \
        {.name = "fd.rip", .type = FIELD_IP, .help = "The remote address", .get = endpoint_get_remote_ip},   \
        {.name = "fd.lip", .type = FIELD_IP, .help = "The local address", .get = endpoint_get_local_ip},     \
        {.name = "fd.net",                                                                                   \
         .type = FIELD_IP,                                                                                   \
         .many = true,                                                                                       \
         .help = "fd.ip, to compare with networks",                                                          \
         .get = endpoint_get_either_ip},                                                                     \
        {.name = "fd.snet",                                                                                  \
         .type = FIELD_IP,                                                                                   \
         .help = "fd.sip, to compare with networks",                                                         \
         .get = endpoint_get_server_ip},                                                                     \
        {.name = "fd.cnet",                                                                                  \
         .type = FIELD_IP,                                                                                   \
         .help = "fd.cip, to compare with networks",                                                         \
         .get = endpoint_get_client_ip},                                                                     \
        {.name = "fd.rnet",                                                                                  \
         .type = FIELD_IP,                                                                                   \
         .help = "fd.rip, to compare with networks",                                                         \
         .get = endpoint_get_remote_ip},                                                                     \
        {.name = "fd.lnet",                                                                                  \
         .type = FIELD_IP,                                                                                   \
         .help = "fd.lip, to compare with networks",                                                         \
         .get = endpoint_get_local_ip},                                                                      \
        {.name = "fd.port",                                                                                  \
         .type = FIELD_UINT,                                                                                 \
         .many = true,                                                                                       \
         .help = "Either end's port",                                                                        \
         .get = endpoint_get_either_port},                                                                   \
        {.name = "fd.sport",                                                                                 \
         .type = FIELD_UINT,                                                                                 \
         .help = "The server's port",                                                                        \
         .get = endpoint_get_server_port},                                                                   \
        {.name = "fd.cport",                                                                                 \
         .type = FIELD_UINT,                                                                                 \
         .help = "The client's port",                                                                        \
         .get = endpoint_get_client_port},                                                                   \
        {.name = "fd.rport",                                                                                 \
         .type = FIELD_UINT,                                                                                 \
         .help = "The remote port",                                                                          \
         .get = endpoint_get_remote_port},                                                                   \
        {.name = "fd.lport", .type = FIELD_UINT, .help = "The local port", .get = endpoint_get_local_port},  \
        {.name = "fd.sip.name",                                                                              \
         .type = FIELD_STRING,                                                                               \
         .many = true,                                                                                       \
         .help = ENDPOINT_NAMES_HELP("The server's"),                                                        \
         .get = endpoint_get_server_names},                                                                  \
        {.name = "fd.cip.name",                                                                              \
         .type = FIELD_STRING,                                                                               \
         .many = true,                                                                                       \
         .help = ENDPOINT_NAMES_HELP("The client's"),                                                        \
         .get = endpoint_get_client_names},                                                                  \
        {.name = "fd.rip.name",                                                                              \
         .type = FIELD_STRING,                                                                               \
         .many = true,                                                                                       \
         .help = ENDPOINT_NAMES_HELP("The remote end's"),                                                    \
         .get = endpoint_get_remote_names},                                                                  \
        {.name = "net.dest.domain",                                                                          \
         .type = FIELD_STRING,                                                                               \
         .many = true,                                                                                       \
         .help = "The domains that the server is in by its names: a.b.example is in itself, in b.example "   \
                 "and in example",                                                                           \
         .get = endpoint_get_domains},                                                                       \
    {                                                                                                        \
        .name = "fd.lip.name", .type = FIELD_STRING, .many = true,                                           \
        .help = ENDPOINT_NAMES_HELP("The local end's"), .get = endpoint_get_local_names                      \
    }
