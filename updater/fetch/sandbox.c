/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/fetch/sandbox.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What resolving a name, checking a certificate and loading a name service module read. */
/* clang-format off */
static const char *const readable_paths[] = {
	"/usr/lib", "/usr/lib64", "/usr/share/ca-certificates", "/usr/share/zoneinfo",
	"/usr/local/share/ca-certificates", "/etc/ssl", "/etc/ca-certificates", "/etc/resolv.conf",
	"/etc/hosts", "/etc/host.conf", "/etc/nsswitch.conf", "/etc/gai.conf", "/etc/services",
	"/etc/protocols", "/etc/localtime", "/etc/ld.so.cache", "/etc/passwd", "/run/systemd/resolve",
	"/run/resolvconf", "/run/nscd", "/dev/null", "/dev/urandom", "/proc/self", NULL
};
/* clang-format on */

/* File system rights that exist since ABI version n + 1 of Landlock (linux/landlock.h). */
static const guint64 rights_of_abi[] = {
	(LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1, /* 1: execute up to make_sym */
	LANDLOCK_ACCESS_FS_REFER,
	LANDLOCK_ACCESS_FS_TRUNCATE,
	0, /* 4: network */
	LANDLOCK_ACCESS_FS_IOCTL_DEV,
};

static gboolean allow_reading(int ruleset, const char *path, GError **error)
{
	PROA_AUTO_FD int fd = open(path, O_PATH | O_CLOEXEC);
	struct stat st;

	/* What is not there need not be read. */
	if (fd < 0 || fstat(fd, &st) < 0)
		return TRUE;

	struct landlock_path_beneath_attr rule = { .parent_fd = fd,
		.allowed_access = LANDLOCK_ACCESS_FS_READ_FILE };
	if (S_ISDIR(st.st_mode))
		rule.allowed_access |= LANDLOCK_ACCESS_FS_READ_DIR;
	if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0)
		return proa_fail_errno(error, PROA_REASON_INTERNAL, errno, "allowing to read %s", path);
	return TRUE;
}

static gboolean restrict_files(const char *const *readable, GError **error)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

	if (abi < 1)
		return TRUE; /* this kernel has no Landlock, or it is off */
	struct landlock_ruleset_attr rules = { 0 };
	for (guint i = 0; i < G_N_ELEMENTS(rights_of_abi) && i < (guint)abi; i++)
		rules.handled_access_fs |= rights_of_abi[i];
	if (abi >= 4)
		rules.handled_access_net = LANDLOCK_ACCESS_NET_BIND_TCP;
	PROA_AUTO_FD int ruleset = (int)syscall(SYS_landlock_create_ruleset, &rules, sizeof rules, 0);
	if (ruleset < 0)
		return proa_fail_errno(error, PROA_REASON_INTERNAL, errno, "making Landlock rules");

	for (const char *const *path = readable_paths; *path; path++)
		if (!allow_reading(ruleset, *path, error))
			return FALSE;
	for (const char *const *path = readable; path && *path; path++)
		if (!allow_reading(ruleset, *path, error))
			return FALSE;
	if (syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
		return proa_fail_errno(error, PROA_REASON_INTERNAL, errno, "applying Landlock rules");
	return TRUE;
}

/*
 * The system calls of glibc's loader and resolver, libcurl and OpenSSL. What is not listed fails with EPERM
 * and does not kill, since a name service module of the operator's may try more and do without.
 */
