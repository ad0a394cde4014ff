// Rules as teams write them: a few shared macros and lists, and in each rule names of its own.
#include "rules.h"

#include "base/cleanup.h"

#include <stdio.h>
#include <string.h>

static const char preface[] =
    "- macro: open_write\n"
    "  condition: evt.type in (open, openat, openat2, creat) and evt.is_open_write = true and fd.typechar = "
    "f "
    "and fd.num >= 0\n"
    "- macro: open_read\n"
    "  condition: evt.type in (open, openat, openat2) and evt.is_open_read = true and fd.typechar = f and "
    "fd.num >= 0\n"
    "- macro: spawned_process\n"
    "  condition: evt.type in (execve, execveat) and evt.dir = <\n"
    "- macro: outbound\n"
    "  condition: evt.type = connect and evt.dir = < and (fd.typechar = 4 or fd.typechar = 6) and "
    "(evt.rawres >= 0 or evt.res = EINPROGRESS)\n"
    "- macro: container\n"
    "  condition: container.id != host\n"
    "- macro: interactive\n"
    "  condition: ((proc.aname = sshd and proc.name != sshd) or proc.name = systemd-logind or proc.name = "
    "login)\n"
    "- list: shell_binaries\n"
    "  items: [ash, bash, csh, ksh, sh, tcsh, zsh, dash]\n"
    "- list: package_mgmt_binaries\n"
    "  items: [rpm, dnf, yum, dpkg, apt, apt-get, apk, snapd, pip, conda, npm, preinst, postinst, "
    "unattended-upgr]\n"
    "- list: db_server_binaries\n"
    "  items: [mysqld, postgres, sqlplus, mongod, redis-server]\n"
    "- list: known_spawners\n"
    "  items: [shell_binaries, package_mgmt_binaries, systemd, cron, sshd, containerd-shim, runc]\n"
    "- macro: shell_procs\n"
    "  condition: proc.name in (shell_binaries)\n"
    "- macro: package_mgmt\n"
    "  condition: (proc.name in (package_mgmt_binaries) or proc.pname in (package_mgmt_binaries))\n";

// $a, $b, $c: names of the rule's own; $n, $m: numbers of its own; $x.$y: the last half of an address.
static const char *const conditions[] = {
    // Files
    "open_read and fd.name startswith /etc/$a/ and not proc.name in ($b, $c) and not package_mgmt",
    "open_write and fd.name startswith /opt/$a/bin and not proc.name in ($b, $c) and not package_mgmt and "
    "not "
    "proc.pname in (known_spawners)",
    "open_write and container and fd.directory in (/var/lib/$a, /srv/$a/data) and not proc.aname in ($b)",
    "(open_read or open_write) and fd.filename in ($a.conf, $a.key) and not proc.name = $b and not "
    "fd.name startswith /usr/share",
    "open_write and fd.name endswith /.$a_history and not interactive",
    "open_read and fd.name pmatch (/home/*/.$a, /root/.$a) and not proc.pname in (known_spawners)",
    "open_read and fd.name contains \"/$a_rsa\" and proc.name exists and not proc.cmdline startswith \"$b \"",
    "open_write and container and k8s.ns.name = $a and not fd.name startswith /tmp and not proc.name in ($b, "
    "$c)",
    "(open_read or open_write) and fd.name in (/var/run/$a.sock, /run/$a/$b.sock) and not proc.name in ($a, "
    "$c)",
    "open_write and fd.name glob /usr/lib/$a/*.so and not package_mgmt",
    // Programs
    "spawned_process and container and ((proc.name = $a and (proc.cmdline contains \" -e\" or proc.args "
    "contains "
    "\"-c $b\")) or (proc.name = $c and proc.args contains \"--$b\"))",
    "spawned_process and proc.name in ($a, $b, $c) and not proc.pname in (known_spawners)",
    "spawned_process and shell_procs and proc.pname in ($a, $b) and not proc.cmdline in (\"sh -c $c\", "
    "\"bash $c\")",
    "spawned_process and (proc.args contains \"--$a\" or proc.args contains \"/$a.sh\") and not proc.pname = "
    "$b",
    "spawned_process and (proc.exepath startswith /dev/shm/$a or proc.exepath startswith /tmp/$a) and not "
    "proc.name = $b",
    "spawned_process and proc.aname[2] = $a and proc.tty != 0 and not proc.name in (shell_binaries)",
    "spawned_process and container.image.repository endswith /$a and not proc.name in ($b, $c)",
    "spawned_process and user.name = $a and interactive and not proc.pname in (known_spawners)",
    "spawned_process and proc.aname in ($a) and proc.cmdline icontains \"$b\"",
    "spawned_process and container and proc.tty != 0 and not proc.name in ($a, $b) and not proc.pname in "
    "($c)",
    // Connections
    "outbound and fd.sport in ($n, $m) and proc.name in ($a, $b)",
    "outbound and container and fd.sip = 10.9.$x.$y and not proc.name = $a",
    "outbound and fd.sip in (\"172.$x.$y.0/24\", \"10.$y.$x.7\") and not proc.name in ($a, "
    "db_server_binaries)",
    "outbound and fd.sport = $n and not k8s.ns.name in ($a, $b)",
    "outbound and proc.name = $a and fd.l4proto = tcp and not fd.sport in (443, 8443)",
};

static void add_name(struct text *text, size_t number)
{
    char name[32];
    text_add(text, made_name(number, name, sizeof(name)));
}

static void add_condition(struct text *text, const char *condition, size_t rule)
{
    for (const char *at = condition; *at; at++) {
        if (*at != '$') {
            text_add_char(text, *at);
            continue;
        }
        switch (*++at) {
        case 'n':
            text_addf(text, "%zu", 1024 + rule * 13);
            break;
        case 'm':
            text_addf(text, "%zu", 30000 + rule * 7);
            break;
        case 'x':
            text_addf(text, "%zu", 16 + rule / 200);
            break;
        case 'y':
            text_addf(text, "%zu", rule % 200 + 20);
            break;
        default:
            add_name(text, rule * 3 + (size_t)(*at - 'a'));
        }
    }
}

void rules_write(size_t count, struct text *text)
{
    text_add(text, preface);
    for (size_t i = 0; i < count; i++) {
        text_addf(text,
                  "- rule: Rule %zu\n  desc: One of many.\n  priority: WARNING\n"
                  "  output: Seen (file=%%fd.name user=%%user.name command=%%proc.cmdline)\n"
                  "  condition: >\n    ",
                  i);
        add_condition(text, conditions[i % ARRAY_SIZE(conditions)], i);
        text_add(text, "\n");
    }
}
