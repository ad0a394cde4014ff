// What a descriptor is called, from records as the kernel side writes them, and from broken ones.
#include "source/descriptor.h"

#include <criterion/criterion.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

static struct {
    struct wire_descriptor_call call;
    char path[300];
} record;
static struct wire_descriptor *const descriptor = &record.call.descriptor;
static struct scratch scratch;
static struct event event = {.wire = &record.call.call.call.header, .scratch = &scratch};

#define PATH(text) text, sizeof(text)

static void describe(uint32_t magic, uint16_t mode, const char *path, size_t size)
{
    memset(&record, 0, sizeof(record));
    scratch.used = 0;
    event.num++;
    memcpy(record.path, path, size);
    *descriptor = (struct wire_descriptor){.flags = WIRE_DESCRIPTOR_KNOWN,
                                           .num = 7,
                                           .ino = 99,
                                           .magic = magic,
                                           .mode = mode,
                                           .path_at = sizeof(record.call),
                                           .path_size = (uint16_t)size};
    record.call.call.call.header.size = (uint32_t)(sizeof(record.call) + size);
}

static void expect(field_get_fn get, const char *expected)
{
    struct value value;
    bool found = get(&event, NULL, 0, &value);
    cr_assert_eq(found, expected != NULL, "%s instead of %s", found ? value.string.data : "nothing",
                 expected ? expected : "nothing");
    if (found)
        cr_assert_str_eq(value.string.data, expected);
}

static void expect_kind(const char *type, const char *letter)
{
    cr_assert(descriptor_valid(event.wire));
    expect(descriptor_get_type, type);
    expect(descriptor_get_typechar, letter);
}

Test(source_descriptor, kinds)
{
    describe(EXT4_SUPER_MAGIC, S_IFREG, PATH("passwd\0etc"));
    expect_kind("file", "f");
    expect(descriptor_get_name, "/etc/passwd");
    expect(descriptor_get_directory, "/etc");
    expect(descriptor_get_filename, "passwd");
    describe(EXT4_SUPER_MAGIC, S_IFDIR, "", 0);
    expect_kind("directory", "d");
    expect(descriptor_get_name, "/");
    describe(TMPFS_MAGIC, S_IFCHR, PATH("null\0dev"));
    expect_kind("file", "f");
    // In memory it is only where it is in no directory; a file of that name in one is a file.
    describe(TMPFS_MAGIC, S_IFREG, PATH("memfd:x"));
    expect_kind("memfd", "m");
    describe(TMPFS_MAGIC, S_IFREG, PATH("memfd:x\0tmp"));
    expect_kind("file", "f");
    describe(PIPEFS_MAGIC, S_IFIFO, "", 0);
    expect_kind("pipe", "p");
    expect(descriptor_get_name, "pipe:[99]");
    expect(descriptor_get_directory, NULL);
    describe(EXT4_SUPER_MAGIC, S_IFIFO, PATH("fifo\0run"));
    expect(descriptor_get_name, "/run/fifo");
    describe(0x50494446, S_IFREG, "", 0);
    expect_kind("pidfd", "P");
}

// What has no directory bears the kernel's own name for it; since 6.16 its mode is a file's.
Test(source_descriptor, kinds_without_a_file)
{
    describe(ANON_INODE_FS_MAGIC, 0, PATH("[eventfd]"));
    expect_kind("event", "e");
    expect(descriptor_get_name, NULL);
    describe(ANON_INODE_FS_MAGIC, S_IFREG, PATH("[eventpoll]"));
    expect_kind("eventpoll", "l");
    describe(ANON_INODE_FS_MAGIC, 0, PATH("[something new]"));
    expect_kind(NULL, NULL);
    describe(ANON_INODE_FS_MAGIC, 0, "", 0);
    expect_kind(NULL, NULL);
}

Test(source_descriptor, sockets)
{
    describe(SOCKFS_MAGIC, S_IFSOCK, PATH("listener\0run"));
    descriptor->family = AF_UNIX;
    expect_kind("unix", "u");
    expect(descriptor_get_name, "/run/listener");
    describe(SOCKFS_MAGIC, S_IFSOCK, "a\0b", 3);
    descriptor->family = AF_UNIX;
    descriptor->flags |= WIRE_DESCRIPTOR_ABSTRACT;
    expect_kind("unix", "u");
    expect(descriptor_get_name, "@a@b");
    expect(descriptor_get_directory, NULL);
    describe(SOCKFS_MAGIC, S_IFSOCK, "", 0);
    descriptor->family = AF_UNIX;
    expect(descriptor_get_name, NULL);
    descriptor->family = AF_NETLINK;
    expect_kind("netlink", "n");
    descriptor->family = AF_PACKET;
    expect_kind(NULL, NULL);
    record.call.call.endpoint = (struct wire_endpoint){.family = 6, .local_addr[15] = 1, .local_port = 80};
    expect_kind("ipv6", "6");
    expect(descriptor_get_name, "[::1]:80");
}

Test(source_descriptor, what_is_not_there_is_missing)
{
    describe(0, 0, "", 0);
    descriptor->flags = 0;
    struct value value;
    expect_kind(NULL, NULL);
    expect(descriptor_get_name, NULL);
    cr_assert_not(descriptor_get_num(&event, NULL, 0, &value));
    cr_assert_not(descriptor_get_ino(&event, NULL, 0, &value));
    // The front of a path that was cut off is worse than none.
    describe(EXT4_SUPER_MAGIC, S_IFREG, PATH("passwd\0etc"));
    descriptor->flags |= WIRE_DESCRIPTOR_TRUNCATED;
    expect(descriptor_get_name, NULL);
    expect_kind("file", "f");
}

Test(source_descriptor, path_outside_of_the_record)
{
    describe(EXT4_SUPER_MAGIC, S_IFREG, PATH("passwd\0etc"));
    descriptor->path_at--;
    cr_expect_not(descriptor_valid(event.wire));
    descriptor->path_at += 2;
    cr_expect_not(descriptor_valid(event.wire));
    descriptor->path_at = UINT16_MAX;
    descriptor->path_size = UINT16_MAX;
    cr_expect_not(descriptor_valid(event.wire));
    // A path that does not hold together is no name.
    describe(EXT4_SUPER_MAGIC, S_IFREG, "passwd\0etc", 10);
    cr_assert(descriptor_valid(event.wire));
    expect(descriptor_get_name, NULL);
}