/* clang-format off */
static const int allowed_calls[] = {
	/* memory and threads (the resolver has one) */
	SCMP_SYS(brk), SCMP_SYS(mmap), SCMP_SYS(munmap), SCMP_SYS(mprotect), SCMP_SYS(mremap),
	SCMP_SYS(madvise), SCMP_SYS(futex), SCMP_SYS(clone), SCMP_SYS(clone3), SCMP_SYS(set_robust_list),
	SCMP_SYS(rseq), SCMP_SYS(sched_yield), SCMP_SYS(sched_getaffinity), SCMP_SYS(exit),
	SCMP_SYS(exit_group), SCMP_SYS(getrandom), SCMP_SYS(membarrier), SCMP_SYS(prlimit64),
	SCMP_SYS(sysinfo), SCMP_SYS(uname), SCMP_SYS(arch_prctl),
	/* signals and time */
	SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn), SCMP_SYS(sigaltstack),
	SCMP_SYS(restart_syscall), SCMP_SYS(tgkill), SCMP_SYS(clock_gettime), SCMP_SYS(clock_getres),
	SCMP_SYS(clock_nanosleep), SCMP_SYS(nanosleep), SCMP_SYS(gettimeofday), SCMP_SYS(time),
	/* who am I */
	SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(getppid), SCMP_SYS(getuid), SCMP_SYS(geteuid),
	SCMP_SYS(getgid), SCMP_SYS(getegid),
	/* files; Landlock says which, and openat is held to reading below */
	SCMP_SYS(read), SCMP_SYS(readv), SCMP_SYS(pread64), SCMP_SYS(write), SCMP_SYS(writev),
	SCMP_SYS(close), SCMP_SYS(fstat), SCMP_SYS(stat), SCMP_SYS(lstat), SCMP_SYS(newfstatat),
	SCMP_SYS(statx), SCMP_SYS(statfs), SCMP_SYS(fstatfs), SCMP_SYS(access), SCMP_SYS(faccessat),
	SCMP_SYS(faccessat2), SCMP_SYS(readlink), SCMP_SYS(readlinkat), SCMP_SYS(getdents64),
	SCMP_SYS(lseek), SCMP_SYS(fcntl), SCMP_SYS(getcwd), SCMP_SYS(dup), SCMP_SYS(fadvise64),
	/* network */
	SCMP_SYS(socketpair), SCMP_SYS(connect), SCMP_SYS(bind), SCMP_SYS(getsockname),
	SCMP_SYS(getpeername), SCMP_SYS(getsockopt), SCMP_SYS(setsockopt), SCMP_SYS(sendto),
	SCMP_SYS(recvfrom), SCMP_SYS(sendmsg), SCMP_SYS(recvmsg), SCMP_SYS(sendmmsg), SCMP_SYS(recvmmsg),
	SCMP_SYS(shutdown), SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(select), SCMP_SYS(pselect6),
	SCMP_SYS(epoll_create1), SCMP_SYS(epoll_ctl), SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait),
	SCMP_SYS(pipe2), SCMP_SYS(eventfd2),
};
/* clang-format on */

static int allow_calls(scmp_filter_ctx filter)
{
	int r = 0;

	for (guint i = 0; i < G_N_ELEMENTS(allowed_calls) && r == 0; i++)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed_calls[i], 0);
	/* Opening: read-only, and nothing is made. */
	if (r == 0)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(openat), 1,
			SCMP_A2(SCMP_CMP_MASKED_EQ, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY));
	/* Sockets: local (resolver services), IPv4, IPv6, and netlink, by which getaddrinfo() sees which of
	 * them is up. */
	const unsigned int families[] = { AF_UNIX, AF_INET, AF_INET6, AF_NETLINK };
	for (guint i = 0; i < G_N_ELEMENTS(families) && r == 0; i++)
		r = seccomp_rule_add(
			filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_EQ, families[i]));
	/* FIONBIO and FIONREAD alone. */
	const unsigned int requests[] = { 0x5421, 0x541B };
	for (guint i = 0; i < G_N_ELEMENTS(requests) && r == 0; i++)
		r = seccomp_rule_add(
			filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1, SCMP_A1(SCMP_CMP_EQ, requests[i]));
	/* Naming a thread. */
	if (r == 0)
		r = seccomp_rule_add(
			filter, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1, SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME));
	return r;
}

static gboolean restrict_calls(GError **error)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));

	if (!filter)
		return proa_fail(error, PROA_REASON_INTERNAL, "making a seccomp filter");
	int r = allow_calls(filter);
	if (r == 0)
		r = seccomp_load(filter);
	seccomp_release(filter);
	if (r < 0)
		return proa_fail_errno(error, PROA_REASON_INTERNAL, -r, "loading a seccomp filter");
	return TRUE;
}

gboolean proa_sandbox_enter(const char *const *readable, GError **error)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return proa_fail_errno(error, PROA_REASON_INTERNAL, errno, "giving up new privileges");
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return proa_fail_errno(error, PROA_REASON_INTERNAL, errno, "forbidding core dumps");
	return restrict_files(readable, error) && restrict_calls(error);
}
