// The fields of what a descriptor is: the same for every record that begins with a struct
// wire_descriptor_call. With ENDPOINT_ADDRESS_FIELDS they are complete for IP sockets, too.
#pragma once

#include "endpoint.h"
#include "event.h"
#include "wire/descriptor.h"

// For a source's record_valid(): the path lies inside the record.
bool descriptor_valid(const struct wire_header *wire);

bool descriptor_get_num(const struct event *event, const struct field_arg *arg, size_t nth,
                        struct value *ret_value);
bool descriptor_get_name(const struct event *event, const struct field_arg *arg, size_t nth,
                         struct value *ret_value);
bool descriptor_get_directory(const struct event *event, const struct field_arg *arg, size_t nth,
                              struct value *ret_value);
bool descriptor_get_filename(const struct event *event, const struct field_arg *arg, size_t nth,
                             struct value *ret_value);
bool descriptor_get_type(const struct event *event, const struct field_arg *arg, size_t nth,
                         struct value *ret_value);
bool descriptor_get_typechar(const struct event *event, const struct field_arg *arg, size_t nth,
                             struct value *ret_value);
bool descriptor_get_ino(const struct event *event, const struct field_arg *arg, size_t nth,
                        struct value *ret_value);

// For the table of an event type.
#define DESCRIPTOR_FIELDS                                                                                  \
    {.name = "fd.num",                                                                                     \
     .type = FIELD_INT,                                                                                    \
     .help = "Descriptor; missing where there is none",                                                    \
     .get = descriptor_get_num},                                                                           \
        {.name = "fd.name",                                                                                \
         .type = FIELD_STRING,                                                                             \
         .help = "Of a file or directory its real path; of an IP socket both ends: "                       \
                 "10.0.0.1:40000->10.0.0.2:443; "                                                          \
                 "of a UNIX socket the path that it or, where it has none, its peer is bound to, or "      \
                 "@ and its abstract name; of a pipe pipe:[inode]",                                        \
         .get = descriptor_get_name},                                                                      \
        {.name = "fd.directory",                                                                           \
         .type = FIELD_STRING,                                                                             \
         .help = "fd.name without its last part, where that is a path",                                    \
         .get = descriptor_get_directory},                                                                 \
        {.name = "fd.filename",                                                                            \
         .type = FIELD_STRING,                                                                             \
         .help = "The last part of fd.name, where that is a path",                                         \
         .get = descriptor_get_filename},                                                                  \
        {.name = "fd.type",                                                                                \
         .type = FIELD_STRING,                                                                             \
         .help = "file, directory, ipv4, ipv6, unix, netlink, pipe, event, eventpoll, signalfd, timerfd, " \
                 "inotify, bpf, userfaultfd, io_uring, memfd or pidfd; missing for all else",              \
         .get = descriptor_get_type},                                                                      \
        {.name = "fd.typechar",                                                                            \
         .type = FIELD_STRING,                                                                             \
         .help = "The same as one letter, in that order: f d 4 6 u n p e l s t i b u r m P",               \
         .get = descriptor_get_typechar},                                                                  \
    {                                                                                                      \
        .name = "fd.ino", .type = FIELD_UINT, .help = "Inode number", .get = descriptor_get_ino            \
    }
